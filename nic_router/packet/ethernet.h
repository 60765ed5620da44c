// Ethernet II and 802.1Q.
#ifndef BULKHEAD_NIC_ROUTER_PACKET_ETHERNET_H_
#define BULKHEAD_NIC_ROUTER_PACKET_ETHERNET_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "nic_router/packet/bytes.h"

namespace bulkhead::nic_router {

constexpr size_t kEthernetBytes = 14;
constexpr size_t kVlanTagBytes = 4;
constexpr size_t kMacBytes = 6;
constexpr uint16_t kEtherTypeIpv4 = 0x0800;
constexpr uint16_t kEtherTypeArp = 0x0806;
constexpr uint16_t kEtherTypeVlan = 0x8100;
constexpr uint16_t kEtherTypeIpv6 = 0x86dd;
constexpr uint16_t kVlanIdMask = 0x0fff;
constexpr MacAddress kBroadcastMac = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

inline bool IsMulticast(const MacAddress& mac) { return (mac[0] & 1) != 0; }

// Byte is `const uint8_t` to read, `uint8_t` to write as well.
template <typename Byte>
class BasicEthernet {
 public:
  static std::optional<BasicEthernet> In(std::span<Byte> bytes) {
    if (bytes.size() < kEthernetBytes) return std::nullopt;
    return BasicEthernet(bytes.data());
  }
  MacAddress destination() const { return LoadMac(at_); }
  MacAddress source() const { return LoadMac(at_ + 6); }
  uint16_t type() const { return Load16(at_ + 12); }

  void set_destination(const MacAddress& mac) { StoreMac(at_, mac); }
  void set_source(const MacAddress& mac) { StoreMac(at_ + 6, mac); }
  void set_type(uint16_t type) { Store16(at_ + 12, type); }

 private:
  explicit BasicEthernet(Byte* at) : at_(at) {}
  Byte* at_;
};
using EthernetView = BasicEthernet<const uint8_t>;
using EthernetWriter = BasicEthernet<uint8_t>;

}  // namespace bulkhead::nic_router

#endif  // BULKHEAD_NIC_ROUTER_PACKET_ETHERNET_H_
