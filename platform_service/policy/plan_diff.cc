#include "platform_service/policy/plan_diff.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "platform_service/policy/scalar.h"

namespace bulkhead::policy {
namespace {

using Kind = Action::Kind;

// "mtu 1500 -> 9000, promiscuous false -> true"
class Changes {
 public:
  template <typename T, typename Show>
  void Compare(absl::string_view key, const T& before, const T& after,
               Show show) {
    if (before == after) return;
    found_.push_back(absl::StrCat(key, " ", show(before), " -> ", show(after)));
  }
  template <typename T>
  void Compare(absl::string_view key, const T& before, const T& after) {
    Compare(key, before, after,
            [](const T& value) { return absl::StrCat(value); });
  }
  void Compare(absl::string_view key, bool before, bool after) {
    Compare(key, before, after,
            [](bool value) { return value ? "true" : "false"; });
  }
  void Note(std::string text) { found_.push_back(std::move(text)); }
  bool any() const { return !found_.empty(); }
  std::string Text() const { return absl::StrJoin(found_, ", "); }

 private:
  std::vector<std::string> found_;
};

std::string Milliseconds(uint32_t ms) { return DurationText(ms * 1000ull); }
std::string Microseconds(uint32_t us) { return DurationText(us); }
std::string Limit(uint64_t bytes) {
  return bytes == 0 ? "none" : BytesText(bytes);
}
std::string Cpus(const std::vector<uint32_t>& cpus) {
  return cpus.empty() ? "any"
                      : absl::StrCat("[", absl::StrJoin(cpus, ", "), "]");
}

std::string Groups(const std::optional<std::vector<MacAddress>>& groups) {
  if (!groups.has_value()) return "all";
  return absl::StrCat(
      "[",
      absl::StrJoin(*groups, ", ",
                    [](std::string* out, const MacAddress& mac) {
                      absl::StrAppend(out, MacText(mac));
                    }),
      "]");
}

// What only a process defined afresh can have; of a driver rule or a router.
template <typename Spec>
Changes ProcessChanges(const Spec& a, const Spec& b) {
  Changes changes;
  if constexpr (requires { a.driver; }) {
    changes.Compare("driver", a.driver, b.driver);
  } else {
    // Tables are made once, in memory of their size.
    changes.Compare("max_flows", a.config.max_flows, b.config.max_flows);
    changes.Compare("max_clients", a.config.max_clients, b.config.max_clients);
  }
  changes.Compare("standby", a.standby, b.standby);
  changes.Compare("backoff_first", a.restart.backoff_first_ms,
                  b.restart.backoff_first_ms, Milliseconds);
  changes.Compare("backoff_max", a.restart.backoff_max_ms,
                  b.restart.backoff_max_ms, Milliseconds);
  changes.Compare("park_after", a.restart.park_after, b.restart.park_after);
  changes.Compare("stable_after", a.restart.stable_after_ms,
                  b.restart.stable_after_ms, Milliseconds);
  changes.Compare("heartbeat interval", a.heartbeat.interval_ms,
                  b.heartbeat.interval_ms, Milliseconds);
  changes.Compare("heartbeat misses", a.heartbeat.misses, b.heartbeat.misses);
  changes.Compare("memory", a.limits.memory_bytes, b.limits.memory_bytes,
                  Limit);
  changes.Compare("cpus", a.limits.cpus, b.limits.cpus, Cpus);
  changes.Compare("fds", a.limits.max_fds, b.limits.max_fds);
  changes.Compare("queues", a.limits.queues, b.limits.queues);
  return changes;
}

// What a running driver can be told.
Changes ConfigChanges(const NicConfigSpec& a, const NicConfigSpec& b) {
  Changes changes;
  changes.Compare("mtu", a.mtu, b.mtu);
  changes.Compare("promiscuous", a.promiscuous, b.promiscuous);
  changes.Compare("multicast", a.multicast, b.multicast, Groups);
  changes.Compare("rx_checksum", a.rx_checksum, b.rx_checksum);
  changes.Compare("tx_checksum", a.tx_checksum, b.tx_checksum);
  changes.Compare("interrupt_interval", a.interrupt_interval_us,
                  b.interrupt_interval_us, Microseconds);
  changes.Compare("busy_poll", a.busy_poll, b.busy_poll);
  return changes;
}

using nic_router::DomainConfig;
using nic_router::RouterConfig;

std::string RouterText(const RouterConfig& config) {
  return absl::StrCat(config.domains.size(), " domains, ",
                      config.uplinks.size(), " uplinks");
}

// Which domains differ, and whether anything else does. A rule is too long to
// be shown twice.
Changes RouterChanges(const RouterConfig& a, const RouterConfig& b) {
  Changes changes;
  std::map<std::string, const DomainConfig*> before;
  for (const DomainConfig& domain : a.domains) before[domain.name] = &domain;
  for (const DomainConfig& domain : b.domains) {
    const auto found = before.find(domain.name);
    if (found == before.end()) {
      changes.Note(absl::StrCat("domain ", domain.name, " is new"));
      continue;
    }
    if (!(*found->second == domain)) {
      changes.Note(absl::StrCat("domain ", domain.name, " differs"));
    }
    before.erase(found);
  }
  for (const auto& [name, domain] : before) {
    changes.Note(absl::StrCat("domain ", name, " is gone"));
  }
  if (a.uplinks != b.uplinks) changes.Note("`uplinks` differs");
  if (a.policies != b.policies) changes.Note("`policies` differs");
  if (!(a.timeouts == b.timeouts)) changes.Note("`timeouts` differs");
  changes.Compare("max_packets_per_turn", a.max_packets_per_turn,
                  b.max_packets_per_turn);
  return changes;
}

std::string Identity(const pci::PciDeviceInfo& device) {
  return absl::StrFormat("%04x:%04x", device.vendor, device.device);
}

// Builds the list; `Take` puts it into the order of carrying it out.
class Differ {
 public:
  Differ(const Plan& running, const Plan& wanted)
      : running_(running), wanted_(wanted) {}

  std::vector<Action> Take() {
    CompareNics();
    for (const PlanEntry& entry : running_.entries) {
      if (entry.driven()) CompareRunning(entry);
    }
    for (const PlanEntry& entry : wanted_.entries) {
      if (!entry.driven() || running_.Find(entry.instance) != nullptr) continue;
      Add(Kind::kStartInstance, entry.instance,
          absl::StrCat(entry.rule->driver, " for ", DeviceKey(entry.device)));
    }
    CompareRouters();
    if (running_.clients != wanted_.clients) {
      Add(Kind::kSetClients, "", "`clients` differs");
    }
    std::stable_sort(
        actions_.begin(), actions_.end(),
        [](const Action& a, const Action& b) { return a.kind < b.kind; });
    return std::move(actions_);
  }

 private:
  void Add(Kind kind, std::string name, std::string reason) {
    actions_.push_back({kind, std::move(name), std::move(reason)});
  }

  void CompareNics() {
    std::map<std::string, const SimulatedNic*> wanted;
    for (const SimulatedNic& nic : wanted_.simulated) wanted[nic.name] = &nic;
    std::set<std::string> running;
    for (const SimulatedNic& nic : running_.simulated) {
      running.insert(nic.name);
      const auto found = wanted.find(nic.name);
      if (found == wanted.end()) {
        Add(Kind::kRemoveNic, nic.name, "it is no longer in the scenario");
      } else if (*found->second != nic) {
        Add(Kind::kRemoveNic, nic.name, "its description differs");
        Add(Kind::kAddNic, nic.name, "its description differs");
        replaced_.insert(nic.name);
      }
    }
    for (const SimulatedNic& nic : wanted_.simulated) {
      if (running.count(nic.name) != 0) continue;
      Add(Kind::kAddNic, nic.name, "it is new in the scenario");
    }
  }

  // A router of another name is another router: clients open it by that.
  void CompareRouters() {
    const std::optional<RouterSpec>& before = running_.router;
    const std::optional<RouterSpec>& after = wanted_.router;
    const bool same_name = before && after &&
                           before->config.name == after->config.name;
    if (before && !same_name) {
      Add(Kind::kStopRouter, before->config.name,
          after ? absl::StrCat("it is now called ", after->config.name)
                : "it is no longer in the scenario");
    }
    if (after && !same_name) {
      Add(Kind::kStartRouter, after->config.name, RouterText(after->config));
    }
    if (!same_name) return;
    const Changes process = ProcessChanges(*before, *after);
    const Changes config = RouterChanges(before->config, after->config);
    if (process.any()) {
      Add(Kind::kRedefineRouter, before->config.name,
          config.any() ? absl::StrCat(process.Text(), ", ", config.Text())
                       : process.Text());
    } else if (config.any()) {
      Add(Kind::kReconfigureRouter, before->config.name, config.Text());
    }
  }

  void CompareRunning(const PlanEntry& before) {
    const PlanEntry* after = wanted_.Find(before.instance);
    if (after == nullptr) {
      Add(Kind::kStopInstance, before.instance, WhyGone(before));
      return;
    }
    if (std::string why = WhyOtherNic(before, *after); !why.empty()) {
      Add(Kind::kStopInstance, before.instance, why);
      Add(Kind::kStartInstance, before.instance, why);
      return;
    }
    const Changes process = ProcessChanges(*before.rule, *after->rule);
    const Changes config =
        ConfigChanges(before.rule->config, after->rule->config);
    if (process.any()) {
      Add(Kind::kRedefineInstance, before.instance,
          config.any() ? absl::StrCat(process.Text(), ", ", config.Text())
                       : process.Text());
    } else if (config.any()) {
      Add(Kind::kReconfigureInstance, before.instance, config.Text());
    }
  }

  std::string WhyGone(const PlanEntry& before) const {
    const std::string key = DeviceKey(before.device);
    for (const PlanEntry& entry : wanted_.entries) {
      if (DeviceKey(entry.device) != key) continue;
      if (!entry.rule.has_value()) {
        return absl::StrCat("no rule matches ", key, " any more");
      }
      if (!entry.refused.empty()) {
        return absl::StrCat(key, " is refused: ", entry.refused);
      }
      return absl::StrCat(key, " is now called ", entry.instance);
    }
    return absl::StrCat(key, " is gone");
  }

  // Why the instance would drive another NIC than now, or empty.
  std::string WhyOtherNic(const PlanEntry& before,
                          const PlanEntry& after) const {
    const std::string key = DeviceKey(before.device);
    if (DeviceKey(after.device) != key) {
      return absl::StrCat("its NIC is ", DeviceKey(after.device),
                          " instead of ", key);
    }
    if (replaced_.count(key) != 0 &&
        before.device.source == pci::Source::kSimulated) {
      return absl::StrCat("its NIC ", key, " is replaced");
    }
    if (Identity(before.device) != Identity(after.device)) {
      return absl::StrCat(key, " is ", Identity(after.device), " instead of ",
                          Identity(before.device));
    }
    return "";
  }

  const Plan& running_;
  const Plan& wanted_;
  std::set<std::string> replaced_;  // Simulated NICs.
  std::vector<Action> actions_;
};

}  // namespace

const char* KindName(Action::Kind kind) {
  switch (kind) {
    case Kind::kStopRouter:
    case Kind::kStopInstance:
      return "stop";
    case Kind::kRemoveNic:
      return "remove";
    case Kind::kAddNic:
      return "add";
    case Kind::kSetClients:
      return "set clients";
    case Kind::kRedefineInstance:
    case Kind::kRedefineRouter:
      return "redefine";
    case Kind::kReconfigureInstance:
    case Kind::kReconfigureRouter:
      return "reconfigure";
    case Kind::kStartInstance:
    case Kind::kStartRouter:
      return "start";
  }
  return "";
}

std::string ToText(const Action& action) {
  return absl::StrCat(KindName(action.kind), action.name.empty() ? "" : " ",
                      action.name, ": ", action.reason);
}

std::vector<Action> DiffPlans(const Plan& running, const Plan& wanted) {
  return Differ(running, wanted).Take();
}

}  // namespace bulkhead::policy
