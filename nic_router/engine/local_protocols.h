// The narrow hook for what the router says in its own name and the engine does
// not speak: DHCP (UDP ports 67 and 68), IPv6 neighbour discovery and router
// advertisements.
#ifndef BULKHEAD_NIC_ROUTER_ENGINE_LOCAL_PROTOCOLS_H_
#define BULKHEAD_NIC_ROUTER_ENGINE_LOCAL_PROTOCOLS_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "nic_router/config.h"

namespace bulkhead::nic_router {

// A client or an uplink of the engine, while it is a member; never reused.
using MemberId = uint64_t;
constexpr MemberId kEveryMember = 0;

// A frame for the router, as one piece of private memory that is valid during
// the call. Untagged; MAC, IP and UDP or ICMPv6 headers lie within it and their
// lengths and checksums are right; what follows them is as hostile as ever.
struct LocalFrame {
  std::string_view domain;
  MemberId from = 0;
  bool from_client = false;        // Else from an uplink.
  std::span<const uint8_t> bytes;  // From the Ethernet header on.
  size_t ip_offset = 0;
  size_t payload_offset = 0;  // Of the UDP payload, or the ICMPv6 header.
  size_t payload_bytes = 0;   // By the IP and UDP headers; within `bytes`.
};

// Called from Engine::Turn. Each may call the engine's SendFrame, SetIdentity,
// BindAddress and LearnNeighbour6, and nothing else of it.
class LocalProtocols {
 public:
  virtual ~LocalProtocols() = default;
  // UDP to port 67 or 68.
  virtual void OnDhcp(const LocalFrame& frame) = 0;
  // ICMPv6 types 133 to 136 with hop limit 255.
  virtual void OnNeighbourDiscovery(const LocalFrame& frame) = 0;
  // A frame waits for this neighbour's MAC; answer with LearnNeighbour6, now or
  // later. Asked at most once a second for each.
  virtual void Resolve6(std::string_view domain,
                        const Ipv6Address& address) = 0;
  // An uplink's link came or went, or another one of its group took over;
  // Engine::UplinkOf tells.
  virtual void OnLinksChanged() = 0;
};

}  // namespace bulkhead::nic_router

#endif  // BULKHEAD_NIC_ROUTER_ENGINE_LOCAL_PROTOCOLS_H_
