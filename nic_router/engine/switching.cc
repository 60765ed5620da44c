// MACs: who may send as whom, and where a frame goes within its domain.
#include <algorithm>

#include "nic_router/engine/engine_core.h"
#include "nic_router/ipv6/nd_message.h"
#include "nic_router/packet/arp.h"
#include "nic_router/packet/icmp.h"
#include "nic_router/packet/ipv6.h"

namespace bulkhead::nic_router {
namespace {

constexpr uint16_t kDhcpServerPort = 67;
constexpr uint8_t kIcmp6RouterAdvertisement = 134;
constexpr uint8_t kIcmp6NeighbourSolicitation = 135;
constexpr uint8_t kIcmp6Redirect = 137;
// RFC 4861 4.6.1.
constexpr uint8_t kSourceLinkOption = 1;
constexpr uint8_t kTargetLinkOption = 2;
// How long an address that was found to be the sender's own is not looked up.
constexpr uint32_t kSourceGoodS = 10;

bool NoHost(Ipv4Address address) {
  return address == 0 || address >> 24 == 127 || address >> 28 >= 0xe;
}

bool IsBroadcastOf(const Ipv4Prefix& network, Ipv4Address address) {
  if (network.bits >= 31) return false;
  const uint32_t host = ~MaskOf(network.bits);
  return (address & host) == 0 || (address & host) == host;
}

// 01:80:c2:00:00:0x ends at the first bridge (IEEE 802.1D 7.12.6).
bool EndsAtABridge(const MacAddress& mac) {
  return mac[0] == 0x01 && mac[1] == 0x80 && mac[2] == 0xc2 && mac[3] == 0 &&
         mac[4] == 0 && mac[5] < 0x10;
}

}  // namespace

DropReason EngineCore::Handle(Frame& frame) {
  // What fits no packet fits none of our buffers either.
  if (frame.bytes > 65535) return DropReason::kPktTooBig;
  Attachment& in = attachments_[frame.source];
  const DropReason sender = CheckSender(frame, in);
  if (sender != DropReason::kNone) return sender;
  if (MacWord(frame.head()) == MacWord(OwnMac(in))) [[likely]] {
    return HandleForRouter(frame);
  }
  if (IsMulticast(LoadMac(frame.head()))) return HandleGroup(frame);
  return Switch(frame);
}

DropReason EngineCore::HandleForRouter(Frame& frame) {
  switch (frame.kind) {
    case FrameKind::kIpv4:
      return Route4(frame);
    case FrameKind::kIpv6:
      return Route6(frame);
    case FrameKind::kArp:
      return HandleArp(frame, true);
    case FrameKind::kOther:
      break;
  }
  return DropReason::kUnhandledProto;
}

// What is malformed is known by then; it is said last, so that a client that
// lies about its MAC is counted as one.
DropReason EngineCore::CheckSender(Frame& frame, Attachment& in) {
  if (!in.is_client()) {
    const DropReason reason = CheckUplinkSender(frame, in);
    return reason != DropReason::kNone ? reason : frame.malformed;
  }
  if (MacWord(frame.head() + kMacBytes) != MacWord(in.mac)) {
    return DropReason::kMacInvalidSource;
  }
  if (frame.malformed != DropReason::kNone) return frame.malformed;
  switch (frame.kind) {
    case FrameKind::kIpv4:
      if (frame.source4 == in.good_source && now_s_ < in.good_until_s)
          [[likely]] {
        break;
      }
      // Who has no address yet asks for one.
      if (frame.source4 == 0 && frame.protocol == kProtocolUdp &&
          frame.destination_port == kDhcpServerPort) {
        return DropReason::kNone;
      }
      if (const DropReason reason = CheckSource4(in, frame.source4);
          reason != DropReason::kNone) {
        return reason;
      }
      break;
    case FrameKind::kIpv6:
      return CheckSource6(in, frame);
    case FrameKind::kArp:
      return CheckArpSender(in, frame);
    case FrameKind::kOther:
      return DropReason::kNone;
  }
  if (frame.protocol == kProtocolUdp && frame.source_port == kDhcpServerPort &&
      ruleset_[in.domain].config.dhcp_server.has_value()) [[unlikely]] {
    return DropReason::kDhcpSpoofed;
  }
  return DropReason::kNone;
}

DropReason EngineCore::CheckUplinkSender(const Frame& frame,
                                         const Attachment& in) {
  const MacAddress source = LoadMac(frame.head() + kMacBytes);
  if (IsMulticast(source)) return DropReason::kMacInvalidSource;
  const DomainMembers& members = members_[in.domain];
  if (MacWord(source) == MacWord(OwnMac(in))) return DropReason::kLoopback;
  if (members.attachments.size() > 1) {
    // One of ours, come back: a loop, or somebody outside who lies.
    const auto client = client_macs_.find(MacWord(source));
    if (client != client_macs_.end() &&
        attachments_[client->second].domain == in.domain) {
      return DropReason::kLoopback;
    }
    macs_.Learn(in.domain, source, frame.source, now_s_);
  }
  if (frame.kind != FrameKind::kIpv4 || frame.malformed != DropReason::kNone) {
    return DropReason::kNone;
  }
  const auto& identity = ruleset_[in.domain].identity;
  if (identity.has_value() && frame.source4 == identity->address) {
    return DropReason::kIpSpoofedSource;
  }
  // 0.0.0.0 is a DHCP client of our neighbours.
  if (NoHost(frame.source4) && frame.source4 != 0) {
    return DropReason::kIpInvalidSource;
  }
  return DropReason::kNone;
}

DropReason EngineCore::CheckSource4(Attachment& in, Ipv4Address source) {
  if (NoHost(source)) return DropReason::kIpInvalidSource;
  const auto& identity = ruleset_[in.domain].identity;
  if (identity.has_value()) {
    if (!Contains(*identity, source) || source == identity->address) {
      return DropReason::kIpSpoofedSource;
    }
    if (IsBroadcastOf(*identity, source)) return DropReason::kIpInvalidSource;
  }
  if (in.bound.has_value() && source != *in.bound) {
    return DropReason::kIpSpoofedSource;
  }
  const DropReason reason = ClaimAddress(in, 4, AddressOf(source));
  if (reason != DropReason::kNone) return reason;
  in.good_source = source;
  in.good_until_s = now_s_ + kSourceGoodS;
  return DropReason::kNone;
}

DropReason EngineCore::CheckSource6(Attachment& in, const Frame& frame) {
  const Ipv6Address source = LoadIpv6(frame.ip() + 8);
  const DomainRules& rules = ruleset_[in.domain];
  if (IsMulticast(source)) return DropReason::kIpInvalidSource;
  const bool discovery = frame.protocol == kProtocolIcmp6 && !frame.fragment &&
                         frame.icmp_type >= kIcmp6RouterSolicitation &&
                         frame.icmp_type <= kIcmp6Redirect;
  if (discovery && rules.config.interface6.has_value() &&
      (frame.icmp_type == kIcmp6RouterAdvertisement ||
       frame.icmp_type == kIcmp6Redirect)) {
    return DropReason::kNdSpoofed;
  }
  // Duplicate address detection, and MLD before an address is there.
  if (IsUnspecified(source)) {
    return frame.protocol == kProtocolIcmp6 ? DropReason::kNone
                                            : DropReason::kIpInvalidSource;
  }
  if (!IsLinkLocal(source) && rules.config.interface6.has_value() &&
      (!Contains(*rules.config.interface6, source) ||
       source == rules.config.interface6->address)) {
    return DropReason::kIpSpoofedSource;
  }
  if (source == ipv6::LinkLocal(members_[in.domain].mac)) {
    return DropReason::kIpSpoofedSource;
  }
  const DropReason reason = ClaimAddress(in, 6, source);
  return reason == DropReason::kNone && discovery
             ? CheckDiscoverySender(in, frame)
             : reason;
}

// An advertisement says where its target is, whatever its source: a client may
// say that of its own addresses alone, since its neighbours will believe it.
DropReason EngineCore::CheckAdvertised(Attachment& in, const Frame& frame) {
  constexpr size_t kTargetOffset = 8;
  const size_t at = frame.upper + kTargetOffset;
  if (at + sizeof(Ipv6Address) > frame.head_bytes) {
    return DropReason::kPktTooSmall;
  }
  const Ipv6Address target = LoadIpv6(frame.head() + at);
  const auto& own = ruleset_[in.domain].config.interface6;
  const bool routers = (own.has_value() && target == own->address) ||
                       target == ipv6::LinkLocal(members_[in.domain].mac);
  if (routers || IsMulticast(target) || IsUnspecified(target)) {
    return DropReason::kNdSpoofed;
  }
  const DropReason claimed = ClaimAddress(in, 6, target);
  return claimed == DropReason::kIpSpoofedSource ? DropReason::kNdSpoofed
                                                 : claimed;
}

// What a client tells its neighbours about MACs and addresses is about its own.
DropReason EngineCore::CheckDiscoverySender(Attachment& in,
                                            const Frame& frame) {
  const bool has_target = frame.icmp_type >= kIcmp6NeighbourSolicitation;
  const size_t fixed = has_target ? 24 : 8;
  std::span<const uint8_t> message =
      frame.head_span().first(std::min(frame.head_bytes, frame.ip_end));
  if (message.size() < frame.upper + fixed) return DropReason::kPktTooSmall;
  // More than the head holds is more than anybody means.
  if (frame.ip_end > frame.head_bytes) return DropReason::kNdSpoofed;
  message = message.subspan(frame.upper);
  if (frame.icmp_type == kIcmp6NeighbourAdvertisement) {
    const DropReason advertised = CheckAdvertised(in, frame);
    if (advertised != DropReason::kNone) return advertised;
  }
  for (auto options = message.subspan(fixed); !options.empty();) {
    const size_t bytes = options.size() < 2 ? 0 : options[1] * size_t{8};
    if (bytes == 0 || bytes > options.size()) return DropReason::kNdSpoofed;
    if ((options[0] == kSourceLinkOption || options[0] == kTargetLinkOption) &&
        LoadMac(&options[2]) != in.mac) {
      return DropReason::kNdSpoofed;
    }
    options = options.subspan(bytes);
  }
  return DropReason::kNone;
}

DropReason EngineCore::CheckArpSender(Attachment& in, const Frame& frame) {
  const auto arp = ArpView::In(frame.head_span().subspan(kEthernetBytes));
  if (arp->sender_mac() != in.mac) return DropReason::kArpSpoofed;
  // A probe (RFC 5227) claims nothing yet.
  if (arp->sender_ip() == 0) return DropReason::kNone;
  const DropReason reason = CheckSource4(in, arp->sender_ip());
  return reason == DropReason::kNone || reason == DropReason::kTooManyAddresses
             ? reason
             : DropReason::kArpSpoofed;
}

// An address belongs to the member that used it first, as long as it is heard
// of.
DropReason EngineCore::ClaimAddress(Attachment& in, uint8_t version,
                                    const Ipv6Address& address) {
  const uint32_t hash = ruleset_[in.domain].hash;
  const auto self = static_cast<uint16_t>(&in - attachments_.data());
  const uint32_t known = neighbours_.Find(hash, version, address);
  if (known != kNoNeighbour) {
    const Neighbour& entry = neighbours_[known];
    const bool has_mac =
        entry.state == static_cast<uint8_t>(NeighbourState::kKnown);
    const bool others =
        entry.attachment != self &&
        (entry.attachment != kNoAttachment || entry.owner_id != in.label_hash);
    if (has_mac && others &&
        now_ms_ - entry.updated_ms < NeighbourTable::kStaleMs) {
      return DropReason::kIpSpoofedSource;
    }
  }
  Attachment::Claim* place = nullptr;
  for (Attachment::Claim& claim : in.claims) {
    if (claim.version == version && claim.address == address) {
      place = &claim;
      break;
    }
    if (claim.version == 0 ||
        now_s_ - claim.used_s >= NeighbourTable::kStaleMs / 1000) {
      place = &claim;
    }
  }
  if (place == nullptr) return DropReason::kTooManyAddresses;
  *place = {address, version, now_s_};
  neighbours_.Learn(in.domain, hash, version, address, in.mac, self,
                    in.label_hash, now_ms_);
  WakeWaiting(hash, version, address);
  return DropReason::kNone;
}

DropReason EngineCore::Switch(Frame& frame) {
  const Attachment& in = attachments_[frame.source];
  const MacAddress destination = LoadMac(frame.head());
  const auto client = client_macs_.find(MacWord(destination));
  if (client != client_macs_.end() &&
      attachments_[client->second].domain == in.domain) {
    if (client->second == frame.source) return DropReason::kLoopback;
    return SendFrameOn(client->second, frame, frame.bytes);
  }
  const uint16_t learned = macs_.Find(in.domain, destination, now_s_);
  if (learned == frame.source) return DropReason::kOtherHost;
  if (learned != kNoAttachment) {
    return SendFrameOn(learned, frame, frame.bytes);
  }
  // No client has it: only behind an uplink can it be.
  return Flood(frame, true);
}

DropReason EngineCore::Flood(Frame& frame, bool uplinks_only) {
  const DomainMembers& members = members_[attachments_[frame.source].domain];
  // Its sender's memory is read once, however many get it (S7).
  if (members.attachments.size() > 2) MakePrivate(frame);
  DropReason reason = DropReason::kOtherHost;
  int tried = 0;
  for (const uint16_t number : members.attachments) {
    if (number == frame.source ||
        (uplinks_only && attachments_[number].is_client())) {
      continue;
    }
    ++tried;
    const DropReason sent = SendFrameOn(number, frame, frame.bytes);
    if (reason != DropReason::kNone) reason = sent;
  }
  // What some have got does not wait for others.
  if (tried > 1) full_line_ = kNoLine;
  return reason;
}

DropReason EngineCore::HandleGroup(Frame& frame) {
  const Attachment& in = attachments_[frame.source];
  if (EndsAtABridge(LoadMac(frame.head()))) return DropReason::kOtherHost;
  bool handled = false;
  if (frame.kind == FrameKind::kArp) return HandleArp(frame, false);
  if (frame.kind == FrameKind::kIpv4 && IsDhcp(frame)) {
    const DropReason reason = HandleDhcp(frame);
    // A domain that has a DHCP server of its own asks no other.
    if (ruleset_[in.domain].config.dhcp_server.has_value()) return reason;
    handled = reason == DropReason::kNone;
  }
  if (frame.kind == FrameKind::kIpv6 && frame.protocol == kProtocolIcmp6 &&
      frame.icmp_type >= kIcmp6RouterSolicitation &&
      frame.icmp_type <= kIcmp6NeighbourAdvertisement) {
    handled = HandleDiscovery(frame) == DropReason::kNone;
  }
  const DropReason flooded = Flood(frame, false);
  return handled ? DropReason::kNone : flooded;
}

}  // namespace bulkhead::nic_router
