// What an operator may know.
#include "absl/strings/str_cat.h"
#include "nic_router/engine/engine_core.h"
#include "nic_router/packet/icmp.h"

namespace bulkhead::nic_router {
namespace {

std::string ProtocolName(uint8_t protocol) {
  switch (protocol) {
    case kProtocolTcp:
      return "tcp";
    case kProtocolUdp:
      return "udp";
    case kProtocolIcmp:
      return "icmp";
    case kProtocolIcmp6:
      return "icmp6";
    default:
      return absl::StrCat(protocol);
  }
}

std::string_view StateName(FlowState state) {
  switch (state) {
    case FlowState::kFree:
      return "free";
    case FlowState::kOpening:
      return "opening";
    case FlowState::kOpen:
      return "open";
    case FlowState::kClosing:
      return "closing";
    case FlowState::kClosed:
      return "closed";
    case FlowState::kReset:
      return "reset";
  }
  return "?";
}

template <typename... Cells>
std::vector<std::string> Row(const Cells&... cells) {
  return {absl::StrCat(cells)...};
}

}  // namespace

Table EngineCore::Links() const {
  Table table{{"protocol", "client", "domain", "source", "destination",
               "to_domain", "as", "to", "state", "packets", "idle_s"},
              {}};
  for (uint32_t i = 0; i < flows_.end(); ++i) {
    const Flow& flow = flows_[i];
    if (flow.state == FlowState::kFree) continue;
    const FlowKey& there = flow.key[0];
    const FlowKey& back = flow.key[1];
    const auto end = [&flow, &there](Ipv4Address address,
                                     const Ipv6Address& address6,
                                     uint16_t port) {
      return there.version == 4
                 ? absl::StrCat(FormatIpv4(address), ":", port)
                 : absl::StrCat("[", FormatIpv6(address6), "]:", port);
    };
    table.rows.push_back(
        Row(ProtocolName(there.protocol),
            flow.client == kNoAttachment ? "" : attachments_[flow.client].label,
            ruleset_[there.domain].config.name,
            end(there.source, flow.source6, there.source_port),
            end(there.destination, flow.destination6, there.destination_port),
            ruleset_[back.domain].config.name,
            end(back.destination, flow.source6, back.destination_port),
            end(back.source, flow.destination6, back.source_port),
            std::string(StateName(flow.state)), flow.packets,
            FlowTable::IdleMs(flow, now_ms_) / 1000));
  }
  return table;
}

Table EngineCore::Domains() const {
  Table table{
      {"domain", "address", "gateway", "address6", "mac", "clients", "uplinks",
       "rx_frames", "rx_bytes", "tx_frames", "tx_bytes", "dropped", "nat"},
      {}};
  for (size_t i = 0; i < members_.size(); ++i) {
    const DomainRules& rules = ruleset_.domains()[i];
    const DomainMembers& members = members_[i];
    const Traffic& traffic = members.traffic;
    size_t clients = 0;
    for (const uint16_t each : members.attachments) {
      clients += attachments_[each].is_client() ? 1 : 0;
    }
    std::string nat;
    for (const NatQuota& quota : rules.nat) {
      absl::StrAppend(&nat, nat.empty() ? "" : "; ",
                      ruleset_[quota.domain].config.name, " tcp ",
                      quota.used[kNatTcp], "/", quota.limit[kNatTcp], " udp ",
                      quota.used[kNatUdp], "/", quota.limit[kNatUdp], " icmp ",
                      quota.used[kNatIcmp], "/", quota.limit[kNatIcmp]);
    }
    table.rows.push_back(Row(
        rules.config.name,
        rules.identity.has_value() ? FormatPrefix(*rules.identity) : "",
        rules.gateway.has_value() ? FormatIpv4(*rules.gateway) : "",
        rules.config.interface6.has_value()
            ? FormatPrefix(*rules.config.interface6)
            : "",
        FormatMac(members.mac), clients, members.attachments.size() - clients,
        traffic.rx_frames, traffic.rx_bytes, traffic.tx_frames,
        traffic.tx_bytes, traffic.dropped, nat));
  }
  return table;
}

Table EngineCore::Rules() const {
  Table table{{"domain", "kind", "rule", "packets", "bytes", "links"}, {}};
  for (const Rule& rule : ruleset_.rules()) {
    table.rows.push_back(Row(rule.domain, rule.kind, rule.text, rule.packets,
                             rule.bytes, rule.flows));
  }
  return table;
}

Table EngineCore::Arp() const {
  Table table{{"domain", "address", "mac", "member", "state", "age_s"}, {}};
  for (uint32_t i = 0; i < kNeighbours; ++i) {
    const Neighbour& entry = neighbours_[i];
    if (entry.version == 0) continue;
    const bool known =
        entry.state == static_cast<uint8_t>(NeighbourState::kKnown);
    std::string member;
    if (entry.attachment != kNoAttachment) {
      const Attachment& attachment = attachments_[entry.attachment];
      member = attachment.is_client() ? attachment.label : "uplink";
    }
    table.rows.push_back(Row(
        ruleset_[entry.domain].config.name,
        entry.version == 4 ? FormatIpv4(Ipv4Of(entry.address))
                           : FormatIpv6(entry.address),
        known ? FormatMac(entry.mac) : "", member, known ? "known" : "asked",
        known ? (now_ms_ - entry.updated_ms) / 1000 : 0));
  }
  return table;
}

Table EngineCore::Clients() const {
  Table table{{"label", "domain", "mac", "links", "rx_frames", "rx_bytes",
               "tx_frames", "tx_bytes", "dropped", "drops"},
              {}};
  for (const Attachment& client : attachments_) {
    if (!client.live || !client.is_client()) continue;
    std::string drops;
    for (size_t i = 1; i < kDropReasons; ++i) {
      if (client.drops[i] == 0) continue;
      absl::StrAppend(&drops, drops.empty() ? "" : " ",
                      std::string(kDropReasonNames[i]), "=", client.drops[i]);
    }
    table.rows.push_back(Row(client.label, ruleset_[client.domain].config.name,
                             FormatMac(client.mac), client.flows,
                             client.traffic.rx_frames, client.traffic.rx_bytes,
                             client.traffic.tx_frames, client.traffic.tx_bytes,
                             client.traffic.dropped, drops));
  }
  return table;
}

Table EngineCore::Uplinks() const {
  Table table{{"uplink", "instance", "domain", "link", "active", "mac", "mtu",
               "failovers"},
              {}};
  for (size_t i = 0; i < groups_.size(); ++i) {
    const UplinkGroup& group = groups_[i];
    for (size_t j = 0; j < group.lines.size(); ++j) {
      const uint16_t number = group.lines[j];
      const Line* line = number == kNoLine ? nullptr : lines_[number].get();
      table.rows.push_back(
          Row(i, group.config.instances[j], group.config.domain,
              line == nullptr ? "absent"
              : line->up      ? "up"
                              : "down",
              number != kNoLine && number == group.active && line->up ? "yes"
                                                                      : "no",
              line == nullptr ? "" : FormatMac(line->mac),
              line == nullptr ? 0 : line->mtu, group.failovers));
    }
  }
  return table;
}

Table EngineCore::Counters() const {
  Table table{{"name", "value"}, {}};
  const auto add = [&table](std::string_view name, uint64_t value) {
    table.rows.push_back({std::string(name), absl::StrCat(value)});
  };
  add("frames", counters_.frames);
  add("sent", counters_.sent);
  add("links", flows_.size());
  add("links_made", counters_.flows_made);
  add("links_expired", counters_.flows_expired);
  add("links_freed_in_emergency", counters_.flows_freed);
  add("links_ended", counters_.flows_ended);
  add("links_adopted", counters_.flows_adopted);
  add("links_not_believed", counters_.flows_not_believed);
  add("neighbours_adopted", counters_.neighbours_adopted);
  add("neighbours_not_believed", counters_.neighbours_not_believed);
  add("arp_requests", counters_.arp_requests);
  add("arp_replies", counters_.arp_replies);
  add("icmp_errors", counters_.icmp_errors);
  add("fragmented", counters_.fragmented);
  add("icmp_echoes", counters_.icmp_echoes);
  add("local_not_sent", counters_.local_not_sent);
  add("failovers", counters_.failovers);
  add("waiting", waiting_.used());
  for (size_t i = 1; i < kDropReasons; ++i) {
    add(absl::StrCat("drop_", std::string(kDropReasonNames[i])),
        counters_.drops[i]);
  }
  return table;
}

}  // namespace bulkhead::nic_router
