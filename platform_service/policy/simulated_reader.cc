#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "platform_service/policy/fields.h"
#include "platform_service/policy/program_folder.h"
#include "platform_service/policy/sections.h"
#include "platform_service/policy/suggestion.h"

namespace bulkhead::policy {
namespace {

constexpr absl::string_view kNicExample =
    "{name: port0, model: 82574l, network: {echo: {}}}";
constexpr size_t kMaxFaults = 16;
constexpr size_t kMaxFaultCharacters = 64;
// IFNAMSIZ without the NUL.
constexpr size_t kMaxInterfaceCharacters = 15;
// The 82574L's largest frame without FCS (datasheet 10.2.5.1, RCTL.LPE) and
// Ethernet's smallest.
constexpr uint32_t kMaxFrameBytes = 9018;
constexpr uint32_t kMinFrameBytes = 60;
constexpr uint64_t kMaxFramesPerSecond = 100'000'000;
constexpr size_t kMaxPathCharacters = 1024;

// 02 (locally administered), b8, and 32 bits of FNV-1a: the same for the same
// name in every run, so that a client's neighbour tables stay right.
MacAddress MacFromName(absl::string_view name) {
  uint32_t hash = 2166136261u;
  for (char c : name) hash = (hash ^ static_cast<uint8_t>(c)) * 16777619u;
  return {0x02,
          0xb8,
          static_cast<uint8_t>(hash >> 24),
          static_cast<uint8_t>(hash >> 16),
          static_cast<uint8_t>(hash >> 8),
          static_cast<uint8_t>(hash)};
}

absl::Status CheckInterface(absl::string_view name) {
  const bool well_formed =
      name.size() <= kMaxInterfaceCharacters && name != "." && name != ".." &&
      std::all_of(name.begin(), name.end(), [](char c) {
        return absl::ascii_isalnum(c) || absl::StrContains("_.-", c);
      });
  if (well_formed) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "`", name.substr(0, 48), "` is not a Linux interface; write a name such ",
      "as `tap0`, at most ", kMaxInterfaceCharacters, " characters"));
}

// The kinds of network, each with the node of its value.
class NetworkReader {
 public:
  NetworkReader(SourceText* source, const YamlNode& node)
      : source_(source),
        node_(node),
        fields_(source, node, "`network`", "{echo: {}}") {}

  Network Read() {
    Network network;
    if (!fields_.usable()) return network;
    Empty("echo");
    if (const YamlNode* sink = Empty("sink")) {
      (void)sink;
      network = SinkNetwork{};
    }
    if (CableNetwork cable; Named("cable", &cable.name)) network = cable;
    if (SwitchNetwork one; Named("switch", &one.name)) network = one;
    if (TapNetwork tap; Tap(&tap)) network = tap;
    if (const YamlNode* generator = fields_.Find("generator")) {
      network = Generator(*generator);
    }
    if (const YamlNode* pcap = fields_.Find("pcap")) network = Pcap(*pcap);
    fields_.Finish();
    if (node_.entries.size() != 1 && node_.complete) {
      source_->Error(node_.place,
                     absl::StrCat("`network` names ", node_.entries.size(),
                                  " kinds; a port is plugged into exactly one, "
                                  "such as `{echo: {}}`"));
    }
    return network;
  }

 private:
  // A kind without keys: `echo: {}`.
  const YamlNode* Empty(absl::string_view kind) {
    const YamlNode* value = fields_.Find(kind);
    if (value == nullptr) return nullptr;
    if (value->kind == YamlNode::Kind::kNull) return value;
    Fields none(source_, *value, absl::StrCat("`", kind, "`"),
                absl::StrCat(kind, ": {}"));
    if (none.usable() && !none.empty()) {
      source_->Error(
          value->entries[0].place,
          absl::StrCat("`", kind, "` has no keys; write `", kind, ": {}`"));
    }
    return value;
  }

  bool Named(absl::string_view kind, std::string* name) {
    if (!fields_.Text(kind, name)) return false;
    if (absl::Status status = CheckName(*name); !status.ok()) {
      fields_.Error(kind, *fields_.Find(kind), status);
      return false;
    }
    return true;
  }

  bool Tap(TapNetwork* tap) {
    if (!fields_.Text("tap", &tap->interface)) return false;
    if (absl::Status status = CheckInterface(tap->interface); !status.ok()) {
      fields_.Error("tap", *fields_.Find("tap"), status);
      return false;
    }
    return true;
  }

  GeneratorNetwork Generator(const YamlNode& node) {
    GeneratorNetwork generator;
    Fields fields(source_, node, "`generator`", "{rate: 1000, bytes: 60}");
    fields.Number("rate", 0, kMaxFramesPerSecond, &generator.frames_per_second);
    fields.Number("bytes", kMinFrameBytes, kMaxFrameBytes,
                  &generator.frame_bytes);
    fields.Number("count", 0, uint64_t{1} << 62, &generator.count);
    fields.Finish();
    return generator;
  }

  PcapNetwork Pcap(const YamlNode& node) {
    PcapNetwork pcap;
    Fields fields(source_, node, "`pcap`", "{file: frames.pcap, loop: true}");
    if (fields.Require("file", "file: frames.pcap") != nullptr &&
        fields.Text("file", &pcap.file)) {
      if (pcap.file.size() > kMaxPathCharacters) {
        fields.Error("file", *fields.Find("file"),
                     absl::InvalidArgumentError("the path is too long"));
      }
      pcap.file = ResolvePath(*source_, pcap.file);
    }
    fields.Bool("loop", &pcap.loop);
    fields.Finish();
    return pcap;
  }

  SourceText* const source_;
  const YamlNode& node_;
  Fields fields_;
};

void ReadName(SourceText* source, Fields* fields, std::string* name) {
  Position place;
  if (fields->Require("name", "name: port0") == nullptr ||
      !fields->Text("name", name, &place)) {
    return;
  }
  if (absl::Status status = CheckName(*name); !status.ok()) {
    fields->Error("name", *fields->Find("name"), status);
  } else if (IsReservedName(*name)) {
    source->Error(place, absl::StrCat("`name`: `", *name,
                                      "` is a part of Bulkhead; take another "
                                      "name"));
  }
}

void ReadModel(SourceText* source, Fields* fields, const ModelCatalog* models,
               std::string* model) {
  Position place;
  if (fields->Require("model", "model: 82574l") == nullptr ||
      !fields->Text("model", model, &place)) {
    return;
  }
  if (!IsProgramName(*model)) {
    source->Error(place, absl::StrCat("`model`: `", model->substr(0, 48),
                                      "` is not a model's name; a name has "
                                      "lower-case letters, digits and `_`"));
    return;
  }
  if (models == nullptr) return;
  if (const auto found = models->find(*model); found != models->end()) {
    if (!found->second.missing.empty()) {
      source->Error(place, absl::StrCat("model `", *model, "` cannot run: ",
                                        found->second.missing));
    }
    return;
  }
  std::vector<std::string> known;
  for (const auto& [name, program] : *models) known.push_back(name);
  source->Error(place,
                known.empty()
                    ? absl::StrCat("no model `", *model,
                                   "`: there is no model program beside this "
                                   "one; build them with `run/build`")
                    : absl::StrCat("unknown model `", *model, "`; ",
                                   Suggest(*model, known, "models")));
}

void ReadFaults(SourceText* source, Fields* fields,
                std::vector<std::string>* faults) {
  for (const YamlNode* item :
       fields->List("faults", kMaxFaults, "faults: [stall]")) {
    const bool well_formed =
        item->kind == YamlNode::Kind::kScalar && !item->scalar.empty() &&
        item->scalar.size() <= kMaxFaultCharacters &&
        std::all_of(item->scalar.begin(), item->scalar.end(), [](char c) {
          return absl::ascii_isalnum(c) || absl::StrContains("_.:=,-", c);
        });
    if (well_formed) {
      faults->push_back(item->scalar);
    } else if (item->kind != YamlNode::Kind::kRefused) {
      source->Error(item->place,
                    "`faults`: not the name of a fault; nic_model/faults.h "
                    "lists them");
    }
  }
}

}  // namespace

SimulatedNic ReadSimulatedNic(SourceText* source, const YamlNode& node,
                              const ModelCatalog* models) {
  SimulatedNic nic;
  nic.line.number = SourceText::LineNumber(node.place);
  Fields fields(source, node, "a simulated NIC", kNicExample);
  if (!fields.usable()) return nic;
  ReadName(source, &fields, &nic.name);
  ReadModel(source, &fields, models, &nic.model);
  nic.mac = MacFromName(nic.name);
  fields.Word("mac", ReadMac, &nic.mac);
  fields.Word("serial", ReadSerial, &nic.serial);
  if (const YamlNode* network =
          fields.Require("network", "network: {echo: {}}")) {
    nic.network = NetworkReader(source, *network).Read();
  }
  ReadFaults(source, &fields, &nic.faults);
  fields.Finish();
  return nic;
}

}  // namespace bulkhead::policy
