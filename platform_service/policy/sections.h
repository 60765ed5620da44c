// The parts of a scenario file, one reader each. All note what is wrong in the
// source and leave defaults in its place.
#ifndef BULKHEAD_PLATFORM_SERVICE_POLICY_SECTIONS_H_
#define BULKHEAD_PLATFORM_SERVICE_POLICY_SECTIONS_H_

#include <string>
#include <vector>

#include "platform_service/policy/driver_catalog.h"
#include "platform_service/policy/model_catalog.h"
#include "platform_service/policy/scenario.h"
#include "platform_service/policy/source_text.h"
#include "platform_service/policy/yaml_tree.h"

namespace bulkhead::policy {

// Names that a NIC or an instance cannot have: other processes have them.
bool IsReservedName(absl::string_view name);

// A file name of the scenario, seen from the working directory.
std::string ResolvePath(const SourceText& source, const std::string& path);

// One item of `simulated:`; `models` as in ParseOptions. simulated_reader.cc
SimulatedNic ReadSimulatedNic(SourceText* source, const YamlNode& node,
                              const ModelCatalog* models);

// One item of `drivers:`; `drivers` as in ParseOptions. rule_reader.cc
DriverRule ReadDriverRule(SourceText* source, const YamlNode& node,
                          const DriverCatalog* drivers);

// One item of `clients:`. rule_reader.cc
ClientRule ReadClientRule(SourceText* source, const YamlNode& node);

// `restart`, `heartbeat`, `limits` of any process. rule_reader.cc
RestartSpec ReadRestart(SourceText* source, const YamlNode& node);
HeartbeatSpec ReadHeartbeat(SourceText* source, const YamlNode& node);
// With `queues` where the process drives a NIC.
LimitsSpec ReadLimits(SourceText* source, const YamlNode& node, bool queues);

// `router:`, against itself and the rest of the scenario, which was read
// before. router_reader.cc
RouterSpec ReadRouter(SourceText* source, const YamlNode& node,
                      const Scenario& scenario);

// What the items must hold together: names, MAC addresses, cables, taps,
// instance patterns. Nodes are those that the items were read from.
// `complete` is false when there may be more NICs than were read.
// cross_checks.cc
void CheckSimulated(SourceText* source, const std::vector<SimulatedNic>& nics,
                    const std::vector<const YamlNode*>& nodes, bool complete);
void CheckRules(SourceText* source, const std::vector<SimulatedNic>& nics,
                const std::vector<DriverRule>& rules,
                const std::vector<const YamlNode*>& nodes);
void CheckClients(SourceText* source, const std::vector<ClientRule>& clients,
                  const std::vector<const YamlNode*>& nodes);

// The place of the value of `key` in the map `node`; that of `node` when it is
// not there.
Position PlaceOf(const YamlNode& node, absl::string_view key);

}  // namespace bulkhead::policy

#endif  // BULKHEAD_PLATFORM_SERVICE_POLICY_SECTIONS_H_
