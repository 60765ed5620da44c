// What the router says in its own name beside ARP and ICMP: DHCP to its clients
// and to the servers of its uplinks, IPv6 neighbour discovery. Joins the state
// machines (dhcp/, ipv6/) with the engine, domain by domain.
//
//   DomainProtocols protocols(config, *engine, seed, pulse, now);
//   engine->SetLocalProtocols(&protocols);
//   for (;;) {
//     protocols.Advance(now);             // Before each turn.
//     while (engine->Turn(now)) …
//     … sleep until protocols.NextDeadline() too …
//   }
//
// Requires: one thread; the engine outlives it, and is told of a configuration
// before it is.
// Guarantees: an answer costs no allocation; each message bumps exactly one
// counter (S8). Leases and identities lie in the engine's lease memory, and are
// checked before they are believed (S7).
#ifndef BULKHEAD_NIC_ROUTER_PROTOCOLS_DOMAIN_PROTOCOLS_H_
#define BULKHEAD_NIC_ROUTER_PROTOCOLS_DOMAIN_PROTOCOLS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "nic_router/config.h"
#include "nic_router/dhcp/client.h"
#include "nic_router/dhcp/lease_memory.h"
#include "nic_router/dhcp/server.h"
#include "nic_router/engine/engine.h"
#include "nic_router/engine/local_protocols.h"
#include "nic_router/engine/table.h"
#include "nic_router/ipv6/neighbour_discovery.h"
#include "nic_router/protocols/identity_slots.h"
#include "nic_router/protocols/protocol_counters.h"
#include "nic_router/seeded_random.h"

namespace bulkhead::nic_router {

class DomainProtocols final : public LocalProtocols {
 public:
  // The link of every client of this domain goes down and up, so that it asks
  // for its lease anew: the DNS servers that it was told of have changed.
  using PulseLinks = std::function<void(std::string_view domain)>;

  // `seed`: unpredictable outside; transaction numbers come from it.
  DomainProtocols(const RouterConfig& config, Engine& engine, uint64_t seed,
                  PulseLinks pulse_links, uint64_t now_ns);
  ~DomainProtocols() override;

  // Domains that are equal go on undisturbed; leases that fit are kept.
  void Reconfigure(const RouterConfig& config, uint64_t now_ns);
  // A client joined the engine: a lease that it had before a restart, of itself
  // or of the router, is bound to it again.
  void AddClient(MemberId member, std::string_view domain,
                 const MacAddress& mac);
  void RemoveClient(MemberId member);

  // Does what is due, and tells those below what time it is.
  void Advance(uint64_t now_ns);
  std::optional<uint64_t> NextDeadline() const;

  void OnDhcp(const LocalFrame& frame) override;
  void OnNeighbourDiscovery(const LocalFrame& frame) override;
  void Resolve6(std::string_view domain, const Ipv6Address& address) override;
  void OnLinksChanged() override { links_changed_ = true; }

  // domain, side (server: given, client: taken), address, mac, state,
  // remaining_s.
  Table Leases() const;
  // name, value.
  Table Counters() const;

 private:
  struct Domain {
    DomainConfig config;
    std::unique_ptr<dhcp::DhcpServer> server;
    std::unique_ptr<dhcp::DhcpClient> client;
    std::unique_ptr<ipv6::NeighbourDiscovery> discovery;
    MemberId uplink = 0;  // That the client speaks over; 0: no link.
  };
  struct Client {
    MemberId member = 0;
    std::string domain;
    MacAddress mac{};
    Ipv4Address bound = 0;
  };

  // --- domain_protocols.cc ---
  Domain* Find(std::string_view name);
  void Count(ProtocolCounter counter) {
    ++counts_[static_cast<size_t>(counter)];
  }
  void ExpireLeases();
  Ipv4Address LeaseOf(const Client& client);
  void Rebind(Client& client);

  // --- domain_setup.cc ---
  void SetUp(Domain& domain, Domain* old,
             const std::vector<std::string>& clients);
  void SetUpDiscovery(Domain& domain, Domain* old);

  // --- dhcp_messages.cc ---
  void ServeDhcp(Domain& domain, const LocalFrame& frame);
  void TakeDhcpAnswer(Domain& domain, const LocalFrame& frame);
  void AdvanceClient(Domain& domain);
  void ApplyChanges(Domain& domain);
  void PropagateDns(const Domain& domain);
  void FollowUplinks();

  // --- discovery_messages.cc ---
  void AdvanceDiscovery(Domain& domain);

  // A frame to every member of a domain, each with the router's MAC as that
  // member knows it: write(own_mac, out).
  template <typename Write>
  void SendToEach(std::string_view domain, Write write) {
    ipv6::NdFrame out;
    for (const MemberId member : engine_.MembersOf(domain)) {
      write(engine_.RouterMac(domain, member), out);
      engine_.SendFrame(domain, member, out.frame());
    }
  }

  Engine& engine_;
  PulseLinks pulse_links_;
  SeededRandom random_;
  IdentitySlots slots_;
  dhcp::LeaseMemory leases_;
  std::vector<Domain> domains_;
  std::vector<Client> clients_;
  uint64_t now_ns_ = 0;
  uint64_t expire_ns_ = 0;  // When leases are looked at next.
  bool links_changed_ = true;
  ProtocolCounts counts_{};
  uint32_t identities_dropped_ = 0;
};

}  // namespace bulkhead::nic_router

#endif  // BULKHEAD_NIC_ROUTER_PROTOCOLS_DOMAIN_PROTOCOLS_H_
