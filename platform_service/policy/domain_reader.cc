// One item of `router: domains:` and its rules.
#include <algorithm>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "platform_service/policy/ip_scalar.h"
#include "platform_service/policy/router_section.h"
#include "platform_service/policy/scalar.h"
#include "platform_service/policy/sections.h"

namespace bulkhead::policy {
namespace {

using nic_router::DhcpServerConfig;
using nic_router::DomainConfig;
using nic_router::ForwardRule;
using nic_router::Ipv4Address;
using nic_router::Ipv4Prefix;
using nic_router::NatRule;
using nic_router::PortPermit;
using nic_router::RouteRule;
using nic_router::RouteRule6;
using nic_router::TransportRule;

constexpr absl::string_view kDomainExample =
    "{name: guests, interface: 10.0.1.1/24}";
constexpr size_t kMaxRules = 64;    // Of one list.
constexpr size_t kMaxPermits = 64;  // Of one rule.
constexpr size_t kMaxDns = 8;
constexpr uint64_t kSecond_us = 1000 * 1000;
constexpr uint64_t kYear_s = 365 * 24 * 3600;
// Ports 49152–65535 (RFC 6335) are there for NAT.
constexpr uint64_t kNatPorts = 16384;
// RFC 1035, section 2.3.4.
constexpr size_t kMaxDomainName = 253;

absl::StatusOr<uint64_t> ReadPort(absl::string_view text) {
  return ReadNumber(text, 1, 65535);
}

void ReadIdentity(SourceText* source, const YamlNode& node, Fields* fields,
                  DomainConfig* domain) {
  Ipv4Prefix interface;
  if (fields->Word("interface", ReadIpv4Interface, &interface)) {
    domain->interface = interface;
  }
  Ipv4Address gateway = 0;
  if (fields->Word("gateway", ReadIpv4, &gateway)) domain->gateway = gateway;
  if (domain->gateway && fields->Find("interface") == nullptr) {
    source->Error(PlaceOf(node, "gateway"),
                  "`gateway` goes with `interface`; without one, both come "
                  "from a DHCP server: remove it, or give the domain an "
                  "`interface`");
  } else if (domain->gateway && domain->interface &&
             (!Contains(*domain->interface, gateway) ||
              IsNetworkOrBroadcast(*domain->interface, gateway) ||
              gateway == domain->interface->address)) {
    source->Error(PlaceOf(node, "gateway"),
                  absl::StrCat("`gateway`: ", Ipv4Text(gateway),
                               " is no other machine of the network of "
                               "`interface`, ",
                               Ipv4Text(*domain->interface),
                               "; write the address of one"));
  }
}

void ReadIdentity6(SourceText* source, const YamlNode& node, Fields* fields,
                   DomainConfig* domain) {
  nic_router::Ipv6Prefix interface;
  if (fields->Word("interface6", ReadIpv6Interface, &interface)) {
    domain->interface6 = interface;
  }
  nic_router::Ipv6Address gateway{};
  if (fields->Word("gateway6", ReadIpv6, &gateway)) domain->gateway6 = gateway;
  fields->Bool("router_advertisements", &domain->router_advertisements);
  if (!domain->gateway6) return;
  // A link-local gateway (fe80::/10) is in every network.
  const bool link_local = gateway[0] == 0xfe && (gateway[1] & 0xc0) == 0x80;
  if (fields->Find("interface6") == nullptr) {
    source->Error(PlaceOf(node, "gateway6"),
                  "`gateway6` goes with `interface6`; give the domain one, or "
                  "remove it");
  } else if (domain->interface6 && !link_local &&
             (!Contains(*domain->interface6, gateway) ||
              gateway == domain->interface6->address)) {
    source->Error(PlaceOf(node, "gateway6"),
                  absl::StrCat("`gateway6`: ", Ipv6Text(gateway),
                               " is no other machine of the network of "
                               "`interface6`, ",
                               Ipv6Text(*domain->interface6),
                               "; write the address of one"));
  }
}

// A lease for each address: the range lies in the network, and nobody else has
// one of its addresses.
void CheckRange(SourceText* source, const YamlNode& node,
                const DhcpServerConfig& server, const Ipv4Prefix& interface) {
  const auto check = [&](absl::string_view key, Ipv4Address address) {
    if (Contains(interface, address) &&
        !IsNetworkOrBroadcast(interface, address)) {
      return true;
    }
    source->Error(PlaceOf(node, key),
                  absl::StrCat("`", key, "`: ", Ipv4Text(address),
                               " is no machine's address of the domain's "
                               "network, ",
                               Ipv4Text(interface), "; choose one in it"));
    return false;
  };
  if (!check("first", server.first) || !check("last", server.last)) return;
  if (server.first > server.last) {
    source->Error(PlaceOf(node, "first"),
                  absl::StrCat("`first` is ", Ipv4Text(server.first),
                               ", behind `last`, which is ",
                               Ipv4Text(server.last),
                               "; give both in rising order"));
  } else if (server.first <= interface.address &&
             interface.address <= server.last) {
    source->Error(PlaceOf(node, "first"),
                  absl::StrCat("the range from ", Ipv4Text(server.first),
                               " to ", Ipv4Text(server.last),
                               " has the router's own address in it, ",
                               Ipv4Text(interface.address),
                               "; leave that out"));
  }
}

void CheckDomainName(Fields* fields, const std::string& name) {
  bool good = name.size() <= kMaxDomainName && name.front() != '.' &&
              name.front() != '-';
  for (const char c : name) {
    good = good && (absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
                    c == '.' || c == '-' || c == '_');
  }
  if (good) return;
  fields->Error("domain_name", *fields->Find("domain_name"),
                absl::InvalidArgumentError(
                    absl::StrCat("`", name.substr(0, 48),
                                 "` is no domain name; write one such as "
                                 "`lab.example`")));
}

DhcpServerConfig ReadDhcpServer(RouterReading* reading, const YamlNode& node,
                                const DomainConfig& domain) {
  SourceText* source = reading->source;
  DhcpServerConfig server;
  Fields fields(source, node, "`dhcp_server`",
                "{first: 10.0.1.100, last: 10.0.1.200}");
  if (!fields.usable()) return server;
  const bool first = RequireWord(&fields, "first", "first: 10.0.1.100",
                                 ReadIpv4, &server.first);
  const bool last = RequireWord(&fields, "last", "last: 10.0.1.200", ReadIpv4,
                                &server.last);
  if (first && last && domain.interface) {
    CheckRange(source, node, server, *domain.interface);
  }
  fields.Duration("lease", kSecond_us, 60, kYear_s, &server.lease_s);
  for (const YamlNode* item : fields.List("dns", kMaxDns, "dns: [10.0.1.1]")) {
    const std::string* text = fields.Scalar("dns", item);
    if (text == nullptr) continue;
    const auto address = ReadIpv4(*text);
    if (address.ok()) {
      server.dns.push_back(*address);
    } else {
      fields.Error("dns", *item, address.status());
    }
  }
  if (reading->Domain(&fields, "dns_from", &server.dns_from) &&
      !server.dns.empty()) {
    source->Error(PlaceOf(node, "dns_from"),
                  "`dns` and `dns_from` exclude each other; keep one of them");
  }
  if (fields.Text("domain_name", &server.domain_name)) {
    CheckDomainName(&fields, server.domain_name);
  }
  fields.Finish();
  return server;
}

// --- Rules ----------------------------------------------------------------

// Items of a list, each read by `read(fields, item)`; two with the same
// `key_of` are one too many.
template <typename Rule, typename Read, typename KeyOf>
std::vector<Rule> ReadRules(RouterReading* reading, Fields* fields,
                            absl::string_view key, absl::string_view example,
                            Read read, KeyOf key_of) {
  std::vector<Rule> rules;
  std::set<std::string> seen;
  const std::string example_list = absl::StrCat(key, ": [", example, "]");
  for (const YamlNode* item : fields->List(key, kMaxRules, example_list)) {
    Fields rule_fields(reading->source, *item, absl::StrCat("a rule of `", key, "`"),
                       example);
    if (!rule_fields.usable()) continue;
    Rule rule;
    const bool good = read(&rule_fields, *item, &rule);
    rule_fields.Finish();
    if (!good) continue;
    const std::string text = key_of(rule);
    if (!seen.insert(text).second) {
      reading->source->Error(
          item->place, absl::StrCat("`", key, "` has a rule for ", text,
                                    " already; write one for each"));
    }
    rules.push_back(std::move(rule));
  }
  return rules;
}

std::vector<RouteRule> ReadRoutes(RouterReading* reading, Fields* fields,
                                  absl::string_view key) {
  return ReadRules<RouteRule>(
      reading, fields, key, "{to: 10.0.3.0/24, domain: dmz}",
      [&](Fields* rule_fields, const YamlNode&, RouteRule* rule) {
        const bool to = RequireWord(rule_fields, "to", "to: 10.0.3.0/24",
                                    ReadIpv4Network, &rule->to);
        rule_fields->Require("domain", "domain: dmz");
        return reading->Domain(rule_fields, "domain", &rule->domain) && to;
      },
      [](const RouteRule& rule) { return Ipv4Text(rule.to); });
}

std::vector<RouteRule6> ReadRoutes6(RouterReading* reading, Fields* fields) {
  return ReadRules<RouteRule6>(
      reading, fields, "ip6", "{to: \"::/0\", domain: uplink}",
      [&](Fields* rule_fields, const YamlNode&, RouteRule6* rule) {
        const bool to = RequireWord(rule_fields, "to", "to: \"::/0\"",
                                    ReadIpv6Network, &rule->to);
        rule_fields->Require("domain", "domain: uplink");
        return reading->Domain(rule_fields, "domain", &rule->domain) && to;
      },
      [](const RouteRule6& rule) { return Ipv6Text(rule.to); });
}

std::vector<PortPermit> ReadPermits(RouterReading* reading, Fields* fields) {
  std::vector<PortPermit> permits;
  std::set<uint16_t> seen;
  for (const YamlNode* item :
       fields->List("permit", kMaxPermits,
                    "permit: [{port: 443, domain: uplink}]")) {
    Fields permit_fields(reading->source, *item, "a permission",
                         "{port: 443, domain: uplink}");
    if (!permit_fields.usable()) continue;
    PortPermit permit;
    const bool port = RequireWord(&permit_fields, "port", "port: 443", ReadPort,
                                  &permit.port);
    permit_fields.Require("domain", "domain: uplink");
    const bool domain =
        reading->Domain(&permit_fields, "domain", &permit.domain);
    permit_fields.Finish();
    if (!port || !domain) continue;
    if (!seen.insert(permit.port).second) {
      reading->source->Error(
          item->place, absl::StrCat("port ", permit.port,
                                    " is permitted already; write each once"));
    }
    permits.push_back(std::move(permit));
  }
  return permits;
}

std::vector<TransportRule> ReadTransports(RouterReading* reading,
                                          Fields* fields,
                                          absl::string_view key) {
  return ReadRules<TransportRule>(
      reading, fields, key,
      "{to: 0.0.0.0/0, permit: [{port: 443, domain: uplink}]}",
      [&](Fields* rule_fields, const YamlNode& item, TransportRule* rule) {
        const bool to = RequireWord(rule_fields, "to", "to: 0.0.0.0/0",
                                    ReadIpv4Network, &rule->to);
        rule->permit = ReadPermits(reading, rule_fields);
        reading->Domain(rule_fields, "permit_any", &rule->permit_any);
        const bool some = rule_fields->Find("permit") != nullptr;
        const bool any = rule_fields->Find("permit_any") != nullptr;
        if (some == any && item.complete) {
          reading->source->Error(
              item.place,
              some ? "`permit` and `permit_any` exclude each other; the "
                     "second lets every port through: keep one of them"
                   : "the rule permits nothing; add `permit_any: uplink`, or "
                     "`permit: [{port: 443, domain: uplink}]`");
        }
        return to;
      },
      [](const TransportRule& rule) { return Ipv4Text(rule.to); });
}

std::vector<ForwardRule> ReadForwards(RouterReading* reading, Fields* fields,
                                      absl::string_view key) {
  return ReadRules<ForwardRule>(
      reading, fields, key, "{port: 80, domain: dmz, to: 10.0.3.2}",
      [&](Fields* rule_fields, const YamlNode&, ForwardRule* rule) {
        const bool port =
            RequireWord(rule_fields, "port", "port: 80", ReadPort, &rule->port);
        rule_fields->Require("domain", "domain: dmz");
        reading->Domain(rule_fields, "domain", &rule->domain);
        const bool to = RequireWord(rule_fields, "to", "to: 10.0.3.2", ReadIpv4,
                                    &rule->to);
        rule->to_port = rule->port;
        rule_fields->Word("to_port", ReadPort, &rule->to_port);
        return port && to;
      },
      [](const ForwardRule& rule) { return absl::StrCat("port ", rule.port); });
}

std::vector<NatRule> ReadNat(RouterReading* reading, Fields* fields,
                             const std::string& own) {
  return ReadRules<NatRule>(
      reading, fields, "nat", "{domain: guests, tcp_ports: 1000}",
      [&](Fields* rule_fields, const YamlNode& item, NatRule* rule) {
        rule_fields->Require("domain", "domain: guests");
        const bool good =
            reading->Domain(rule_fields, "domain", &rule->domain);
        rule_fields->Number("tcp_ports", 0, kNatPorts, &rule->tcp_ports);
        rule_fields->Number("udp_ports", 0, kNatPorts, &rule->udp_ports);
        rule_fields->Number("icmp_ids", 0, kNatPorts, &rule->icmp_ids);
        if (good && rule->domain == own) {
          reading->source->Error(
              PlaceOf(item, "domain"),
              absl::StrCat("`", own,
                           "` is this domain itself; NAT is for flows that "
                           "come from another one: name that"));
        }
        if (rule->tcp_ports + rule->udp_ports + rule->icmp_ids == 0 &&
            item.complete) {
          reading->source->Error(
              item.place,
              "the rule translates nothing; add `tcp_ports: 1000`, "
              "`udp_ports: 1000` or `icmp_ids: 1000`");
        }
        return good;
      },
      [](const NatRule& rule) { return absl::StrCat("`", rule.domain, "`"); });
}

// All domains share the ports of one address.
void CheckNatPorts(SourceText* source, const YamlNode& node,
                   const DomainConfig& domain) {
  uint64_t tcp = 0, udp = 0, icmp = 0;
  for (const NatRule& rule : domain.nat) {
    tcp += rule.tcp_ports;
    udp += rule.udp_ports;
    icmp += rule.icmp_ids;
  }
  const uint64_t most = std::max({tcp, udp, icmp});
  if (most <= kNatPorts) return;
  source->Error(PlaceOf(node, "nat"),
                absl::StrCat("`nat` promises ", most,
                             " ports of one kind; there are ", kNatPorts,
                             " (49152–65535): promise fewer"));
}

}  // namespace

bool RouterReading::Domain(Fields* fields, absl::string_view key,
                           std::string* out) {
  Position place;
  if (!fields->Text(key, out, &place)) return false;
  uses.push_back({std::string(key), *out, place});
  return true;
}

DomainConfig ReadDomain(RouterReading* reading, const YamlNode& node) {
  SourceText* source = reading->source;
  DomainConfig domain;
  Fields fields(source, node, "a domain", kDomainExample);
  if (!fields.usable()) return domain;
  if (fields.Require("name", "name: guests") != nullptr &&
      fields.Text("name", &domain.name)) {
    if (absl::Status status = CheckName(domain.name); !status.ok()) {
      fields.Error("name", *fields.Find("name"), status);
    }
  }
  ReadIdentity(source, node, &fields, &domain);
  ReadIdentity6(source, node, &fields, &domain);
  if (const YamlNode* server = fields.Find("dhcp_server")) {
    domain.dhcp_server = ReadDhcpServer(reading, *server, domain);
    if (fields.Find("interface") == nullptr && node.complete) {
      source->Error(server->place,
                    "`dhcp_server` goes with `interface`, whose network it "
                    "hands out; give the domain one");
    }
  }
  fields.Bool("icmp_echo_server", &domain.icmp_echo_server);
  fields.Bool("use_arp", &domain.use_arp);
  domain.ip = ReadRoutes(reading, &fields, "ip");
  domain.icmp = ReadRoutes(reading, &fields, "icmp");
  domain.tcp = ReadTransports(reading, &fields, "tcp");
  domain.udp = ReadTransports(reading, &fields, "udp");
  domain.tcp_forward = ReadForwards(reading, &fields, "tcp_forward");
  domain.udp_forward = ReadForwards(reading, &fields, "udp_forward");
  domain.nat = ReadNat(reading, &fields, domain.name);
  domain.ip6 = ReadRoutes6(reading, &fields);
  CheckNatPorts(source, node, domain);
  fields.Bool("verbose_packet_drop", &domain.verbose_packet_drop);
  fields.Finish();
  return domain;
}

}  // namespace bulkhead::policy
