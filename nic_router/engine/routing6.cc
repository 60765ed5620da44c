// IPv6 between domains: the same links, without translation.
#include <algorithm>

#include "nic_router/engine/engine_core.h"
#include "nic_router/packet/icmp.h"
#include "nic_router/packet/ipv6.h"
#include "nic_router/packet/tcp.h"
#include "nic_router/packet/udp.h"

namespace bulkhead::nic_router {
namespace {

// Nothing of these scopes leaves its link (RFC 4291 2.5).
bool StaysOnLink(const Ipv6Address& address) {
  Ipv6Address loopback{};
  loopback[15] = 1;
  return IsMulticast(address) || IsLinkLocal(address) ||
         IsUnspecified(address) || address == loopback;
}

}  // namespace

DropReason EngineCore::Route6(Frame& frame) {
  if (frame.has_key) [[likely]] {
    const FlowRef reference = flows_.Find(KeyOf(frame), frame.hash);
    if (reference) return ForwardLink6(frame, reference);
  } else if (frame.fragment && !frame.first_fragment) {
    return ForwardLater(frame);
  }
  const DomainRules& rules = ruleset_[attachments_[frame.source].domain];
  const Ipv6Address source = LoadIpv6(frame.ip() + 8);
  const Ipv6Address destination = LoadIpv6(frame.ip() + 24);
  const bool icmp = frame.protocol == kProtocolIcmp6;
  if (icmp && !frame.fragment && frame.icmp_type >= kIcmp6RouterSolicitation &&
      frame.icmp_type <= kIcmp6NeighbourAdvertisement) {
    return HandleDiscovery(frame);
  }
  const bool own = rules.config.interface6.has_value() &&
                   destination == rules.config.interface6->address;
  if (own || IsLinkLocal(destination)) {
    if (icmp && frame.icmp_type == kIcmp6EchoRequest && !frame.fragment &&
        rules.config.icmp_echo_server) {
      return AnswerEcho6(frame);
    }
    return DropReason::kNoSocket;
  }
  if (StaysOnLink(source) || StaysOnLink(destination)) {
    return DropReason::kIpLocalNet;
  }
  if (icmp && !frame.has_key) return ForwardError6(frame);
  return OpenLink6(frame);
}

DropReason EngineCore::OpenLink6(Frame& frame) {
  const uint16_t domain = attachments_[frame.source].domain;
  const Ipv6Address destination = LoadIpv6(frame.ip() + 24);
  const Decision decision = ruleset_.Decide6(domain, destination);
  if (decision.kind == Decision::Kind::kRefused) {
    SendError6(frame, kIcmp6Unreachable, kIcmp6NoRoute);
    return decision.reason;
  }
  if (frame.protocol == kProtocolTcp && (frame.tcp_flags & kTcpRst) != 0) {
    return DropReason::kTcpNoFlow;
  }
  if (frame.protocol == kProtocolIcmp6 &&
      frame.icmp_type != kIcmp6EchoRequest) {
    return DropReason::kIcmpNoFlow;
  }
  if (frame.ttl <= 1) {
    SendError6(frame, kIcmp6TimeExceeded, 0);
    return DropReason::kTtlExceeded;
  }
  if (const DropReason sum = CheckUpperSum6(frame); sum != DropReason::kNone) {
    return sum;
  }
  Flow flow{};
  flow.key[0] = KeyOf(frame).key;
  flow.key[1] = flow.key[0];
  std::swap(flow.key[1].source_port, flow.key[1].destination_port);
  flow.key[1].domain = decision.domain;
  flow.source6 = LoadIpv6(frame.ip() + 8);
  flow.destination6 = destination;
  flow.rule = decision.rule;
  FlowRef reference;
  if (const DropReason made = MakeLink(frame, flow, reference);
      made != DropReason::kNone) {
    return made;
  }
  return ForwardLink6(frame, reference);
}

NextHop EngineCore::Resolve6(uint16_t domain, const Ipv6Address& destination,
                             uint32_t& hint) {
  const DomainConfig& config = ruleset_[domain].config;
  if (!config.interface6.has_value()) {
    return {.reason = DropReason::kNoIdentity};
  }
  if (destination == config.interface6->address) {
    return {.reason = DropReason::kIpLocalNet};
  }
  if (Contains(*config.interface6, destination)) {
    return LookUp(domain, 6, destination, hint);
  }
  if (!config.gateway6.has_value()) {
    return {.reason = DropReason::kIpOutNoRoutes};
  }
  return LookUp(domain, 6, *config.gateway6, hint);
}

DropReason EngineCore::ForwardLink6(Frame& frame, FlowRef reference) {
  Flow& flow = flows_[reference.flow()];
  const uint32_t direction = reference.direction();
  const uint16_t domain = flow.key[1 - direction].domain;
  const Ipv6Address destination = LoadIpv6(frame.ip() + 24);
  const NextHop next = Resolve6(domain, destination, flow.neighbour[direction]);
  if (frame.ttl <= 1) {
    SendError6(frame, kIcmp6TimeExceeded, 0);
    return DropReason::kTtlExceeded;
  }
  if (next.reason != DropReason::kNone) {
    if (next.reason == DropReason::kIpOutNoRoutes) {
      SendError6(frame, kIcmp6Unreachable, kIcmp6NoRoute);
    }
    return next.reason;
  }
  if (next.attachment == kNoAttachment) {
    const DomainConfig& config = ruleset_[domain].config;
    return KeepWaiting(frame, domain, 6,
                       Contains(*config.interface6, destination)
                           ? destination
                           : *config.gateway6);
  }
  if (frame.first_fragment) {
    const DropReason reason = NoteFirstFragment(frame, reference);
    if (reason != DropReason::kNone) return reason;
  }
  const DropReason sent = Leave6(frame, next);
  if (sent == DropReason::kNone) Touch(reference, frame);
  return sent;
}

DropReason EngineCore::Leave6(Frame& frame, const NextHop& next) {
  const uint16_t line = LineOf(attachments_[next.attachment]);
  if (line == kNoLine) return DropReason::kNoLink;
  if (frame.ip_end - kEthernetBytes > lines_[line]->mtu) {
    SendError6(frame, kIcmp6PacketTooBig, 0, lines_[line]->mtu);
    return DropReason::kPktTooBig;
  }
  uint8_t* const head = frame.head();
  frame.ip()[7] = static_cast<uint8_t>(frame.ttl - 1);
  StoreMac(head, *next.mac);
  StoreMac(head + kMacBytes, OwnMac(attachments_[next.attachment]));
  return SendFrameOn(next.attachment, frame, frame.ip_end);
}

DropReason EngineCore::CheckUpperSum6(Frame& frame) {
  if (frame.checksum_good || frame.fragment) return DropReason::kNone;
  DropReason reason = DropReason::kNone;
  if (frame.protocol == kProtocolTcp) reason = DropReason::kTcpCsum;
  if (frame.protocol == kProtocolUdp) reason = DropReason::kUdpCsum;
  if (frame.protocol == kProtocolIcmp6) reason = DropReason::kIcmpCsum;
  if (reason == DropReason::kNone) return reason;
  MakePrivate(frame);
  std::span<const uint8_t> upper =
      std::span(slow_.get(), frame.ip_end).subspan(frame.upper);
  if (frame.protocol == kProtocolUdp) {
    const auto udp = UdpView::In(upper);
    // There is no "none" in IPv6 (RFC 8200 8.1).
    if (udp->checksum() == 0) return reason;
    upper = upper.first(udp->length());
  }
  ChecksumSum sum =
      PseudoHeader6(LoadIpv6(frame.ip() + 8), LoadIpv6(frame.ip() + 24),
                    frame.protocol, static_cast<uint32_t>(upper.size()));
  sum.Add(upper);
  return sum.Good() ? DropReason::kNone : reason;
}

}  // namespace bulkhead::nic_router
