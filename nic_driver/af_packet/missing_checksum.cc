#include "nic_driver/af_packet/missing_checksum.h"

#include <cstddef>

namespace bulkhead::nic_driver {
namespace {

constexpr size_t kEthernetBytes = 14;
constexpr size_t kTagBytes = 4;
constexpr uint16_t kIpv4 = 0x0800, kIpv6 = 0x86dd;
constexpr uint16_t kVlan = 0x8100, kServiceVlan = 0x88a8;
constexpr uint8_t kTcp = 6, kUdp = 17;
constexpr size_t kIpv6Bytes = 40;

uint16_t Read16(std::span<const uint8_t> bytes, size_t at) {
  return static_cast<uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}

// RFC 1071, of what is there, the pseudo header's sum in the field included.
uint16_t Sum(std::span<const uint8_t> bytes) {
  uint64_t sum = 0;
  size_t at = 0;
  for (; at + 1 < bytes.size(); at += 2) sum += Read16(bytes, at);
  if (at < bytes.size()) sum += uint64_t{bytes[at]} << 8;
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

}  // namespace

bool CompleteChecksum(std::span<uint8_t> frame) {
  size_t at = kEthernetBytes;
  if (frame.size() < at) return false;
  uint16_t type = Read16(frame, at - 2);
  for (int tags = 0; tags < 2 && (type == kVlan || type == kServiceVlan);
       ++tags) {
    at += kTagBytes;
    if (frame.size() < at) return false;
    type = Read16(frame, at - 2);
  }
  uint8_t protocol;
  size_t end;
  if (type == kIpv4 && frame.size() >= at + 20) {
    const size_t header = (frame[at] & 0xf) * size_t{4};
    end = at + Read16(frame, at + 2);
    protocol = frame[at + 9];
    if (header < 20 || (Read16(frame, at + 6) & 0x1fff) != 0) return false;
    at += header;
  } else if (type == kIpv6 && frame.size() >= at + kIpv6Bytes) {
    end = at + kIpv6Bytes + Read16(frame, at + 4);
    protocol = frame[at + 6];
    at += kIpv6Bytes;
  } else {
    return false;
  }
  if (protocol != kTcp && protocol != kUdp) return false;
  const size_t field = at + (protocol == kTcp ? 16 : 6);
  if (end > frame.size() || field + 2 > end) return false;
  uint16_t sum = Sum(frame.subspan(at, end - at));
  // RFC 768: a sum of 0 is sent as all ones, since 0 says that there is none.
  if (sum == 0 && protocol == kUdp) sum = 0xffff;
  frame[field] = static_cast<uint8_t>(sum >> 8);
  frame[field + 1] = static_cast<uint8_t>(sum);
  return true;
}

}  // namespace bulkhead::nic_driver
