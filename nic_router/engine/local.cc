// What is for the router itself: echo requests, DHCP, neighbour discovery.
#include <cstring>

#include "nic_router/engine/engine_core.h"
#include "nic_router/packet/icmp.h"
#include "nic_router/packet/ipv4.h"
#include "nic_router/packet/ipv6.h"
#include "nic_router/packet/udp.h"

namespace bulkhead::nic_router {
namespace {

constexpr uint16_t kDhcpServerPort = 67;
constexpr uint16_t kDhcpClientPort = 68;
constexpr Ipv4Address kBroadcast = 0xffffffff;
constexpr uint8_t kDiscoveryHopLimit = 255;  // RFC 4861 6.1, 7.1.

}  // namespace

DropReason EngineCore::AnswerEcho4(Frame& frame) {
  if (const DropReason sum = CheckUpperSum4(frame); sum != DropReason::kNone) {
    return sum;
  }
  MakePrivate(frame);
  const Attachment& in = attachments_[frame.source];
  uint8_t* const head = slow_.get();
  StoreMac(head, LoadMac(frame.head() + kMacBytes));
  StoreMac(head + kMacBytes, OwnMac(in));
  auto ip =
      Ipv4Writer::In(std::span(head, frame.ip_end).subspan(kEthernetBytes));
  ip->set_source(frame.destination4);
  ip->set_destination(frame.source4);
  ip->set_ttl(64);
  ip->FillChecksum();
  auto icmp =
      IcmpWriter::In(std::span(head, frame.ip_end).subspan(frame.upper));
  ChecksumDelta delta;
  delta.Replace16(static_cast<uint16_t>(kIcmpEchoRequest << 8 | icmp->code()),
                  static_cast<uint16_t>(kIcmpEchoReply << 8 | icmp->code()));
  icmp->set_type(kIcmpEchoReply);
  icmp->set_checksum(delta.Apply(icmp->checksum()));
  const DropReason sent =
      Send(frame.source, head, frame.ip_end, nullptr, 0, frame.ip_end);
  if (sent == DropReason::kNone) ++counters_.icmp_echoes;
  return sent;
}

DropReason EngineCore::AnswerEcho6(Frame& frame) {
  if (const DropReason sum = CheckUpperSum6(frame); sum != DropReason::kNone) {
    return sum;
  }
  MakePrivate(frame);
  const Attachment& in = attachments_[frame.source];
  uint8_t* const head = slow_.get();
  StoreMac(head, LoadMac(frame.head() + kMacBytes));
  StoreMac(head + kMacBytes, OwnMac(in));
  uint8_t* const ip = head + kEthernetBytes;
  const Ipv6Address from = LoadIpv6(ip + 8);
  StoreIpv6(ip + 8, LoadIpv6(ip + 24));
  StoreIpv6(ip + 24, from);
  ip[7] = 64;
  auto icmp =
      IcmpWriter::In(std::span(head, frame.ip_end).subspan(frame.upper));
  ChecksumDelta delta;
  delta.Replace16(static_cast<uint16_t>(kIcmp6EchoRequest << 8 | icmp->code()),
                  static_cast<uint16_t>(kIcmp6EchoReply << 8 | icmp->code()));
  icmp->set_type(kIcmp6EchoReply);
  icmp->set_checksum(delta.Apply(icmp->checksum()));
  const DropReason sent =
      Send(frame.source, head, frame.ip_end, nullptr, 0, frame.ip_end);
  if (sent == DropReason::kNone) ++counters_.icmp_echoes;
  return sent;
}

// To a server where we are one, to a client where our own address comes from
// DHCP.
bool EngineCore::IsDhcp(const Frame& frame) const {
  if (frame.protocol != kProtocolUdp || frame.fragment) return false;
  const Attachment& in = attachments_[frame.source];
  const DomainRules& rules = ruleset_[in.domain];
  if (frame.destination_port == kDhcpServerPort) {
    return rules.config.dhcp_server.has_value() &&
           (frame.destination4 == kBroadcast ||
            (rules.identity.has_value() &&
             frame.destination4 == rules.identity->address));
  }
  return frame.destination_port == kDhcpClientPort &&
         !rules.config.interface.has_value() && !in.is_client();
}

LocalFrame EngineCore::LocalFrameOf(const Frame& frame, size_t payload) const {
  const Attachment& in = attachments_[frame.source];
  const uint16_t line = LineOf(in);
  return {.domain = ruleset_[in.domain].config.name,
          .from = line == kNoLine ? 0 : lines_[line]->id,
          .from_client = in.is_client(),
          .bytes = {slow_.get(), frame.ip_end},
          .ip_offset = kEthernetBytes,
          .payload_offset = payload,
          .payload_bytes = frame.ip_end - payload};
}

DropReason EngineCore::HandleDhcp(Frame& frame) {
  if (local_protocols_ == nullptr) return DropReason::kNoSocket;
  if (const DropReason sum = CheckUpperSum4(frame); sum != DropReason::kNone) {
    return sum;
  }
  MakePrivate(frame);
  LocalFrame local = LocalFrameOf(frame, frame.upper + kUdpBytes);
  const auto udp = UdpView::In(local.bytes.subspan(frame.upper));
  local.payload_bytes = udp->length() - kUdpBytes;
  local_protocols_->OnDhcp(local);
  return DropReason::kNone;
}

DropReason EngineCore::HandleDiscovery(Frame& frame) {
  if (frame.fragment || frame.ttl != kDiscoveryHopLimit) {
    return DropReason::kIcmpUnhandled;
  }
  if (local_protocols_ == nullptr) return DropReason::kNoSocket;
  if (const DropReason sum = CheckUpperSum6(frame); sum != DropReason::kNone) {
    return sum;
  }
  MakePrivate(frame);
  local_protocols_->OnNeighbourDiscovery(LocalFrameOf(frame, frame.upper));
  return DropReason::kNone;
}

void EngineCore::SendFrame(std::string_view domain, MemberId to,
                           std::span<const uint8_t> frame) {
  const uint16_t number = ruleset_.DomainOf(domain);
  const auto view = EthernetView::In(frame);
  if (number == kNoDomain || !view.has_value()) {
    ++counters_.local_not_sent;
    return;
  }
  const uint16_t line = FindLine(to);
  bool sent = false;
  const MacAddress destination = view->destination();
  for (const uint16_t each : members_[number].attachments) {
    const Attachment& attachment = attachments_[each];
    if (line != kNoLine) {
      if (LineOf(attachment) != line) continue;
    } else if (!IsMulticast(destination)) {
      const bool here =
          attachment.is_client()
              ? attachment.mac == destination
              : !client_macs_.contains(MacWord(destination)) &&
                    (macs_.Find(number, destination, now_s_) == kNoAttachment ||
                     macs_.Find(number, destination, now_s_) == each);
      if (!here) continue;
    }
    SendOwn(each, frame);
    sent = true;
  }
  if (!sent) ++counters_.local_not_sent;
}

void EngineCore::LearnNeighbour6(std::string_view domain,
                                 const Ipv6Address& address,
                                 const MacAddress& mac, uint64_t now_ns) {
  SetNow(now_ns);
  const uint16_t number = ruleset_.DomainOf(domain);
  if (number == kNoDomain || IsMulticast(mac)) return;
  const uint32_t hash = ruleset_[number].hash;
  const auto client = client_macs_.find(MacWord(mac));
  uint16_t attachment = kNoAttachment;
  uint64_t owner = 0;
  if (client != client_macs_.end() &&
      attachments_[client->second].domain == number) {
    attachment = client->second;
    owner = attachments_[attachment].label_hash;
  } else {
    attachment = macs_.Find(number, mac, now_s_);
    for (const uint16_t each : members_[number].attachments) {
      if (attachment == kNoAttachment && !attachments_[each].is_client()) {
        attachment = each;
      }
    }
  }
  // What a client was first to use stays its own.
  const uint32_t known = neighbours_.Find(hash, 6, address);
  if (known != kNoNeighbour && neighbours_[known].owner_id != 0 &&
      neighbours_[known].owner_id != owner &&
      now_ms_ - neighbours_[known].updated_ms < NeighbourTable::kStaleMs) {
    return;
  }
  neighbours_.Learn(number, hash, 6, address, mac, attachment, owner, now_ms_);
  WakeWaiting(hash, 6, address);
}

void EngineCore::BindAddress(MemberId client,
                             std::optional<Ipv4Address> address) {
  const uint16_t line = FindLine(client);
  if (line == kNoLine || lines_[line]->attachment == kNoAttachment) return;
  const uint16_t number = lines_[line]->attachment;
  Attachment& attachment = attachments_[number];
  attachment.bound = address;
  attachment.good_until_s = 0;
  if (!address.has_value()) return;
  // Whoever else claimed it had no right to.
  const uint32_t hash = ruleset_[attachment.domain].hash;
  neighbours_.Learn(attachment.domain, hash, 4, AddressOf(*address),
                    attachment.mac, number, attachment.label_hash, now_ms_);
  for (const uint16_t each : members_[attachment.domain].attachments) {
    if (attachments_[each].good_source == *address) {
      attachments_[each].good_until_s = 0;
    }
  }
  WakeWaiting(hash, 4, AddressOf(*address));
}

std::span<uint8_t> EngineCore::lease_memory() {
  return state_.subspan(layout_.leases, kLeaseBytes);
}

}  // namespace bulkhead::nic_router
