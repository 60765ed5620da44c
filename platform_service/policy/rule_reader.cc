#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "platform_service/policy/driver_catalog.h"
#include "platform_service/policy/fields.h"
#include "platform_service/policy/instance_pattern.h"
#include "platform_service/policy/sections.h"
#include "platform_service/policy/suggestion.h"

namespace bulkhead::policy {
namespace {

constexpr absl::string_view kRuleExample =
    "{match: {class: ethernet}, driver: e1000e}";
constexpr absl::string_view kClientExample = "{label: probe, may_open: [nic0]}";

constexpr uint64_t kMillisecond_us = 1000;
constexpr uint64_t kHour_ms = 3600 * 1000;
constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kMaxMemory = 1024 * 1024 * kMiB;
constexpr size_t kMaxGlobCharacters = 64;
// Besides those of every name; Linux allows more, people use these.
constexpr absl::string_view kInterfaceCharacters =
    ".@ABCDEFGHIJKLMNOPQRSTUVWXYZ";
constexpr size_t kMaxGlobs = 256;
// Linux's own largest machine (NR_CPUS on x86).
constexpr uint32_t kMaxCpus = 8192;
// RFC 791: every link carries 68 bytes. 9000: what "jumbo" has come to mean.
constexpr uint32_t kMinMtu = 68;
constexpr uint32_t kMaxMtu = 9000;
constexpr size_t kMaxMulticast = 256;
// 82574L datasheet 10.2.4.5, ITR: 16 bits of 256 ns.
constexpr uint32_t kMaxInterruptInterval_us = 16000;
// Below this a driver does not get through its own grant; each further queue
// has a lane's doorbells, a vector and a thread's loop.
constexpr uint32_t kMinFds = 32;
constexpr uint32_t kMinFdsOfQueue = 8;
// So many lanes' descriptors fit into a grant.
constexpr uint32_t kMaxQueues = 8;

bool IsGlob(absl::string_view text, absl::string_view more) {
  return text.size() <= kMaxGlobCharacters &&
         std::all_of(text.begin(), text.end(), [&](char c) {
           return absl::ascii_islower(c) || absl::ascii_isdigit(c) ||
                  absl::StrContains("_-*?", c) || absl::StrContains(more, c);
         });
}

// A glob of names; `more` are characters allowed besides those of a name.
void ReadGlob(Fields* fields, absl::string_view key, absl::string_view more,
              absl::string_view example, std::string* out) {
  std::string text;
  if (!fields->Text(key, &text)) return;
  if (IsGlob(text, more)) {
    *out = text;
    return;
  }
  fields->Error(key, *fields->Find(key),
                absl::InvalidArgumentError(absl::StrCat(
                    "`", text.substr(0, 48), "` can be no such name; write ",
                    "one such as `", example, "`, with `*` and `?` for what ",
                    "may differ")));
}

MatchSpec ReadMatch(SourceText* source, const YamlNode& node) {
  MatchSpec match;
  Fields fields(source, node, "`match`",
                "{class: ethernet, vendor: 0x8086, device: 0x10d3}");
  if (!fields.usable()) return match;
  if (fields.empty() && node.complete) {
    source->Error(node.place,
                  "an empty `match` would match every device; write at least "
                  "`{class: ethernet}`");
  }
  ClassMatch wanted{};
  fields.Word("class", ReadClass, &wanted);
  match.class_value = wanted.value;
  match.class_mask = wanted.mask;
  fields.Id("vendor", &match.vendor);
  fields.Id("device", &match.device);
  fields.Id("subsystem_vendor", &match.subsystem_vendor);
  fields.Id("subsystem_device", &match.subsystem_device);
  std::string address;
  if (fields.Text("address", &address)) {
    auto full = ReadAddress(address);
    if (full.ok()) {
      match.address = *full;
    } else {
      fields.Error("address", *fields.Find("address"), full.status());
    }
  }
  ReadGlob(&fields, "slot", ".ABCDEFGHIJKLMNOPQRSTUVWXYZ", "3", &match.slot);
  ReadGlob(&fields, "serial", "", "00-1b-21-ff-ff-aa-bb-cc", &match.serial);
  ReadGlob(&fields, "name", "", "port0", &match.name);
  const bool of_pci = match != MatchSpec();
  ReadGlob(&fields, "interface", kInterfaceCharacters, "eth1",
           &match.interface);
  ReadGlob(&fields, "kernel_driver", "", "veth", &match.kernel_driver);
  ReadGlob(&fields, "mac", ":", "02:00:00:*", &match.mac);
  ReadGlob(&fields, "namespace", kInterfaceCharacters, "lab",
           &match.network_namespace);
  if (of_pci && match.of_interfaces()) {
    source->Error(node.place,
                  "`interface`, `kernel_driver`, `mac` and `namespace` match "
                  "Linux interfaces, the other keys PCI devices; a NIC is one "
                  "of the two, so give keys of one kind");
  }
  fields.Finish();
  return match;
}

void ReadDriver(SourceText* source, Fields* fields,
                const DriverCatalog* drivers, std::string* driver) {
  Position place;
  if (fields->Require("driver", "driver: e1000e") == nullptr ||
      !fields->Text("driver", driver, &place)) {
    return;
  }
  if (!IsDriverName(*driver)) {
    source->Error(
        place, absl::StrCat("`driver`: `", driver->substr(0, 48),
                            "` is not a driver's name; a name has lower-case "
                            "letters, digits and `_`, and is never a path"));
  } else if (drivers != nullptr && drivers->count(*driver) == 0) {
    std::vector<std::string> known;
    for (const auto& [name, program] : *drivers) known.push_back(name);
    source->Error(place,
                  known.empty()
                      ? absl::StrCat("no driver `", *driver,
                                     "`: there is no driver program beside "
                                     "this one; build them with `run/build`")
                      : absl::StrCat("unknown driver `", *driver, "`; ",
                                     Suggest(*driver, known, "drivers")));
  }
}

void ReadInstance(SourceText* source, Fields* fields, std::string* instance) {
  Position place;
  if (!fields->Text("instance", instance, &place)) return;
  if (auto pattern = InstancePattern::Parse(*instance); !pattern.ok()) {
    fields->Error("instance", *fields->Find("instance"), pattern.status());
  } else if (IsReservedName(*instance)) {
    source->Error(place, absl::StrCat("`instance`: `", *instance,
                                      "` is a part of Bulkhead; take another "
                                      "name"));
  }
}

}  // namespace

RestartSpec ReadRestart(SourceText* source, const YamlNode& node) {
  RestartSpec restart;
  Fields fields(source, node, "`restart`", "{backoff_max: 5s, park_after: 10}");
  fields.Duration("backoff_first", kMillisecond_us, 1, kHour_ms,
                  &restart.backoff_first_ms);
  fields.Duration("backoff_max", kMillisecond_us, 1, kHour_ms,
                  &restart.backoff_max_ms);
  fields.Number("park_after", 1, 1'000'000, &restart.park_after);
  fields.Duration("stable_after", kMillisecond_us, 1, 24 * kHour_ms,
                  &restart.stable_after_ms);
  if (restart.backoff_first_ms > restart.backoff_max_ms) {
    source->Error(
        PlaceOf(node, "backoff_first"),
        absl::StrCat("`backoff_first` is ",
                     DurationText(restart.backoff_first_ms * kMillisecond_us),
                     ", more than `backoff_max`, which is ",
                     DurationText(restart.backoff_max_ms * kMillisecond_us),
                     "; give both in rising order"));
  }
  fields.Finish();
  return restart;
}

HeartbeatSpec ReadHeartbeat(SourceText* source, const YamlNode& node) {
  HeartbeatSpec heartbeat;
  Fields fields(source, node, "`heartbeat`", "{interval: 100ms, misses: 3}");
  fields.Duration("interval", kMillisecond_us, 1, 60 * 1000,
                  &heartbeat.interval_ms);
  fields.Number("misses", 1, 1000, &heartbeat.misses);
  fields.Finish();
  return heartbeat;
}

LimitsSpec ReadLimits(SourceText* source, const YamlNode& node, bool queues) {
  LimitsSpec limits;
  Fields fields(source, node, "`limits`", "{memory: 8MiB, cpus: [1]}");
  fields.Bytes("memory", kMiB, kMaxMemory, &limits.memory_bytes);
  if (queues) fields.Number("queues", 1, kMaxQueues, &limits.queues);
  fields.Number("fds", kMinFds + kMinFdsOfQueue * (limits.queues - 1), 65536,
                &limits.max_fds);
  for (const YamlNode* item : fields.List("cpus", kMaxCpus, "cpus: [0, 1]")) {
    const std::string* text = fields.Scalar("cpus", item);
    if (text == nullptr) continue;
    auto cpu = ReadNumber(*text, 0, kMaxCpus - 1);
    if (cpu.ok()) {
      limits.cpus.push_back(static_cast<uint32_t>(*cpu));
    } else {
      fields.Error("cpus", *item, cpu.status());
    }
  }
  std::sort(limits.cpus.begin(), limits.cpus.end());
  limits.cpus.erase(std::unique(limits.cpus.begin(), limits.cpus.end()),
                    limits.cpus.end());
  fields.Finish();
  return limits;
}

namespace {

// `all`, or a list of groups' addresses.
void ReadMulticast(Fields* fields, NicConfigSpec* config) {
  constexpr char kKey[] = "multicast";
  const YamlNode* node = fields->Find(kKey);
  if (node == nullptr) return;
  if (node->kind == YamlNode::Kind::kScalar && node->scalar == "all") return;
  config->multicast.emplace();
  for (const YamlNode* item :
       fields->List(kKey, kMaxMulticast,
                    "multicast: [33:33:00:00:00:fb]` or `multicast: all")) {
    const std::string* text = fields->Scalar(kKey, item);
    if (text == nullptr) continue;
    const auto mac = ReadGroupMac(*text);
    if (mac.ok()) {
      config->multicast->push_back(*mac);
    } else {
      fields->Error(kKey, *item, mac.status());
    }
  }
  std::sort(config->multicast->begin(), config->multicast->end());
}

NicConfigSpec ReadConfig(SourceText* source, const YamlNode& node) {
  NicConfigSpec config;
  Fields fields(source, node, "`config`", "{mtu: 1500}");
  fields.Number("mtu", kMinMtu, kMaxMtu, &config.mtu);
  fields.Bool("promiscuous", &config.promiscuous);
  ReadMulticast(&fields, &config);
  fields.Bool("rx_checksum", &config.rx_checksum);
  fields.Bool("tx_checksum", &config.tx_checksum);
  fields.Duration("interrupt_interval", 1, 0, kMaxInterruptInterval_us,
                  &config.interrupt_interval_us);
  fields.Bool("busy_poll", &config.busy_poll);
  fields.Finish();
  return config;
}

}  // namespace

DriverRule ReadDriverRule(SourceText* source, const YamlNode& node,
                          const DriverCatalog* drivers) {
  DriverRule rule;
  rule.line.number = SourceText::LineNumber(node.place);
  Fields fields(source, node, "a driver rule", kRuleExample);
  if (!fields.usable()) return rule;
  if (const YamlNode* match =
          fields.Require("match", "match: {class: ethernet}")) {
    rule.match = ReadMatch(source, *match);
  }
  ReadDriver(source, &fields, drivers, &rule.driver);
  ReadInstance(source, &fields, &rule.instance);
  fields.Bool("standby", &rule.standby);
  if (const YamlNode* restart = fields.Find("restart")) {
    rule.restart = ReadRestart(source, *restart);
  }
  if (const YamlNode* heartbeat = fields.Find("heartbeat")) {
    rule.heartbeat = ReadHeartbeat(source, *heartbeat);
  }
  if (const YamlNode* limits = fields.Find("limits")) {
    rule.limits = ReadLimits(source, *limits, true);
  }
  if (const YamlNode* config = fields.Find("config")) {
    rule.config = ReadConfig(source, *config);
  }
  fields.Bool("take", &rule.take);
  fields.Finish();
  return rule;
}

ClientRule ReadClientRule(SourceText* source, const YamlNode& node) {
  ClientRule client;
  client.line.number = SourceText::LineNumber(node.place);
  Fields fields(source, node, "a client", kClientExample);
  if (!fields.usable()) return client;
  if (fields.Require("label", "label: probe") != nullptr &&
      fields.Text("label", &client.label)) {
    if (absl::Status status = CheckName(client.label); !status.ok()) {
      fields.Error("label", *fields.Find("label"), status);
    }
  }
  fields.Require("may_open", "may_open: [nic0]");
  for (const YamlNode* item :
       fields.List("may_open", kMaxGlobs, "may_open: [nic0, nic1]")) {
    const std::string* text = fields.Scalar("may_open", item);
    if (text == nullptr) continue;
    if (!text->empty() && IsGlob(*text, "")) {
      client.may_open.push_back(*text);
    } else {
      fields.Error("may_open", *item,
                   absl::InvalidArgumentError(absl::StrCat(
                       "`", text->substr(0, 48), "` can be no instance; write ",
                       "a name such as `nic0` or `nic*`")));
    }
  }
  fields.Bytes("memory", 64 * 1024, kMaxMemory, &client.memory_bytes);
  fields.Finish();
  return client;
}

}  // namespace bulkhead::policy
