// Frames of one UDP datagram over IPv4 that the router sends in its own name.
#ifndef BULKHEAD_NIC_ROUTER_PROTOCOLS_UDP_FRAME_H_
#define BULKHEAD_NIC_ROUTER_PROTOCOLS_UDP_FRAME_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "nic_router/config.h"
#include "nic_router/packet/ethernet.h"
#include "nic_router/packet/ipv4.h"
#include "nic_router/packet/udp.h"

namespace bulkhead::nic_router {

constexpr size_t kUdpFrameHeaderBytes = kEthernetBytes + kIpv4Bytes + kUdpBytes;

struct UdpRoute {
  MacAddress from_mac{};
  MacAddress to_mac{};
  Ipv4Address from = 0;
  Ipv4Address to = 0;
  uint16_t from_port = 0;
  uint16_t to_port = 0;
};

// Writes the headers around a payload that lies behind them already.
// Requires: `frame` is kUdpFrameHeaderBytes longer than the payload.
void WriteUdpHeaders(const UdpRoute& route, std::span<uint8_t> frame);

}  // namespace bulkhead::nic_router

#endif  // BULKHEAD_NIC_ROUTER_PROTOCOLS_UDP_FRAME_H_
