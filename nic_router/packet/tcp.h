// TCP (RFC 9293 3.1).
#ifndef BULKHEAD_NIC_ROUTER_PACKET_TCP_H_
#define BULKHEAD_NIC_ROUTER_PACKET_TCP_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "nic_router/packet/bytes.h"

namespace bulkhead::nic_router {

constexpr size_t kTcpBytes = 20;
constexpr size_t kTcpFlagsOffset = 13;
constexpr size_t kTcpChecksumOffset = 16;

enum TcpFlags : uint8_t {
  kTcpFin = 0x01,
  kTcpSyn = 0x02,
  kTcpRst = 0x04,
  kTcpPsh = 0x08,
  kTcpAck = 0x10,
};

template <typename Byte>
class BasicTcp {
 public:
  // nullopt: shorter than the header says, or than any.
  static std::optional<BasicTcp> In(std::span<Byte> bytes) {
    if (bytes.size() < kTcpBytes) return std::nullopt;
    const size_t header = (bytes[12] >> 4) * 4u;
    if (header < kTcpBytes || header > bytes.size()) return std::nullopt;
    return BasicTcp(bytes.data());
  }
  uint16_t source_port() const { return Load16(at_); }
  uint16_t destination_port() const { return Load16(at_ + 2); }
  uint32_t sequence() const { return Load32(at_ + 4); }
  size_t header_bytes() const { return (at_[12] >> 4) * 4u; }
  uint8_t flags() const { return at_[kTcpFlagsOffset]; }
  uint16_t checksum() const { return Load16(at_ + kTcpChecksumOffset); }

 private:
  explicit BasicTcp(Byte* at) : at_(at) {}
  Byte* at_;
};
using TcpView = BasicTcp<const uint8_t>;

}  // namespace bulkhead::nic_router

#endif  // BULKHEAD_NIC_ROUTER_PACKET_TCP_H_
