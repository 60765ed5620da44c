#include "nic_router/ipv6/neighbour_discovery.h"

#include <algorithm>

#include "nic_router/packet/ipv6.h"

namespace bulkhead::nic_router::ipv6 {
namespace {

constexpr uint64_t kNsPerSecond = 1'000'000'000;
// RFC 4861 6.2.1, defaults.
constexpr uint64_t kMaxIntervalNs = 600 * kNsPerSecond;
constexpr uint64_t kMinIntervalNs = 200 * kNsPerSecond;
constexpr uint16_t kRouterLifetimeS = 1800;
constexpr uint32_t kValidS = 2'592'000;
constexpr uint32_t kPreferredS = 604'800;
// Section 10.
constexpr uint64_t kInitialIntervalNs = 16 * kNsPerSecond;
constexpr uint32_t kInitialAdvertisements = 3;
constexpr uint64_t kMinDelayNs = 3 * kNsPerSecond;

}  // namespace

NeighbourDiscovery::NeighbourDiscovery(const Settings& settings, uint64_t seed,
                                       uint64_t now_ns)
    : settings_(settings),
      link_local_(LinkLocal(settings.mac)),
      random_(seed),
      next_send_ns_(now_ns) {}

NdResult NeighbourDiscovery::Handle(const Received& received, uint64_t now_ns,
                                    NdFrame& out) {
  NdMessage in;
  if (ParseNdMessage(received.packet, received.message_offset,
                     received.message_bytes, in) != NdError::kNone) {
    return {.verdict = NdVerdict::kMalformed};
  }
  // Nobody but a proxy speaks of a MAC that is not its own, and no client is
  // one.
  const MacAddress& sender = received.sender;
  if (received.from_client && (in.source_mac.value_or(sender) != sender ||
                               in.target_mac.value_or(sender) != sender)) {
    return {.verdict = NdVerdict::kSpoofed};
  }
  switch (in.type) {
    case NdType::kNeighbourSolicitation:
      return TakeSolicitation(in, received, out);
    case NdType::kNeighbourAdvertisement:
      return TakeAdvertisement(in, received, now_ns);
    case NdType::kRouterSolicitation:
      return TakeRouterSolicitation(in, received, now_ns, out);
    case NdType::kRouterAdvertisement:
      break;
  }
  return {.verdict = NdVerdict::kNotForRouter};
}

// RFC 4861 7.2.3, 7.2.4.
NdResult NeighbourDiscovery::TakeSolicitation(const NdMessage& in,
                                              const Received& received,
                                              NdFrame& out) {
  if (!IsOwn(in.target)) return {.verdict = NdVerdict::kNotForRouter};
  NdResult result = {.reply = true};
  const NdRoute route = {.from_mac = received.router_mac,
                         .to_mac = received.sender,
                         .from = in.target,
                         .to = in.source};
  if (IsUnspecified(in.source)) {
    // Somebody is about to take our address (RFC 4862 5.4).
    NdRoute to_all = route;
    to_all.to_mac = MulticastMac(kAllNodes);
    to_all.to = kAllNodes;
    WriteAdvertisement(to_all, in.target, false, out);
    return result;
  }
  WriteAdvertisement(route, in.target, true, out);
  if (in.source_mac) result.learned = {{in.source, *in.source_mac}};
  return result;
}

// RFC 4861 7.2.5, but that an advertisement nobody asked for changes nothing,
// not even an entry that exists: what it would tell, the next question will.
NdResult NeighbourDiscovery::TakeAdvertisement(const NdMessage& in,
                                               const Received& received,
                                               uint64_t now_ns) {
  for (Question& open : open_) {
    if (open.until_ns <= now_ns || open.address != in.target) continue;
    open = Question();
    const MacAddress mac = in.target_mac.value_or(received.sender);
    return {.learned = {{in.target, mac}}};
  }
  if (IsOwn(in.target)) return {.verdict = NdVerdict::kSpoofed};
  return {.verdict = NdVerdict::kUnexpected};
}

// RFC 4861 6.2.6. Who has an address is answered alone; an answer to all waits
// for its time.
NdResult NeighbourDiscovery::TakeRouterSolicitation(const NdMessage& in,
                                                    const Received& received,
                                                    uint64_t now_ns,
                                                    NdFrame& out) {
  if (!settings_.advertise) return {.verdict = NdVerdict::kNotForRouter};
  if (IsUnspecified(in.source)) {
    const uint64_t soonest =
        sent_ == 0 ? now_ns : std::max(now_ns, last_sent_ns_ + kMinDelayNs);
    next_send_ns_ = std::min(next_send_ns_, soonest);
    return {};
  }
  WriteRouter({.from_mac = received.router_mac,
               .to_mac = received.sender,
               .from = link_local_,
               .to = in.source},
              kRouterLifetimeS, out);
  NdResult result = {.reply = true};
  if (in.source_mac) result.learned = {{in.source, *in.source_mac}};
  return result;
}

bool NeighbourDiscovery::Open(const Ipv6Address& address, uint64_t now_ns) {
  Question* place = nullptr;
  for (Question& open : open_) {
    if (open.address == address) {
      place = &open;
      break;
    }
    if (place == nullptr && open.until_ns <= now_ns) place = &open;
  }
  if (place == nullptr) return false;
  *place = {address, now_ns + kOpenNs};
  return true;
}

void NeighbourDiscovery::Solicit(const Ipv6Address& address,
                                 const MacAddress& router_mac,
                                 NdFrame& out) const {
  const Ipv6Address group = SolicitedNode(address);
  WriteSolicitation(
      {.from_mac = router_mac,
       .to_mac = MulticastMac(group),
       .from = IsLinkLocal(address) ? link_local_ : settings_.interface.address,
       .to = group},
      address, out);
}

bool NeighbourDiscovery::AdvertisementIsDue(uint64_t now_ns) {
  if (!settings_.advertise || now_ns < next_send_ns_) return false;
  ++sent_;
  last_sent_ns_ = now_ns;
  uint64_t wait =
      kMinIntervalNs + random_.Below(kMaxIntervalNs - kMinIntervalNs);
  if (sent_ < kInitialAdvertisements) wait = kInitialIntervalNs;
  next_send_ns_ = now_ns + wait;
  return true;
}

std::optional<uint64_t> NeighbourDiscovery::NextDeadline() const {
  if (!settings_.advertise) return std::nullopt;
  return next_send_ns_;
}

void NeighbourDiscovery::Advertise(const MacAddress& router_mac,
                                   NdFrame& out) const {
  WriteRouter(ToAll(router_mac), kRouterLifetimeS, out);
}

void NeighbourDiscovery::Farewell(const MacAddress& router_mac,
                                  NdFrame& out) const {
  WriteRouter(ToAll(router_mac), 0, out);
}

NdRoute NeighbourDiscovery::ToAll(const MacAddress& router_mac) const {
  return {.from_mac = router_mac,
          .to_mac = MulticastMac(kAllNodes),
          .from = link_local_,
          .to = kAllNodes};
}

void NeighbourDiscovery::WriteRouter(const NdRoute& route, uint16_t lifetime_s,
                                     NdFrame& out) const {
  WriteRouterAdvertisement(route,
                           {.prefix = settings_.interface,
                            .router_lifetime_s = lifetime_s,
                            .valid_s = kValidS,
                            .preferred_s = lifetime_s == 0 ? 0 : kPreferredS,
                            .mtu = settings_.mtu},
                           out);
}

}  // namespace bulkhead::nic_router::ipv6
