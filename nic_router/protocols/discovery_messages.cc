// Neighbour discovery between the engine's frames and the state machine.
#include "nic_router/packet/ethernet.h"
#include "nic_router/protocols/domain_protocols.h"

namespace bulkhead::nic_router {
namespace {

ProtocolCounter CounterOf(ipv6::NdVerdict verdict) {
  switch (verdict) {
    case ipv6::NdVerdict::kTaken:
      return ProtocolCounter::kNdTaken;
    case ipv6::NdVerdict::kNotForRouter:
      return ProtocolCounter::kNdNotForRouter;
    case ipv6::NdVerdict::kMalformed:
      return ProtocolCounter::kNdMalformed;
    case ipv6::NdVerdict::kSpoofed:
      return ProtocolCounter::kNdSpoofed;
    case ipv6::NdVerdict::kUnexpected:
      return ProtocolCounter::kNdUnexpected;
  }
  return ProtocolCounter::kNdMalformed;
}

}  // namespace

void DomainProtocols::OnNeighbourDiscovery(const LocalFrame& frame) {
  Domain* domain = Find(frame.domain);
  if (domain == nullptr || domain->discovery == nullptr) {
    return Count(ProtocolCounter::kNdNoDomain);
  }
  ipv6::NdFrame out;
  const ipv6::NdResult result = domain->discovery->Handle(
      {.packet = frame.bytes.subspan(frame.ip_offset),
       .message_offset = frame.payload_offset - frame.ip_offset,
       .message_bytes = frame.payload_bytes,
       .sender = LoadMac(&frame.bytes[kMacBytes]),
       .from_client = frame.from_client,
       .router_mac = engine_.RouterMac(frame.domain, frame.from)},
      now_ns_, out);
  Count(CounterOf(result.verdict));
  if (result.learned) {
    engine_.LearnNeighbour6(frame.domain, result.learned->address,
                            result.learned->mac, now_ns_);
  }
  if (result.reply) engine_.SendFrame(frame.domain, frame.from, out.frame());
}

void DomainProtocols::Resolve6(std::string_view name,
                               const Ipv6Address& address) {
  Domain* domain = Find(name);
  if (domain == nullptr || domain->discovery == nullptr) return;
  if (!domain->discovery->Open(address, now_ns_)) {
    return Count(ProtocolCounter::kNdTooManyOpen);
  }
  SendToEach(name, [&](const MacAddress& own, ipv6::NdFrame& out) {
    domain->discovery->Solicit(address, own, out);
  });
}

void DomainProtocols::AdvanceDiscovery(Domain& domain) {
  if (!domain.discovery->AdvertisementIsDue(now_ns_)) return;
  SendToEach(domain.config.name,
             [&domain](const MacAddress& own, ipv6::NdFrame& out) {
               domain.discovery->Advertise(own, out);
             });
}

}  // namespace bulkhead::nic_router
