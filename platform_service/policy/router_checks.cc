// What the parts of the `router` section must hold together.
#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "platform_service/policy/instance_pattern.h"
#include "platform_service/policy/ip_scalar.h"
#include "platform_service/policy/router_section.h"
#include "platform_service/policy/sections.h"
#include "platform_service/policy/suggestion.h"

namespace bulkhead::policy {
namespace {

using nic_router::DomainConfig;
using nic_router::ForwardRule;
using nic_router::PolicyRule;
using nic_router::RouterConfig;

// So that the whole goes to the router in one message.
constexpr size_t kMaxRulesInAll = 2048;

const YamlNode* ValueOf(const YamlNode& node, absl::string_view key) {
  for (const YamlEntry& entry : node.entries) {
    if (entry.key == key) return &entry.value;
  }
  return nullptr;
}

void CheckDomainNames(SourceText* source, const YamlNode& node,
                      const RouterConfig& config) {
  std::map<std::string, int> lines;
  const std::vector<YamlNode>& items = ItemsOf(node, "domains");
  for (size_t i = 0; i < config.domains.size(); ++i) {
    const std::string& name = config.domains[i].name;
    if (name.empty()) continue;
    const Position place = PlaceOf(items[i], "name");
    const auto [seen, is_new] =
        lines.emplace(name, SourceText::LineNumber(place));
    if (is_new) continue;
    source->Error(place, absl::StrCat("the name `", name,
                                      "` is taken already, in line ",
                                      seen->second,
                                      "; give each domain its own"));
  }
}

void CheckUses(const RouterReading& reading, const RouterConfig& config) {
  std::vector<std::string> names;
  for (const DomainConfig& domain : config.domains) {
    names.push_back(domain.name);
  }
  for (const DomainUse& use : reading.uses) {
    if (std::find(names.begin(), names.end(), use.name) != names.end()) {
      continue;
    }
    reading.source->Error(
        use.place,
        absl::StrCat("`", use.key, "`: there is no domain `",
                     use.name.substr(0, 48), "`; ",
                     names.empty() ? "add it to `domains`"
                                   : Suggest(use.name, names, "domains")));
  }
}

const DomainConfig* Find(const RouterConfig& config, const std::string& name) {
  for (const DomainConfig& domain : config.domains) {
    if (domain.name == name) return &domain;
  }
  return nullptr;
}

void CheckForwards(SourceText* source, const RouterConfig& config,
                   const YamlNode& domain, absl::string_view key,
                   const std::vector<ForwardRule>& forwards) {
  const std::vector<YamlNode>& items = ItemsOf(domain, key);
  // An item that could not be read has no rule: the places are not known then.
  if (items.size() != forwards.size()) return;
  for (size_t i = 0; i < forwards.size(); ++i) {
    const DomainConfig* target = Find(config, forwards[i].domain);
    if (target == nullptr || !target->interface) continue;
    const nic_router::Ipv4Address to = forwards[i].to;
    const bool own = to == target->interface->address;
    // Behind a gateway there may be other networks.
    if (!own && (Contains(*target->interface, to) || target->gateway)) continue;
    source->Error(
        PlaceOf(items[i], "to"),
        own ? absl::StrCat("`to`: ", Ipv4Text(to),
                           " is the router itself in `", target->name,
                           "`; write the address of a machine there")
            : absl::StrCat("`to`: ", Ipv4Text(to),
                           " is not in the network of `", target->name, "`, ",
                           Ipv4Text(*target->interface),
                           "; write the address of a machine there"));
  }
}

void CheckDomains(SourceText* source, const YamlNode& node,
                  const RouterConfig& config) {
  const std::vector<YamlNode>& items = ItemsOf(node, "domains");
  size_t rules = 0;
  for (size_t i = 0; i < config.domains.size(); ++i) {
    const DomainConfig& domain = config.domains[i];
    CheckForwards(source, config, items[i], "tcp_forward", domain.tcp_forward);
    CheckForwards(source, config, items[i], "udp_forward", domain.udp_forward);
    rules += domain.ip.size() + domain.icmp.size() + domain.ip6.size() +
             domain.nat.size() + domain.tcp_forward.size() +
             domain.udp_forward.size();
    for (const auto* list : {&domain.tcp, &domain.udp}) {
      for (const auto& rule : *list) rules += 1 + rule.permit.size();
    }
    if (!domain.dhcp_server || domain.dhcp_server->dns_from.empty()) continue;
    const DomainConfig* from = Find(config, domain.dhcp_server->dns_from);
    if (from == nullptr || !from->interface) continue;
    source->Error(PlaceOf(*ValueOf(items[i], "dhcp_server"), "dns_from"),
                  absl::StrCat("`dns_from`: `", from->name,
                               "` has a static `interface`, so that no DHCP "
                               "server tells it of any DNS; write `dns: "
                               "[ADDRESS]`"));
  }
  if (rules > kMaxRulesInAll) {
    source->Error(PlaceOf(node, "domains"),
                  absl::StrCat("the domains have ", rules,
                               " rules and permissions together; at most ",
                               kMaxRulesInAll, " are allowed"));
  }
}

bool CanBeMade(const Scenario& scenario, const std::string& name) {
  return absl::c_any_of(scenario.drivers, [&](const DriverRule& rule) {
    return CanMake(scenario, rule, name);
  });
}

std::vector<std::string> Patterns(const Scenario& scenario) {
  std::vector<std::string> patterns;
  for (const DriverRule& rule : scenario.drivers) {
    if (std::find(patterns.begin(), patterns.end(), rule.instance) ==
        patterns.end()) {
      patterns.push_back(rule.instance);
    }
  }
  return patterns;
}

void CheckInstances(SourceText* source, const YamlNode& uplink,
                    const Scenario& scenario,
                    std::map<std::string, int>* lines) {
  for (const YamlNode& item : ItemsOf(uplink, "instances")) {
    if (item.kind != YamlNode::Kind::kScalar) continue;
    const std::string& name = item.scalar;
    if (!CanBeMade(scenario, name)) {
      const std::vector<std::string> patterns = Patterns(scenario);
      source->Error(
          item.place,
          absl::StrCat("no rule of `drivers` makes an instance `",
                       name.substr(0, 48), "`; ",
                       patterns.empty()
                           ? "add one"
                           : Suggest(name, patterns, "instances")));
    }
    const auto [seen, is_new] =
        lines->emplace(name, SourceText::LineNumber(item.place));
    if (is_new) continue;
    source->Error(item.place,
                  absl::StrCat("the instance `", name,
                               "` is an uplink already, in line ",
                               seen->second,
                               "; it has one direct client: name it once"));
  }
}

void CheckUplinks(SourceText* source, const YamlNode& node,
                  const RouterConfig& config, const Scenario& scenario) {
  const std::vector<YamlNode>& items = ItemsOf(node, "uplinks");
  std::map<std::string, int> lines;
  for (size_t i = 0; i < config.uplinks.size(); ++i) {
    CheckInstances(source, items[i], scenario, &lines);
    const std::vector<YamlNode>& vlans = ItemsOf(items[i], "vlans");
    std::set<uint16_t> tags;
    for (size_t j = 0; j < config.uplinks[i].vlans.size(); ++j) {
      const uint16_t tag = config.uplinks[i].vlans[j].vlan;
      if (tag == 0 || tags.insert(tag).second) continue;
      source->Error(vlans[j].place,
                    absl::StrCat("VLAN ", tag,
                                 " has a domain already; write each once"));
    }
  }
}

void CheckPolicies(SourceText* source, const YamlNode& node,
                   const RouterConfig& config) {
  const std::vector<YamlNode>& items = ItemsOf(node, "policies");
  std::map<std::pair<PolicyRule::Kind, std::string>, int> lines;
  std::optional<int> default_line;
  for (size_t i = 0; i < config.policies.size(); ++i) {
    const PolicyRule& policy = config.policies[i];
    const bool is_default = policy.kind == PolicyRule::Kind::kDefault;
    // One that was not read to the end says nothing of others.
    if (is_default ? ValueOf(items[i], "default") == nullptr
                   : policy.label.empty()) {
      continue;
    }
    if (default_line && !is_default) {
      source->Error(items[i].place,
                    absl::StrCat("the default policy of line ", *default_line,
                                 " has every client already, and the first "
                                 "policy that matches counts; write the "
                                 "default last"));
      continue;
    }
    const int line = SourceText::LineNumber(items[i].place);
    const auto [seen, is_new] =
        lines.emplace(std::pair(policy.kind, policy.label), line);
    if (is_default && !default_line) default_line = line;
    if (is_new) continue;
    source->Error(items[i].place,
                  absl::StrCat("line ", seen->second, " has a ",
                               is_default ? "default policy"
                                          : "policy for these clients",
                               " already; keep one of them"));
  }
}

// A name is a process's, whoever it is.
void CheckOwnName(SourceText* source, const YamlNode& node,
                  const RouterConfig& config, const Scenario& scenario) {
  const Position place = PlaceOf(node, "name");
  if (CanBeMade(scenario, config.name)) {
    source->Error(place, absl::StrCat("the router's name, `", config.name,
                                      "`, can be an instance's; give one of "
                                      "the two another `name`"));
  }
  for (const SimulatedNic& nic : scenario.simulated) {
    if (nic.name != config.name) continue;
    source->Error(place, absl::StrCat("the router's name, `", config.name,
                                      "`, is that of the simulated NIC of "
                                      "line ",
                                      nic.line.number,
                                      "; give one of the two another `name`"));
  }
}

}  // namespace

const std::vector<YamlNode>& ItemsOf(const YamlNode& node,
                                     absl::string_view key) {
  static const auto* const kNone = new std::vector<YamlNode>;
  const YamlNode* list = ValueOf(node, key);
  return list == nullptr ? *kNone : list->items;
}

bool CanMake(const Scenario& scenario, const DriverRule& rule,
             const std::string& name) {
  using Placeholder = InstancePattern::Placeholder;
  const auto pattern = InstancePattern::Parse(rule.instance);
  if (!pattern.ok()) return false;
  switch (pattern->placeholder) {
    case Placeholder::kNone:
      return pattern->before == name;
    case Placeholder::kIndex:
      return pattern->IndexIn(name).has_value();
    case Placeholder::kName:
      return absl::c_any_of(scenario.simulated, [&](const SimulatedNic& nic) {
        return pattern->Expand(0, nic.name) == name;
      });
  }
  return false;
}

void CheckRouter(const RouterReading& reading, const YamlNode& node,
                 const RouterConfig& config, const Scenario& scenario) {
  SourceText* source = reading.source;
  CheckOwnName(source, node, config, scenario);
  CheckDomainNames(source, node, config);
  // What a text that breaks off would have named is not known.
  if (node.complete) CheckUses(reading, config);
  CheckDomains(source, node, config);
  CheckUplinks(source, node, config, scenario);
  CheckPromiscuous(source, node, config, scenario);
  CheckPolicies(source, node, config);
}

}  // namespace bulkhead::policy
