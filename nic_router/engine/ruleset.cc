#include "nic_router/engine/ruleset.h"

#include <arpa/inet.h>

#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "nic_router/engine/hash.h"

namespace bulkhead::nic_router {
namespace {

// Longest prefix first; of equal ones the first of the file.
template <typename Routes>
void SortRoutes(Routes& routes) {
  std::stable_sort(
      routes.begin(), routes.end(),
      [](const auto& a, const auto& b) { return a.to.bits > b.to.bits; });
}
template <typename Ports>
void SortPorts(Ports& ports) {
  std::stable_sort(
      ports.begin(), ports.end(),
      [](const auto& a, const auto& b) { return a.port < b.port; });
}
template <typename Ports>
auto FindPort(const Ports& ports, uint16_t port) {
  const auto at = std::lower_bound(
      ports.begin(), ports.end(), port,
      [](const auto& each, uint16_t wanted) { return each.port < wanted; });
  return at != ports.end() && at->port == port ? &*at : nullptr;
}
template <typename Routes, typename Address>
auto FindRoute(const Routes& routes, const Address& address) {
  for (const auto& route : routes) {
    if (Contains(route.to, address)) return &route;
  }
  return static_cast<decltype(&routes[0])>(nullptr);
}

bool NeverForwarded(Ipv4Address address) {
  return address >> 28 >= 0xe || address == 0 || address >> 24 == 127;
}

}  // namespace

bool Contains(const Ipv6Prefix& prefix, const Ipv6Address& address) {
  for (uint8_t bit = 0, i = 0; bit < prefix.bits; bit += 8, ++i) {
    const uint8_t left = prefix.bits - bit;
    const uint8_t mask =
        left >= 8 ? 0xff : static_cast<uint8_t>(0xff << (8 - left));
    if (((prefix.address[i] ^ address[i]) & mask) != 0) return false;
  }
  return true;
}

absl::StatusOr<Ruleset> Ruleset::Make(const RouterConfig& config) {
  Ruleset ruleset(config);
  if (absl::Status filled = ruleset.Fill(); !filled.ok()) return filled;
  return ruleset;
}

absl::Status Ruleset::Fill() {
  if (config_.domains.size() >= kNoDomain) {
    return absl::InvalidArgumentError(
        "configure the router: more than 65534 domains");
  }
  for (const DomainConfig& domain : config_.domains) {
    DomainRules rules;
    rules.config = domain;
    rules.hash = static_cast<uint32_t>(HashName(domain.name));
    rules.identity = domain.interface;
    rules.gateway = domain.gateway;
    if (DomainOfHash(rules.hash) != kNoDomain) {
      return absl::InvalidArgumentError(
          absl::StrCat("configure the router: domain \"", domain.name,
                       "\" exists already (or its hash does): rename it"));
    }
    domains_.push_back(std::move(rules));
  }
  for (DomainRules& domain : domains_) {
    if (absl::Status filled = FillDomain(domain); !filled.ok()) return filled;
  }
  for (const UplinkConfig& uplink : config_.uplinks) {
    if (!uplink.domain.empty()) {
      const auto domain = Resolve(uplink.domain, "uplinks");
      if (!domain.ok()) return domain.status();
    }
    for (const VlanConfig& vlan : uplink.vlans) {
      const auto domain = Resolve(vlan.domain, "uplinks: vlans");
      if (!domain.ok()) return domain.status();
    }
  }
  for (const PolicyRule& policy : config_.policies) {
    const auto domain = Resolve(policy.domain, "policies");
    if (!domain.ok()) return domain.status();
  }
  if (rules_.size() >= kNoRule) {
    return absl::InvalidArgumentError(
        "configure the router: more than 65534 rules");
  }
  return absl::OkStatus();
}

absl::StatusOr<uint16_t> Ruleset::Resolve(const std::string& name,
                                          std::string_view where) const {
  const uint16_t domain = DomainOf(name);
  if (domain != kNoDomain) return domain;
  return absl::InvalidArgumentError(absl::StrCat(
      "configure the router: ", std::string(where), " names domain \"", name,
      "\", which is not one of its domains"));
}

uint16_t Ruleset::AddRule(const DomainRules& domain, std::string_view kind,
                          std::string text) {
  rules_.push_back({.domain = domain.config.name,
                    .kind = std::string(kind),
                    .text = std::move(text)});
  return static_cast<uint16_t>(rules_.size() - 1);
}

absl::Status Ruleset::FillDomain(DomainRules& domain) {
  const DomainConfig& config = domain.config;
  absl::Status status = FillForwards(domain, "tcp_forward", config.tcp_forward,
                                     domain.tcp_forward);
  status.Update(FillForwards(domain, "udp_forward", config.udp_forward,
                             domain.udp_forward));
  status.Update(FillTransport(domain, "tcp", config.tcp, domain.tcp));
  status.Update(FillTransport(domain, "udp", config.udp, domain.udp));
  status.Update(FillRoutes(domain, "icmp", config.icmp, domain.icmp));
  status.Update(FillRoutes(domain, "ip", config.ip, domain.ip));
  for (const RouteRule6& rule : config.ip6) {
    const auto to = Resolve(rule.domain, "ip6");
    if (!to.ok()) return to.status();
    domain.ip6.push_back(
        {rule.to, *to,
         AddRule(domain, "ip6",
                 absl::StrCat(FormatPrefix(rule.to), " -> ", rule.domain))});
  }
  SortRoutes(domain.ip6);
  for (const NatRule& rule : config.nat) {
    const auto from = Resolve(rule.domain, "nat");
    if (!from.ok()) return from.status();
    domain.nat.push_back(
        {*from, {rule.tcp_ports, rule.udp_ports, rule.icmp_ids}});
  }
  return status;
}

absl::Status Ruleset::FillTransport(const DomainRules& domain,
                                    std::string_view kind,
                                    const std::vector<TransportRule>& from,
                                    std::vector<TransportRoute>& out) {
  for (const TransportRule& rule : from) {
    TransportRoute route{rule.to, kNoDomain, kNoRule, {}};
    if (!rule.permit_any.empty()) {
      const auto to = Resolve(rule.permit_any, kind);
      if (!to.ok()) return to.status();
      route.any_domain = *to;
      route.any_rule = AddRule(
          domain, kind,
          absl::StrCat(FormatPrefix(rule.to), " any -> ", rule.permit_any));
    }
    for (const PortPermit& permit : rule.permit) {
      const auto to = Resolve(permit.domain, kind);
      if (!to.ok()) return to.status();
      route.permits.push_back(
          {permit.port, *to,
           AddRule(domain, kind,
                   absl::StrCat(FormatPrefix(rule.to), " port ", permit.port,
                                " -> ", permit.domain))});
    }
    SortPorts(route.permits);
    out.push_back(std::move(route));
  }
  SortRoutes(out);
  return absl::OkStatus();
}

absl::Status Ruleset::FillForwards(const DomainRules& domain,
                                   std::string_view kind,
                                   const std::vector<ForwardRule>& from,
                                   std::vector<Forward>& out) {
  for (const ForwardRule& rule : from) {
    const auto to = Resolve(rule.domain, kind);
    if (!to.ok()) return to.status();
    const uint16_t to_port = rule.to_port == 0 ? rule.port : rule.to_port;
    out.push_back(
        {rule.port, *to,
         AddRule(domain, kind,
                 absl::StrCat("port ", rule.port, " -> ", FormatIpv4(rule.to),
                              ":", to_port, " in ", rule.domain)),
         rule.to, to_port});
  }
  SortPorts(out);
  return absl::OkStatus();
}

absl::Status Ruleset::FillRoutes(const DomainRules& domain,
                                 std::string_view kind,
                                 const std::vector<RouteRule>& from,
                                 std::vector<Route>& out) {
  for (const RouteRule& rule : from) {
    const auto to = Resolve(rule.domain, kind);
    if (!to.ok()) return to.status();
    out.push_back(
        {rule.to, *to,
         AddRule(domain, kind,
                 absl::StrCat(FormatPrefix(rule.to), " -> ", rule.domain))});
  }
  SortRoutes(out);
  return absl::OkStatus();
}

uint16_t Ruleset::DomainOf(std::string_view name) const {
  for (size_t i = 0; i < domains_.size(); ++i) {
    if (domains_[i].config.name == name) return static_cast<uint16_t>(i);
  }
  return kNoDomain;
}

uint16_t Ruleset::DomainOfHash(uint32_t hash) const {
  for (size_t i = 0; i < domains_.size(); ++i) {
    if (domains_[i].hash == hash) return static_cast<uint16_t>(i);
  }
  return kNoDomain;
}

const PolicyRule* Ruleset::PolicyOf(std::string_view label) const {
  for (const PolicyRule& policy : config_.policies) {
    switch (policy.kind) {
      case PolicyRule::Kind::kExact:
        if (label == policy.label) return &policy;
        break;
      case PolicyRule::Kind::kPrefix:
        if (label.starts_with(policy.label)) return &policy;
        break;
      case PolicyRule::Kind::kSuffix:
        if (label.ends_with(policy.label)) return &policy;
        break;
      case PolicyRule::Kind::kDefault:
        return &policy;
    }
  }
  return nullptr;
}

Decision Ruleset::Decide4(uint16_t from, uint8_t protocol,
                          Ipv4Address destination, uint16_t port,
                          bool has_upper) const {
  const DomainRules& domain = domains_[from];
  Decision decision{.destination = destination, .destination_port = port};
  if (NeverForwarded(destination)) {
    decision.reason = DropReason::kIpLocalNet;
    return decision;
  }
  const auto link = [&](uint16_t to, uint16_t rule) {
    decision.kind = Decision::Kind::kLink;
    decision.domain = to;
    decision.rule = rule;
    decision.translate = domains_[to].NatFor(from) != nullptr;
    return decision;
  };
  if (domain.identity.has_value() && destination == domain.identity->address) {
    decision.reason = DropReason::kNoSocket;
    if (!has_upper) return decision;
    const Forward* forward = nullptr;
    if (protocol == kProtocolTcp) forward = FindPort(domain.tcp_forward, port);
    if (protocol == kProtocolUdp) forward = FindPort(domain.udp_forward, port);
    if (forward == nullptr) return decision;
    decision.destination = forward->to;
    decision.destination_port = forward->to_port;
    link(forward->domain, forward->rule);
    decision.kind = Decision::Kind::kForward;
    return decision;
  }
  // Its members reach each other without us.
  if (domain.identity.has_value() && Contains(*domain.identity, destination)) {
    decision.reason = DropReason::kIpLocalNet;
    return decision;
  }
  if (has_upper && (protocol == kProtocolTcp || protocol == kProtocolUdp)) {
    const auto& routes = protocol == kProtocolTcp ? domain.tcp : domain.udp;
    if (const auto* route = FindRoute(routes, destination); route != nullptr) {
      if (const auto* permit = FindPort(route->permits, port)) {
        return link(permit->domain, permit->rule);
      }
      if (route->any_domain != kNoDomain) {
        return link(route->any_domain, route->any_rule);
      }
    }
  }
  if (has_upper && protocol == kProtocolIcmp) {
    if (const auto* route = FindRoute(domain.icmp, destination)) {
      return link(route->domain, route->rule);
    }
  }
  if (const auto* route = FindRoute(domain.ip, destination)) {
    decision.kind = Decision::Kind::kStateless;
    decision.domain = route->domain;
    decision.rule = route->rule;
  }
  return decision;
}

Decision Ruleset::Decide6(uint16_t from, const Ipv6Address& destination) const {
  Decision decision;
  if (const auto* route = FindRoute(domains_[from].ip6, destination)) {
    decision.kind = Decision::Kind::kLink;
    decision.domain = route->domain;
    decision.rule = route->rule;
  }
  return decision;
}

std::string FormatIpv4(Ipv4Address address) {
  return absl::StrCat(address >> 24, ".", address >> 16 & 0xff, ".",
                      address >> 8 & 0xff, ".", address & 0xff);
}

std::string FormatIpv6(const Ipv6Address& address) {
  char text[INET6_ADDRSTRLEN];
  return ::inet_ntop(AF_INET6, address.data(), text, sizeof(text));
}

std::string FormatMac(const MacAddress& mac) {
  return absl::StrFormat("%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1],
                         mac[2], mac[3], mac[4], mac[5]);
}

std::string FormatPrefix(const Ipv4Prefix& prefix) {
  return absl::StrCat(FormatIpv4(prefix.address), "/", prefix.bits);
}

std::string FormatPrefix(const Ipv6Prefix& prefix) {
  return absl::StrCat(FormatIpv6(prefix.address), "/", prefix.bits);
}

}  // namespace bulkhead::nic_router
