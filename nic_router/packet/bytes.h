// Loads and stores in network order, at any alignment. The caller has checked
// the bounds.
#ifndef BULKHEAD_NIC_ROUTER_PACKET_BYTES_H_
#define BULKHEAD_NIC_ROUTER_PACKET_BYTES_H_

#include <cstdint>
#include <cstring>

#include "nic_router/config.h"

namespace bulkhead::nic_router {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);

inline uint16_t Load16(const uint8_t* at) {
  uint16_t value;
  std::memcpy(&value, at, sizeof(value));
  return __builtin_bswap16(value);
}
inline uint32_t Load32(const uint8_t* at) {
  uint32_t value;
  std::memcpy(&value, at, sizeof(value));
  return __builtin_bswap32(value);
}
inline void Store16(uint8_t* at, uint16_t value) {
  value = __builtin_bswap16(value);
  std::memcpy(at, &value, sizeof(value));
}
inline void Store32(uint8_t* at, uint32_t value) {
  value = __builtin_bswap32(value);
  std::memcpy(at, &value, sizeof(value));
}
inline MacAddress LoadMac(const uint8_t* at) {
  MacAddress mac;
  std::memcpy(mac.data(), at, mac.size());
  return mac;
}
inline void StoreMac(uint8_t* at, const MacAddress& mac) {
  std::memcpy(at, mac.data(), mac.size());
}
// The address at `at` as a number, to compare and to look up: six bytes in an
// array go through memory in parts, and wait there for each other.
inline uint64_t MacWord(const uint8_t* at) {
  uint32_t low;
  uint16_t high;
  std::memcpy(&low, at, sizeof(low));
  std::memcpy(&high, at + sizeof(low), sizeof(high));
  return uint64_t{high} << 32 | low;
}
inline uint64_t MacWord(const MacAddress& mac) { return MacWord(mac.data()); }
inline Ipv6Address LoadIpv6(const uint8_t* at) {
  Ipv6Address address;
  std::memcpy(address.data(), at, address.size());
  return address;
}
inline void StoreIpv6(uint8_t* at, const Ipv6Address& address) {
  std::memcpy(at, address.data(), address.size());
}

}  // namespace bulkhead::nic_router

#endif  // BULKHEAD_NIC_ROUTER_PACKET_BYTES_H_
