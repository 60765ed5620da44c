// A domain's DHCP server (RFC 2131 4.3): a message in, at most one out.
//
// Authoritative: the router owns the domain's addresses, so a client that asks
// for one that it cannot have is told so at once, also when nothing is known of
// it; and a client that says which free address it had gets that one, so that
// lost leases heal by themselves.
//
// A client is its MAC, not its client identifier: the MAC is given by the
// session or read off the frame, and a message that names another is dropped
// (REFERENCE 8, attack 25). Relay agents are not served: they would have to be
// believed. An address is not probed before it is offered; who finds somebody
// there declines.
//
// Guarantees: Handle allocates nothing; every message has one verdict, to be
// counted by the caller (S8).
// Threading: one thread. `now_ns` is CLOCK_MONOTONIC and never goes back.
#ifndef BULKHEAD_NIC_ROUTER_DHCP_SERVER_H_
#define BULKHEAD_NIC_ROUTER_DHCP_SERVER_H_

#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "nic_router/config.h"
#include "nic_router/dhcp/lease_memory.h"
#include "nic_router/dhcp/lease_pool.h"
#include "nic_router/dhcp/message.h"

namespace bulkhead::nic_router::dhcp {

enum class ServerVerdict : uint8_t {
  kAnswered,
  kTaken,  // Did what it should; nothing to say.
  // Dropped, and why:
  kMalformed,
  kNotForServers,  // A server's message, or of a type that only they send.
  kRelayed,
  kSpoofed,       // Names another MAC than the sender's.
  kUnknownLease,  // Gives back or declines what it does not have.
  kExhausted,     // No address left.
};

// UDP from the server's address and kServerPort to kClientPort.
struct ServerReply {
  std::array<uint8_t, kMaxMessageBytes> bytes;
  size_t size = 0;
  Ipv4Address to = 0;  // 255.255.255.255 with a broadcast MAC, or unicast.
  MacAddress to_mac{};
};

class DhcpServer {
 public:
  struct Settings {
    std::string domain;
    Ipv4Prefix interface;
    DhcpServerConfig config;
  };
  struct Counters {
    uint64_t offers = 0;
    uint64_t acks = 0;
    uint64_t naks = 0;
    uint64_t releases = 0;
    uint64_t declines = 0;
    uint64_t exhausted = 0;
  };

  // What is offered stays reserved for so long, and what was declined is given
  // to nobody.
  static constexpr uint64_t kOfferNs = 30'000'000'000;
  static constexpr uint64_t kDeclinedNs = 600'000'000'000;

  // Requires: settings.config.first … last lie in the network of
  // settings.interface; `memory` outlives the server, and a server of the same
  // domain before it is gone.
  DhcpServer(const Settings& settings, LeaseMemory& memory, uint64_t now_ns);

  // `message` is the UDP payload of a datagram to kServerPort; `sender` whom
  // its frame is from. `reply` is filled when the verdict is kAnswered.
  ServerVerdict Handle(std::span<const uint8_t> message,
                       const MacAddress& sender, uint64_t now_ns,
                       ServerReply& reply);
  // Ends leases that are over. Call now and then; once a second will do.
  void Expire(uint64_t now_ns) { pool_.Expire(now_ns); }

  // The servers of the domain that `dns_from` names. True: clients have older
  // ones, so let their link go down and up, that they ask again.
  bool SetDns(const AddressList& dns);

  const LeasePool& pool() const { return pool_; }
  const Counters& counters() const { return counters_; }

 private:
  ServerVerdict Discover(const Message& in, uint64_t now_ns,
                         ServerReply& reply);
  ServerVerdict Request(const Message& in, uint64_t now_ns, ServerReply& reply);
  ServerVerdict GiveBack(const Message& in, uint64_t now_ns);
  ServerVerdict Inform(const Message& in, ServerReply& reply);

  ServerVerdict Grant(const Message& in, MessageType type, Ipv4Address address,
                      ServerReply& reply);
  ServerVerdict Refuse(const Message& in, ServerReply& reply);
  void Describe(const Message& in, Message& out) const;
  bool InNetwork(Ipv4Address address) const;

  Settings settings_;
  Ipv4Address netmask_;
  uint64_t lease_ns_;
  AddressList dns_;
  LeasePool pool_;
  Counters counters_;
};

}  // namespace bulkhead::nic_router::dhcp

#endif  // BULKHEAD_NIC_ROUTER_DHCP_SERVER_H_
