#include "platform_service/policy/fields.h"

#include <algorithm>
#include <utility>

#include "platform_service/policy/suggestion.h"

namespace bulkhead::policy {
namespace {

using Kind = YamlNode::Kind;

// Keys that are right, but stand one level too high.
constexpr struct {
  absl::string_view key;
  absl::string_view belongs_in;
} kMisplaced[] = {{"class", "match"},
                  {"vendor", "match"},
                  {"device", "match"},
                  {"subsystem_vendor", "match"},
                  {"address", "match"},
                  {"subsystem_device", "match"},
                  {"slot", "match"},
                  {"mtu", "config"},
                  {"promiscuous", "config"},
                  {"multicast", "config"},
                  {"rx_checksum", "config"},
                  {"tx_checksum", "config"},
                  {"interrupt_interval", "config"},
                  {"busy_poll", "config"},
                  {"memory", "limits"},
                  {"cpus", "limits"},
                  {"fds", "limits"},
                  {"queues", "limits"},
                  {"backoff_first", "restart"},
                  {"backoff_max", "restart"},
                  {"park_after", "restart"},
                  {"stable_after", "restart"},
                  {"misses", "heartbeat"},
                  {"echo", "network"},
                  {"cable", "network"},
                  {"switch", "network"},
                  {"generator", "network"},
                  {"sink", "network"},
                  {"tap", "network"},
                  {"pcap", "network"},
                  {"sysfs", "devices"},
                  {"recorded", "devices"}};

bool ReadAsBoolean(absl::string_view text) {
  return text.size() <= 5 &&
         ReadBool(text).status().message().find("did you mean") !=
             absl::string_view::npos &&
         text != "0" && text != "1";
}

}  // namespace

std::string KindText(const YamlNode& node) {
  switch (node.kind) {
    case Kind::kNull:
      return "and nothing follows it";
    case Kind::kScalar:
      return "not a single value";
    case Kind::kSequence:
      return "not a list";
    case Kind::kMap:
      return "not a group of keys";
    case Kind::kRefused:
      return "not something refused";
  }
  return "";
}

Fields::Fields(SourceText* source, const YamlNode& node, std::string what,
               absl::string_view example)
    : source_(source),
      node_(node),
      what_(std::move(what)),
      usable_(node.kind == Kind::kMap) {
  if (usable_ || node.kind == Kind::kRefused) return;
  source_->Error(node.place,
                 absl::StrCat(what_, " is a group of keys, ", KindText(node),
                              "; write it as `", example, "`"));
}

const YamlNode* Fields::Find(absl::string_view key) {
  if (std::find(known_.begin(), known_.end(), key) == known_.end()) {
    known_.emplace_back(key);
  }
  for (const YamlEntry& entry : node_.entries) {
    if (entry.key == key) return &entry.value;
  }
  return nullptr;
}

const YamlNode* Fields::Require(absl::string_view key,
                                absl::string_view example) {
  const YamlNode* found = Find(key);
  if (found == nullptr && usable_ && node_.complete) {
    source_->Error(node_.place, absl::StrCat(what_, " lacks `", key, "`; add `",
                                             example, "`"));
  }
  return found;
}

const std::string* Fields::Scalar(absl::string_view key, const YamlNode* node) {
  if (node == nullptr || node->kind == Kind::kRefused) return nullptr;
  if (node->kind == Kind::kScalar) return &node->scalar;
  // A map that broke off: its last key is not known to lack its value.
  if (node->kind == Kind::kNull && !node_.complete &&
      &node_.entries.back().value == node) {
    return nullptr;
  }
  source_->Error(
      node->place,
      node->kind == Kind::kNull
          ? absl::StrCat("`", key, "` has no value; write one, or remove it")
          : absl::StrCat("`", key, "` takes a single value, ",
                         KindText(*node)));
  return nullptr;
}

const std::string* Fields::Plain(absl::string_view key, const YamlNode* node) {
  const std::string* text = Scalar(key, node);
  if (text == nullptr || !node->quoted) return text;
  source_->Error(node->place,
                 absl::StrCat("`", key, "` is not a text; remove the quotes"));
  return nullptr;
}

bool Fields::Text(absl::string_view key, std::string* out, Position* place) {
  const YamlNode* node = Find(key);
  const std::string* text = Scalar(key, node);
  if (text == nullptr) return false;
  if (place != nullptr) *place = node->place;
  if (!node->quoted && ReadAsBoolean(*text)) {
    source_->Error(node->place,
                   absl::StrCat("`", key, "` is a text, but `", *text,
                                "` alone means true or false in YAML; put "
                                "quotes around it"));
    return false;
  }
  if (text->empty()) {
    source_->Error(node->place, absl::StrCat("`", key,
                                             "` is empty; write a text, or "
                                             "remove the key"));
    return false;
  }
  *out = *text;
  return true;
}

std::vector<const YamlNode*> Fields::List(absl::string_view key, size_t most,
                                          absl::string_view example) {
  std::vector<const YamlNode*> items;
  const YamlNode* node = Find(key);
  if (node == nullptr || node->kind == Kind::kRefused) return items;
  if (node->kind != Kind::kSequence) {
    if (node->kind == Kind::kNull && !node_.complete) return items;
    source_->Error(node->place,
                   absl::StrCat("`", key, "` is a list, ", KindText(*node),
                                "; write it as `", example, "`"));
    return items;
  }
  if (node->items.size() > most) {
    source_->Error(node->items[most].place,
                   absl::StrCat("`", key, "` has ", node->items.size(),
                                " items; at most ", most, " are allowed"));
  }
  for (size_t i = 0; i < std::min(node->items.size(), most); ++i) {
    items.push_back(&node->items[i]);
  }
  return items;
}

void Fields::Error(absl::string_view key, const YamlNode& node,
                   const absl::Status& status) {
  source_->Error(node.place, absl::StrCat("`", key, "`: ", status.message()));
}

void Fields::Finish() {
  if (!usable_) return;
  for (const YamlEntry& entry : node_.entries) {
    if (std::find(known_.begin(), known_.end(), entry.key) != known_.end()) {
      continue;
    }
    std::string remedy = Suggest(entry.key, known_, "keys");
    for (const auto& misplaced : kMisplaced) {
      const bool here = std::find(known_.begin(), known_.end(),
                                  misplaced.belongs_in) != known_.end();
      if (entry.key == misplaced.key && here) {
        remedy = absl::StrCat("it belongs in `", misplaced.belongs_in, "`");
      }
    }
    const absl::string_view key = absl::string_view(entry.key).substr(0, 48);
    source_->Error(entry.place, absl::StrCat("unknown key `", key, "` in ",
                                             what_, "; ", remedy));
  }
}

}  // namespace bulkhead::policy
