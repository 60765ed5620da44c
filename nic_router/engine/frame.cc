#include "nic_router/engine/frame.h"

#include "nic_router/packet/arp.h"
#include "nic_router/packet/icmp.h"
#include "nic_router/packet/ipv4.h"
#include "nic_router/packet/ipv6.h"
#include "nic_router/packet/tcp.h"
#include "nic_router/packet/udp.h"

namespace bulkhead::nic_router {
namespace {

// The combinations that RFC 9293 gives a meaning; Linux's tcp_valid_flags.
bool GoodTcpFlags(uint8_t flags) {
  switch (flags & (kTcpSyn | kTcpFin | kTcpRst | kTcpAck)) {
    case kTcpSyn:
    case kTcpSyn | kTcpAck:
    case kTcpAck:
    case kTcpFin | kTcpAck:
    case kTcpRst:
    case kTcpRst | kTcpAck:
      return true;
    default:
      return false;
  }
}

DropReason ParseTcp(std::span<const uint8_t> upper, uint32_t upper_bytes,
                    Frame& frame) {
  if (upper.size() < kTcpBytes) return DropReason::kPktTooSmall;
  const size_t header = (upper[12] >> 4) * 4u;
  if (header < kTcpBytes || header > upper_bytes) return DropReason::kIpInHdr;
  const uint8_t flags = upper[kTcpFlagsOffset];
  if (!GoodTcpFlags(flags)) return DropReason::kTcpFlags;
  frame.tcp_flags = flags;
  frame.source_port = Load16(upper.data());
  frame.destination_port = Load16(upper.data() + 2);
  return DropReason::kNone;
}

DropReason ParseUdp(std::span<const uint8_t> upper, uint32_t upper_bytes,
                    Frame& frame) {
  const auto udp = UdpView::In(upper);
  if (!udp.has_value()) return DropReason::kPktTooSmall;
  // A first fragment's datagram is longer than the fragment.
  if (udp->length() < kUdpBytes ||
      (!frame.fragment && udp->length() > upper_bytes)) {
    return DropReason::kIpInHdr;
  }
  frame.source_port = udp->source_port();
  frame.destination_port = udp->destination_port();
  return DropReason::kNone;
}

DropReason ParseIcmp(std::span<const uint8_t> upper, uint8_t request,
                     uint8_t reply, Frame& frame) {
  const auto icmp = IcmpView::In(upper);
  if (!icmp.has_value()) return DropReason::kPktTooSmall;
  frame.icmp_type = icmp->type();
  // The id belongs to who asks: so a request and a request of the other side
  // with the same id are two flows.
  if (icmp->type() == request) frame.source_port = icmp->id();
  if (icmp->type() == reply) frame.destination_port = icmp->id();
  return DropReason::kNone;
}

DropReason ParseUpper(Frame& frame) {
  const uint32_t upper_bytes = frame.ip_end - frame.upper;
  std::span<const uint8_t> upper =
      frame.head_span().first(std::min(frame.head_bytes, frame.ip_end));
  if (upper.size() < frame.upper) return DropReason::kPktTooSmall;
  upper = upper.subspan(frame.upper);
  switch (frame.protocol) {
    case kProtocolTcp:
      return ParseTcp(upper, upper_bytes, frame);
    case kProtocolUdp:
      return ParseUdp(upper, upper_bytes, frame);
    case kProtocolIcmp:
      if (frame.kind != FrameKind::kIpv4) return DropReason::kNone;
      return ParseIcmp(upper, kIcmpEchoRequest, kIcmpEchoReply, frame);
    case kProtocolIcmp6:
      if (frame.kind != FrameKind::kIpv6) return DropReason::kNone;
      return ParseIcmp(upper, kIcmp6EchoRequest, kIcmp6EchoReply, frame);
    default:
      return DropReason::kNone;
  }
}

// What a fragment's own place makes impossible.
DropReason CheckFragment(Frame& frame) {
  const uint32_t bytes = frame.ip_end - frame.upper;
  if (frame.fragment_at + bytes > 65535) return DropReason::kFragTooFar;
  // All but the last are multiples of 8, or the next would not fit.
  if (frame.more_fragments && bytes % 8 != 0) return DropReason::kIpInHdr;
  if (bytes == 0) return DropReason::kFragTiny;
  if (frame.first_fragment) return DropReason::kNone;
  // RFC 1858, RFC 3128: it would write over what was judged by the first.
  if (frame.protocol == kProtocolTcp && frame.fragment_at < kTcpBytes) {
    return DropReason::kFragOverlap;
  }
  return DropReason::kNone;
}

DropReason ParseIpv4(Frame& frame) {
  const auto bytes = frame.head_span().subspan(kEthernetBytes);
  if (bytes.size() < kIpv4Bytes) return DropReason::kPktTooSmall;
  const auto ip = Ipv4View::In(bytes);
  if (!ip.has_value()) return DropReason::kIpInHdr;
  const size_t header = ip->header_bytes();
  const uint32_t total = ip->total_bytes();
  if (total < header || kEthernetBytes + total > frame.bytes) {
    return DropReason::kIpInHdr;
  }
  if (!ip->GoodChecksum()) return DropReason::kIpCsum;
  if (header > kIpv4Bytes &&
      CheckIpv4Options(ip->options()) != Ipv4Options::kGood) {
    return DropReason::kIpOptions;
  }
  frame.source4 = ip->source();
  frame.destination4 = ip->destination();
  frame.protocol = ip->protocol();
  frame.ttl = ip->ttl();
  frame.upper = static_cast<uint16_t>(kEthernetBytes + header);
  frame.ip_end = static_cast<uint32_t>(kEthernetBytes + total);
  frame.dont_fragment = ip->dont_fragment();
  frame.more_fragments = ip->more_fragments();
  frame.fragment_at = ip->fragment_offset();
  if (frame.more_fragments || frame.fragment_at != 0) [[unlikely]] {
    frame.fragment = true;
    frame.first_fragment = frame.fragment_at == 0;
    frame.fragment_id = ip->identification();
    const DropReason reason = CheckFragment(frame);
    if (reason != DropReason::kNone) return reason;
    if (!frame.first_fragment) return DropReason::kNone;
    const DropReason upper = ParseUpper(frame);
    if (upper == DropReason::kPktTooSmall) return DropReason::kFragTiny;
    // TCP's header goes on in the next fragment.
    if (upper == DropReason::kIpInHdr && frame.protocol == kProtocolTcp) {
      return DropReason::kFragTiny;
    }
    return upper;
  }
  return ParseUpper(frame);
}

DropReason ParseIpv6(Frame& frame) {
  const auto bytes = frame.head_span().subspan(kEthernetBytes);
  if (bytes.size() < kIpv6Bytes) return DropReason::kPktTooSmall;
  const auto ip = Ipv6View::In(bytes);
  if (!ip.has_value()) return DropReason::kIpInHdr;
  const uint32_t total = kIpv6Bytes + ip->payload_bytes();
  if (kEthernetBytes + total > frame.bytes) return DropReason::kIpInHdr;
  frame.ip_end = static_cast<uint32_t>(kEthernetBytes + total);
  frame.ttl = ip->hop_limit();
  Ipv6Upper upper;
  switch (WalkIpv6Extensions(bytes.first(std::min<size_t>(bytes.size(), total)),
                             upper)) {
    case Ipv6Chain::kGood:
      break;
    case Ipv6Chain::kTruncated:
      return frame.ip_end > frame.head_bytes ? DropReason::kIp6Extensions
                                             : DropReason::kIpInHdr;
    case Ipv6Chain::kForbidden:
    case Ipv6Chain::kTooLong:
      return DropReason::kIp6Extensions;
  }
  frame.protocol = upper.protocol;
  frame.upper = static_cast<uint16_t>(kEthernetBytes + upper.offset);
  frame.dont_fragment = true;  // Routers do not, in IPv6.
  // RFC 6946: one with neither an offset nor more to come is a whole packet.
  frame.fragment =
      upper.fragment && (upper.more_fragments || upper.fragment_offset != 0);
  frame.fragment_at = upper.fragment_offset;
  frame.fragment_id = upper.fragment_id;
  frame.more_fragments = upper.more_fragments;
  if (frame.fragment) {
    frame.first_fragment = frame.fragment_at == 0;
    const DropReason reason = CheckFragment(frame);
    if (reason != DropReason::kNone || !frame.first_fragment) return reason;
    // RFC 7112: the first one has every header.
    const DropReason upper_reason = ParseUpper(frame);
    return upper_reason == DropReason::kPktTooSmall ? DropReason::kFragTiny
                                                    : upper_reason;
  }
  return ParseUpper(frame);
}

}  // namespace

namespace {

// Whether a flow can be found by what the frame says: its ports are known, or
// its protocol has none.
bool HasKey(const Frame& frame) {
  if (frame.malformed != DropReason::kNone) return false;
  if (frame.fragment && !frame.first_fragment) return false;
  if (frame.kind == FrameKind::kIpv4) {
    return frame.protocol == kProtocolTcp || frame.protocol == kProtocolUdp ||
           (frame.protocol == kProtocolIcmp &&
            (frame.icmp_type == kIcmpEchoRequest ||
             frame.icmp_type == kIcmpEchoReply));
  }
  if (frame.kind != FrameKind::kIpv6) return false;
  return frame.protocol != kProtocolIcmp6 ||
         frame.icmp_type == kIcmp6EchoRequest ||
         frame.icmp_type == kIcmp6EchoReply;
}

}  // namespace

void ParseFrame(Frame& frame) {
  frame.fragment = false;
  frame.first_fragment = false;
  frame.more_fragments = false;
  frame.dont_fragment = false;
  frame.has_key = false;
  frame.protocol = 0;
  frame.tcp_flags = 0;
  frame.icmp_type = 0;
  frame.source_port = 0;
  frame.destination_port = 0;
  frame.upper = 0;
  frame.ip_end = 0;
  frame.fragment_at = 0;
  frame.fragment_id = 0;
  switch (Load16(frame.head() + 12)) {
    case kEtherTypeIpv4:
      frame.kind = FrameKind::kIpv4;
      frame.malformed = ParseIpv4(frame);
      break;
    case kEtherTypeIpv6:
      frame.kind = FrameKind::kIpv6;
      frame.malformed = ParseIpv6(frame);
      break;
    case kEtherTypeArp:
      frame.kind = FrameKind::kArp;
      frame.malformed =
          frame.head_bytes < kEthernetBytes + kArpBytes
              ? DropReason::kPktTooSmall
          : ArpView::In(frame.head_span().subspan(kEthernetBytes)).has_value()
              ? DropReason::kNone
              : DropReason::kArpInHdr;
      break;
    default:
      frame.kind = FrameKind::kOther;
      frame.malformed = DropReason::kNone;
      break;
  }
  frame.has_key = HasKey(frame);
}

}  // namespace bulkhead::nic_router
