// UDP (RFC 768).
#ifndef BULKHEAD_NIC_ROUTER_PACKET_UDP_H_
#define BULKHEAD_NIC_ROUTER_PACKET_UDP_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "nic_router/packet/bytes.h"

namespace bulkhead::nic_router {

constexpr size_t kUdpBytes = 8;
constexpr size_t kUdpChecksumOffset = 6;

// The header alone; that length() fits the packet is for the caller.
template <typename Byte>
class BasicUdp {
 public:
  static std::optional<BasicUdp> In(std::span<Byte> bytes) {
    if (bytes.size() < kUdpBytes) return std::nullopt;
    return BasicUdp(bytes.data());
  }
  uint16_t source_port() const { return Load16(at_); }
  uint16_t destination_port() const { return Load16(at_ + 2); }
  uint16_t length() const { return Load16(at_ + 4); }
  uint16_t checksum() const { return Load16(at_ + kUdpChecksumOffset); }

 private:
  explicit BasicUdp(Byte* at) : at_(at) {}
  Byte* at_;
};
using UdpView = BasicUdp<const uint8_t>;

}  // namespace bulkhead::nic_router

#endif  // BULKHEAD_NIC_ROUTER_PACKET_UDP_H_
