#include "nic_router/packet/checksum.h"

#include <cstring>

#include "nic_router/packet/bytes.h"

namespace bulkhead::nic_router {

void ChecksumSum::Add(std::span<const uint8_t> bytes) {
  if (bytes.empty()) return;
  if (odd_) {
    sum_ += bytes[0];
    bytes = bytes.subspan(1);
    odd_ = false;
  }
  // Words of 32 bits summed in 64 as they lie in memory; the sum's byte order
  // is mended once (RFC 1071 section 2 B).
  const uint8_t* at = bytes.data();
  size_t left = bytes.size();
  uint64_t raw = 0;
  for (; left >= 8; left -= 8, at += 8) {
    uint32_t words[2];
    std::memcpy(words, at, sizeof(words));
    raw += uint64_t{words[0]} + words[1];
  }
  for (; left >= 2; left -= 2, at += 2) {
    uint16_t word;
    std::memcpy(&word, at, sizeof(word));
    raw += word;
  }
  sum_ += __builtin_bswap16(FoldSum(raw));
  if (left == 1) {
    sum_ += uint64_t{*at} << 8;
    odd_ = true;
  }
}

ChecksumSum PseudoHeader4(Ipv4Address source, Ipv4Address destination,
                          uint8_t protocol, uint16_t bytes) {
  ChecksumSum sum;
  sum.Add32(source);
  sum.Add32(destination);
  sum.Add16(protocol);
  sum.Add16(bytes);
  return sum;
}

ChecksumSum PseudoHeader6(const Ipv6Address& source,
                          const Ipv6Address& destination, uint8_t protocol,
                          uint32_t bytes) {
  ChecksumSum sum;
  sum.AddIpv6(source);
  sum.AddIpv6(destination);
  sum.Add32(bytes);
  sum.Add16(protocol);
  return sum;
}

}  // namespace bulkhead::nic_router
