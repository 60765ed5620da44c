// ARP for IPv4 over Ethernet (RFC 826).
#ifndef BULKHEAD_NIC_ROUTER_PACKET_ARP_H_
#define BULKHEAD_NIC_ROUTER_PACKET_ARP_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "nic_router/packet/bytes.h"
#include "nic_router/packet/ethernet.h"

namespace bulkhead::nic_router {

constexpr size_t kArpBytes = 28;
constexpr uint16_t kArpRequest = 1;
constexpr uint16_t kArpReply = 2;

template <typename Byte>
class BasicArp {
 public:
  // `bytes` start at the ARP header. nullopt: too short, or of other kinds of
  // addresses.
  static std::optional<BasicArp> In(std::span<Byte> bytes) {
    if (bytes.size() < kArpBytes) return std::nullopt;
    const uint8_t* at = bytes.data();
    if (Load16(at) != 1 || Load16(at + 2) != kEtherTypeIpv4 || at[4] != 6 ||
        at[5] != 4) {
      return std::nullopt;
    }
    return BasicArp(bytes.data());
  }
  uint16_t operation() const { return Load16(at_ + 6); }
  MacAddress sender_mac() const { return LoadMac(at_ + 8); }
  Ipv4Address sender_ip() const { return Load32(at_ + 14); }
  MacAddress target_mac() const { return LoadMac(at_ + 18); }
  Ipv4Address target_ip() const { return Load32(at_ + 24); }

 private:
  explicit BasicArp(Byte* at) : at_(at) {}
  Byte* at_;
};
using ArpView = BasicArp<const uint8_t>;

struct ArpMessage {
  uint16_t operation = kArpRequest;
  MacAddress sender_mac{};
  Ipv4Address sender_ip = 0;
  MacAddress target_mac{};  // Zero in a request.
  Ipv4Address target_ip = 0;
};
// Requires: bytes.size() >= kArpBytes.
inline void WriteArp(std::span<uint8_t> bytes, const ArpMessage& message) {
  uint8_t* const at = bytes.data();
  Store16(at, 1);
  Store16(at + 2, kEtherTypeIpv4);
  at[4] = 6;
  at[5] = 4;
  Store16(at + 6, message.operation);
  StoreMac(at + 8, message.sender_mac);
  Store32(at + 14, message.sender_ip);
  StoreMac(at + 18, message.target_mac);
  Store32(at + 24, message.target_ip);
}

}  // namespace bulkhead::nic_router

#endif  // BULKHEAD_NIC_ROUTER_PACKET_ARP_H_
