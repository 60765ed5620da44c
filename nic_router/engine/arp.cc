// ARP, next hops, and the frames that wait for one.
#include "nic_router/packet/arp.h"

#include <algorithm>
#include <cstring>

#include "nic_router/engine/engine_core.h"
#include "nic_router/packet/icmp.h"

namespace bulkhead::nic_router {
namespace {

constexpr uint64_t kAskAgainNs = 1'000'000'000;

bool HasMac(const Neighbour& entry) {
  return entry.state == static_cast<uint8_t>(NeighbourState::kKnown);
}

}  // namespace

void EngineCore::SendArp(uint16_t attachment, uint16_t operation,
                         const MacAddress& ethernet_to, Ipv4Address sender_ip,
                         const MacAddress& target_mac, Ipv4Address target_ip) {
  uint8_t frame[kEthernetBytes + kArpBytes];
  auto ethernet = EthernetWriter::In(frame);
  const MacAddress own = OwnMac(attachments_[attachment]);
  ethernet->set_destination(ethernet_to);
  ethernet->set_source(own);
  ethernet->set_type(kEtherTypeArp);
  WriteArp(std::span(frame).subspan(kEthernetBytes), {.operation = operation,
                                                      .sender_mac = own,
                                                      .sender_ip = sender_ip,
                                                      .target_mac = target_mac,
                                                      .target_ip = target_ip});
  SendOwn(attachment, frame);
  ++(operation == kArpReply ? counters_.arp_replies : counters_.arp_requests);
}

// RFC 826, but that we learn only of whom we talk to: from requests for us,
// and about those that we know or asked for. Clients were checked by
// CheckSender, and learned of there.
DropReason EngineCore::HandleArp(Frame& frame, bool for_router) {
  const Attachment& in = attachments_[frame.source];
  const DomainRules& rules = ruleset_[in.domain];
  const auto arp = ArpView::In(frame.head_span().subspan(kEthernetBytes));
  const MacAddress sender_mac = arp->sender_mac();
  const Ipv4Address sender = arp->sender_ip();
  const Ipv4Address target = arp->target_ip();
  const bool asks_us =
      rules.identity.has_value() && target == rules.identity->address;
  if (!in.is_client()) {
    if (sender_mac != LoadMac(frame.head() + kMacBytes)) {
      return DropReason::kArpSpoofed;
    }
    if (rules.identity.has_value() && sender == rules.identity->address) {
      return DropReason::kArpSpoofed;
    }
    const Ipv6Address address = AddressOf(sender);
    const uint32_t known = neighbours_.Find(rules.hash, 4, address);
    if (known != kNoNeighbour) {
      const Neighbour& entry = neighbours_[known];
      if (HasMac(entry) && entry.owner_id != 0 &&
          now_ms_ - entry.updated_ms < NeighbourTable::kStaleMs) {
        return DropReason::kArpSpoofed;
      }
    }
    const bool on_link =
        rules.identity.has_value() && Contains(*rules.identity, sender);
    const bool is_gateway = rules.gateway == sender;
    if (sender != 0 && (on_link || is_gateway) &&
        (known != kNoNeighbour || asks_us)) {
      neighbours_.Learn(in.domain, rules.hash, 4, address, sender_mac,
                        frame.source, 0, now_ms_);
      WakeWaiting(rules.hash, 4, address);
    }
  }
  if (asks_us) {
    if (arp->operation() == kArpRequest) {
      SendArp(frame.source, kArpReply, sender_mac, target, sender_mac, sender);
    }
    return DropReason::kNone;
  }
  return for_router ? DropReason::kNone : Flood(frame, false);
}

// To all of the domain; to the one that had it, when it is to be confirmed.
void EngineCore::AskWho(uint16_t domain, uint32_t number) {
  Neighbour& entry = neighbours_[number];
  if (entry.asked_s == now_s_ && now_s_ != 0) return;
  entry.asked_s = now_s_;
  if (entry.version == 6) {
    if (local_protocols_ != nullptr) {
      local_protocols_->Resolve6(ruleset_[domain].config.name, entry.address);
    }
    return;
  }
  const auto& identity = ruleset_[domain].identity;
  if (!identity.has_value()) return;
  const Ipv4Address target = Ipv4Of(entry.address);
  if (HasMac(entry) && entry.attachment != kNoAttachment &&
      now_ms_ - entry.updated_ms < NeighbourTable::kStaleMs) {
    SendArp(entry.attachment, kArpRequest, entry.mac, identity->address,
            MacAddress{}, target);
    return;
  }
  for (const uint16_t attachment : members_[domain].attachments) {
    SendArp(attachment, kArpRequest, kBroadcastMac, identity->address,
            MacAddress{}, target);
  }
}

NextHop EngineCore::LookUp(uint16_t domain, uint8_t version,
                           const Ipv6Address& address, uint32_t& hint) {
  const uint32_t hash = ruleset_[domain].hash;
  if (hint >= kNeighbours || !neighbours_.Is(hint, hash, version, address)) {
    hint = neighbours_.Find(hash, version, address);
    if (hint == kNoNeighbour) return {};
  }
  Neighbour& entry = neighbours_[hint];
  if (!HasMac(entry) || entry.attachment == kNoAttachment) return {};
  const uint64_t age_ms = now_ms_ - entry.updated_ms;
  if (age_ms >= NeighbourTable::kFreshMs) [[unlikely]] {
    if (age_ms >= NeighbourTable::kStaleMs) return {};
    AskWho(domain, hint);
  }
  return {.mac = &entry.mac, .attachment = entry.attachment};
}

NextHop EngineCore::Resolve4(uint16_t domain, Ipv4Address destination,
                             uint32_t& hint) {
  const DomainRules& rules = ruleset_[domain];
  if (!rules.identity.has_value()) return {.reason = DropReason::kNoIdentity};
  if (!rules.config.use_arp) {
    for (const uint16_t each : members_[domain].attachments) {
      if (!attachments_[each].is_client()) {
        return {.mac = &kBroadcastMac, .attachment = each};
      }
    }
    return {.reason = DropReason::kNoLink};
  }
  Ipv4Address hop = destination;
  if (Contains(*rules.identity, destination)) {
    const uint32_t host = ~MaskOf(rules.identity->bits);
    const bool broadcast =
        rules.identity->bits < 31 &&
        ((destination & host) == 0 || (destination & host) == host);
    if (broadcast || destination == rules.identity->address) {
      return {.reason = DropReason::kIpLocalNet};
    }
  } else if (rules.gateway.has_value()) {
    hop = *rules.gateway;
  } else {
    return {.reason = DropReason::kIpOutNoRoutes};
  }
  return LookUp(domain, 4, AddressOf(hop), hint);
}

DropReason EngineCore::KeepWaiting(Frame& frame, uint16_t domain,
                                   uint8_t version,
                                   const Ipv6Address& address) {
  const uint32_t hash = ruleset_[domain].hash;
  WaitingFrame* const slot = waiting_.Take(frame.source, frame.bytes);
  if (slot == nullptr) return DropReason::kNeighQueueFull;
  uint32_t number = neighbours_.Find(hash, version, address);
  if (number == kNoNeighbour) {
    number = neighbours_.AddAsked(domain, hash, version, address);
  }
  if (number == kNoNeighbour) {
    waiting_.Free(*slot);
    return DropReason::kNeighQueueFull;
  }
  uint8_t* const to = waiting_.BytesOf(*slot);
  std::memcpy(to, frame.head(), frame.head_bytes);
  uint32_t at = frame.head_bytes;
  const RxPiece* piece = frame.rest;
  for (uint32_t skip = frame.rest_skip; at < frame.bytes; ++piece, skip = 0) {
    const uint32_t part =
        std::min<uint32_t>(frame.bytes - at, piece->length - skip);
    std::memcpy(to + at, piece->data + skip, part);
    at += part;
  }
  slot->version = version;
  slot->domain_hash = hash;
  slot->next_hop = address;
  slot->deadline_ns =
      now_ns_ +
      uint64_t{ruleset_.config().timeouts.arp_request_s} * 1'000'000'000;
  slot->ask_ns = now_ns_ + kAskAgainNs;
  AskWho(domain, number);
  return DropReason::kNone;
}

void EngineCore::WakeWaiting(uint32_t domain_hash, uint8_t version,
                             const Ipv6Address& address) {
  if (waiting_.used() == 0) return;
  for (WaitingFrame& slot : waiting_.slots()) {
    if (slot.used && slot.domain_hash == domain_hash &&
        slot.version == version && slot.next_hop == address) {
      slot.ready = true;
      slot.ask_ns = 0;
    }
  }
}

void EngineCore::ServeWaiting() {
  for (WaitingFrame& slot : waiting_.slots()) {
    if (!slot.used) continue;
    if (slot.ready || now_ns_ >= slot.deadline_ns) {
      Redo(slot);
    } else if (now_ns_ >= slot.ask_ns) {
      slot.ask_ns = now_ns_ + kAskAgainNs;
      const uint16_t domain = ruleset_.DomainOfHash(slot.domain_hash);
      const uint32_t number =
          neighbours_.Find(slot.domain_hash, slot.version, slot.next_hop);
      if (domain != kNoDomain && number != kNoNeighbour) {
        AskWho(domain, number);
      }
    }
  }
}

// From the start again, as if it had come now; or given up.
void EngineCore::Redo(WaitingFrame& slot) {
  const RxPiece piece = {.data = waiting_.BytesOf(slot),
                         .length = static_cast<uint16_t>(slot.bytes)};
  Frame& frame = redone_;
  frame.source = slot.source;
  if (TakeHead(&piece, frame)) {
    ParseFrame(frame);
    DropReason reason = DropReason::kNeighFailed;
    if (slot.ready) {
      if (frame.has_key) frame.hash = flows_.Hash(KeyOf(frame));
      reason = Handle(frame);
    } else {
      const uint32_t number =
          neighbours_.Find(slot.domain_hash, slot.version, slot.next_hop);
      if (number != kNoNeighbour && !HasMac(neighbours_[number])) {
        neighbours_.Erase(number);
      }
      if (frame.kind == FrameKind::kIpv4) {
        SendError4(frame, kIcmpUnreachable, kIcmpHostUnreachable);
      } else {
        SendError6(frame, kIcmp6Unreachable, kIcmp6AddressUnreachable);
      }
    }
    if (reason != DropReason::kNone) Drop(slot.source, reason);
  }
  waiting_.Free(slot);
}

}  // namespace bulkhead::nic_router
