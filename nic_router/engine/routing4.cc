// IPv4 between domains: links, rules, NAT, fragments.
#include <algorithm>

#include "nic_router/engine/engine_core.h"
#include "nic_router/engine/hash.h"
#include "nic_router/packet/icmp.h"
#include "nic_router/packet/ipv4.h"
#include "nic_router/packet/tcp.h"
#include "nic_router/packet/udp.h"

namespace bulkhead::nic_router {
namespace {

// NAPT's ports, RFC 6335's dynamic ones.
constexpr uint16_t kFirstPort = 49152;
constexpr uint32_t kPorts = 16384;
// A port is free when no link to the same peer has it. Trying all of them for
// each packet of a flood would be dear; so many find one of a hundred.
constexpr uint32_t kPortTries = 1024;

uint16_t FieldsOfFragments(const Frame& frame) {
  return static_cast<uint16_t>(frame.ip_end - frame.upper);
}

}  // namespace

PacketKey EngineCore::KeyOf(const Frame& frame) const {
  PacketKey key;
  const bool v4 = frame.kind == FrameKind::kIpv4;
  key.key = {.source = v4 ? frame.source4 : 0,
             .destination = v4 ? frame.destination4 : 0,
             .source_port = frame.source_port,
             .destination_port = frame.destination_port,
             .protocol = frame.protocol,
             .version = static_cast<uint8_t>(v4 ? 4 : 6),
             .domain = attachments_[frame.source].domain};
  if (!v4) {
    // Addresses have no alignment to keep.
    key.source6 = reinterpret_cast<const Ipv6Address*>(frame.ip() + 8);
    key.destination6 = reinterpret_cast<const Ipv6Address*>(frame.ip() + 24);
  }
  return key;
}

DropReason EngineCore::Route4(Frame& frame) {
  if (frame.has_key) [[likely]] {
    const FlowRef reference = flows_.Find(KeyOf(frame), frame.hash);
    if (reference) [[likely]] {
      return ForwardLink(frame, reference);
    }
  } else if (frame.fragment && !frame.first_fragment) {
    return ForwardLater(frame);
  }
  if (frame.source4 == 0 && !IsDhcp(frame)) {
    return DropReason::kIpInvalidSource;
  }
  if (IsDhcp(frame)) return HandleDhcp(frame);
  const DomainRules& rules = ruleset_[attachments_[frame.source].domain];
  if (frame.protocol == kProtocolIcmp) {
    if (frame.icmp_type == kIcmpEchoRequest && rules.identity.has_value() &&
        frame.destination4 == rules.identity->address &&
        rules.config.icmp_echo_server && !frame.fragment) {
      return AnswerEcho4(frame);
    }
    if (!frame.has_key) return ForwardError4(frame);
  }
  return OpenLink4(frame);
}

// --- links ---

EngineCore::Endpoints4 EngineCore::Translated(const Flow& flow,
                                              uint32_t direction) {
  const FlowKey& other = flow.key[1 - direction];
  return {.source = other.destination,
          .destination = other.source,
          .source_port = other.destination_port,
          .destination_port = other.source_port};
}

DropReason EngineCore::ForwardLink(Frame& frame, FlowRef reference) {
  Flow& flow = flows_[reference.flow()];
  const uint32_t direction = reference.direction();
  const Endpoints4 to = Translated(flow, direction);
  const uint16_t domain = flow.key[1 - direction].domain;
  const NextHop next =
      Resolve4(domain, to.destination, flow.neighbour[direction]);
  if (const DropReason reason = MayLeave4(frame, next);
      reason != DropReason::kNone) [[unlikely]] {
    return reason;
  }
  if (next.attachment == kNoAttachment) [[unlikely]] {
    const DomainRules& rules = ruleset_[domain];
    return KeepWaiting(
        frame, domain, 4,
        AddressOf(Contains(*rules.identity, to.destination) ? to.destination
                                                            : *rules.gateway));
  }
  if (frame.first_fragment) [[unlikely]] {
    const DropReason reason = NoteFirstFragment(frame, reference);
    if (reason != DropReason::kNone) return reason;
  }
  const DropReason sent = Leave4(frame, next, to);
  if (sent == DropReason::kNone) Touch(reference, frame);
  return sent;
}

// A packet went through.
void EngineCore::Touch(FlowRef reference, const Frame& frame) {
  Flow& flow = flows_[reference.flow()];
  ++flow.packets;
  if (frame.protocol == kProtocolTcp) {
    FollowTcp(reference, frame.tcp_flags);
  } else {
    if (reference.direction() == 1 && flow.state == FlowState::kOpening) {
      flow.state = FlowState::kOpen;
    }
    flow.last_seen_ms = now_ms_;
  }
  CountRule(flow.rule, frame);
}

void EngineCore::FollowTcp(FlowRef reference, uint8_t flags) {
  Flow& flow = flows_[reference.flow()];
  const FlowState before = flow.state;
  const uint8_t own_fin = reference.direction() == 0 ? kFlowFin0 : kFlowFin1;
  if ((flags & kTcpRst) != 0) {
    // Whether the other side believes it, we do not know: what follows it
    // tells.
    flow.state = FlowState::kReset;
  } else if ((flags & (kTcpSyn | kTcpAck)) == kTcpSyn &&
             before >= FlowState::kClosing) {
    flow.state = FlowState::kOpening;  // The same ports, used again.
    flow.flags &= static_cast<uint8_t>(~(kFlowFin0 | kFlowFin1));
  } else {
    if ((before == FlowState::kOpening && reference.direction() == 1) ||
        before == FlowState::kReset) {
      flow.state = FlowState::kOpen;
    }
    if ((flags & kTcpFin) != 0) {
      flow.flags |= own_fin;
      flow.state = FlowState::kClosing;
    }
    if ((flow.flags & (kFlowFin0 | kFlowFin1)) == (kFlowFin0 | kFlowFin1)) {
      flow.state = FlowState::kClosed;
    }
  }
  // A closed link ends in its time, whatever still comes.
  if (flow.state != FlowState::kClosed || before != FlowState::kClosed) {
    flow.last_seen_ms = now_ms_;
  }
  if (flow.state != before) flows_.Reschedule(reference.flow());
}

DropReason EngineCore::OpenLink4(Frame& frame) {
  Attachment& in = attachments_[frame.source];
  const Decision decision =
      ruleset_.Decide4(in.domain, frame.protocol, frame.destination4,
                       frame.destination_port, frame.has_key);
  if (decision.kind == Decision::Kind::kRefused) {
    ReplyRefused4(frame, decision.reason);
    return decision.reason;
  }
  if (decision.kind == Decision::Kind::kStateless) {
    return ForwardStateless4(frame, decision);
  }
  // State is made by what will go through, and not by noise.
  if (frame.protocol == kProtocolTcp && (frame.tcp_flags & kTcpRst) != 0) {
    return DropReason::kTcpNoFlow;
  }
  if (frame.protocol == kProtocolIcmp && frame.icmp_type != kIcmpEchoRequest) {
    return DropReason::kIcmpNoFlow;
  }
  if (frame.ttl <= 1) {
    SendError4(frame, kIcmpTimeExceeded, 0);
    return DropReason::kTtlExceeded;
  }
  if (const DropReason sum = CheckUpperSum4(frame); sum != DropReason::kNone) {
    return sum;
  }
  const DomainRules& target = ruleset_[decision.domain];
  if (!target.identity.has_value()) return DropReason::kNoIdentity;
  Flow flow{};
  flow.key[0] = KeyOf(frame).key;
  flow.key[1] = {.source = decision.destination,
                 .destination = decision.translate ? target.identity->address
                                                   : frame.source4,
                 .source_port = frame.protocol == kProtocolIcmp
                                    ? uint16_t{0}
                                    : decision.destination_port,
                 .destination_port = frame.source_port,
                 .protocol = frame.protocol,
                 .version = 4,
                 .domain = decision.domain};
  flow.rule = decision.rule;
  if (decision.translate) flow.flags |= kFlowTranslated;
  if (decision.kind == Decision::Kind::kForward) flow.flags |= kFlowForwarded;
  FlowRef reference;
  if (const DropReason made = MakeLink(frame, flow, reference);
      made != DropReason::kNone) {
    return made;
  }
  return ForwardLink(frame, reference);
}

DropReason EngineCore::MakeLink(const Frame& frame, Flow& flow,
                                FlowRef& reference) {
  Attachment& in = attachments_[frame.source];
  if (flows_.full() && !MakeRoom(frame.source)) {
    return DropReason::kFlowTableFull;
  }
  if ((flow.flags & kFlowTranslated) != 0) {
    const DropReason picked = PickPort(flow);
    if (picked != DropReason::kNone) return picked;
  } else {
    PacketKey answer{.key = flow.key[1],
                     .source6 = &flow.destination6,
                     .destination6 = &flow.source6};
    if (flows_.Find(answer, flows_.Hash(answer)) ||
        (flow.key[0] == flow.key[1] && flow.source6 == flow.destination6)) {
      return DropReason::kFlowCollision;
    }
  }
  flow.state =
      frame.protocol == kProtocolTcp ? FlowState::kOpening : FlowState::kOpen;
  flow.client = in.is_client() ? frame.source : kNoAttachment;
  flow.client_id = in.is_client() ? in.label_hash : 0;
  flow.domain_hash[0] = ruleset_[flow.key[0].domain].hash;
  flow.domain_hash[1] = ruleset_[flow.key[1].domain].hash;
  flow.neighbour[0] = flow.neighbour[1] = kNoNeighbour;
  reference = FlowRef::Of(flows_.Insert(flow, now_ms_), 0);
  if (flow.client != kNoAttachment) ++in.flows;
  if (flow.rule != kNoRule) ++ruleset_.rules()[flow.rule].flows;
  ++counters_.flows_made;
  return DropReason::kNone;
}

// A random one (RFC 6056), from there on.
DropReason EngineCore::PickPort(Flow& flow) {
  NatQuota* const quota =
      ruleset_[flow.key[1].domain].NatFor(flow.key[0].domain);
  const NatKind kind = NatKindOf(flow.key[0].protocol);
  if (quota == nullptr || kind == kNatKinds ||
      quota->used[kind] >= quota->limit[kind]) {
    return DropReason::kNatQuota;
  }
  random_ = MixWords(random_ + 0x9e3779b97f4a7c15, seed_ | 1);
  for (uint32_t i = 0; i < kPortTries; ++i) {
    flow.key[1].destination_port =
        static_cast<uint16_t>(kFirstPort + (random_ + i) % kPorts);
    const PacketKey answer{.key = flow.key[1]};
    if (!flows_.Find(answer, flows_.Hash(answer))) {
      ++quota->used[kind];
      return DropReason::kNone;
    }
  }
  return DropReason::kNatPorts;
}

// Emergency freeing. Who has fewer links than the one that asks keeps them: a
// client that opens them without end pays for it with its own.
bool EngineCore::MakeRoom(uint16_t asking) {
  const auto links_of = [this](uint16_t attachment) {
    return attachment == kNoAttachment || !attachments_[attachment].live
               ? flows_.capacity()
               : attachments_[attachment].flows;
  };
  const uint32_t own =
      attachments_[asking].is_client() ? attachments_[asking].flows : 0;
  const uint32_t victim = flows_.Spare([&](const Flow& flow) -> uint64_t {
    if (flow.client != asking && links_of(flow.client) < own) {
      return FlowTable::kKeep;
    }
    uint64_t worth = 3;
    if (flow.key[0].protocol != kProtocolTcp) {
      worth = 2;
    } else if (flow.state == FlowState::kClosed ||
               flow.state == FlowState::kReset) {
      worth = 0;
    } else if (flow.state != FlowState::kOpen) {
      worth = 1;
    }
    constexpr uint64_t kMostIdle = (uint64_t{1} << 40) - 1;
    const uint64_t idle = std::min(FlowTable::IdleMs(flow, now_ms_), kMostIdle);
    return worth << 40 | (kMostIdle - idle);
  });
  if (victim == flows_.capacity()) return false;
  EndFlow(victim);
  flows_.Erase(victim);
  ++counters_.flows_freed;
  return true;
}

void EngineCore::EndFlow(uint32_t number) {
  const Flow& flow = flows_[number];
  if (flow.client != kNoAttachment) --attachments_[flow.client].flows;
  if ((flow.flags & kFlowTranslated) == 0) return;
  const NatKind kind = NatKindOf(flow.key[0].protocol);
  NatQuota* const quota =
      ruleset_[flow.key[1].domain].NatFor(flow.key[0].domain);
  if (quota != nullptr && kind != kNatKinds && quota->used[kind] > 0) {
    --quota->used[kind];
  }
}

DropReason EngineCore::CheckUpperSum4(Frame& frame) {
  // A fragment's checksum covers what is not here.
  if (frame.checksum_good || frame.fragment) return DropReason::kNone;
  MakePrivate(frame);
  const std::span<const uint8_t> upper =
      std::span(slow_.get(), frame.ip_end).subspan(frame.upper);
  const auto bytes = static_cast<uint16_t>(upper.size());
  switch (frame.protocol) {
    case kProtocolTcp: {
      ChecksumSum sum =
          PseudoHeader4(frame.source4, frame.destination4, kProtocolTcp, bytes);
      sum.Add(upper);
      return sum.Good() ? DropReason::kNone : DropReason::kTcpCsum;
    }
    case kProtocolUdp: {
      const auto udp = UdpView::In(upper);
      if (udp->checksum() == 0) return DropReason::kNone;
      ChecksumSum sum = PseudoHeader4(frame.source4, frame.destination4,
                                      kProtocolUdp, udp->length());
      sum.Add(upper.first(udp->length()));
      return sum.Good() ? DropReason::kNone : DropReason::kUdpCsum;
    }
    case kProtocolIcmp: {
      ChecksumSum sum;
      sum.Add(upper);
      return sum.Good() ? DropReason::kNone : DropReason::kIcmpCsum;
    }
    default:
      return DropReason::kNone;
  }
}

// --- without state ---

DropReason EngineCore::ForwardStateless4(Frame& frame,
                                         const Decision& decision) {
  uint32_t hint = kNoNeighbour;
  const NextHop next = Resolve4(decision.domain, frame.destination4, hint);
  if (const DropReason reason = MayLeave4(frame, next);
      reason != DropReason::kNone) {
    return reason;
  }
  if (next.attachment == kNoAttachment) {
    const DomainRules& rules = ruleset_[decision.domain];
    return KeepWaiting(frame, decision.domain, 4,
                       AddressOf(Contains(*rules.identity, frame.destination4)
                                     ? frame.destination4
                                     : *rules.gateway));
  }
  const bool ports =
      frame.protocol == kProtocolTcp || frame.protocol == kProtocolUdp;
  const DropReason sent = Leave4(
      frame, next,
      {.source = frame.source4,
       .destination = frame.destination4,
       .source_port = ports ? frame.source_port : uint16_t{0},
       .destination_port = ports ? frame.destination_port : uint16_t{0}});
  if (sent == DropReason::kNone) CountRule(decision.rule, frame);
  return sent;
}

// --- fragments ---

FragmentKey EngineCore::FragmentKeyOf(const Frame& frame) const {
  FragmentKey key{};
  key.domain_hash = ruleset_[attachments_[frame.source].domain].hash;
  key.id = frame.fragment_id;
  key.protocol = frame.protocol;
  if (frame.kind == FrameKind::kIpv4) {
    key.version = 4;
    key.source = AddressOf(frame.source4);
    key.destination = AddressOf(frame.destination4);
  } else {
    key.version = 6;
    key.source = LoadIpv6(frame.ip() + 8);
    key.destination = LoadIpv6(frame.ip() + 24);
    // Later ones may name another protocol (RFC 8200 4.5): not of the key.
    key.protocol = 0;
  }
  return key;
}

DropReason EngineCore::NoteFirstFragment(const Frame& frame, FlowRef flow) {
  const FragmentKey key = FragmentKeyOf(frame);
  FragmentTable::Entry* entry = fragments_.Find(key, now_s_);
  if (entry == nullptr) entry = &fragments_.Start(key, now_s_);
  entry->flow = flow;
  entry->flow_check = flows_[flow.flow()].check;
  return FragmentTable::Note(*entry, 0, FieldsOfFragments(frame));
}

DropReason EngineCore::ForwardLater(Frame& frame) {
  FragmentTable::Entry* const entry =
      fragments_.Find(FragmentKeyOf(frame), now_s_);
  if (entry == nullptr) {
    if (frame.kind == FrameKind::kIpv6) return DropReason::kFragNoFirst;
    const Decision decision =
        ruleset_.Decide4(attachments_[frame.source].domain, frame.protocol,
                         frame.destination4, 0, false);
    return decision.kind == Decision::Kind::kStateless
               ? ForwardStateless4(frame, decision)
               : DropReason::kFragNoFirst;
  }
  // The link may have ended, and its place be another's.
  const uint32_t number = entry->flow.flow();
  if (flows_[number].state == FlowState::kFree ||
      flows_[number].check != entry->flow_check) {
    return DropReason::kFragNoFirst;
  }
  const DropReason noted = FragmentTable::Note(
      *entry, frame.fragment_at, frame.fragment_at + FieldsOfFragments(frame));
  if (noted != DropReason::kNone) return noted;
  return frame.kind == FrameKind::kIpv4 ? ForwardLink(frame, entry->flow)
                                        : ForwardLink6(frame, entry->flow);
}

// --- leaving ---

DropReason EngineCore::MayLeave4(Frame& frame, const NextHop& next) {
  if (frame.ttl <= 1) [[unlikely]] {
    SendError4(frame, kIcmpTimeExceeded, 0);
    return DropReason::kTtlExceeded;
  }
  if (next.reason != DropReason::kNone) [[unlikely]] {
    if (next.reason == DropReason::kIpOutNoRoutes) {
      SendError4(frame, kIcmpUnreachable, kIcmpNetUnreachable);
    }
    return next.reason;
  }
  if (next.attachment == kNoAttachment) return DropReason::kNone;
  const uint16_t line = LineOf(attachments_[next.attachment]);
  if (line == kNoLine) return DropReason::kNoLink;
  const uint32_t bytes = frame.ip_end - kEthernetBytes;
  if (bytes > lines_[line]->mtu && frame.dont_fragment) [[unlikely]] {
    SendError4(frame, kIcmpUnreachable, kIcmpFragmentationNeeded,
               lines_[line]->mtu);
    return DropReason::kPktTooBig;
  }
  return DropReason::kNone;
}

DropReason EngineCore::Leave4(Frame& frame, const NextHop& next,
                              const Endpoints4& to) {
  uint8_t* const head = frame.head();
  uint8_t* const ip = frame.ip();
  ChecksumDelta addresses;
  if (to.source != frame.source4) {
    addresses.Replace32(frame.source4, to.source);
    Store32(ip + 12, to.source);
  }
  if (to.destination != frame.destination4) {
    addresses.Replace32(frame.destination4, to.destination);
    Store32(ip + 16, to.destination);
  }
  ChecksumDelta header = addresses;
  header.Replace16(
      static_cast<uint16_t>(frame.ttl << 8 | frame.protocol),
      static_cast<uint16_t>((frame.ttl - 1) << 8 | frame.protocol));
  ip[8] = static_cast<uint8_t>(frame.ttl - 1);
  Store16(ip + 10, header.Apply(Load16(ip + 10)));
  // Later fragments have no upper header: theirs is in the first.
  if (!frame.fragment || frame.first_fragment) {
    uint8_t* const upper = head + frame.upper;
    if (frame.protocol == kProtocolTcp || frame.protocol == kProtocolUdp) {
      addresses.Replace16(frame.source_port, to.source_port);
      addresses.Replace16(frame.destination_port, to.destination_port);
      Store16(upper, to.source_port);
      Store16(upper + 2, to.destination_port);
      if (frame.protocol == kProtocolTcp) {
        uint8_t* const sum = upper + kTcpChecksumOffset;
        Store16(sum, addresses.Apply(Load16(sum)));
      } else {
        uint8_t* const sum = upper + kUdpChecksumOffset;
        Store16(sum, addresses.ApplyUdp(Load16(sum)));
      }
    } else if (frame.protocol == kProtocolIcmp && frame.has_key) {
      // The id is the requester's, on whichever side it is now.
      const bool request = frame.icmp_type == kIcmpEchoRequest;
      const uint16_t from =
          request ? frame.source_port : frame.destination_port;
      const uint16_t id = request ? to.source_port : to.destination_port;
      if (id != from) {
        ChecksumDelta delta;
        delta.Replace16(from, id);
        Store16(upper + kIcmpIdOffset, id);
        uint8_t* const sum = upper + kIcmpChecksumOffset;
        Store16(sum, delta.Apply(Load16(sum)));
      }
    }
  }
  StoreMac(head, *next.mac);
  StoreMac(head + kMacBytes, OwnMac(attachments_[next.attachment]));
  const DropReason sent = SendFrameOn(next.attachment, frame, frame.ip_end);
  return sent == DropReason::kPktTooBig ? SendFragments4(frame, next.attachment)
                                        : sent;
}

void EngineCore::CountRule(uint16_t number, const Frame& frame) {
  if (number == kNoRule) return;
  Rule& rule = ruleset_.rules()[number];
  ++rule.packets;
  rule.bytes += frame.ip_end;
}

void EngineCore::ReplyRefused4(Frame& frame, DropReason reason) {
  if (reason == DropReason::kNoSocket) {
    if (frame.protocol == kProtocolIcmp) return;
    SendError4(frame, kIcmpUnreachable, kIcmpPortUnreachable);
  } else if (reason == DropReason::kIpInNoRoutes) {
    SendError4(frame, kIcmpUnreachable, kIcmpNetUnreachable);
  }
}

}  // namespace bulkhead::nic_router
