// The parts of the `router` section: its readers, and what it must hold
// together.
#ifndef BULKHEAD_PLATFORM_SERVICE_POLICY_ROUTER_SECTION_H_
#define BULKHEAD_PLATFORM_SERVICE_POLICY_ROUTER_SECTION_H_

#include <string>
#include <vector>

#include "nic_router/config.h"
#include "platform_service/policy/fields.h"
#include "platform_service/policy/scenario.h"
#include "platform_service/policy/source_text.h"
#include "platform_service/policy/yaml_tree.h"

namespace bulkhead::policy {

// A domain that some rule names; whether there is one is known at the end.
struct DomainUse {
  std::string key;  // "domain", "permit_any", "dns_from"
  std::string name;
  Position place;
};

// What is read, where, and which domains were named on the way.
struct RouterReading {
  SourceText* source;
  std::vector<DomainUse> uses;

  // The value of `key`, a domain's name. False when it is absent or wrong.
  bool Domain(Fields* fields, absl::string_view key, std::string* out);
};

// A value that `read` makes of the scalar of `key`; notes it when it is absent.
template <typename T, typename Read>
bool RequireWord(Fields* fields, absl::string_view key,
                 absl::string_view example, Read read, T* out) {
  return fields->Require(key, example) != nullptr &&
         fields->Word(key, read, out);
}

// One item of `domains`. domain_reader.cc
nic_router::DomainConfig ReadDomain(RouterReading* reading,
                                    const YamlNode& node);

// Domains, uplinks and policies against each other and against the instances
// that the scenario makes. router_checks.cc
void CheckRouter(const RouterReading& reading, const YamlNode& node,
                 const nic_router::RouterConfig& config,
                 const Scenario& scenario);

// Part of it: uplinks whose NIC must be promiscuous, and is not.
// promiscuous_check.cc
void CheckPromiscuous(SourceText* source, const YamlNode& node,
                      const nic_router::RouterConfig& config,
                      const Scenario& scenario);

// The items of the list `key` of the map `node`; none when it is not there.
const std::vector<YamlNode>& ItemsOf(const YamlNode& node,
                                     absl::string_view key);

// Whether `rule` can make an instance of this name.
bool CanMake(const Scenario& scenario, const DriverRule& rule,
             const std::string& name);

}  // namespace bulkhead::policy

#endif  // BULKHEAD_PLATFORM_SERVICE_POLICY_ROUTER_SECTION_H_
