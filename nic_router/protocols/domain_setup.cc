// What a configuration makes of the domains, at the start and at run time.
#include <algorithm>
#include <utility>

#include "nic_router/dhcp/check_value.h"
#include "nic_router/protocols/domain_protocols.h"

namespace bulkhead::nic_router {
namespace {

bool SameServer(const DomainConfig& a, const DomainConfig& b) {
  return a.interface == b.interface && a.dhcp_server == b.dhcp_server;
}

bool Advertises(const DomainConfig& config) {
  return config.router_advertisements && !config.gateway6.has_value();
}

bool SameDiscovery(const DomainConfig& a, const DomainConfig& b) {
  return a.interface6 == b.interface6 && Advertises(a) == Advertises(b);
}

}  // namespace

void DomainProtocols::Reconfigure(const RouterConfig& config, uint64_t now_ns) {
  now_ns_ = std::max(now_ns_, now_ns);
  std::vector<Domain> old = std::exchange(domains_, {});
  std::vector<std::string> clients;
  std::vector<uint32_t> servers;
  for (const DomainConfig& domain : config.domains) {
    if (!domain.interface) clients.push_back(domain.name);
    if (domain.dhcp_server) servers.push_back(dhcp::DomainTag(domain.name));
  }
  // A server that changes or goes lets go of its entries before others come.
  for (Domain& domain : old) {
    const bool stays = std::any_of(config.domains.begin(), config.domains.end(),
                                   [&domain](const DomainConfig& now) {
                                     return now.name == domain.config.name &&
                                            SameServer(now, domain.config);
                                   });
    if (!stays) domain.server.reset();
  }
  leases_.Keep(servers);
  for (const DomainConfig& each : config.domains) {
    const auto before =
        std::find_if(old.begin(), old.end(), [&each](const Domain& domain) {
          return domain.config.name == each.name;
        });
    Domain& domain = domains_.emplace_back();
    domain.config = each;
    SetUp(domain, before == old.end() ? nullptr : &*before, clients);
  }
  for (const Domain& domain : domains_) {
    if (domain.client != nullptr) PropagateDns(domain);
  }
  for (Domain& domain : domains_) {
    if (domain.client != nullptr) ApplyChanges(domain);
  }
  for (Client& client : clients_) {
    client.domain = engine_.DomainOf(client.member);
    Rebind(client);
  }
  links_changed_ = true;
}

void DomainProtocols::SetUp(Domain& domain, Domain* old,
                            const std::vector<std::string>& clients) {
  const DomainConfig& config = domain.config;
  if (config.interface && config.dhcp_server) {
    if (old != nullptr && old->server != nullptr) {
      domain.server = std::move(old->server);
    } else {
      domain.server = std::make_unique<dhcp::DhcpServer>(
          dhcp::DhcpServer::Settings{config.name, *config.interface,
                                     *config.dhcp_server},
          leases_, now_ns_);
    }
  }
  if (!config.interface) {
    if (old != nullptr && old->client != nullptr) {
      domain.client = std::move(old->client);
      domain.uplink = old->uplink;
    } else {
      domain.client = std::make_unique<dhcp::DhcpClient>(
          config.name, slots_.SlotOf(config.name, clients, now_ns_),
          random_.Next(), now_ns_);
      if (domain.client->dropped_stored()) ++identities_dropped_;
    }
  }
  SetUpDiscovery(domain, old);
}

void DomainProtocols::SetUpDiscovery(Domain& domain, Domain* old) {
  const DomainConfig& config = domain.config;
  if (old != nullptr && old->discovery != nullptr) {
    if (SameDiscovery(old->config, config)) {
      domain.discovery = std::move(old->discovery);
      return;
    }
    if (Advertises(old->config)) {
      SendToEach(config.name, [old](const MacAddress& own, ipv6::NdFrame& out) {
        old->discovery->Farewell(own, out);
      });
    }
  }
  if (!config.interface6) return;
  domain.discovery = std::make_unique<ipv6::NeighbourDiscovery>(
      ipv6::NeighbourDiscovery::Settings{.interface = *config.interface6,
                                         .advertise = Advertises(config),
                                         .mac = engine_.RouterMac(config.name)},
      random_.Next(), now_ns_);
}

}  // namespace bulkhead::nic_router
