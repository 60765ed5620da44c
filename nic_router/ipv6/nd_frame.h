// Whole frames of neighbour discovery, checksums and all.
#ifndef BULKHEAD_NIC_ROUTER_IPV6_ND_FRAME_H_
#define BULKHEAD_NIC_ROUTER_IPV6_ND_FRAME_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "nic_router/config.h"

namespace bulkhead::nic_router::ipv6 {

// The longest is a router's advertisement: 14 + 40 + 16, and as options 8
// (MAC), 8 (MTU) and 32 (prefix).
constexpr size_t kMaxNdFrameBytes = 118;

struct NdFrame {
  std::array<uint8_t, kMaxNdFrameBytes> bytes;
  size_t size = 0;
  std::span<const uint8_t> frame() const { return {bytes.data(), size}; }
};

// Where a frame comes from and goes to, on both layers.
struct NdRoute {
  MacAddress from_mac{};
  MacAddress to_mac{};
  Ipv6Address from{};
  Ipv6Address to{};
};

constexpr Ipv6Address kAllNodes = {0xff, 0x02, 0, 0, 0, 0, 0, 0,
                                   0,    0,    0, 0, 0, 0, 0, 1};

// RFC 4861 4.3: who has `target`? Says from_mac as the source's MAC.
void WriteSolicitation(const NdRoute& route, const Ipv6Address& target,
                       NdFrame& out);
// RFC 4861 4.4: a router has `target`, at from_mac, whatever was believed.
void WriteAdvertisement(const NdRoute& route, const Ipv6Address& target,
                        bool solicited, NdFrame& out);

struct RouterAdvertisement {
  Ipv6Prefix prefix;  // The router's own address counts up to `bits`.
  uint16_t router_lifetime_s = 0;
  uint32_t valid_s = 0;
  uint32_t preferred_s = 0;
  uint32_t mtu = 0;  // 0: not said.
};
// RFC 4861 4.2. The router's MAC is from_mac.
void WriteRouterAdvertisement(const NdRoute& route,
                              const RouterAdvertisement& advertisement,
                              NdFrame& out);

}  // namespace bulkhead::nic_router::ipv6

#endif  // BULKHEAD_NIC_ROUTER_IPV6_ND_FRAME_H_
