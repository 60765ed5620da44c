// The configuration made ready for deciding: names are numbers, routes lie
// longest prefix first, each rule has a place for its counters.
#ifndef BULKHEAD_NIC_ROUTER_ENGINE_RULESET_H_
#define BULKHEAD_NIC_ROUTER_ENGINE_RULESET_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "nic_router/config.h"
#include "nic_router/engine/drop_reason.h"
#include "nic_router/engine/flow_table.h"

namespace bulkhead::nic_router {

constexpr uint32_t MaskOf(uint8_t bits) {
  return bits == 0 ? 0 : ~uint32_t{0} << (32 - bits);
}
inline bool Contains(const Ipv4Prefix& prefix, Ipv4Address address) {
  return ((prefix.address ^ address) & MaskOf(prefix.bits)) == 0;
}
bool Contains(const Ipv6Prefix& prefix, const Ipv6Address& address);

// One line of the rules table.
struct Rule {
  std::string domain;
  std::string kind;
  std::string text;
  uint64_t packets = 0;
  uint64_t bytes = 0;
  uint64_t flows = 0;  // Ever made.
};

struct Route {
  Ipv4Prefix to;
  uint16_t domain;
  uint16_t rule;
};
struct Route6 {
  Ipv6Prefix to;
  uint16_t domain;
  uint16_t rule;
};
struct Permit {
  uint16_t port;
  uint16_t domain;
  uint16_t rule;
};
struct TransportRoute {
  Ipv4Prefix to;
  uint16_t any_domain;  // kNoDomain: only `permits`.
  uint16_t any_rule;
  std::vector<Permit> permits;  // By port.
};
struct Forward {
  uint16_t port;
  uint16_t domain;
  uint16_t rule;
  Ipv4Address to;
  uint16_t to_port;
};
// Ports of a NAT domain that one domain's clients may use, and do.
enum NatKind : uint8_t { kNatTcp, kNatUdp, kNatIcmp, kNatKinds };
struct NatQuota {
  uint16_t domain;
  uint32_t limit[kNatKinds];
  uint32_t used[kNatKinds] = {};
};

// Which NAT quota a protocol draws on; kNatKinds: none.
constexpr NatKind NatKindOf(uint8_t protocol) {
  return protocol == kProtocolTcp    ? kNatTcp
         : protocol == kProtocolUdp  ? kNatUdp
         : protocol == kProtocolIcmp ? kNatIcmp
                                     : kNatKinds;
}

// A domain's rules. Who its members are and how it answers is engine.
struct DomainRules {
  DomainConfig config;
  uint32_t hash = 0;
  // From `config`, or from DHCP.
  std::optional<Ipv4Prefix> identity;
  std::optional<Ipv4Address> gateway;
  std::vector<Route> ip;
  std::vector<Route> icmp;
  std::vector<TransportRoute> tcp;
  std::vector<TransportRoute> udp;
  std::vector<Forward> tcp_forward;
  std::vector<Forward> udp_forward;
  std::vector<NatQuota> nat;
  std::vector<Route6> ip6;

  NatQuota* NatFor(uint16_t from) {
    for (NatQuota& quota : nat) {
      if (quota.domain == from) return &quota;
    }
    return nullptr;
  }
  const NatQuota* NatFor(uint16_t from) const {
    return const_cast<DomainRules*>(this)->NatFor(from);
  }
};

// What the rules say of a first packet.
struct Decision {
  enum class Kind : uint8_t { kRefused, kForward, kLink, kStateless };
  Kind kind = Kind::kRefused;
  DropReason reason = DropReason::kIpInNoRoutes;  // When refused.
  uint16_t domain = kNoDomain;
  uint16_t rule = kNoRule;
  // Where it goes: other than what it says with a forward rule.
  Ipv4Address destination = 0;
  uint16_t destination_port = 0;
  // The sender is hidden behind the domain's own address.
  bool translate = false;
};

class Ruleset {
 public:
  // Errors: InvalidArgument.
  static absl::StatusOr<Ruleset> Make(const RouterConfig& config);

  const RouterConfig& config() const { return config_; }
  std::vector<DomainRules>& domains() { return domains_; }
  const std::vector<DomainRules>& domains() const { return domains_; }
  DomainRules& operator[](uint16_t domain) { return domains_[domain]; }
  const DomainRules& operator[](uint16_t domain) const {
    return domains_[domain];
  }
  std::vector<Rule>& rules() { return rules_; }
  const std::vector<Rule>& rules() const { return rules_; }

  uint16_t DomainOf(std::string_view name) const;  // Or kNoDomain.
  uint16_t DomainOfHash(uint32_t hash) const;
  // The policy that a label matches first, or nullptr.
  const PolicyRule* PolicyOf(std::string_view label) const;

  // In the order of Genode: what is for the router itself is a forward or
  // nothing; then tcp, udp and icmp rules; then ip rules, without state.
  // `port` is the destination's; 0 for ICMP and later fragments. `whole`: the
  // ports are known.
  Decision Decide4(uint16_t from, uint8_t protocol, Ipv4Address destination,
                   uint16_t port, bool has_upper) const;
  Decision Decide6(uint16_t from, const Ipv6Address& destination) const;

 private:
  explicit Ruleset(const RouterConfig& config) : config_(config) {}
  absl::Status Fill();
  absl::StatusOr<uint16_t> Resolve(const std::string& name,
                                   std::string_view where) const;
  uint16_t AddRule(const DomainRules& domain, std::string_view kind,
                   std::string text);
  absl::Status FillDomain(DomainRules& domain);
  absl::Status FillTransport(const DomainRules& domain, std::string_view kind,
                             const std::vector<TransportRule>& from,
                             std::vector<TransportRoute>& out);
  absl::Status FillForwards(const DomainRules& domain, std::string_view kind,
                            const std::vector<ForwardRule>& from,
                            std::vector<Forward>& out);
  absl::Status FillRoutes(const DomainRules& domain, std::string_view kind,
                          const std::vector<RouteRule>& from,
                          std::vector<Route>& out);

  RouterConfig config_;
  std::vector<DomainRules> domains_;
  std::vector<Rule> rules_;
};

std::string FormatIpv4(Ipv4Address address);
std::string FormatIpv6(const Ipv6Address& address);
std::string FormatMac(const MacAddress& mac);
std::string FormatPrefix(const Ipv4Prefix& prefix);
std::string FormatPrefix(const Ipv6Prefix& prefix);

}  // namespace bulkhead::nic_router

#endif  // BULKHEAD_NIC_ROUTER_ENGINE_RULESET_H_
