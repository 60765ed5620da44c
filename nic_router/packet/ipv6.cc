#include "nic_router/packet/ipv6.h"

#include <cstring>

namespace bulkhead::nic_router {
namespace {

// RFC 8200 section 4, and IANA's registry of extension headers.
constexpr uint8_t kHopByHop = 0;
constexpr uint8_t kRouting = 43;
constexpr uint8_t kFragment = 44;
constexpr uint8_t kDestinationOptions = 60;
constexpr uint8_t kMobility = 135;
constexpr size_t kFragmentBytes = 8;

}  // namespace

Ipv6Chain WalkIpv6Extensions(std::span<const uint8_t> bytes, Ipv6Upper& out) {
  out = {.offset = kIpv6Bytes, .protocol = bytes[6]};
  for (int extensions = 0;; ++extensions) {
    const uint8_t type = out.protocol;
    if (type != kHopByHop && type != kRouting && type != kFragment &&
        type != kDestinationOptions && type != kMobility) {
      return Ipv6Chain::kGood;
    }
    if (extensions == kMaxIpv6Extensions) return Ipv6Chain::kTooLong;
    if (bytes.size() - out.offset < kFragmentBytes)
      return Ipv6Chain::kTruncated;
    const uint8_t* const at = bytes.data() + out.offset;
    if (type == kHopByHop && extensions != 0) return Ipv6Chain::kForbidden;
    if (type == kRouting && at[2] == 0) return Ipv6Chain::kForbidden;
    size_t length = kFragmentBytes;
    if (type == kFragment) {
      if (out.fragment) return Ipv6Chain::kForbidden;
      out.fragment = true;
      out.fragment_offset = Load16(at + 2) & 0xfff8u;
      out.more_fragments = (at[3] & 1) != 0;
      out.fragment_id = Load32(at + 4);
    } else {
      length = (size_t{at[1]} + 1) * 8;
      if (bytes.size() - out.offset < length) return Ipv6Chain::kTruncated;
    }
    out.offset += length;
    out.protocol = at[0];
    // Behind the header of a later fragment lies the middle of something.
    if (out.fragment_offset != 0) return Ipv6Chain::kGood;
  }
}

void WriteIpv6(std::span<uint8_t> bytes, const Ipv6Fields& fields,
               size_t payload_bytes) {
  uint8_t* const at = bytes.data();
  std::memset(at, 0, 8);
  at[0] = 0x60;
  Store16(at + 4, static_cast<uint16_t>(payload_bytes));
  at[6] = fields.next_header;
  at[7] = fields.hop_limit;
  StoreIpv6(at + 8, fields.source);
  StoreIpv6(at + 24, fields.destination);
}

}  // namespace bulkhead::nic_router
