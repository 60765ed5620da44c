#include "platform_service/policy/scenario_parser.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"
#include "platform_service/policy/driver_catalog.h"
#include "platform_service/policy/fields.h"
#include "platform_service/policy/sections.h"
#include "platform_service/policy/source_text.h"
#include "platform_service/policy/yaml_tree.h"

namespace bulkhead::policy {
namespace {

constexpr size_t kMaxFileBytes = 1 << 20;
constexpr size_t kMaxErrors = 100;
// REFERENCE §8, 43: more than any machine has, less than does harm.
constexpr size_t kMaxSimulated = 512;
constexpr size_t kMaxRules = 256;
constexpr size_t kMaxClients = 256;
constexpr size_t kMaxPathCharacters = 1024;

// The text as YAML may have it: UTF-8 without NULs (attack 40). False when
// there is no point in reading on.
bool CheckBytes(SourceText* source) {
  const absl::string_view text = source->text();
  if (text.size() > kMaxFileBytes) {
    source->FileError(
        absl::StrCat("the scenario has ", text.size(),
                     " bytes; at most 1MiB is allowed: split the scenario"));
    return false;
  }
  if (absl::StartsWith(text, "\xff\xfe") ||
      absl::StartsWith(text, "\xfe\xff")) {
    source->FileError("the file is UTF-16; save it as UTF-8");
    return false;
  }
  Position place;
  for (size_t at = 0; at < text.size();) {
    const size_t length = Utf8Length(text, at);
    if (length == 0) {
      source->Error(place, "this byte is not UTF-8; save the file as UTF-8");
      return false;
    }
    const uint8_t byte = static_cast<uint8_t>(text[at]);
    if ((byte < 0x20 && !absl::StrContains("\t\n\r", text[at])) ||
        byte == 0x7f) {
      source->Error(place,
                    "a control character has no place in a scenario; remove "
                    "it, or write the file anew if it is half-written");
      return false;
    }
    place.column += static_cast<int>(length);
    if (byte == '\n') place = {place.line + 1, 0};
    at += length;
  }
  return true;
}

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

void ReadDevices(SourceText* source, const YamlNode& node,
                 DeviceSources* devices) {
  devices->line.number = SourceText::LineNumber(node.place);
  Fields fields(source, node, "`devices`", "{sysfs: true}");
  if (!fields.usable()) return;
  fields.Bool("sysfs", &devices->sysfs);
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
  std::vector<std::string> drivers = KnownDrivers();
  for (const std::string& driver : options.more_drivers) {
    if (std::find(drivers.begin(), drivers.end(), driver) == drivers.end()) {
      drivers.push_back(driver);
    }
  }

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
        return ReadDriverRule(source, node, drivers);
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
  fields.Finish();
}

ParsedScenario Failed(const std::string& path, std::string message) {
  ParsedScenario parsed;
  SourceText source("", path);
  source.FileError(std::move(message));
  parsed.diagnostics = source.TakeErrors(1);
  return parsed;
}

// Why the file cannot be a scenario, or empty and its text.
std::string ReadFile(const std::string& path, std::string* text) {
  // O_NONBLOCK: the opening of a FIFO must not wait for a writer.
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd.valid()) {
    return absl::StrCat("cannot be opened (", strerror(errno),
                        "); check the name and who may read it");
  }
  struct stat info;
  if (fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
    return "is not a regular file; give the name of a scenario file";
  }
  // One byte more than allowed, so that a file that is too large shows.
  text->resize(kMaxFileBytes + 1);
  size_t have = 0;
  while (have < text->size()) {
    const ssize_t got =
        read(fd.get(), text->data() + have, text->size() - have);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      return absl::StrCat("cannot be read (", strerror(errno), ")");
    }
    if (got == 0) break;
    have += static_cast<size_t>(got);
  }
  text->resize(have);
  if (have > kMaxFileBytes) {
    return absl::StrCat("the scenario has ", info.st_size,
                        " bytes; at most 1MiB is allowed: split the scenario");
  }
  return "";
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
  if (CheckBytes(&source)) {
    const YamlNode root = ReadYaml(&source);
    ReadScenario(&source, root, options, &parsed.scenario);
  }
  parsed.diagnostics = source.TakeErrors(kMaxErrors);
  return parsed;
}

ParsedScenario ParseScenarioFile(const std::string& path,
                                 const ParseOptions& options) {
  std::string text;
  if (std::string why = ReadFile(path, &text); !why.empty()) {
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
