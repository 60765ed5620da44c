// The router between its sessions: frames in, frames out. It knows neither
// sessions nor processes nor a clock; who owns it calls Turn.
//
//   auto engine = Engine::Create(config, state_memory, now);
//   auto client = engine->AddClient("shop/web", mac, &port, now);
//   auto uplink = engine->AddUplink(0, 0, &other_port, now);
//   for (;;) {
//     while (engine->Turn(MonotonicNs())) {}
//     … sleep until a port has news, or engine->NextDeadline() …
//   }
//
// A domain is one IP identity; a client belongs to the domain of the first
// policy that its label matches; the members of a domain are joined by a
// learning switch, and domains by their rules (nic_router/config.h).
#ifndef BULKHEAD_NIC_ROUTER_ENGINE_ENGINE_H_
#define BULKHEAD_NIC_ROUTER_ENGINE_ENGINE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "nic_router/config.h"
#include "nic_router/engine/local_protocols.h"
#include "nic_router/engine/port.h"
#include "nic_router/engine/table.h"

namespace bulkhead::nic_router {

// Requires: one thread. Times are nanoseconds of CLOCK_MONOTONIC (base/clock.h)
//   and never go back. The state memory outlives the engine, is zero at first,
//   and is written by nobody else.
// Guarantees: Turn allocates nothing, locks nothing and makes no system call
//   but those of Port::Flush. Every frame that a port lent is sent at least
//   once or counted under exactly one reason (S8): see Counters. Nothing that a
//   frame says is believed before it was checked on a private copy (S7).
class Engine {
 public:
  // How large the state memory of this configuration is: whole pages, of which
  // kLeaseBytes are lease_memory().
  static size_t StateBytes(const RouterConfig& config);
  static constexpr size_t kLeaseBytes = 1 << 20;

  // What survived in `state` (flows, neighbours) is checked against its own
  // check values and against `config`, and what does not hold is dropped and
  // counted; another version's or another size's state is emptied.
  // Errors: InvalidArgument for a config that names a domain it does not have.
  static absl::StatusOr<std::unique_ptr<Engine>> Create(
      const RouterConfig& config, std::span<uint8_t> state, uint64_t now_ns);
  virtual ~Engine() = default;

  // --- members ---

  struct Member {
    MemberId id = 0;
    std::string domain;
  };
  // `mac` is the only one that frames of this client may come from (the router
  // process chose it). Errors: PermissionDenied when no policy matches the
  // label, ResourceExhausted over max_clients, AlreadyExists for a MAC.
  virtual absl::StatusOr<Member> AddClient(std::string_view label,
                                           const MacAddress& mac, Port* port,
                                           uint64_t now_ns) = 0;
  // `uplink` is an index of config.uplinks, `instance` one of its instances.
  // Of those that were added, the first whose port has a link is active; the
  // engine looks at every Turn.
  virtual absl::StatusOr<MemberId> AddUplink(size_t uplink, size_t instance,
                                             Port* port, uint64_t now_ns) = 0;
  // The port is not touched any more. Flows of the client end; those through an
  // uplink stay.
  virtual void Remove(MemberId member) = 0;
  // The domain of a client under the current configuration, empty if it was
  // removed.
  virtual std::string DomainOf(MemberId client) const = 0;

  // Changes to `config` at run time. Flows that it still allows go on. Clients
  // that no policy matches any more are removed, and returned. Uplink groups
  // that are new or changed have no ports yet; those that are equal keep them,
  // whatever their index. max_flows and max_clients cannot grow beyond what
  // Create was given (InvalidArgument; nothing was changed).
  virtual absl::StatusOr<std::vector<MemberId>> Reconfigure(
      const RouterConfig& config, uint64_t now_ns) = 0;

  // --- running ---

  // Moves at most a fair share of each port's waiting frames, and does what is
  // due. True: something moved, more may wait. False: nothing to do before a
  // port has news or the deadline comes.
  virtual bool Turn(uint64_t now_ns) = 0;
  // When Turn must be called though no port has news; nullopt: never.
  virtual std::optional<uint64_t> NextDeadline() const = 0;

  // --- identity, and local protocols ---

  // Not owned; may be null. Set before the first Turn.
  virtual void SetLocalProtocols(LocalProtocols* protocols) = 0;
  // For domains without `interface`: from DHCP. Flows that used another address
  // end; the same address again keeps them.
  virtual void SetIdentity(std::string_view domain,
                           const std::optional<Ipv4Prefix>& interface,
                           std::optional<Ipv4Address> gateway,
                           uint64_t now_ns) = 0;
  // The client was leased this address: no other member of the domain may use
  // it as its source, and the client uses no other of the domain's network.
  // nullopt takes that back.
  virtual void BindAddress(MemberId client,
                           std::optional<Ipv4Address> address) = 0;
  virtual void LearnNeighbour6(std::string_view domain,
                               const Ipv6Address& address,
                               const MacAddress& mac, uint64_t now_ns) = 0;
  // Sends a whole Ethernet frame to one member of the domain, or to where its
  // destination MAC leads. Published by the next Turn, or the running one.
  virtual void SendFrame(std::string_view domain, MemberId to,
                         std::span<const uint8_t> frame) = 0;
  // The router's MAC as seen by this member, and by the domain's clients.
  virtual MacAddress RouterMac(std::string_view domain,
                               MemberId towards = kEveryMember) const = 0;
  // Who is in the domain: its clients, and the active uplink of each group that
  // carries it. Allocates.
  virtual std::vector<MemberId> MembersOf(std::string_view domain) const = 0;
  // The first of those uplinks that has a link; 0: none.
  virtual MemberId UplinkOf(std::string_view domain) const = 0;
  // Survives with the rest of the state, checked by who uses it.
  virtual std::span<uint8_t> lease_memory() = 0;

  // --- reports ---

  virtual Table Links() const = 0;
  virtual Table Domains() const = 0;
  virtual Table Rules() const = 0;
  virtual Table Arp() const = 0;
  virtual Table Clients() const = 0;
  virtual Table Uplinks() const = 0;
  // name, value: of the whole engine; drops by reason as `drop_<reason>`.
  virtual Table Counters() const = 0;
  // What would happen to a first packet: "tcp 10.0.1.5:443 from LABEL", "udp
  // …", "icmp 10.0.1.5 from LABEL". InvalidArgument says what is expected.
  virtual absl::StatusOr<std::vector<std::string>> Explain(
      std::string_view question) const = 0;
};

}  // namespace bulkhead::nic_router

#endif  // BULKHEAD_NIC_ROUTER_ENGINE_ENGINE_H_
