#include "platform_service/policy/model_catalog.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "platform_service/policy/fields.h"
#include "platform_service/policy/program_folder.h"
#include "platform_service/policy/source_text.h"
#include "platform_service/policy/text_file.h"
#include "platform_service/policy/yaml_tree.h"

namespace bulkhead::policy {
namespace {

constexpr absl::string_view kFile = "model.yaml";
constexpr TextKind kDescription = {"model description", 64 << 10,
                                   "at most 64KiB is allowed"};
constexpr size_t kMaxErrors = 20;
constexpr size_t kMaxNameCharacters = 128;

void ReadIdInto(Fields* fields, absl::string_view key, uint16_t* out) {
  std::optional<uint16_t> id;
  if (fields->Require(key, absl::StrCat(key, ": 0x8086")) == nullptr) return;
  fields->Id(key, &id);
  if (id.has_value()) *out = *id;
}

void ReadNameInto(SourceText* source, Fields* fields, absl::string_view key,
                  std::string* out) {
  Position place;
  if (fields->Text(key, out, &place) && out->size() > kMaxNameCharacters) {
    source->Error(place, absl::StrCat("`", key, "` is longer than ",
                                      kMaxNameCharacters, " characters"));
  }
}

// What of the program's folder keeps it from being simulated, or empty.
std::string ReadAnnounced(const std::string& path, Announced* announced) {
  std::string text;
  if (std::string why = ReadTextFile(path, kDescription, &text); !why.empty()) {
    return absl::StrCat(path, ": ", why);
  }
  std::vector<Diagnostic> diagnostics;
  if (ParseModelDescription(text, path, announced, &diagnostics)) return "";
  return ToText(diagnostics);
}

}  // namespace

bool ParseModelDescription(absl::string_view text, const std::string& path,
                           Announced* announced,
                           std::vector<Diagnostic>* diagnostics) {
  SourceText source(text, path);
  if (!CheckTextBytes(kDescription, &source)) {
    *diagnostics = source.TakeErrors(kMaxErrors);
    return false;
  }
  const YamlNode root = ReadYaml(&source);
  Fields fields(&source, root, "a model's description", "vendor: 0x8086");
  if (fields.usable()) {
    ReadIdInto(&fields, "vendor", &announced->vendor);
    ReadIdInto(&fields, "device", &announced->device);
    ReadIdInto(&fields, "subsystem_vendor", &announced->subsystem_vendor);
    ReadIdInto(&fields, "subsystem_device", &announced->subsystem_device);
    ClassMatch match = {announced->class_code, 0};
    fields.Word("class", ReadClass, &match);
    announced->class_code = match.value;
    fields.Number("revision", 0, 255, &announced->revision);
    ReadNameInto(&source, &fields, "vendor_name", &announced->vendor_name);
    ReadNameInto(&source, &fields, "device_name", &announced->device_name);
    ReadNameInto(&source, &fields, "class_name", &announced->class_name);
    fields.Finish();
  }
  *diagnostics = source.TakeErrors(kMaxErrors);
  return diagnostics->empty();
}

ModelCatalog ListModels(const std::string& bin_dir) {
  ModelCatalog catalog;
  const std::string folder = absl::StrCat(bin_dir, "/nic_model");
  for (const std::string& name :
       ListProgramFolders(folder, std::string(kFile))) {
    ModelProgram& model = catalog[name];
    model.path = ProgramPath(folder, name);
    model.missing = ReadAnnounced(absl::StrCat(folder, "/", name, "/", kFile),
                                  &model.announced);
    if (std::string why = WhyNotRunnable(model.path); !why.empty()) {
      model.missing = why;
    }
  }
  return catalog;
}

}  // namespace bulkhead::policy
