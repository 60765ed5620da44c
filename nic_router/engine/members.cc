// Clients and uplinks come and go; which uplink of a group is active.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "nic_router/engine/engine_core.h"
#include "nic_router/engine/hash.h"

namespace bulkhead::nic_router {
namespace {

// Locally administered, the same after every restart: neighbours keep it.
MacAddress MacOfDomain(const std::string& router, const std::string& domain) {
  const uint64_t hash = HashName(absl::StrCat(router, "/", domain));
  MacAddress mac = {0x02};
  for (size_t i = 1; i < mac.size(); ++i) {
    mac[i] = static_cast<uint8_t>(hash >> (8 * i));
  }
  return mac;
}

}  // namespace

void EngineCore::BuildDomainMembers() {
  members_.clear();
  members_.resize(ruleset_.domains().size());
  for (size_t i = 0; i < members_.size(); ++i) {
    members_[i].mac =
        MacOfDomain(ruleset_.config().name, ruleset_.domains()[i].config.name);
    members_[i].attachments.reserve(attachments_.capacity());
  }
}

// Groups that are as they were keep their ports. `old` may be empty.
void EngineCore::BuildGroups(std::vector<UplinkGroup> old) {
  groups_.clear();
  for (const UplinkConfig& config : ruleset_.config().uplinks) {
    UplinkGroup group;
    group.config = config;
    group.lines.assign(config.instances.size(), kNoLine);
    const auto same = std::find_if(
        old.begin(), old.end(),
        [&config](const UplinkGroup& each) { return each.config == config; });
    if (same != old.end()) {
      group.lines = same->lines;
      group.active = same->active;
      group.failovers = same->failovers;
      same->lines.clear();
    }
    groups_.push_back(std::move(group));
  }
  for (UplinkGroup& group : old) {
    for (const uint16_t line : group.lines) {
      if (line != kNoLine) FreeLine(line);
    }
  }
  for (size_t i = 0; i < groups_.size(); ++i) {
    UplinkGroup& group = groups_[i];
    const auto attach = [this, i](const std::string& domain, uint16_t vlan) {
      if (domain.empty()) return kNoAttachment;
      const uint16_t number = NewAttachment();
      Attachment& attachment = attachments_[number];
      attachment.group = static_cast<uint16_t>(i);
      attachment.vlan = vlan;
      attachment.domain = ruleset_.DomainOf(domain);
      members_[attachment.domain].attachments.push_back(number);
      return number;
    };
    group.untagged = attach(group.config.domain, 0);
    for (const VlanConfig& vlan : group.config.vlans) {
      group.tagged.emplace_back(vlan.vlan, attach(vlan.domain, vlan.vlan));
    }
    for (const uint16_t line : group.lines) {
      if (line != kNoLine) lines_[line]->group = static_cast<uint16_t>(i);
    }
  }
}

uint16_t EngineCore::NewAttachment() {
  for (size_t i = 0; i < attachments_.size(); ++i) {
    if (attachments_[i].live) continue;
    attachments_[i] = {};
    attachments_[i].live = true;
    return static_cast<uint16_t>(i);
  }
  attachments_.emplace_back();
  attachments_.back().live = true;
  return static_cast<uint16_t>(attachments_.size() - 1);
}

uint16_t EngineCore::NewLine(Port* port) {
  size_t number = 0;
  while (number < lines_.size() && lines_[number]->port != nullptr) ++number;
  if (number == lines_.size()) lines_.push_back(std::make_unique<Line>());
  Line& line = *lines_[number];
  line = {};
  line.port = port;
  line.id = next_id_++;
  line.up = port->link_up();
  line.mac = port->mac();
  line.mtu = port->mtu();
  return static_cast<uint16_t>(number);
}

TokenBucket EngineCore::BucketOf(const PolicyRule& policy) const {
  if (policy.rate_bits_per_s == 0) return {};
  const uint64_t rate = std::max<uint64_t>(policy.rate_bits_per_s / 8, 1);
  const uint64_t burst = policy.burst_bytes != 0
                             ? policy.burst_bytes
                             : std::max<uint64_t>(rate / 100, 65536);
  return TokenBucket(rate, burst, now_ns_);
}

absl::StatusOr<Engine::Member> EngineCore::AddClient(std::string_view label,
                                                     const MacAddress& mac,
                                                     Port* port,
                                                     uint64_t now_ns) {
  SetNow(now_ns);
  const PolicyRule* policy = ruleset_.PolicyOf(label);
  if (policy == nullptr) {
    return absl::PermissionDeniedError(absl::StrCat(
        "open a session of the router as \"", std::string(label),
        "\": no policy matches this label: add one under router: policies"));
  }
  if (client_macs_.size() >= max_clients_) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "open a session of the router as \"", std::string(label), "\": its ",
        max_clients_, " clients are there already: raise max_clients"));
  }
  if (IsMulticast(mac) || client_macs_.contains(MacWord(mac))) {
    return absl::AlreadyExistsError(
        absl::StrCat("open a session of the router as \"", std::string(label),
                     "\": another client has the MAC ", FormatMac(mac),
                     ", or no client can"));
  }
  const uint16_t line_number = NewLine(port);
  const uint16_t number = NewAttachment();
  Line& line = *lines_[line_number];
  Attachment& client = attachments_[number];
  line.attachment = number;
  line.mac = mac;
  line.quantum = ruleset_.config().max_packets_per_turn * policy->weight;
  line.bucket = BucketOf(*policy);
  client.line = line_number;
  client.mac = mac;
  client.label = std::string(label);
  client.label_hash = HashName(label);
  client.domain = ruleset_.DomainOf(policy->domain);
  members_[client.domain].attachments.push_back(number);
  client_macs_[MacWord(mac)] = number;
  // What an earlier router knew of it.
  for (uint32_t i = 0; i < flows_.end(); ++i) {
    Flow& flow = flows_[i];
    if (flow.state == FlowState::kFree || flow.client != kNoAttachment ||
        flow.client_id != client.label_hash) {
      continue;
    }
    if (flow.key[0].domain != client.domain) {
      EndFlow(i);
      flows_.Erase(i);
      ++counters_.flows_ended;
      continue;
    }
    flow.client = number;
    ++client.flows;
  }
  for (uint32_t i = 0; i < kNeighbours; ++i) {
    Neighbour& neighbour = neighbours_[i];
    if (neighbour.version == 0 || neighbour.owner_id != client.label_hash ||
        neighbour.attachment != kNoAttachment) {
      continue;
    }
    if (neighbour.mac == mac && neighbour.domain == client.domain) {
      neighbour.attachment = number;
    } else {
      neighbours_.Erase(i);
    }
  }
  return Member{line.id, policy->domain};
}

absl::StatusOr<MemberId> EngineCore::AddUplink(size_t uplink, size_t instance,
                                               Port* port, uint64_t now_ns) {
  SetNow(now_ns);
  if (uplink >= groups_.size() || instance >= groups_[uplink].lines.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("add instance ", instance, " of uplink ", uplink,
                     ": the router's configuration has no such"));
  }
  UplinkGroup& group = groups_[uplink];
  if (group.lines[instance] != kNoLine) {
    return absl::AlreadyExistsError(absl::StrCat(
        "add ", group.config.instances[instance], ": it is there already"));
  }
  const uint16_t number = NewLine(port);
  Line& line = *lines_[number];
  line.group = static_cast<uint16_t>(uplink);
  line.instance = static_cast<uint16_t>(instance);
  line.quantum = kUplinkQuantum;
  group.lines[instance] = number;
  ChooseActive(group);
  NoteLinksChanged();
  return line.id;
}

uint16_t EngineCore::FindLine(MemberId member) const {
  for (size_t i = 0; i < lines_.size(); ++i) {
    if (lines_[i]->port != nullptr && lines_[i]->id == member) {
      return static_cast<uint16_t>(i);
    }
  }
  return kNoLine;
}

void EngineCore::Remove(MemberId member) {
  const uint16_t number = FindLine(member);
  if (number == kNoLine) return;
  const Line& line = *lines_[number];
  if (line.group == kNoGroup) {
    Detach(line.attachment);
    FreeLine(number);
    return;
  }
  UplinkGroup& group = groups_[line.group];
  group.lines[line.instance] = kNoLine;
  if (group.active == number) group.active = kNoLine;
  FreeLine(number);
  ChooseActive(group);
  NoteLinksChanged();
}

// Its buffers go back while the port is still there.
void EngineCore::FreeLine(uint16_t number) {
  Line& line = *lines_[number];
  LetGo(line);
  SubmitQueued(line);
  if (line.pool_begin != line.pool_end) {
    line.port->Return(std::span(line.pool).subspan(
        line.pool_begin, line.pool_end - line.pool_begin));
  }
  if (line.used) line.port->Flush();
  line = {};
}

void EngineCore::Detach(uint16_t number) {
  EndFlowsOf(number);
  ForgetNeighboursOf(number);
  macs_.Forget(number);
  ForgetWaitingOf(number);
  Attachment& attachment = attachments_[number];
  if (attachment.is_client()) client_macs_.erase(MacWord(attachment.mac));
  std::vector<uint16_t>& members = members_[attachment.domain].attachments;
  std::erase(members, number);
  attachment.live = false;
}

void EngineCore::ForgetWaitingOf(uint16_t attachment) {
  for (WaitingFrame& slot : waiting_.slots()) {
    if (!slot.used || slot.source != attachment) continue;
    Drop(attachment, DropReason::kMemberRemoved);
    waiting_.Free(slot);
  }
}

void EngineCore::EndFlowsOf(uint16_t attachment) {
  for (uint32_t i = 0; i < flows_.end(); ++i) {
    if (flows_[i].state == FlowState::kFree || flows_[i].client != attachment) {
      continue;
    }
    EndFlow(i);
    flows_.Erase(i);
    ++counters_.flows_ended;
  }
}

void EngineCore::ForgetNeighboursOf(uint16_t attachment) {
  for (uint32_t i = 0; i < kNeighbours; ++i) {
    if (neighbours_[i].version != 0 &&
        neighbours_[i].attachment == attachment) {
      neighbours_.Erase(i);
    }
  }
}

std::string EngineCore::DomainOf(MemberId client) const {
  const uint16_t line = FindLine(client);
  if (line == kNoLine || lines_[line]->attachment == kNoAttachment) return "";
  return ruleset_[attachments_[lines_[line]->attachment].domain].config.name;
}

const MacAddress& EngineCore::OwnMac(const Attachment& attachment) const {
  if (!attachment.is_client()) {
    const uint16_t line = groups_[attachment.group].active;
    if (line != kNoLine) return lines_[line]->mac;
  }
  return members_[attachment.domain].mac;
}

MacAddress EngineCore::RouterMac(std::string_view domain,
                                 MemberId towards) const {
  const uint16_t number = ruleset_.DomainOf(domain);
  if (number == kNoDomain) return {};
  const uint16_t line = FindLine(towards);
  if (line != kNoLine && lines_[line]->group != kNoGroup) {
    return lines_[line]->mac;
  }
  return members_[number].mac;
}

// A port that lost its link is left in the same turn, and its group's frames
// take the next one: no flow or neighbour names a port.
void EngineCore::LookAtLinks() {
  bool changed = false;
  for (const auto& each : lines_) {
    Line& line = *each;
    if (line.port == nullptr) continue;
    const bool up = line.port->link_up();
    if (up == line.up) continue;
    line.up = up;
    changed = true;
    line.mtu = line.port->mtu();
    if (line.group != kNoGroup) line.mac = line.port->mac();
  }
  if (!changed) return;
  for (UplinkGroup& group : groups_) ChooseActive(group);
  NoteLinksChanged();
}

void EngineCore::ChooseActive(UplinkGroup& group) {
  uint16_t best = kNoLine;
  for (const uint16_t line : group.lines) {
    if (line != kNoLine && lines_[line]->up) {
      best = line;
      break;
    }
  }
  // With none, the last one stays: its MAC is still what neighbours know.
  if (best == kNoLine) {
    if (group.active != kNoLine) return;
    for (const uint16_t line : group.lines) {
      if (line != kNoLine) best = line;
    }
    group.active = best;
    return;
  }
  if (best == group.active) return;
  if (group.active != kNoLine) {
    ++group.failovers;
    ++counters_.failovers;
  }
  group.active = best;
  Announce(group);
}

// Gratuitous ARP (RFC 5227 3): neighbours and switches learn the new way.
void EngineCore::Announce(const UplinkGroup& group) {
  const auto announce = [this](uint16_t number) {
    if (number == kNoAttachment) return;
    const Attachment& attachment = attachments_[number];
    const auto& identity = ruleset_[attachment.domain].identity;
    if (!identity.has_value()) return;
    SendArp(number, 1, kBroadcastMac, identity->address, MacAddress{},
            identity->address);
  };
  announce(group.untagged);
  for (const auto& [vlan, attachment] : group.tagged) announce(attachment);
}

}  // namespace bulkhead::nic_router
