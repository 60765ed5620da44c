#include "nic_router/api/config_message.h"

#include <algorithm>
#include <limits>
#include <string>

#include "absl/strings/str_cat.h"

namespace bulkhead::nic_router {
namespace {

// --- To the message -------------------------------------------------------

void Put(const Ipv4Prefix& prefix, api::Prefix4* message) {
  message->set_address(prefix.address);
  message->set_bits(prefix.bits);
}

std::string Bytes(const Ipv6Address& address) {
  return std::string(address.begin(), address.end());
}

void Put(const Ipv6Prefix& prefix, api::Prefix6* message) {
  message->set_address(Bytes(prefix.address));
  message->set_bits(prefix.bits);
}

void Put(const RouteRule& rule, api::Route* message) {
  Put(rule.to, message->mutable_to());
  message->set_domain(rule.domain);
}

void Put(const RouteRule6& rule, api::Route6* message) {
  Put(rule.to, message->mutable_to());
  message->set_domain(rule.domain);
}

void Put(const TransportRule& rule, api::Transport* message) {
  Put(rule.to, message->mutable_to());
  message->set_permit_any(rule.permit_any);
  for (const PortPermit& permit : rule.permit) {
    api::Permit* entry = message->add_permit();
    entry->set_port(permit.port);
    entry->set_domain(permit.domain);
  }
}

void Put(const ForwardRule& rule, api::Forward* message) {
  message->set_port(rule.port);
  message->set_domain(rule.domain);
  message->set_to(rule.to);
  message->set_to_port(rule.to_port);
}

void Put(const NatRule& rule, api::Nat* message) {
  message->set_domain(rule.domain);
  message->set_tcp_ports(rule.tcp_ports);
  message->set_udp_ports(rule.udp_ports);
  message->set_icmp_ids(rule.icmp_ids);
}

void Put(const DhcpServerConfig& server, api::DhcpServer* message) {
  message->set_first(server.first);
  message->set_last(server.last);
  message->set_lease_s(server.lease_s);
  message->mutable_dns()->Assign(server.dns.begin(), server.dns.end());
  message->set_dns_from(server.dns_from);
  message->set_domain_name(server.domain_name);
}

void Put(const DomainConfig& domain, api::Domain* message);
void Put(const UplinkConfig& uplink, api::Uplink* message);
void Put(const PolicyRule& policy, api::Policy* message);

template <typename Rule, typename Messages>
void PutAll(const std::vector<Rule>& rules, Messages* messages) {
  for (const Rule& rule : rules) Put(rule, messages->Add());
}

void Put(const DomainConfig& domain, api::Domain* message) {
  message->set_name(domain.name);
  if (domain.interface) Put(*domain.interface, message->mutable_interface());
  if (domain.gateway) message->set_gateway(*domain.gateway);
  if (domain.interface6) Put(*domain.interface6, message->mutable_interface6());
  if (domain.gateway6) message->set_gateway6(Bytes(*domain.gateway6));
  message->set_router_advertisements(domain.router_advertisements);
  if (domain.dhcp_server) {
    Put(*domain.dhcp_server, message->mutable_dhcp_server());
  }
  message->set_icmp_echo_server(domain.icmp_echo_server);
  message->set_use_arp(domain.use_arp);
  PutAll(domain.ip, message->mutable_ip());
  PutAll(domain.icmp, message->mutable_icmp());
  PutAll(domain.tcp, message->mutable_tcp());
  PutAll(domain.udp, message->mutable_udp());
  PutAll(domain.tcp_forward, message->mutable_tcp_forward());
  PutAll(domain.udp_forward, message->mutable_udp_forward());
  PutAll(domain.nat, message->mutable_nat());
  PutAll(domain.ip6, message->mutable_ip6());
  message->set_verbose_packet_drop(domain.verbose_packet_drop);
}

void Put(const UplinkConfig& uplink, api::Uplink* message) {
  for (const std::string& name : uplink.instances) message->add_instance(name);
  message->set_domain(uplink.domain);
  for (const VlanConfig& vlan : uplink.vlans) {
    api::Vlan* entry = message->add_vlan();
    entry->set_vlan(vlan.vlan);
    entry->set_domain(vlan.domain);
  }
}

void Put(const PolicyRule& policy, api::Policy* message) {
  message->set_kind(static_cast<uint32_t>(policy.kind));
  message->set_label(policy.label);
  message->set_domain(policy.domain);
  message->set_rate_bits_per_s(policy.rate_bits_per_s);
  message->set_burst_bytes(policy.burst_bytes);
  message->set_weight(policy.weight);
}

// --- From the message -----------------------------------------------------

// Remembers whether anything was out of range, so that what follows reads as a
// list of fields.
class Reader {
 public:
  bool good() const { return good_; }

  template <typename T>
  void Number(uint64_t value, uint64_t most, T* out) {
    if (value > most || value > std::numeric_limits<T>::max()) {
      good_ = false;
      return;
    }
    *out = static_cast<T>(value);
  }
  void Address(const std::string& bytes, Ipv6Address* out) {
    if (bytes.size() != out->size()) {
      good_ = false;
      return;
    }
    std::copy_n(bytes.begin(), out->size(), out->begin());
  }

  void Get(const api::Prefix4& message, Ipv4Prefix* prefix) {
    prefix->address = message.address();
    Number(message.bits(), 32, &prefix->bits);
  }
  void Get(const api::Prefix6& message, Ipv6Prefix* prefix) {
    Address(message.address(), &prefix->address);
    Number(message.bits(), 128, &prefix->bits);
  }
  void Get(const api::Route& message, RouteRule* rule) {
    Get(message.to(), &rule->to);
    rule->domain = message.domain();
  }
  void Get(const api::Route6& message, RouteRule6* rule) {
    Get(message.to(), &rule->to);
    rule->domain = message.domain();
  }
  void Get(const api::Permit& message, PortPermit* permit) {
    Number(message.port(), 65535, &permit->port);
    permit->domain = message.domain();
  }
  void Get(const api::Transport& message, TransportRule* rule) {
    Get(message.to(), &rule->to);
    rule->permit_any = message.permit_any();
    GetAll(message.permit(), &rule->permit);
  }
  void Get(const api::Forward& message, ForwardRule* rule) {
    Number(message.port(), 65535, &rule->port);
    rule->domain = message.domain();
    rule->to = message.to();
    Number(message.to_port(), 65535, &rule->to_port);
  }
  void Get(const api::Nat& message, NatRule* rule) {
    rule->domain = message.domain();
    rule->tcp_ports = message.tcp_ports();
    rule->udp_ports = message.udp_ports();
    rule->icmp_ids = message.icmp_ids();
  }
  void Get(const api::DhcpServer& message, DhcpServerConfig* server) {
    server->first = message.first();
    server->last = message.last();
    server->lease_s = message.lease_s();
    server->dns.assign(message.dns().begin(), message.dns().end());
    server->dns_from = message.dns_from();
    server->domain_name = message.domain_name();
  }
  void Get(const api::Domain& message, DomainConfig* domain) {
    domain->name = message.name();
    GetIdentity(message, domain);
    domain->router_advertisements = message.router_advertisements();
    if (message.has_dhcp_server()) {
      Get(message.dhcp_server(), &domain->dhcp_server.emplace());
    }
    domain->icmp_echo_server = message.icmp_echo_server();
    domain->use_arp = message.use_arp();
    GetAll(message.ip(), &domain->ip);
    GetAll(message.icmp(), &domain->icmp);
    GetAll(message.tcp(), &domain->tcp);
    GetAll(message.udp(), &domain->udp);
    GetAll(message.tcp_forward(), &domain->tcp_forward);
    GetAll(message.udp_forward(), &domain->udp_forward);
    GetAll(message.nat(), &domain->nat);
    GetAll(message.ip6(), &domain->ip6);
    domain->verbose_packet_drop = message.verbose_packet_drop();
  }
  void Get(const api::Vlan& message, VlanConfig* vlan) {
    Number(message.vlan(), 4094, &vlan->vlan);
    vlan->domain = message.domain();
  }
  void Get(const api::Uplink& message, UplinkConfig* uplink) {
    uplink->instances.assign(message.instance().begin(),
                             message.instance().end());
    uplink->domain = message.domain();
    GetAll(message.vlan(), &uplink->vlans);
  }
  void Get(const api::Policy& message, PolicyRule* policy) {
    uint8_t kind = 0;
    Number(message.kind(), static_cast<uint32_t>(PolicyRule::Kind::kDefault),
           &kind);
    policy->kind = static_cast<PolicyRule::Kind>(kind);
    policy->label = message.label();
    policy->domain = message.domain();
    policy->rate_bits_per_s = message.rate_bits_per_s();
    policy->burst_bytes = message.burst_bytes();
    policy->weight = message.weight();
  }
  template <typename Messages, typename Rule>
  void GetAll(const Messages& messages, std::vector<Rule>* rules) {
    for (const auto& message : messages) Get(message, &rules->emplace_back());
  }

 private:
  void GetIdentity(const api::Domain& message, DomainConfig* domain) {
    if (message.has_interface()) {
      Get(message.interface(), &domain->interface.emplace());
    }
    if (message.has_gateway()) domain->gateway = message.gateway();
    if (message.has_interface6()) {
      Get(message.interface6(), &domain->interface6.emplace());
    }
    if (!message.gateway6().empty()) {
      Address(message.gateway6(), &domain->gateway6.emplace());
    }
  }

  bool good_ = true;
};

}  // namespace

api::Config ToMessage(const RouterConfig& config) {
  api::Config message;
  message.set_name(config.name);
  PutAll(config.domains, message.mutable_domain());
  PutAll(config.uplinks, message.mutable_uplink());
  PutAll(config.policies, message.mutable_policy());
  api::Timeouts* timeouts = message.mutable_timeouts();
  timeouts->set_udp_idle_s(config.timeouts.udp_idle_s);
  timeouts->set_tcp_idle_s(config.timeouts.tcp_idle_s);
  timeouts->set_tcp_closing_s(config.timeouts.tcp_closing_s);
  timeouts->set_icmp_idle_s(config.timeouts.icmp_idle_s);
  timeouts->set_arp_request_s(config.timeouts.arp_request_s);
  message.set_max_flows(config.max_flows);
  message.set_max_packets_per_turn(config.max_packets_per_turn);
  message.mutable_cpu()->Assign(config.cpus.begin(), config.cpus.end());
  message.set_max_clients(config.max_clients);
  return message;
}

absl::StatusOr<RouterConfig> FromMessage(const api::Config& message) {
  RouterConfig config;
  Reader reader;
  config.name = message.name();
  reader.GetAll(message.domain(), &config.domains);
  reader.GetAll(message.uplink(), &config.uplinks);
  reader.GetAll(message.policy(), &config.policies);
  config.timeouts.udp_idle_s = message.timeouts().udp_idle_s();
  config.timeouts.tcp_idle_s = message.timeouts().tcp_idle_s();
  config.timeouts.tcp_closing_s = message.timeouts().tcp_closing_s();
  config.timeouts.icmp_idle_s = message.timeouts().icmp_idle_s();
  config.timeouts.arp_request_s = message.timeouts().arp_request_s();
  config.max_flows = message.max_flows();
  config.max_packets_per_turn = message.max_packets_per_turn();
  config.cpus.assign(message.cpu().begin(), message.cpu().end());
  config.max_clients = message.max_clients();
  if (reader.good()) return config;
  return absl::InvalidArgumentError(
      "read the router's configuration: a field is out of range; platform "
      "service and router are of different versions");
}

}  // namespace bulkhead::nic_router
