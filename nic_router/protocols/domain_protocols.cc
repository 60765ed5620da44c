#include "nic_router/protocols/domain_protocols.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace bulkhead::nic_router {
namespace {

constexpr uint64_t kNsPerSecond = 1'000'000'000;
// Of the lease memory; the rest holds what the servers lease.
constexpr size_t kIdentityBytes = 64 * IdentitySlots::kSlotBytes;

std::span<std::byte> Bytes(std::span<uint8_t> memory) {
  return std::as_writable_bytes(memory);
}

std::string Dotted(Ipv4Address address) {
  return absl::StrCat(address >> 24, ".", address >> 16 & 0xff, ".",
                      address >> 8 & 0xff, ".", address & 0xff);
}

std::string Colons(const MacAddress& mac) {
  return absl::StrFormat("%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1],
                         mac[2], mac[3], mac[4], mac[5]);
}

std::string RemainingSeconds(uint64_t until_ns, uint64_t now_ns) {
  if (until_ns == UINT64_MAX) return "infinite";
  return absl::StrCat(until_ns > now_ns ? (until_ns - now_ns) / kNsPerSecond
                                        : 0);
}

std::string_view StateWord(dhcp::LeaseState state) {
  constexpr std::array<std::string_view, 5> kWords = {
      "free", "offered", "bound", "former", "declined"};
  return kWords[static_cast<size_t>(state)];
}

}  // namespace

DomainProtocols::DomainProtocols(const RouterConfig& config, Engine& engine,
                                 uint64_t seed, PulseLinks pulse_links,
                                 uint64_t now_ns)
    : engine_(engine),
      pulse_links_(std::move(pulse_links)),
      random_(seed),
      slots_(Bytes(engine.lease_memory().first(kIdentityBytes))),
      leases_(Bytes(engine.lease_memory().subspan(kIdentityBytes))) {
  Reconfigure(config, now_ns);
}

DomainProtocols::~DomainProtocols() = default;

DomainProtocols::Domain* DomainProtocols::Find(std::string_view name) {
  for (Domain& domain : domains_) {
    if (domain.config.name == name) return &domain;
  }
  return nullptr;
}

void DomainProtocols::AddClient(MemberId member, std::string_view domain,
                                const MacAddress& mac) {
  clients_.push_back({member, std::string(domain), mac});
  Rebind(clients_.back());
}

void DomainProtocols::RemoveClient(MemberId member) {
  std::erase_if(clients_, [member](const Client& client) {
    return client.member == member;
  });
}

// The address that this client has leased; 0: none.
Ipv4Address DomainProtocols::LeaseOf(const Client& client) {
  const Domain* domain = Find(client.domain);
  if (domain == nullptr || domain->server == nullptr) return 0;
  const dhcp::LeaseEntry* lease = domain->server->pool().Find(client.mac);
  const bool bound = lease != nullptr &&
                     lease->state == dhcp::LeaseState::kBound &&
                     lease->expires_ns > now_ns_;
  return bound ? lease->address : 0;
}

// Tells the engine which address the client's frames may come from.
void DomainProtocols::Rebind(Client& client) {
  const Ipv4Address address = LeaseOf(client);
  if (address == client.bound) return;
  client.bound = address;
  engine_.BindAddress(client.member, address == 0
                                         ? std::nullopt
                                         : std::optional<Ipv4Address>(address));
}

void DomainProtocols::Advance(uint64_t now_ns) {
  now_ns_ = std::max(now_ns_, now_ns);
  if (std::exchange(links_changed_, false)) FollowUplinks();
  if (now_ns_ >= expire_ns_) ExpireLeases();
  for (Domain& domain : domains_) {
    if (domain.client != nullptr) AdvanceClient(domain);
    if (domain.discovery != nullptr) AdvanceDiscovery(domain);
  }
}

void DomainProtocols::ExpireLeases() {
  expire_ns_ = now_ns_ + kNsPerSecond;
  for (Domain& domain : domains_) {
    if (domain.server != nullptr) domain.server->Expire(now_ns_);
  }
  for (Client& client : clients_) Rebind(client);
}

std::optional<uint64_t> DomainProtocols::NextDeadline() const {
  if (links_changed_) return now_ns_;
  std::optional<uint64_t> next;
  const auto sooner = [&next](std::optional<uint64_t> time) {
    if (time && (!next || *time < *next)) next = time;
  };
  for (const Domain& domain : domains_) {
    if (domain.server != nullptr && domain.server->pool().any()) {
      sooner(expire_ns_);
    }
    if (domain.client != nullptr) sooner(domain.client->NextDeadline());
    if (domain.discovery != nullptr) sooner(domain.discovery->NextDeadline());
  }
  return next;
}

Table DomainProtocols::Leases() const {
  Table table;
  table.columns = {"domain", "side", "address", "mac", "state", "remaining_s"};
  for (const Domain& domain : domains_) {
    const std::string& name = domain.config.name;
    if (domain.server != nullptr) {
      domain.server->pool().ForEach([&](const dhcp::LeaseEntry& lease) {
        table.rows.push_back({name, "server", Dotted(lease.address),
                              Colons(lease.mac),
                              std::string(StateWord(lease.state)),
                              RemainingSeconds(lease.expires_ns, now_ns_)});
      });
    }
    if (domain.client == nullptr) continue;
    const auto& identity = domain.client->identity();
    table.rows.push_back(
        {name, "client",
         identity ? absl::StrCat(Dotted(identity->interface.address), "/",
                                 identity->interface.bits)
                  : "",
         identity ? Colons(identity->identifier) : "",
         std::string(dhcp::StateWord(domain.client->state())),
         identity ? RemainingSeconds(identity->expire_ns, now_ns_) : ""});
  }
  return table;
}

Table DomainProtocols::Counters() const {
  Table table;
  table.columns = {"name", "value"};
  const auto add = [&table](std::string_view name, uint64_t value) {
    table.rows.push_back({std::string(name), absl::StrCat(value)});
  };
  for (size_t i = 0; i < kProtocolCounters; ++i) {
    add(kProtocolCounterNames[i], counts_[i]);
  }
  dhcp::DhcpServer::Counters sum;
  uint64_t not_believed = leases_.dropped();
  for (const Domain& domain : domains_) {
    if (domain.server == nullptr) continue;
    const dhcp::DhcpServer::Counters& counters = domain.server->counters();
    sum.offers += counters.offers;
    sum.acks += counters.acks;
    sum.naks += counters.naks;
    sum.releases += counters.releases;
    sum.declines += counters.declines;
    not_believed += domain.server->pool().dropped();
  }
  add("dhcp_offers", sum.offers);
  add("dhcp_acks", sum.acks);
  add("dhcp_naks", sum.naks);
  add("dhcp_releases", sum.releases);
  add("dhcp_declines", sum.declines);
  add("dhcp_leases_not_believed", not_believed);
  add("dhcp_identities_not_believed", identities_dropped_);
  return table;
}

}  // namespace bulkhead::nic_router
