// Whether the NICs of uplinks take the frames that the router needs of them. A
// NIC drops what is neither for its own address nor a broadcast, unless it is
// promiscuous; behind NAT that is all that comes.
#include <optional>

#include "absl/strings/str_cat.h"
#include "platform_service/policy/router_section.h"
#include "platform_service/policy/sections.h"

namespace bulkhead::policy {
namespace {

using nic_router::DomainConfig;
using nic_router::RouterConfig;
using nic_router::UplinkConfig;

bool HasDomain(const UplinkConfig& uplink, const std::string& domain) {
  if (uplink.domain == domain) return true;
  for (const auto& vlan : uplink.vlans) {
    if (vlan.domain == domain) return true;
  }
  return false;
}

// What else the frames of `domain`, on this uplink, are for; nullopt: nothing.
std::optional<std::string> WhyPromiscuous(const YamlNode& node,
                                          const RouterConfig& config,
                                          size_t uplink,
                                          const std::string& domain) {
  for (size_t i = 0; i < config.policies.size(); ++i) {
    if (config.policies[i].domain != domain) continue;
    return absl::StrCat(
        "the clients of line ",
        SourceText::LineNumber(ItemsOf(node, "policies")[i].place),
        " are in its domain `", domain, "` with addresses of their own");
  }
  for (size_t i = 0; i < config.uplinks.size(); ++i) {
    if (i == uplink || !HasDomain(config.uplinks[i], domain)) continue;
    return absl::StrCat(
        "what is behind the uplink of line ",
        SourceText::LineNumber(ItemsOf(node, "uplinks")[i].place),
        " is in its domain `", domain, "` with addresses of its own");
  }
  for (const DomainConfig& each : config.domains) {
    if (each.name == domain && each.interface6) {
      return absl::StrCat("its domain `", domain,
                          "` has an `interface6`, which others look for at "
                          "addresses of groups");
    }
  }
  return std::nullopt;
}

std::optional<std::string> WhyPromiscuous(const YamlNode& node,
                                          const RouterConfig& config,
                                          size_t uplink) {
  std::vector<std::string> domains = {config.uplinks[uplink].domain};
  for (const auto& vlan : config.uplinks[uplink].vlans) {
    domains.push_back(vlan.domain);
  }
  for (const std::string& domain : domains) {
    if (domain.empty()) continue;
    if (auto why = WhyPromiscuous(node, config, uplink, domain)) return why;
  }
  return std::nullopt;
}

// The rule that has to be promiscuous for this instance, and is not. Of several
// that can make it, one will do: which it is, the NICs decide.
const DriverRule* Lacking(const Scenario& scenario, const std::string& name) {
  const DriverRule* first = nullptr;
  for (const DriverRule& rule : scenario.drivers) {
    if (!CanMake(scenario, rule, name)) continue;
    if (rule.config.promiscuous) return nullptr;
    if (first == nullptr) first = &rule;
  }
  return first;
}

}  // namespace

void CheckPromiscuous(SourceText* source, const YamlNode& node,
                      const RouterConfig& config, const Scenario& scenario) {
  const std::vector<YamlNode>& items = ItemsOf(node, "uplinks");
  for (size_t i = 0; i < config.uplinks.size(); ++i) {
    const auto why = WhyPromiscuous(node, config, i);
    if (!why) continue;
    for (const YamlNode& item : ItemsOf(items[i], "instances")) {
      if (item.kind != YamlNode::Kind::kScalar) continue;
      const DriverRule* rule = Lacking(scenario, item.scalar);
      if (rule == nullptr) continue;
      source->Error(item.place,
                    absl::StrCat("the NIC of `", item.scalar,
                                 "` drops what the router needs of it: ", *why,
                                 "; write `config: {promiscuous: true}` into "
                                 "the rule of line ",
                                 rule->line.number));
    }
  }
}

}  // namespace bulkhead::policy
