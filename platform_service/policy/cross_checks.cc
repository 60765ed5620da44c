#include <map>
#include <optional>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "platform_service/policy/instance_pattern.h"
#include "platform_service/policy/scalar.h"
#include "platform_service/policy/sections.h"

namespace bulkhead::policy {
namespace {

// Remembers keys, and says so when one comes for the second time.
class Unique {
 public:
  explicit Unique(SourceText* source) : source_(source) {}

  // False when it did. `what` names the thing, `remedy` says what to do
  // instead.
  bool Add(const std::string& key, Position place, absl::string_view what,
           absl::string_view remedy) {
    auto [seen, is_new] = seen_.emplace(key, SourceText::LineNumber(place));
    if (is_new) return true;
    source_->Error(place, absl::StrCat("the ", what, " `", key,
                                       "` is taken already, in line ",
                                       seen->second, "; ", remedy));
    return false;
  }

 private:
  SourceText* const source_;
  absl::flat_hash_map<std::string, int> seen_;
};

void CheckCables(SourceText* source, const std::vector<SimulatedNic>& nics,
                 const std::vector<const YamlNode*>& nodes, bool complete) {
  std::map<std::string, std::vector<size_t>> ends;
  for (size_t i = 0; i < nics.size(); ++i) {
    if (const auto* cable = std::get_if<CableNetwork>(&nics[i].network)) {
      ends[cable->name].push_back(i);
    }
  }
  for (const auto& [name, nic] : ends) {
    if (nic.size() == 1 && complete) {
      source->Error(PlaceOf(*nodes[nic[0]], "network"),
                    absl::StrCat("the cable `", name,
                                 "` has one end only; give a second NIC "
                                 "`network: {cable: ",
                                 name, "}`"));
    }
    for (size_t i = 2; i < nic.size(); ++i) {
      source->Error(PlaceOf(*nodes[nic[i]], "network"),
                    absl::StrCat("the cable `", name,
                                 "` has two ends already; join more NICs with "
                                 "`network: {switch: ",
                                 name, "}`"));
    }
  }
}

}  // namespace

bool IsReservedName(absl::string_view name) {
  return name == "supervisor" || name == "platform_service" ||
         name == "bulkhead";
}

Position PlaceOf(const YamlNode& node, absl::string_view key) {
  for (const YamlEntry& entry : node.entries) {
    if (entry.key == key) return entry.value.place;
  }
  return node.place;
}

void CheckSimulated(SourceText* source, const std::vector<SimulatedNic>& nics,
                    const std::vector<const YamlNode*>& nodes, bool complete) {
  Unique names(source);
  Unique macs(source);
  Unique serials(source);
  Unique taps(source);
  for (size_t i = 0; i < nics.size(); ++i) {
    const SimulatedNic& nic = nics[i];
    if (nic.name.empty()) continue;
    if (!names.Add(nic.name, PlaceOf(*nodes[i], "name"), "name",
                   "give each NIC its own")) {
      continue;
    }
    macs.Add(MacText(nic.mac), PlaceOf(*nodes[i], "mac"), "MAC address",
             "give each NIC its own `mac`, or leave it out");
    if (nic.serial != 0) {
      serials.Add(SerialText(nic.serial), PlaceOf(*nodes[i], "serial"),
                  "serial number", "give each NIC its own, or leave it out");
    }
    if (const auto* tap = std::get_if<TapNetwork>(&nic.network)) {
      taps.Add(tap->interface, PlaceOf(*nodes[i], "network"), "interface",
               "give each NIC its own");
    }
  }
  CheckCables(source, nics, nodes, complete);
}

void CheckRules(SourceText* source, const std::vector<SimulatedNic>& nics,
                const std::vector<DriverRule>& rules,
                const std::vector<const YamlNode*>& nodes) {
  std::vector<std::optional<InstancePattern>> patterns;
  for (size_t i = 0; i < rules.size(); ++i) {
    const Position place = PlaceOf(*nodes[i], "instance");
    auto parsed = InstancePattern::Parse(rules[i].instance);
    patterns.push_back(parsed.ok() ? std::optional(*parsed) : std::nullopt);
    if (!parsed.ok()) continue;
    for (size_t j = 0; j < i; ++j) {
      // Rules with the same {index} pattern count on from one another.
      const bool shared =
          rules[i].instance == rules[j].instance &&
          parsed->placeholder != InstancePattern::Placeholder::kNone;
      if (!patterns[j] || shared || !MayCollide(*parsed, *patterns[j])) {
        continue;
      }
      source->Error(
          place,
          absl::StrCat("the instance `", rules[i].instance,
                       "` can have the same name as `", rules[j].instance,
                       "` of line ", rules[j].line.number,
                       "; give it another name, or both `", "nic{index}`"));
      break;
    }
    for (const SimulatedNic& nic : nics) {
      const bool same =
          parsed->placeholder == InstancePattern::Placeholder::kNone
              ? parsed->before == nic.name
              : parsed->IndexIn(nic.name).has_value();
      if (!same) continue;
      source->Error(place,
                    absl::StrCat("the instance `", rules[i].instance,
                                 "` can have the same name as the simulated "
                                 "NIC `",
                                 nic.name, "` of line ", nic.line.number,
                                 "; give it another name"));
      break;
    }
  }
}

void CheckClients(SourceText* source, const std::vector<ClientRule>& clients,
                  const std::vector<const YamlNode*>& nodes) {
  Unique labels(source);
  for (size_t i = 0; i < clients.size(); ++i) {
    if (clients[i].label.empty()) continue;
    labels.Add(clients[i].label, PlaceOf(*nodes[i], "label"), "label",
               "write all that a client may open into one rule");
  }
}

}  // namespace bulkhead::policy
