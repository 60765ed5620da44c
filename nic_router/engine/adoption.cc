// What is kept of flows and neighbours: over a restart, a reconfiguration, a
// new address. Each time the question is the same: would the rules make this
// link today, and make the same of it?
#include <algorithm>
#include <cstring>
#include <random>

#include "absl/strings/str_cat.h"
#include "nic_router/engine/engine_core.h"
#include "nic_router/engine/hash.h"

namespace bulkhead::nic_router {
namespace {

uint64_t HeaderCheck(const StateHeader& header) {
  Hasher hasher(header.magic);
  hasher.Add(uint64_t{header.flows} << 32 | header.neighbours);
  hasher.Add(header.hash_seed);
  return hasher.value();
}

// The seed that this memory's entries were written with; emptied memory gets a
// new one. Flows are emptied by saying that none is used.
uint64_t OpenState(std::span<uint8_t> state, const StateLayout& layout,
                   uint32_t max_flows) {
  auto* const header = reinterpret_cast<StateHeader*>(state.data());
  if (header->magic == kStateMagic && header->flows == max_flows &&
      header->neighbours == kNeighbours &&
      header->check == HeaderCheck(*header)) {
    return header->hash_seed;
  }
  std::memset(state.data(), 0, kStatePage);
  std::memset(&state[layout.neighbours], 0, layout.bytes - layout.neighbours);
  std::random_device random;
  *header = {.magic = kStateMagic,
             .flows = max_flows,
             .neighbours = kNeighbours,
             .hash_seed = uint64_t{random()} << 32 | random(),
             .check = 0,
             .flows_used = 0,
             .unused = 0};
  header->check = HeaderCheck(*header);
  return header->hash_seed;
}

bool GoodState(const Flow& flow) {
  return flow.state >= FlowState::kOpening && flow.state <= FlowState::kReset;
}

}  // namespace

size_t Engine::StateBytes(const RouterConfig& config) {
  return StateLayout(config.max_flows, kLeaseBytes).bytes;
}

absl::StatusOr<std::unique_ptr<Engine>> Engine::Create(
    const RouterConfig& config, std::span<uint8_t> state, uint64_t now_ns) {
  if (state.size() < StateBytes(config) ||
      reinterpret_cast<uintptr_t>(state.data()) % 64 != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "create the router's engine: its state memory has ", state.size(),
        " bytes and must have ", StateBytes(config), ", aligned to 64"));
  }
  if (config.max_flows == 0 || config.max_flows > 1u << 28 ||
      config.max_clients >= kNoAttachment / 2) {
    return absl::InvalidArgumentError(
        "create the router's engine: max_flows must be 1 to 268435456 and "
        "max_clients below 32767");
  }
  auto ruleset = Ruleset::Make(config);
  if (!ruleset.ok()) return ruleset.status();
  return std::make_unique<EngineCore>(*std::move(ruleset), state, now_ns);
}

EngineCore::EngineCore(Ruleset ruleset, std::span<uint8_t> state,
                       uint64_t now_ns)
    : ruleset_(std::move(ruleset)),
      state_(state),
      layout_(ruleset_.config().max_flows, kLeaseBytes),
      max_flows_(ruleset_.config().max_flows),
      max_clients_(ruleset_.config().max_clients),
      seed_(OpenState(state, layout_, max_flows_)),
      flows_(std::span(reinterpret_cast<Flow*>(state.data() + layout_.flows),
                       max_flows_),
             reinterpret_cast<StateHeader*>(state.data())->flows_used, seed_,
             now_ns / 1'000'000),
      neighbours_(std::span(reinterpret_cast<Neighbour*>(state.data() +
                                                         layout_.neighbours),
                            kNeighbours),
                  seed_),
      fragments_(seed_),
      macs_(seed_),
      random_(seed_ ^ now_ns),
      answers_(kAnswersPerSecond, kAnswersBurst, now_ns),
      frames_(std::make_unique<std::array<Frame, kBatch>>()),
      slow_(std::make_unique<uint8_t[]>(kSlowBytes)) {
  SetNow(now_ns);
  size_t attachments = max_clients_;
  for (const UplinkConfig& uplink : ruleset_.config().uplinks) {
    attachments += 1 + uplink.vlans.size();
  }
  attachments_.reserve(attachments);
  client_macs_.reserve(max_clients_);
  BuildDomainMembers();
  BuildGroups({});
  flows_.set_timeouts(ruleset_.config().timeouts);
  AdoptNeighbours();
  Revalidate(true);
}

void EngineCore::AdoptNeighbours() {
  for (uint32_t i = 0; i < kNeighbours; ++i) {
    Neighbour& entry = neighbours_[i];
    if (entry.check == 0 && entry.version == 0) continue;
    const uint16_t domain = ruleset_.DomainOfHash(entry.domain_hash);
    if (!neighbours_.Holds(entry) || domain == kNoDomain ||
        (entry.version != 4 && entry.version != 6) ||
        entry.updated_ms > now_ms_ ||
        now_ms_ - entry.updated_ms >= NeighbourTable::kStaleMs ||
        neighbours_.Find(entry.domain_hash, entry.version, entry.address) !=
            i) {
      neighbours_.Erase(i);
      ++counters_.neighbours_not_believed;
      continue;
    }
    entry.domain = domain;
    entry.asked_s = 0;
    entry.state = static_cast<uint8_t>(NeighbourState::kKnown);
    // A client's is known again when it is there again.
    entry.attachment = kNoAttachment;
    ++counters_.neighbours_adopted;
  }
  AttachNeighbours();
}

void EngineCore::AttachNeighbours() {
  for (Neighbour& entry : neighbours_.entries()) {
    if (entry.version == 0 || entry.owner_id != 0 ||
        entry.attachment != kNoAttachment) {
      continue;
    }
    for (const uint16_t each : members_[entry.domain].attachments) {
      if (attachments_[each].is_client()) continue;
      entry.attachment = each;
      break;
    }
  }
}

// Would the link's first packet make it, as it is?
bool EngineCore::Believe(Flow& flow, bool from_memory) {
  if (!GoodState(flow)) return false;
  if (from_memory && (flow.check == 0 || flow.check != flows_.CheckOf(flow))) {
    return false;
  }
  const FlowKey& there = flow.key[0];
  const FlowKey& back = flow.key[1];
  if (there.version != back.version || there.protocol != back.protocol) {
    return false;
  }
  for (int side = 0; side < 2; ++side) {
    flow.key[side].domain = ruleset_.DomainOfHash(flow.domain_hash[side]);
    if (flow.key[side].domain == kNoDomain) return false;
  }
  // Its client: as it is now, or when it comes back.
  if (from_memory) {
    flow.client = kNoAttachment;
  } else if (flow.client != kNoAttachment &&
             (!attachments_[flow.client].live ||
              attachments_[flow.client].domain != there.domain)) {
    return false;
  }
  if (there.version == 4) return Believe4(flow);
  return there.version == 6 && Believe6(flow);
}

bool EngineCore::Believe4(Flow& flow) {
  const FlowKey& there = flow.key[0];
  const FlowKey& back = flow.key[1];
  const NatKind kind = NatKindOf(there.protocol);
  if (kind == kNatKinds) return false;
  const bool translated = (flow.flags & kFlowTranslated) != 0;
  const bool forwarded = (flow.flags & kFlowForwarded) != 0;
  DomainRules& target = ruleset_[back.domain];
  // An address that DHCP has yet to tell is not held against it: until it is
  // known, nothing is forwarded; then this is asked again.
  const DomainRules& origin = ruleset_[there.domain];
  if (!forwarded || origin.identity.has_value()) {
    const Decision decision =
        ruleset_.Decide4(there.domain, there.protocol, there.destination,
                         there.destination_port, true);
    const bool made_so =
        decision.kind ==
            (forwarded ? Decision::Kind::kForward : Decision::Kind::kLink) &&
        decision.domain == back.domain && decision.translate == translated &&
        decision.destination == back.source &&
        (kind == kNatIcmp || decision.destination_port == back.source_port);
    if (!made_so) return false;
    flow.rule = decision.rule;
  } else {
    flow.rule = kNoRule;
  }
  if (!translated) {
    return back.destination == there.source &&
           back.destination_port == there.source_port;
  }
  if (target.identity.has_value() &&
      target.identity->address != back.destination) {
    return false;
  }
  NatQuota* const quota = target.NatFor(there.domain);
  return quota != nullptr && quota->used[kind] < quota->limit[kind];
}

bool EngineCore::Believe6(Flow& flow) {
  const FlowKey& there = flow.key[0];
  const FlowKey& back = flow.key[1];
  if ((flow.flags & (kFlowTranslated | kFlowForwarded)) != 0 ||
      there.source_port != back.destination_port ||
      there.destination_port != back.source_port) {
    return false;
  }
  const Decision decision = ruleset_.Decide6(there.domain, flow.destination6);
  flow.rule = decision.rule;
  return decision.kind == Decision::Kind::kLink &&
         decision.domain == back.domain;
}

// The table is built anew: domains may have other numbers, and with them keys
// lie elsewhere.
void EngineCore::Revalidate(bool from_memory) {
  for (Attachment& attachment : attachments_) attachment.flows = 0;
  for (DomainRules& domain : ruleset_.domains()) {
    for (NatQuota& quota : domain.nat) {
      std::fill(std::begin(quota.used), std::end(quota.used), 0);
    }
  }
  flows_.StartAdoption();
  for (uint32_t i = flows_.end(); i-- > 0;) {
    Flow& flow = flows_[i];
    const bool in_use = from_memory
                            ? flow.check != 0 || flow.state != FlowState::kFree
                            : flow.state != FlowState::kFree;
    if (!in_use) {
      flows_.Discard(i);
      continue;
    }
    bool kept = Believe(flow, from_memory);
    if (kept) {
      kept = flows_.Adopt(i, now_ms_);
    } else {
      flows_.Discard(i);
    }
    if (!kept) {
      ++(from_memory ? counters_.flows_not_believed : counters_.flows_ended);
      continue;
    }
    if (from_memory) ++counters_.flows_adopted;
    if (flow.client != kNoAttachment) ++attachments_[flow.client].flows;
    if ((flow.flags & kFlowTranslated) != 0) {
      ++ruleset_[flow.key[1].domain]
            .NatFor(flow.key[0].domain)
            ->used[NatKindOf(flow.key[0].protocol)];
    }
  }
}

void EngineCore::SetIdentity(std::string_view domain,
                             const std::optional<Ipv4Prefix>& interface,
                             std::optional<Ipv4Address> gateway,
                             uint64_t now_ns) {
  SetNow(now_ns);
  const uint16_t number = ruleset_.DomainOf(domain);
  if (number == kNoDomain || ruleset_[number].config.interface.has_value()) {
    return;
  }
  DomainRules& rules = ruleset_[number];
  if (rules.identity == interface && rules.gateway == gateway) return;
  const bool changed = rules.identity != interface;
  rules.identity = interface;
  rules.gateway = gateway;
  if (!changed) return;
  for (const uint16_t each : members_[number].attachments) {
    attachments_[each].good_until_s = 0;
  }
  if (interface.has_value()) {
    Revalidate(false);
    for (const UplinkGroup& group : groups_) Announce(group);
  }
}

}  // namespace bulkhead::nic_router
