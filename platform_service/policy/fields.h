// Reads the keys of one YAML map into variables, and notes every error.
//
//   Fields fields(source, node, "`heartbeat`");
//   fields.Number("misses", 1, 100, &heartbeat.misses);
//   fields.Finish();
//
// A variable keeps its value when its key is absent or wrong.
#ifndef BULKHEAD_PLATFORM_SERVICE_POLICY_FIELDS_H_
#define BULKHEAD_PLATFORM_SERVICE_POLICY_FIELDS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "platform_service/policy/scalar.h"
#include "platform_service/policy/source_text.h"
#include "platform_service/policy/yaml_tree.h"

namespace bulkhead::policy {

class Fields {
 public:
  // `what` names the map in messages: "a driver rule". `example` shows one.
  Fields(SourceText* source, const YamlNode& node, std::string what,
         absl::string_view example);

  // False: it was no map, which has been said.
  bool usable() const { return usable_; }

  // The value of `key`, null when absent. Each key that may be there must be
  // asked for by some method here before Finish.
  const YamlNode* Find(absl::string_view key);

  // As Find, but notes it when the key is absent; `example` shows the key.
  const YamlNode* Require(absl::string_view key, absl::string_view example);

  // The scalar of `node`, the value of `key`; null, after a note, when it is
  // none.
  const std::string* Scalar(absl::string_view key, const YamlNode* node);

  // A text, for keys that are not numbers. `place`, when given, is where it is.
  bool Text(absl::string_view key, std::string* out, Position* place = nullptr);

  // A value that `read` makes of the scalar: StatusOr<T>(string_view). Quotes
  // would make a text of it, so they are an error.
  template <typename T, typename Read>
  bool Value(absl::string_view key, Read read, T* out) {
    const YamlNode* node = Find(key);
    return Convert(key, node, Plain(key, node), read, out);
  }
  // The same for what is written as a text (a MAC address, a class): quoted or
  // not.
  template <typename T, typename Read>
  bool Word(absl::string_view key, Read read, T* out) {
    const YamlNode* node = Find(key);
    return Convert(key, node, Scalar(key, node), read, out);
  }

  void Bool(absl::string_view key, bool* out) { Value(key, ReadBool, out); }

  template <typename T>
  void Number(absl::string_view key, uint64_t least, uint64_t most, T* out) {
    Value(
        key,
        [=](absl::string_view text) { return ReadNumber(text, least, most); },
        out);
  }

  void Id(absl::string_view key, std::optional<uint16_t>* out) {
    uint16_t id = 0;
    if (Value(key, ReadId, &id)) *out = id;
  }

  // In units of `unit_us` microseconds.
  void Duration(absl::string_view key, uint64_t unit_us, uint64_t least,
                uint64_t most, uint32_t* out) {
    Value(
        key,
        [=](absl::string_view text) {
          return ReadDuration(text, unit_us, least, most);
        },
        out);
  }

  void Bytes(absl::string_view key, uint64_t least, uint64_t most,
             uint64_t* out) {
    Value(
        key,
        [=](absl::string_view text) { return ReadBytes(text, least, most); },
        out);
  }

  // The items of a list; empty when absent. `example` shows one.
  std::vector<const YamlNode*> List(absl::string_view key, size_t most,
                                    absl::string_view example);

  // Notes an error of the value of `key`.
  void Error(absl::string_view key, const YamlNode& node,
             const absl::Status& status);

  // Notes keys that nobody asked for.
  void Finish();

  bool empty() const { return node_.entries.empty(); }

 private:
  // As Scalar, but notes a quoted text too.
  const std::string* Plain(absl::string_view key, const YamlNode* node);

  template <typename T, typename Read>
  bool Convert(absl::string_view key, const YamlNode* node,
               const std::string* text, Read read, T* out) {
    if (text == nullptr) return false;
    auto value = read(*text);
    if (!value.ok()) {
      Error(key, *node, value.status());
      return false;
    }
    *out = static_cast<T>(*value);
    return true;
  }

  SourceText* const source_;
  const YamlNode& node_;
  const std::string what_;
  bool usable_;
  std::vector<std::string> known_;
};

// "not a list", "and nothing follows it", …: what a node is instead.
std::string KindText(const YamlNode& node);

}  // namespace bulkhead::policy

#endif  // BULKHEAD_PLATFORM_SERVICE_POLICY_FIELDS_H_
