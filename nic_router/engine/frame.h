// A received frame while it is decided on: its first bytes as a private copy,
// the rest where its sender put it.
//
// Decisions read the copy alone (S7). Whatever is not in the copy is read once,
// when it is copied into the buffer that leaves.
#ifndef BULKHEAD_NIC_ROUTER_ENGINE_FRAME_H_
#define BULKHEAD_NIC_ROUTER_ENGINE_FRAME_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "nic_router/engine/drop_reason.h"
#include "nic_router/engine/port.h"
#include "nic_router/packet/ethernet.h"

namespace bulkhead::nic_router {

enum class FrameKind : uint8_t { kOther, kArp, kIpv4, kIpv6 };

// More headers than this are a bomb: 14 + 60 + 60 bytes with IPv4, and 118 for
// IPv6's extensions.
constexpr size_t kHeadBytes = 192;
// In front of it, so that a tag can be put in and what follows stays aligned:
// the IP header begins at a multiple of 4.
constexpr size_t kHeadRoom = 18;

struct Frame {
  alignas(64) uint8_t memory[kHeadRoom + kHeadBytes];

  // As if untagged: the frame's own length, and what of it `head` holds.
  uint32_t bytes = 0;
  uint32_t head_bytes = 0;
  // What lies behind the head.
  const RxPiece* rest = nullptr;  // Its first piece,
  uint32_t rest_skip = 0;         // less so many bytes.

  uint16_t vlan = 0;  // Its tag was taken off; 0: none, or only a priority.
  bool tagged = false;
  bool checksum_good = false;

  // By ParseFrame.
  FrameKind kind = FrameKind::kOther;
  DropReason malformed = DropReason::kNone;
  uint8_t protocol = 0;
  uint8_t tcp_flags = 0;
  uint8_t icmp_type = 0;
  bool fragment = false;        // A part of a packet.
  bool first_fragment = false;  // The one with the headers.
  bool more_fragments = false;
  bool dont_fragment = false;
  uint16_t upper = 0;        // Offset of TCP, UDP, ICMP or what it is.
  uint32_t ip_end = 0;       // Where the IP packet ends in the frame.
  uint32_t fragment_at = 0;  // Its offset in the packet, bytes.
  uint32_t fragment_id = 0;
  uint32_t source4 = 0;
  uint32_t destination4 = 0;
  // Ports; for an ICMP echo the id, on the requester's side.
  uint16_t source_port = 0;
  uint16_t destination_port = 0;
  uint8_t ttl = 0;

  // The batch's bookkeeping.
  uint16_t source = 0;  // Attachment.
  uint64_t hash = 0;    // Of its flow key.
  bool has_key = false;

  uint8_t* head() { return memory + kHeadRoom; }
  const uint8_t* head() const { return memory + kHeadRoom; }
  std::span<const uint8_t> head_span() const { return {head(), head_bytes}; }
  uint8_t* ip() { return head() + kEthernetBytes; }
  const uint8_t* ip() const { return head() + kEthernetBytes; }
};

// Of up to kHeadBytes, by blocks: for so few, the compiler's choice (`rep
// movs`) takes longer to start than to copy. A byte may be read twice; what
// counts is what lies at `to` afterwards.
inline void CopyHead(uint8_t* to, const uint8_t* from, uint32_t bytes) {
  constexpr uint32_t kBlock = 32;
  if (bytes < kBlock) {
    for (uint32_t i = 0; i < bytes; ++i) to[i] = from[i];
    return;
  }
  for (uint32_t at = 0; at + kBlock < bytes; at += kBlock) {
    std::memcpy(to + at, from + at, kBlock);
  }
  std::memcpy(to + bytes - kBlock, from + bytes - kBlock, kBlock);
}

// Takes a frame's first bytes in, and its tag off. `pieces` are one frame's.
// False: it is too short for an Ethernet header.
inline bool TakeHead(const RxPiece* pieces, Frame& frame) {
  uint32_t total = pieces->length;
  for (const RxPiece* piece = pieces; piece->more;) {
    ++piece;
    total += piece->length;
  }
  frame.checksum_good = pieces->checksum_good;
  frame.vlan = 0;
  frame.tagged = false;
  uint8_t* const head = frame.head();
  uint32_t taken = std::min<uint32_t>(pieces->length, kHeadBytes);
  CopyHead(head, pieces->data, taken);
  frame.rest = pieces;
  frame.rest_skip = taken;
  while (taken < kHeadBytes && taken < total) {
    const RxPiece* next = frame.rest + 1;
    const auto more = std::min<uint32_t>(next->length, kHeadBytes - taken);
    CopyHead(head + taken, next->data, more);
    frame.rest = next;
    frame.rest_skip = more;
    taken += more;
  }
  frame.bytes = total;
  frame.head_bytes = taken;
  if (taken < kEthernetBytes) return false;
  if (Load16(head + 12) == kEtherTypeVlan) [[unlikely]] {
    if (taken < kEthernetBytes + kVlanTagBytes) return false;
    frame.vlan = Load16(head + 14) & kVlanIdMask;
    frame.tagged = true;
    std::memmove(head + 12, head + 16, taken - 16);
    frame.bytes -= kVlanTagBytes;
    frame.head_bytes -= kVlanTagBytes;
  }
  return true;
}

// Reads the headers in the head, and checks each length against the frame's.
// What is wrong is said in `malformed`; addresses and rules are not looked at.
void ParseFrame(Frame& frame);

}  // namespace bulkhead::nic_router

#endif  // BULKHEAD_NIC_ROUTER_ENGINE_FRAME_H_
