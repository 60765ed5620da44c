// The router's part in a domain's neighbour discovery (RFC 4861): it answers
// for its own addresses, duplicate address detection included, asks for
// others', and advertises itself as the router of the domain's prefix.
//
// A client cannot take what is another's (REFERENCE 8, attack 25): it speaks of
// its own MAC alone, and an answer counts only to a question that is open. Who
// may use which address, and whether a client may advertise as a router at all,
// the engine has decided before.
//
// Left out: the router's own duplicate address detection (its addresses are the
// domain's configuration), redirects, anycast.
//
// Requires: one thread; `now_ns` never goes back.
// Guarantees: nothing allocates; a message is answered by at most one frame,
// and advertisements to all keep three seconds from each other (10).
#ifndef BULKHEAD_NIC_ROUTER_IPV6_NEIGHBOUR_DISCOVERY_H_
#define BULKHEAD_NIC_ROUTER_IPV6_NEIGHBOUR_DISCOVERY_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "nic_router/config.h"
#include "nic_router/ipv6/nd_frame.h"
#include "nic_router/ipv6/nd_message.h"
#include "nic_router/seeded_random.h"

namespace bulkhead::nic_router::ipv6 {

enum class NdVerdict : uint8_t {
  kTaken,
  kNotForRouter,  // Between others.
  // Dropped, and why:
  kMalformed,
  kSpoofed,    // A client that speaks of another MAC than its own.
  kUnexpected  // An answer that nobody asked for.
};

struct NdResult {
  NdVerdict verdict = NdVerdict::kTaken;
  bool reply = false;  // `out` is to be sent to where the message came from.
  // A neighbour that was made known, to be believed as far as the engine
  // allows.
  struct Learned {
    Ipv6Address address{};
    MacAddress mac{};
  };
  std::optional<Learned> learned{};
};

class NeighbourDiscovery {
 public:
  struct Settings {
    Ipv6Prefix interface;
    bool advertise = false;
    uint32_t mtu = 0;  // 0: the link's own.
    // Of the domain's clients' side; it makes the link-local address.
    MacAddress mac{};
  };
  // Questions that may be open at a time, and for how long an answer counts
  // (RFC 4861 10: three tries of a second).
  static constexpr size_t kMaxOpen = 64;
  static constexpr uint64_t kOpenNs = 3'000'000'000;

  NeighbourDiscovery(const Settings& settings, uint64_t seed, uint64_t now_ns);

  // What a received message was found to be: `packet` from its IPv6 header on.
  struct Received {
    std::span<const uint8_t> packet;
    size_t message_offset = 0;
    size_t message_bytes = 0;
    MacAddress sender{};  // Of the frame.
    bool from_client = false;
    MacAddress router_mac{};  // As the sender knows it.
  };
  NdResult Handle(const Received& received, uint64_t now_ns, NdFrame& out);

  // Opens a question. False: too many are open.
  [[nodiscard]] bool Open(const Ipv6Address& address, uint64_t now_ns);
  // Asks it, where the router has this MAC.
  void Solicit(const Ipv6Address& address, const MacAddress& router_mac,
               NdFrame& out) const;

  // Whether an advertisement to all has to be sent now; the next one is not
  // before its time.
  [[nodiscard]] bool AdvertisementIsDue(uint64_t now_ns);
  std::optional<uint64_t> NextDeadline() const;
  void Advertise(const MacAddress& router_mac, NdFrame& out) const;
  // The last advertisement, of a router that is one no longer (6.2.5).
  void Farewell(const MacAddress& router_mac, NdFrame& out) const;

  const Ipv6Address& link_local() const { return link_local_; }

 private:
  struct Question {
    Ipv6Address address{};
    uint64_t until_ns = 0;
  };

  bool IsOwn(const Ipv6Address& address) const {
    return address == settings_.interface.address || address == link_local_;
  }
  NdResult TakeSolicitation(const NdMessage& in, const Received& received,
                            NdFrame& out);
  NdResult TakeAdvertisement(const NdMessage& in, const Received& received,
                             uint64_t now_ns);
  NdResult TakeRouterSolicitation(const NdMessage& in, const Received& received,
                                  uint64_t now_ns, NdFrame& out);
  void WriteRouter(const NdRoute& route, uint16_t lifetime_s,
                   NdFrame& out) const;
  NdRoute ToAll(const MacAddress& router_mac) const;

  Settings settings_;
  Ipv6Address link_local_;
  SeededRandom random_;
  std::array<Question, kMaxOpen> open_{};
  uint32_t sent_ = 0;  // Advertisements to all; the first ones come faster.
  uint64_t last_sent_ns_ = 0;
  uint64_t next_send_ns_ = 0;
};

}  // namespace bulkhead::nic_router::ipv6

#endif  // BULKHEAD_NIC_ROUTER_IPV6_NEIGHBOUR_DISCOVERY_H_
