// What the `router:` section of a scenario says, checked and with every default
// filled in. Names follow Genode's nic_router, so that its users recognise them.
//
// Pure data: the policy reads it from YAML (platform_service/policy), the
// platform service sends it to the router (nic_router/api/router.proto), the
// engine obeys it (nic_router/engine). Addresses and ports are in host order.
#ifndef BULKHEAD_NIC_ROUTER_CONFIG_H_
#define BULKHEAD_NIC_ROUTER_CONFIG_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace bulkhead::nic_router {

using Ipv4Address = uint32_t;
using Ipv6Address = std::array<uint8_t, 16>;
using MacAddress = std::array<uint8_t, 6>;

// An address with the length of its network: 10.0.1.1/24 is both the router's
// address and the network behind it.
struct Ipv4Prefix {
  Ipv4Address address = 0;
  uint8_t bits = 0;  // 0 … 32
  bool operator==(const Ipv4Prefix&) const = default;
};
struct Ipv6Prefix {
  Ipv6Address address{};
  uint8_t bits = 0;  // 0 … 128
  bool operator==(const Ipv6Prefix&) const = default;
};

// `ip: [{to: 10.0.3.0/24, domain: dmz}]`: forwarded without state, the longest
// prefix first, after every other kind of rule. Also for `icmp`, with state.
struct RouteRule {
  Ipv4Prefix to;
  std::string domain;
  bool operator==(const RouteRule&) const = default;
};
// The same for IPv6, as `ip6`: new flows are let through, and their answers.
struct RouteRule6 {
  Ipv6Prefix to;
  std::string domain;
  bool operator==(const RouteRule6&) const = default;
};

// `tcp: [{to: 0.0.0.0/0, permit: [{port: 443, domain: uplink}]}]`
// `permit_any: uplink` lets every port through.
struct PortPermit {
  uint16_t port = 0;
  std::string domain;
  bool operator==(const PortPermit&) const = default;
};
struct TransportRule {
  Ipv4Prefix to;
  std::string permit_any;  // A domain; empty: only what `permit` lists.
  std::vector<PortPermit> permit;
  bool operator==(const TransportRule&) const = default;
};

// `tcp_forward: [{port: 80, domain: dmz, to: 10.0.3.2, to_port: 8080}]`: what
// comes to the router's own address in this domain.
struct ForwardRule {
  uint16_t port = 0;
  std::string domain;
  Ipv4Address to = 0;
  uint16_t to_port = 0;  // Never 0: `port` when the file does not say.
  bool operator==(const ForwardRule&) const = default;
};

// `nat: [{domain: guests, tcp_ports: 1000}]`: flows from `domain` leave with
// this domain's address and a port of 49152–65535; at most so many at a time.
struct NatRule {
  std::string domain;
  uint32_t tcp_ports = 0;
  uint32_t udp_ports = 0;
  uint32_t icmp_ids = 0;
  bool operator==(const NatRule&) const = default;
};

struct DhcpServerConfig {
  Ipv4Address first = 0;
  Ipv4Address last = 0;
  uint32_t lease_s = 3600;
  std::vector<Ipv4Address> dns;
  std::string dns_from;  // Propagated from this domain's DHCP lease.
  std::string domain_name;
  bool operator==(const DhcpServerConfig&) const = default;
};

struct Timeouts {
  uint32_t udp_idle_s = 30;
  uint32_t tcp_idle_s = 50;
  uint32_t tcp_closing_s = 20;  // Twice: each side's end.
  uint32_t icmp_idle_s = 5;
  uint32_t arp_request_s = 10;  // A frame waits for an answer at most so long.
  bool operator==(const Timeouts&) const = default;
};

// One IP identity; its members are joined by a learning switch.
struct DomainConfig {
  std::string name;
  std::optional<Ipv4Prefix> interface;   // Absent: from DHCP.
  std::optional<Ipv4Address> gateway;    // With `interface`.
  std::optional<Ipv6Prefix> interface6;  // Absent: no IPv6 here.
  std::optional<Ipv6Address> gateway6;
  bool router_advertisements = true;  // With interface6 and no gateway6.
  std::optional<DhcpServerConfig> dhcp_server;
  bool icmp_echo_server = true;
  bool use_arp = true;  // False: everything goes to the gateway's broadcast.

  std::vector<RouteRule> ip;
  std::vector<RouteRule> icmp;
  std::vector<TransportRule> tcp;
  std::vector<TransportRule> udp;
  std::vector<ForwardRule> tcp_forward;
  std::vector<ForwardRule> udp_forward;
  std::vector<NatRule> nat;
  std::vector<RouteRule6> ip6;

  bool verbose_packet_drop = false;
  bool operator==(const DomainConfig&) const = default;
};

// Instances of which one carries the domain's frames at a time: the first of
// them that runs and has a link. `vlans` map tags of the wire to further
// domains; untagged frames belong to `domain`.
struct VlanConfig {
  uint16_t vlan = 0;  // 1 … 4094
  std::string domain;
  bool operator==(const VlanConfig&) const = default;
};
struct UplinkConfig {
  std::vector<std::string> instances;  // At least one; "nic0".
  std::string domain;                  // Empty: untagged frames are dropped.
  std::vector<VlanConfig> vlans;
  bool operator==(const UplinkConfig&) const = default;
};

// Which domain a client of the router belongs to, by its label; the first that
// matches counts.
struct PolicyRule {
  enum class Kind : uint8_t { kExact, kPrefix, kSuffix, kDefault };
  Kind kind = Kind::kDefault;
  std::string label;
  std::string domain;
  uint64_t rate_bits_per_s = 0;  // Token bucket, from the client; 0: none.
  uint64_t burst_bytes = 0;      // 0: 10 ms of the rate, at least 64 KiB.
  uint32_t weight = 1;           // 1 … 100: its share of each turn.
  bool operator==(const PolicyRule&) const = default;
};

struct RouterConfig {
  std::string name = "router";  // What clients open, as they do an instance.
  std::vector<DomainConfig> domains;
  std::vector<UplinkConfig> uplinks;
  std::vector<PolicyRule> policies;
  Timeouts timeouts;
  uint32_t max_flows = 131072;
  uint32_t max_packets_per_turn = 50;  // Of one client, before the next one.
  std::vector<uint32_t> cpus;          // Where it may run; empty: anywhere.
  uint32_t max_clients = 64;
  bool operator==(const RouterConfig&) const = default;
};

}  // namespace bulkhead::nic_router

#endif  // BULKHEAD_NIC_ROUTER_CONFIG_H_
