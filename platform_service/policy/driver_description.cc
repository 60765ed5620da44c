#include "platform_service/policy/driver_description.h"

#include <algorithm>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "platform_service/policy/fields.h"
#include "platform_service/policy/source_text.h"
#include "platform_service/policy/text_file.h"
#include "platform_service/policy/yaml_tree.h"

namespace bulkhead::policy {
namespace {

constexpr TextKind kDescriptionText = {"driver description", 64 << 10,
                                       "at most 64KiB is allowed"};
constexpr size_t kMaxErrors = 100;
constexpr size_t kMaxDevices = 256;
constexpr size_t kMaxRegisters = 32;
constexpr size_t kMaxNameCharacters = 64;
// No BAR of a NIC is larger.
constexpr uint32_t kMaxOffset = (1u << 28) - 4;

constexpr struct {
  absl::string_view name;
  RegisterPlace::Base base;
} kVirtioStructures[] = {{"common", RegisterPlace::Base::kVirtioCommon},
                         {"notify", RegisterPlace::Base::kVirtioNotify},
                         {"isr", RegisterPlace::Base::kVirtioIsr},
                         {"device", RegisterPlace::Base::kVirtioDevice}};

// "0x04000000" or "4".
absl::StatusOr<uint32_t> ReadRegisterNumber(absl::string_view text) {
  absl::string_view digits = text;
  uint64_t value = 0;
  const bool fits = digits.size() <= 10;
  const bool good = absl::ConsumePrefix(&digits, "0x")
                        ? absl::SimpleHexAtoi(digits, &value)
                        : absl::SimpleAtoi(digits, &value);
  const bool plain =
      !digits.empty() && std::all_of(digits.begin(), digits.end(), [](char c) {
        return absl::ascii_isxdigit(static_cast<unsigned char>(c));
      });
  if (!fits || !good || !plain || value > UINT32_MAX) {
    return absl::InvalidArgumentError(
        absl::StrCat("`", text.substr(0, 48),
                     "` is no register value; write at most 32 bits, as "
                     "0x04000000 or in decimal digits"));
  }
  return static_cast<uint32_t>(value);
}

absl::StatusOr<RegisterPlace::Base> ReadStructure(absl::string_view text) {
  for (const auto& known : kVirtioStructures) {
    if (text == known.name) return known.base;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("`", text.substr(0, 48),
                   "` is no structure of virtio; there are common, notify, isr "
                   "and device"));
}

// `bar` or `virtio_cap`, `offset` and `width`.
RegisterPlace ReadPlace(SourceText* source, const YamlNode& node,
                        Fields* fields) {
  RegisterPlace place;
  const bool has_bar = fields->Find("bar") != nullptr;
  const bool has_structure = fields->Find("virtio_cap") != nullptr;
  if (has_bar == has_structure) {
    source->Error(node.place,
                  "a register is in one place: give either `bar: 0` or "
                  "`virtio_cap: common`");
  }
  fields->Number("bar", 0, 5, &place.bar);
  fields->Word("virtio_cap", ReadStructure, &place.base);
  fields->Require("offset", "offset: 0x100");
  fields->Value("offset", ReadRegisterNumber, &place.offset);
  fields->Number("width", 1, 4, &place.width);
  if (place.width == 3 || place.offset % std::max<int>(place.width, 1) != 0 ||
      place.offset > kMaxOffset) {
    source->Error(node.place,
                  "a register is 1, 2 or 4 bytes wide, lies at a multiple of "
                  "its width, and below 256MiB");
  }
  return place;
}

// Whether `value` fits into the register.
void CheckFits(SourceText* source, const YamlNode& node, uint8_t width,
               uint32_t value) {
  if (width < 4 && value >> (8 * width) != 0) {
    source->Error(node.place, absl::StrCat("a value of this register has ",
                                           8 * width, " bits at most"));
  }
}

RegisterWrite ReadWrite(SourceText* source, const YamlNode& node) {
  RegisterWrite write;
  Fields fields(source, node, "a register write",
                "{bar: 0, offset: 0x0, set: 0x04000000}");
  if (!fields.usable()) return write;
  write.place = ReadPlace(source, node, &fields);
  const bool sets = fields.Find("set") != nullptr;
  if (sets == (fields.Find("write") != nullptr)) {
    source->Error(node.place,
                  "a register write says either `set:` (these bits, the others "
                  "stay) or `write:` (this value)");
  }
  write.keeps_other_bits = sets;
  fields.Value("set", ReadRegisterNumber, &write.value);
  fields.Value("write", ReadRegisterNumber, &write.value);
  CheckFits(source, node, write.place.width, write.value);
  fields.Finish();
  return write;
}

RegisterWitness ReadWitness(SourceText* source, const YamlNode& node) {
  RegisterWitness witness;
  Fields fields(source, node, "a witness",
                "{bar: 0, offset: 0x100, mask: 0x2, value: 0}");
  if (!fields.usable()) return witness;
  witness.place = ReadPlace(source, node, &fields);
  const uint8_t width = witness.place.width;
  if (width < 4) witness.mask = (1u << (8 * width)) - 1;
  fields.Value("mask", ReadRegisterNumber, &witness.mask);
  fields.Require("value", "value: 0");
  fields.Value("value", ReadRegisterNumber, &witness.value);
  uint32_t mark = 0;
  if (fields.Value("mark", ReadRegisterNumber, &mark)) witness.mark = mark;
  for (const uint32_t value : {witness.mask, witness.value, mark}) {
    CheckFits(source, node, width, value);
  }
  if ((witness.value & ~witness.mask) != 0) {
    source->Error(node.place, "`value` has bits that `mask` leaves out");
  }
  if (witness.mask == 0) {
    source->Error(node.place, "a `mask` of 0 looks at nothing");
  }
  if (witness.mark.has_value() && (mark & witness.mask) == witness.value) {
    source->Error(node.place,
                  "`mark` and `value` look the same, so that the witness would "
                  "always hold");
  }
  fields.Finish();
  return witness;
}

ResetDescription ReadReset(SourceText* source, const YamlNode& node) {
  ResetDescription reset;
  Fields fields(source, node, "`reset`", "{software: {…}, witness: [{…}]}");
  if (!fields.usable()) return reset;
  if (const YamlNode* software = fields.Find("software")) {
    if (software->kind == YamlNode::Kind::kMap) {
      reset.software.push_back(ReadWrite(source, *software));
    } else {
      for (const YamlNode* write :
           fields.List("software", kMaxRegisters,
                       "- {bar: 0, offset: 0x0, set: 0x04000000}")) {
        reset.software.push_back(ReadWrite(source, *write));
      }
    }
  }
  for (const YamlNode* witness :
       fields.List("witness", kMaxRegisters,
                   "- {bar: 0, offset: 0x100, mask: 0x2, value: 0}")) {
    reset.witness.push_back(ReadWitness(source, *witness));
  }
  if (!reset.software.empty() && reset.witness.empty()) {
    source->Error(node.place,
                  "a software reset needs a `witness`: nobody believes a reset "
                  "that cannot be seen");
  }
  fields.Duration("within", 1000, 1, 1000, &reset.within_ms);
  fields.Finish();
  return reset;
}

DrivenDevice ReadDriven(SourceText* source, const YamlNode& node) {
  DrivenDevice device;
  Fields fields(source, node, "a driven device",
                "{vendor: 0x8086, device: 0x10d3, name: 82574L}");
  if (!fields.usable()) return device;
  fields.Require("vendor", "vendor: 0x8086");
  fields.Value("vendor", ReadId, &device.vendor);
  fields.Require("device", "device: 0x10d3");
  fields.Value("device", ReadId, &device.device);
  Position place;
  if (fields.Text("name", &device.name, &place) &&
      device.name.size() > kMaxNameCharacters) {
    source->Error(place, absl::StrCat("`name` is longer than ",
                                      kMaxNameCharacters, " characters"));
  }
  fields.Finish();
  return device;
}

absl::StatusOr<SocketKind> ReadSocketKind(absl::string_view text) {
  if (text == "af_packet") return SocketKind::kPacket;
  if (text == "af_xdp") return SocketKind::kXdp;
  return absl::InvalidArgumentError(
      absl::StrCat("`", text.substr(0, 48),
                   "` is no kind of socket for an interface; there are "
                   "af_packet and af_xdp"));
}

DriverDescription ReadDescription(SourceText* source, const YamlNode& root) {
  DriverDescription description;
  Fields fields(source, root, "a driver description",
                "drives: [{vendor: 0x8086, device: 0x10d3}]");
  if (!fields.usable()) return description;
  if (fields.Word("interfaces", ReadSocketKind, &description.socket)) {
    if (fields.Find("drives") != nullptr || fields.Find("reset") != nullptr) {
      source->Error(root.place,
                    "a driver has either `interfaces:` of Linux, or PCI "
                    "devices in `drives:`; give one of them");
    }
  } else if (fields.Find("interfaces") == nullptr) {
    fields.Require("drives", "drives: [{vendor: 0x8086, device: 0x10d3}]");
  }
  for (const YamlNode* node :
       fields.List("drives", kMaxDevices,
                   "- {vendor: 0x8086, device: 0x10d3, name: 82574L}")) {
    description.drives.push_back(ReadDriven(source, *node));
  }
  if (const YamlNode* reset = fields.Find("reset")) {
    description.reset = ReadReset(source, *reset);
  }
  fields.Finish();
  return description;
}

}  // namespace

bool DriverDescription::Drives(uint16_t vendor, uint16_t device) const {
  return std::any_of(
      drives.begin(), drives.end(), [=](const DrivenDevice& driven) {
        return driven.vendor == vendor && driven.device == device;
      });
}

ParsedDescription ParseDriverDescription(absl::string_view text,
                                         const std::string& path) {
  ParsedDescription parsed;
  SourceText source(text, path);
  if (absl::StripAsciiWhitespace(text).empty()) {
    source.FileError(
        "the file says nothing; a driver description starts with `drives:`");
  } else if (CheckTextBytes(kDescriptionText, &source)) {
    const YamlNode root = ReadYaml(&source);
    parsed.description = ReadDescription(&source, root);
  }
  parsed.diagnostics = source.TakeErrors(kMaxErrors);
  return parsed;
}

ParsedDescription ParseDriverDescriptionFile(const std::string& path) {
  std::string text;
  if (std::string why = ReadTextFile(path, kDescriptionText, &text);
      !why.empty()) {
    ParsedDescription parsed;
    SourceText source("", path);
    source.FileError(std::move(why));
    parsed.diagnostics = source.TakeErrors(1);
    return parsed;
  }
  return ParseDriverDescription(text, path);
}

}  // namespace bulkhead::policy
