#include "platform_service/policy/scenario_parser.h"

#include <algorithm>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "platform_service/policy/driver_catalog.h"
#include "platform_service/policy/fields.h"
#include "platform_service/policy/sections.h"
#include "platform_service/policy/source_text.h"
#include "platform_service/policy/text_file.h"
#include "platform_service/policy/yaml_tree.h"

namespace bulkhead::policy {
namespace {

constexpr TextKind kScenarioText = {
    "scenario", 1 << 20, "at most 1MiB is allowed: split the scenario"};
constexpr size_t kMaxErrors = 100;
// REFERENCE §8, 43: more than any machine has, less than does harm.
constexpr size_t kMaxSimulated = 512;
constexpr size_t kMaxRules = 256;
constexpr size_t kMaxClients = 256;
constexpr size_t kMaxPathCharacters = 1024;
constexpr size_t kMaxNamespaces = 64;
// NAME_MAX, as `ip netns add` has it.
constexpr size_t kMaxNamespaceCharacters = 255;

void ReadApiVersion(SourceText* source, Fields* fields) {
  constexpr absl::string_view kVersion = "bulkhead/v1";
  std::string version;
  Position place;
  if (fields->Require("apiVersion", "apiVersion: bulkhead/v1") == nullptr ||
      !fields->Text("apiVersion", &version, &place) || version == kVersion) {
    return;
  }
  source->Error(place,
                absl::StrCat("`apiVersion` is `", version.substr(0, 48),
                             "`; this program reads `", kVersion, "` only"));
}

// Names of ip-netns(8): a file's name in /run/netns.
void ReadNamespaces(SourceText* source, Fields* fields,
                    std::vector<std::string>* namespaces) {
  for (const YamlNode* item :
       fields->List("namespaces", kMaxNamespaces, "namespaces: [lab]")) {
    const std::string* name = fields->Scalar("namespaces", item);
    if (name == nullptr) continue;
    if (name->empty() || name->size() > kMaxNamespaceCharacters ||
        (*name)[0] == '.' || !absl::c_all_of(*name, [](char c) {
          return absl::ascii_isgraph(static_cast<unsigned char>(c)) && c != '/';
        })) {
      source->Error(item->place,
                    absl::StrCat("`", name->substr(0, 48),
                                 "` can be no network namespace; write a name "
                                 "that `ip netns list` shows"));
    } else if (absl::c_linear_search(*namespaces, *name)) {
      source->Error(item->place, absl::StrCat("the namespace `", *name,
                                              "` stands here twice"));
    } else {
      namespaces->push_back(*name);
    }
  }
}

void ReadDevices(SourceText* source, const YamlNode& node,
                 DeviceSources* devices) {
  devices->line.number = SourceText::LineNumber(node.place);
  Fields fields(source, node, "`devices`", "{sysfs: true}");
  if (!fields.usable()) return;
  fields.Bool("sysfs", &devices->sysfs);
  fields.Bool("interfaces", &devices->interfaces);
  ReadNamespaces(source, &fields, &devices->namespaces);
  std::string recorded;
  Position place;
  if (fields.Text("recorded", &recorded, &place)) {
    if (recorded.size() > kMaxPathCharacters) {
      source->Error(place, "`recorded`: the path is too long");
    }
    if (devices->sysfs) {
      source->Error(place,
                    "`recorded` and `sysfs: true` exclude each other: both "
                    "would use the same addresses; keep one of them");
    }
    devices->recorded = ResolvePath(*source, recorded);
  }
  fields.Finish();
}

// A list section: each item read by `read`, the nodes kept for later checks.
template <typename T, typename Read>
std::vector<T> ReadSection(Fields* fields, absl::string_view key, size_t most,
                           absl::string_view example, Read read,
                           std::vector<const YamlNode*>* nodes) {
  std::vector<T> items;
  *nodes = fields->List(key, most, example);
  for (const YamlNode* node : *nodes) items.push_back(read(*node));
  return items;
}

void ReadScenario(SourceText* source, const YamlNode& root,
                  const ParseOptions& options, Scenario* scenario) {
  Fields fields(source, root, "a scenario", "apiVersion: bulkhead/v1");
  if (!fields.usable()) return;
  ReadApiVersion(source, &fields);
  if (const YamlNode* devices = fields.Find("devices")) {
    ReadDevices(source, *devices, &scenario->devices);
  }
  std::vector<const YamlNode*> nodes;
  scenario->simulated = ReadSection<SimulatedNic>(
      &fields, "simulated", kMaxSimulated,
      "- {name: port0, model: 82574l, network: {echo: {}}}",
      [&](const YamlNode& node) {
        return ReadSimulatedNic(source, node, options.models);
      },
      &nodes);
  CheckSimulated(source, scenario->simulated, nodes, root.complete);
  scenario->drivers = ReadSection<DriverRule>(
      &fields, "drivers", kMaxRules,
      "- {match: {class: ethernet}, driver: e1000e}",
      [&](const YamlNode& node) {
        return ReadDriverRule(source, node, options.drivers);
      },
      &nodes);
  CheckRules(source, scenario->simulated, scenario->drivers, nodes);
  if (fields.Find("clients") != nullptr) {
    scenario->clients = ReadSection<ClientRule>(
        &fields, "clients", kMaxClients, "- {label: probe, may_open: [nic0]}",
        [&](const YamlNode& node) { return ReadClientRule(source, node); },
        &nodes);
    CheckClients(source, *scenario->clients, nodes);
  }
  if (const YamlNode* router = fields.Find("router")) {
    scenario->router = ReadRouter(source, *router, *scenario);
  }
  fields.Finish();
}

ParsedScenario Failed(const std::string& path, std::string message) {
  ParsedScenario parsed;
  SourceText source("", path);
  source.FileError(std::move(message));
  parsed.diagnostics = source.TakeErrors(1);
  return parsed;
}

}  // namespace

std::string ResolvePath(const SourceText& source, const std::string& path) {
  const size_t slash = source.path().rfind('/');
  if (path.empty() || path[0] == '/' || slash == std::string::npos) return path;
  return absl::StrCat(source.path().substr(0, slash + 1), path);
}

ParsedScenario ParseScenario(absl::string_view text, const std::string& path,
                             const ParseOptions& options) {
  ParsedScenario parsed;
  parsed.scenario.path = path;
  SourceText source(text, path);
  if (CheckTextBytes(kScenarioText, &source)) {
    const YamlNode root = ReadYaml(&source);
    ReadScenario(&source, root, options, &parsed.scenario);
  }
  parsed.diagnostics = source.TakeErrors(kMaxErrors);
  return parsed;
}

ParsedScenario ParseScenarioFile(const std::string& path,
                                 const ParseOptions& options) {
  std::string text;
  if (std::string why = ReadTextFile(path, kScenarioText, &text);
      !why.empty()) {
    return Failed(path, std::move(why));
  }
  return ParseScenario(text, path, options);
}

absl::StatusOr<Scenario> LoadScenario(const std::string& path,
                                      const ParseOptions& options) {
  ParsedScenario parsed = ParseScenarioFile(path, options);
  if (!parsed.ok()) {
    return absl::InvalidArgumentError(ToText(parsed.diagnostics));
  }
  return std::move(parsed.scenario);
}

}  // namespace bulkhead::policy
