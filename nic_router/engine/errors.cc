// ICMP errors: those that we send, and those that pass through, together with
// the packet that they are about.
#include <algorithm>
#include <cstring>

#include "nic_router/engine/engine_core.h"
#include "nic_router/packet/icmp.h"
#include "nic_router/packet/ipv4.h"
#include "nic_router/packet/ipv6.h"
#include "nic_router/packet/tcp.h"
#include "nic_router/packet/udp.h"

namespace bulkhead::nic_router {
namespace {

// Of the packet that an error is about; RFC 1812 4.3.2.3 wants as much as fits
// 576 bytes, and its headers are what is read.
constexpr size_t kQuotedBytes = 128;

// What an embedded packet says of its link, as its sender sent it.
struct Embedded {
  uint8_t protocol = 0;
  uint16_t source_port = 0;
  uint16_t destination_port = 0;
};

// `bytes` begin at TCP, UDP or ICMP, of which at least 8 bytes are quoted.
bool ReadEmbedded(std::span<const uint8_t> bytes, uint8_t protocol,
                  uint8_t request, uint8_t reply, Embedded& out) {
  if (bytes.size() < 8) return false;
  out.protocol = protocol;
  if (protocol == kProtocolTcp || protocol == kProtocolUdp) {
    out.source_port = Load16(bytes.data());
    out.destination_port = Load16(bytes.data() + 2);
    return true;
  }
  const auto icmp = IcmpView::In(bytes);
  if (icmp->type() == request) {
    out.source_port = icmp->id();
  } else if (icmp->type() == reply) {
    out.destination_port = icmp->id();
  } else {
    return false;
  }
  return true;
}

bool IsError4(uint8_t type) {
  return type == kIcmpUnreachable || type == kIcmpTimeExceeded ||
         type == kIcmpParameterProblem;
}

}  // namespace

bool EngineCore::MayAnswer() {
  answers_.Fill(now_ns_);
  if (!answers_.any()) return false;
  answers_.Spend(1);
  return true;
}

// RFC 1812 4.3.2.7 and RFC 1122 3.2.2: not about an error, a fragment that is
// not the first, or what was not sent to us alone.
void EngineCore::SendError4(const Frame& frame, uint8_t type, uint8_t code,
                            uint32_t rest) {
  const Attachment& in = attachments_[frame.source];
  const auto& identity = ruleset_[in.domain].identity;
  if (!identity.has_value() || frame.kind != FrameKind::kIpv4 ||
      (frame.fragment && !frame.first_fragment) ||
      (frame.protocol == kProtocolIcmp && !frame.has_key) ||
      IsMulticast(LoadMac(frame.head())) || frame.source4 == 0 ||
      frame.source4 >> 28 >= 0xe || !MayAnswer()) {
    return;
  }
  const size_t quoted =
      std::min<size_t>({frame.ip_end - kEthernetBytes,
                        frame.head_bytes - kEthernetBytes, kQuotedBytes});
  uint8_t answer[kEthernetBytes + kIpv4Bytes + kIcmpBytes + kQuotedBytes];
  const auto out = std::span(answer).first(kEthernetBytes + kIpv4Bytes +
                                           kIcmpBytes + quoted);
  auto ethernet = EthernetWriter::In(out);
  ethernet->set_destination(LoadMac(frame.head() + kMacBytes));
  ethernet->set_source(OwnMac(in));
  ethernet->set_type(kEtherTypeIpv4);
  WriteIpv4(out.subspan(kEthernetBytes),
            {.source = identity->address,
             .destination = frame.source4,
             .protocol = kProtocolIcmp},
            kIcmpBytes + quoted);
  const auto message = out.subspan(kEthernetBytes + kIpv4Bytes);
  std::memcpy(message.data() + kIcmpBytes, frame.ip(), quoted);
  auto icmp = IcmpWriter::In(message);
  icmp->set_type(type);
  icmp->set_code(code);
  icmp->set_rest(rest);
  icmp->set_checksum(0);
  ChecksumSum sum;
  sum.Add(message);
  icmp->set_checksum(sum.Checksum());
  SendOwn(frame.source, out);
  ++counters_.icmp_errors;
}

// RFC 4443 2.4.
void EngineCore::SendError6(const Frame& frame, uint8_t type, uint8_t code,
                            uint32_t rest) {
  const Attachment& in = attachments_[frame.source];
  const DomainConfig& config = ruleset_[in.domain].config;
  if (!config.interface6.has_value() || frame.kind != FrameKind::kIpv6 ||
      (frame.fragment && !frame.first_fragment) ||
      (frame.protocol == kProtocolIcmp6 && !frame.has_key) ||
      IsMulticast(LoadMac(frame.head()))) {
    return;
  }
  const Ipv6Address to = LoadIpv6(frame.ip() + 8);
  if (IsMulticast(to) || IsUnspecified(to) || !MayAnswer()) return;
  const size_t quoted =
      std::min<size_t>({frame.ip_end - kEthernetBytes,
                        frame.head_bytes - kEthernetBytes, kQuotedBytes});
  uint8_t answer[kEthernetBytes + kIpv6Bytes + kIcmpBytes + kQuotedBytes];
  const auto out = std::span(answer).first(kEthernetBytes + kIpv6Bytes +
                                           kIcmpBytes + quoted);
  auto ethernet = EthernetWriter::In(out);
  ethernet->set_destination(LoadMac(frame.head() + kMacBytes));
  ethernet->set_source(OwnMac(in));
  ethernet->set_type(kEtherTypeIpv6);
  WriteIpv6(out.subspan(kEthernetBytes),
            {.source = config.interface6->address,
             .destination = to,
             .next_header = kProtocolIcmp6},
            kIcmpBytes + quoted);
  const auto message = out.subspan(kEthernetBytes + kIpv6Bytes);
  std::memcpy(message.data() + kIcmpBytes, frame.ip(), quoted);
  auto icmp = IcmpWriter::In(message);
  icmp->set_type(type);
  icmp->set_code(code);
  icmp->set_rest(rest);
  icmp->set_checksum(0);
  ChecksumSum sum =
      PseudoHeader6(config.interface6->address, to, kProtocolIcmp6,
                    static_cast<uint32_t>(message.size()));
  sum.Add(message);
  icmp->set_checksum(sum.Checksum());
  SendOwn(frame.source, out);
  ++counters_.icmp_errors;
}

// The error tells about a packet that left through the domain that it comes
// from. With that packet's key turned round, the flow is found as by an answer;
// what the answer's addresses become, the error's do, and those inside of it.
DropReason EngineCore::ForwardError4(Frame& frame) {
  if (!IsError4(frame.icmp_type)) return DropReason::kIcmpUnhandled;
  MakePrivate(frame);
  const std::span<uint8_t> message =
      std::span(slow_.get(), frame.ip_end).subspan(frame.upper);
  ChecksumSum sum;
  sum.Add(message);
  if (!sum.Good()) return DropReason::kIcmpCsum;
  const std::span<uint8_t> quoted = message.subspan(kIcmpBytes);
  auto inner = Ipv4Writer::In(quoted);
  if (!inner.has_value()) return DropReason::kPktTooSmall;
  const std::span<uint8_t> upper = quoted.subspan(inner->header_bytes());
  Embedded embedded;
  const bool known_protocol = NatKindOf(inner->protocol()) != kNatKinds;
  if (!known_protocol || inner->fragment_offset() != 0 ||
      !ReadEmbedded(upper, inner->protocol(), kIcmpEchoRequest, kIcmpEchoReply,
                    embedded)) {
    return DropReason::kIcmpNoFlow;
  }
  const PacketKey answer{.key = {.source = inner->destination(),
                                 .destination = inner->source(),
                                 .source_port = embedded.destination_port,
                                 .destination_port = embedded.source_port,
                                 .protocol = embedded.protocol,
                                 .version = 4,
                                 .domain = attachments_[frame.source].domain}};
  const FlowRef reference = flows_.Find(answer, flows_.Hash(answer));
  if (!reference) {
    const Decision decision = ruleset_.Decide4(answer.key.domain, kProtocolIcmp,
                                               frame.destination4, 0, false);
    return decision.kind == Decision::Kind::kStateless
               ? ForwardStateless4(frame, decision)
               : DropReason::kIcmpNoFlow;
  }
  if (frame.destination4 != answer.key.destination) {
    return DropReason::kIcmpNoFlow;
  }
  Flow& flow = flows_[reference.flow()];
  const uint32_t direction = reference.direction();
  const FlowKey& other = flow.key[1 - direction];
  const NextHop next =
      Resolve4(other.domain, other.source, flow.neighbour[direction]);
  if (const DropReason reason = MayLeave4(frame, next);
      reason != DropReason::kNone) {
    return reason;
  }
  if (next.attachment == kNoAttachment) {
    const DomainRules& rules = ruleset_[other.domain];
    return KeepWaiting(
        frame, other.domain, 4,
        AddressOf(Contains(*rules.identity, other.source) ? other.source
                                                          : *rules.gateway));
  }
  // Who reports it: hidden, when this flow hides its side.
  const bool hides = answer.key.source != other.destination;
  const Ipv4Address reporter = hides || frame.source4 == answer.key.source
                                   ? other.destination
                                   : frame.source4;
  // Inside: as the other side had sent it.
  ChecksumDelta delta;
  delta.Replace32(inner->source(), other.source);
  delta.Replace32(inner->destination(), other.destination);
  inner->set_source(other.source);
  inner->set_destination(other.destination);
  inner->set_checksum(delta.Apply(inner->checksum()));
  if (embedded.protocol == kProtocolIcmp) {
    const bool request = upper[0] == kIcmpEchoRequest;
    const uint16_t id = request ? other.source_port : other.destination_port;
    ChecksumDelta id_delta;
    id_delta.Replace16(Load16(&upper[kIcmpIdOffset]), id);
    Store16(&upper[kIcmpIdOffset], id);
    Store16(&upper[kIcmpChecksumOffset],
            id_delta.Apply(Load16(&upper[kIcmpChecksumOffset])));
  } else {
    delta.Replace16(embedded.source_port, other.source_port);
    delta.Replace16(embedded.destination_port, other.destination_port);
    Store16(&upper[0], other.source_port);
    Store16(&upper[2], other.destination_port);
    if (embedded.protocol == kProtocolUdp) {
      Store16(&upper[kUdpChecksumOffset],
              delta.ApplyUdp(Load16(&upper[kUdpChecksumOffset])));
    } else if (upper.size() >= kTcpChecksumOffset + 2) {
      Store16(&upper[kTcpChecksumOffset],
              delta.Apply(Load16(&upper[kTcpChecksumOffset])));
    }
  }
  Store16(&message[kIcmpChecksumOffset], 0);
  ChecksumSum whole;
  whole.Add(message);
  Store16(&message[kIcmpChecksumOffset], whole.Checksum());
  auto ip = Ipv4Writer::In(
      std::span(slow_.get(), frame.ip_end).subspan(kEthernetBytes));
  ip->set_source(reporter);
  ip->set_destination(other.source);
  ip->set_ttl(static_cast<uint8_t>(frame.ttl - 1));
  ip->FillChecksum();
  StoreMac(slow_.get(), *next.mac);
  StoreMac(slow_.get() + kMacBytes, OwnMac(attachments_[next.attachment]));
  const DropReason sent = Send(next.attachment, slow_.get(), frame.ip_end,
                               nullptr, 0, frame.ip_end);
  if (sent == DropReason::kNone) CountRule(flow.rule, frame);
  return sent;
}

// Nothing to translate: known or not is the question.
DropReason EngineCore::ForwardError6(Frame& frame) {
  if (frame.fragment || frame.icmp_type > kIcmp6ParameterProblem) {
    return DropReason::kIcmpUnhandled;
  }
  if (const DropReason sum = CheckUpperSum6(frame); sum != DropReason::kNone) {
    return sum;
  }
  MakePrivate(frame);
  const std::span<const uint8_t> quoted =
      std::span<const uint8_t>(slow_.get(), frame.ip_end)
          .subspan(frame.upper + kIcmpBytes);
  const auto inner = Ipv6View::In(quoted);
  if (!inner.has_value()) return DropReason::kPktTooSmall;
  Ipv6Upper upper;
  Embedded embedded;
  if (WalkIpv6Extensions(quoted, upper) != Ipv6Chain::kGood ||
      upper.fragment_offset != 0 || upper.offset > quoted.size()) {
    return DropReason::kIcmpNoFlow;
  }
  embedded.protocol = upper.protocol;
  const bool has_ports = upper.protocol == kProtocolTcp ||
                         upper.protocol == kProtocolUdp ||
                         upper.protocol == kProtocolIcmp6;
  if (has_ports &&
      !ReadEmbedded(quoted.subspan(upper.offset), upper.protocol,
                    kIcmp6EchoRequest, kIcmp6EchoReply, embedded)) {
    return DropReason::kIcmpNoFlow;
  }
  const Ipv6Address from = inner->destination();
  const Ipv6Address to = inner->source();
  const PacketKey answer{.key = {.source = 0,
                                 .destination = 0,
                                 .source_port = embedded.destination_port,
                                 .destination_port = embedded.source_port,
                                 .protocol = embedded.protocol,
                                 .version = 6,
                                 .domain = attachments_[frame.source].domain},
                         .source6 = &from,
                         .destination6 = &to};
  const FlowRef reference = flows_.Find(answer, flows_.Hash(answer));
  if (!reference || LoadIpv6(frame.ip() + 24) != to) {
    return DropReason::kIcmpNoFlow;
  }
  Flow& flow = flows_[reference.flow()];
  const uint16_t domain = flow.key[1 - reference.direction()].domain;
  const NextHop next =
      Resolve6(domain, to, flow.neighbour[reference.direction()]);
  if (frame.ttl <= 1) return DropReason::kTtlExceeded;
  if (next.reason != DropReason::kNone) return next.reason;
  if (next.attachment == kNoAttachment) {
    const DomainConfig& config = ruleset_[domain].config;
    return KeepWaiting(
        frame, domain, 6,
        Contains(*config.interface6, to) ? to : *config.gateway6);
  }
  const DropReason sent = Leave6(frame, next);
  if (sent == DropReason::kNone) CountRule(flow.rule, frame);
  return sent;
}

}  // namespace bulkhead::nic_router
