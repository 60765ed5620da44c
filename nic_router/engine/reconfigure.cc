// Another configuration while frames flow.
#include <utility>

#include "absl/strings/str_cat.h"
#include "nic_router/engine/engine_core.h"

namespace bulkhead::nic_router {

absl::StatusOr<std::vector<MemberId>> EngineCore::Reconfigure(
    const RouterConfig& config, uint64_t now_ns) {
  SetNow(now_ns);
  if (config.max_flows > max_flows_ || config.max_clients > max_clients_) {
    return absl::InvalidArgumentError(
        absl::StrCat("reconfigure the router: max_flows cannot grow beyond ",
                     max_flows_, " nor max_clients beyond ", max_clients_,
                     " while it runs: restart it"));
  }
  auto made = Ruleset::Make(config);
  if (!made.ok()) return made.status();
  const Ruleset before = std::exchange(ruleset_, *std::move(made));
  KeepOf(before);
  std::vector<MemberId> removed = MoveMembers(before);
  flows_.set_timeouts(config.timeouts);
  Revalidate(false);
  // Their flows have ended now: they are in no domain.
  for (const MemberId member : removed) {
    const uint16_t line = FindLine(member);
    Attachment& attachment = attachments_[lines_[line]->attachment];
    client_macs_.erase(MacWord(attachment.mac));
    attachment.live = false;
    FreeLine(line);
  }
  return removed;
}

// What DHCP said, and what was counted.
void EngineCore::KeepOf(const Ruleset& before) {
  for (DomainRules& domain : ruleset_.domains()) {
    const uint16_t old = before.DomainOf(domain.config.name);
    if (old == kNoDomain || domain.config.interface.has_value() ||
        before[old].config.interface.has_value()) {
      continue;
    }
    domain.identity = before[old].identity;
    domain.gateway = before[old].gateway;
  }
  for (Rule& rule : ruleset_.rules()) {
    for (const Rule& old : before.rules()) {
      if (old.domain == rule.domain && old.kind == rule.kind &&
          old.text == rule.text) {
        rule = old;
        break;
      }
    }
  }
}

// Clients go where their labels lead now, uplinks with their groups. Who comes
// into another domain leaves in the old one what it had there. Returns those
// that no policy leads anywhere.
std::vector<MemberId> EngineCore::MoveMembers(const Ruleset& before) {
  const std::vector<DomainMembers> old_members = std::move(members_);
  BuildDomainMembers();
  for (size_t i = 0; i < members_.size(); ++i) {
    const uint16_t old = before.DomainOf(ruleset_.domains()[i].config.name);
    if (old != kNoDomain) members_[i].traffic = old_members[old].traffic;
  }
  std::vector<MemberId> removed;
  for (size_t i = 0; i < attachments_.size(); ++i) {
    const auto number = static_cast<uint16_t>(i);
    Attachment& attachment = attachments_[i];
    if (!attachment.live) continue;
    if (attachment.is_client()) {
      if (!MoveClient(number, before)) {
        removed.push_back(lines_[attachment.line]->id);
      }
      continue;
    }
    // Its group attaches itself anew, below; its neighbours stay.
    for (Neighbour& entry : neighbours_.entries()) {
      if (entry.attachment == number) entry.attachment = kNoAttachment;
    }
    LeaveDomain(number);
    attachment.live = false;
  }
  macs_.Clear();
  for (uint32_t i = 0; i < kNeighbours; ++i) {
    Neighbour& entry = neighbours_[i];
    if (entry.version == 0) continue;
    entry.domain = ruleset_.DomainOfHash(entry.domain_hash);
    if (entry.domain == kNoDomain) neighbours_.Erase(i);
  }
  BuildGroups(std::move(groups_));
  AttachNeighbours();
  return removed;
}

// False: it has no domain any more.
bool EngineCore::MoveClient(uint16_t number, const Ruleset& before) {
  Attachment& attachment = attachments_[number];
  const PolicyRule* policy = ruleset_.PolicyOf(attachment.label);
  if (policy == nullptr ||
      policy->domain != before[attachment.domain].config.name) {
    LeaveDomain(number);
    ForgetNeighboursOf(number);
    attachment.claims = {};
    attachment.bound.reset();
  }
  attachment.good_until_s = 0;
  if (policy == nullptr) {
    attachment.domain = kNoDomain;
    return false;
  }
  attachment.domain = ruleset_.DomainOf(policy->domain);
  members_[attachment.domain].attachments.push_back(number);
  Line& line = *lines_[attachment.line];
  line.quantum = ruleset_.config().max_packets_per_turn * policy->weight;
  const PolicyRule* was = before.PolicyOf(attachment.label);
  if (was == nullptr || was->rate_bits_per_s != policy->rate_bits_per_s ||
      was->burst_bytes != policy->burst_bytes) {
    line.bucket = BucketOf(*policy);
  }
  return true;
}

// Its domain's number may mean another already: counted for the engine alone.
void EngineCore::LeaveDomain(uint16_t number) {
  for (WaitingFrame& slot : waiting_.slots()) {
    if (!slot.used || slot.source != number) continue;
    ++counters_.drops[static_cast<size_t>(DropReason::kMemberRemoved)];
    waiting_.Free(slot);
  }
}

}  // namespace bulkhead::nic_router
