// An IPv4 packet that is longer than its way out takes, in parts (RFC 791 3.2):
// its sender allowed it, by not setting DF.
//
// The packet's identification stays. Senders that share an address behind NAT
// may use the same one (RFC 6864 5.3), as with fragments that come as such.
#include <algorithm>
#include <cstring>

#include "nic_router/engine/engine_core.h"
#include "nic_router/packet/ipv4.h"

namespace bulkhead::nic_router {
namespace {

constexpr size_t kMaxHeader = 60;
// Fragments begin at multiples of 8.
constexpr uint32_t kUnit = 8;

// What stays of the header in every fragment but the first: options that say
// so, filled up to whole words. Returns its bytes. The options were checked.
uint32_t KeepCopiedOptions(std::span<uint8_t> header) {
  constexpr uint8_t kEnd = 0;
  constexpr uint8_t kNoOperation = 1;
  constexpr uint8_t kCopied = 0x80;
  uint32_t kept = kIpv4Bytes;
  for (size_t at = kIpv4Bytes; at < header.size() && header[at] != kEnd;) {
    const size_t bytes = header[at] == kNoOperation ? 1 : header[at + 1];
    if ((header[at] & kCopied) != 0) {
      std::memmove(&header[kept], &header[at], bytes);
      kept += static_cast<uint32_t>(bytes);
    }
    at += bytes;
  }
  while (kept % 4 != 0) header[kept++] = kEnd;
  header[0] = static_cast<uint8_t>(4 << 4 | kept / 4);
  return kept;
}

}  // namespace

// Requires: the head is as it is to leave.
DropReason EngineCore::SendFragments4(Frame& frame, uint16_t attachment) {
  const uint32_t mtu = lines_[LineOf(attachments_[attachment])]->mtu;
  MakePrivate(frame);
  std::memcpy(slow_.get(), frame.head(), frame.head_bytes);
  if (frame.ip_end > frame.bytes) return DropReason::kPktTooBig;
  uint8_t head[kEthernetBytes + kMaxHeader];
  const auto ip = std::span(head).subspan(kEthernetBytes);
  uint32_t header = (frame.ip()[0] & 0xfu) * 4;
  std::memcpy(head, slow_.get(), kEthernetBytes + header);
  uint32_t offset = frame.fragment_at;
  for (uint32_t at = kEthernetBytes + header; at < frame.ip_end;) {
    if (mtu < header + kUnit) return DropReason::kPktTooBig;
    const uint32_t left = frame.ip_end - at;
    const bool last = left <= mtu - header;
    const uint32_t part = last ? left : (mtu - header) / kUnit * kUnit;
    const bool more = !last || frame.more_fragments;
    auto out = *Ipv4Writer::In(ip.first(header));
    out.set_total_bytes(static_cast<uint16_t>(header + part));
    out.set_fragment(offset, more);
    out.FillChecksum();
    const RxPiece piece = {.data = slow_.get() + at,
                           .length = static_cast<uint16_t>(part)};
    const DropReason sent = Send(attachment, head, kEthernetBytes + header,
                                 &piece, 0, kEthernetBytes + header + part);
    if (sent != DropReason::kNone) {
      // Of what has left in part, the rest cannot wait.
      if (offset != frame.fragment_at) full_line_ = kNoLine;
      return sent;
    }
    if (offset == frame.fragment_at) {
      header = KeepCopiedOptions(ip.first(header));
    }
    at += part;
    offset += part;
  }
  ++counters_.fragmented;
  return DropReason::kNone;
}

}  // namespace bulkhead::nic_router
