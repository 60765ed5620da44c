#include "platform_service/policy/yaml_tree.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <istream>
#include <streambuf>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace bulkhead::policy {
namespace {

// Thrown by the builder through yaml-cpp, to end the reading of a text whose
// error was noted already.
struct Stop {};

// A stream over memory that is not copied.
class ViewBuffer : public std::streambuf {
 public:
  explicit ViewBuffer(absl::string_view text) {
    char* begin = const_cast<char*>(text.data());  // Only ever read.
    setg(begin, begin, begin + text.size());
  }
};

// Builds the tree from yaml-cpp's events, which come before aliases are
// resolved and before anything recurses: that is what bounds time and memory.
class Builder : public YAML::EventHandler {
 public:
  explicit Builder(SourceText* source) : source_(source) {}

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ == 2) {
      source_->Error(Place(mark),
                     "a second YAML document starts here; a scenario is one "
                     "document: remove the `---` and what follows");
      throw Stop();
    }
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Count(mark);
    YamlNode node;
    node.place = Place(mark);
    RefuseAnchor(&node, anchor);
    Add(std::move(node));
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    Count(mark);
    source_->Error(Place(mark),
                   "aliases are not allowed in a scenario; write the value "
                   "out in place of `*`");
    YamlNode node;
    node.kind = YamlNode::Kind::kRefused;
    node.place = Place(mark);
    Add(std::move(node));
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag,
                YAML::anchor_t anchor, const std::string& value) override {
    Count(mark);
    YamlNode node;
    node.kind = YamlNode::Kind::kScalar;
    node.place = Place(mark);
    node.scalar = value;
    node.quoted = tag == "!";
    RefuseAnchor(&node, anchor);
    if (tag != "!") RefuseTag(&node, tag);
    Add(std::move(node));
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag,
                       YAML::anchor_t anchor,
                       YAML::EmitterStyle::value style) override {
    Open(YamlNode::Kind::kSequence, mark, tag, anchor, style);
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag,
                  YAML::anchor_t anchor,
                  YAML::EmitterStyle::value style) override {
    Open(YamlNode::Kind::kMap, mark, tag, anchor, style);
  }
  void OnMapEnd() override { Close(); }

  bool any_document() const { return documents_ > 0; }

  // The place of the innermost `[` or `{` that is still open.
  const YamlNode* OpenFlow() const {
    return !open_.empty() && open_.back().flow ? &open_.back().node : nullptr;
  }

  // Ends what is open as incomplete, and gives the tree away.
  YamlNode Take() {
    while (!open_.empty()) {
      open_.back().node.complete = false;
      Close();
    }
    return std::move(root_);
  }

 private:
  // A collection that is being filled. In a map, keys and values alternate.
  struct OpenNode {
    YamlNode node;
    bool flow = false;
    bool refused = false;
    bool has_key = false;
    YamlNode key;
    absl::flat_hash_map<std::string, int> lines;  // Of the keys so far.
  };

  static Position Place(const YAML::Mark& mark) {
    return {mark.line < 0 ? 0 : mark.line, mark.column < 0 ? 0 : mark.column};
  }

  void RefuseAnchor(YamlNode* node, YAML::anchor_t anchor) {
    if (anchor == YAML::NullAnchor) return;
    source_->Error(node->place,
                   "anchors are not allowed in a scenario; remove the `&` and "
                   "the name after it");
  }

  void RefuseTag(YamlNode* node, const std::string& tag) {
    if (tag.empty() || tag == "?" || tag == "!") return;
    source_->Error(node->place,
                   absl::StrCat("tags are not allowed in a scenario; remove "
                                "the `!` and what belongs to it"));
  }

  void Open(YamlNode::Kind kind, const YAML::Mark& mark, const std::string& tag,
            YAML::anchor_t anchor, YAML::EmitterStyle::value style) {
    Count(mark);
    OpenNode open;
    open.node.kind = kind;
    open.node.place = Place(mark);
    open.flow = style == YAML::EmitterStyle::Flow;
    RefuseAnchor(&open.node, anchor);
    RefuseTag(&open.node, tag);
    if (open_.size() == kMaxDepth) {
      source_->Error(open.node.place,
                     absl::StrCat("values are nested deeper than ", kMaxDepth,
                                  " levels; no key of a scenario needs that"));
      throw Stop();
    }
    open_.push_back(std::move(open));
  }

  void Close() {
    OpenNode done = std::move(open_.back());
    open_.pop_back();
    // A key whose value never came.
    if (done.has_key) {
      YamlNode none;
      none.kind = YamlNode::Kind::kRefused;
      AddEntry(&done, std::move(none));
    }
    Add(std::move(done.node));
  }

  // Once for each event that makes a node.
  void Count(const YAML::Mark& mark) {
    if (++nodes_ <= kMaxNodes) return;
    source_->Error(Place(mark), absl::StrCat("more than ", kMaxNodes,
                                             " values; split the scenario"));
    throw Stop();
  }

  void Add(YamlNode node) {
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    OpenNode& parent = open_.back();
    if (parent.node.kind == YamlNode::Kind::kSequence) {
      parent.node.items.push_back(std::move(node));
    } else if (!parent.has_key) {
      parent.key = std::move(node);
      parent.has_key = true;
    } else {
      AddEntry(&parent, std::move(node));
    }
  }

  void AddEntry(OpenNode* parent, YamlNode value) {
    YamlNode key = std::move(parent->key);
    parent->has_key = false;
    if (key.kind == YamlNode::Kind::kRefused || !key.complete) return;
    if (key.kind != YamlNode::Kind::kScalar) {
      source_->Error(key.place, "a key must be a word");
      return;
    }
    if (key.scalar == "<<" && !key.quoted) {
      source_->Error(key.place,
                     "merge keys are not allowed in a scenario; write the keys "
                     "out in place of `<<`");
      return;
    }
    const int line = SourceText::LineNumber(key.place);
    auto [first, is_new] = parent->lines.emplace(key.scalar, line);
    if (!is_new) {
      source_->Error(key.place,
                     absl::StrCat("the key `", key.scalar,
                                  "` stands here for the second time, after "
                                  "line ",
                                  first->second, "; remove one of the two"));
      return;
    }
    // An absent value has no place of its own: its key stands for it.
    if (value.kind == YamlNode::Kind::kNull) value.place = key.place;
    parent->node.entries.push_back(
        {std::move(key.scalar), key.place, std::move(value)});
  }

  SourceText* const source_;
  int documents_ = 0;
  size_t nodes_ = 0;
  std::vector<OpenNode> open_;
  YamlNode root_;
};

// What yaml-cpp says in few words, with what to do about it.
std::string Explain(absl::string_view yaml_message) {
  const struct {
    absl::string_view says;
    absl::string_view means;
  } kKnown[] = {
      {"end of map not found",
       "this line is indented unlike those around it, or lacks the `:` after "
       "its key"},
      {"end of sequence not found",
       "a list item is expected here; start the line with `- `, or indent it "
       "like the lines that it belongs to"},
      {"illegal map value",
       "a `:` makes no sense here; put quotes around a text that contains "
       "`: `"},
      {"illegal block entry",
       "a `- ` makes no sense here; a list starts on a line of its own, and a "
       "`{` or `[` above it must be closed"},
      {"referenced anchor is not defined",
       "aliases are not allowed in a scenario; write the value out in place of "
       "`*`, or put quotes around a text that starts with `*`"},
      {"illegal flow end", "this `]` or `}` was never opened"},
      {"illegal EOF in scalar",
       "a quoted text is never closed; add the closing quote"},
      {"unknown escape character",
       "unknown escape in a quoted text; write `\\\\` for a backslash"},
      {"unknown token",
       "a character that starts nothing in YAML; indent with spaces, not tabs, "
       "and put quotes around special characters"},
  };
  for (const auto& known : kKnown) {
    if (absl::StrContains(yaml_message, known.says)) {
      return std::string(known.means);
    }
  }
  return absl::StrCat("not valid YAML: ", yaml_message);
}

void NoteSyntaxError(const YAML::Exception& error, const Builder& builder,
                     SourceText* source) {
  const YamlNode* flow = builder.OpenFlow();
  if (flow != nullptr && (absl::StrContains(error.msg, "flow not found") ||
                          error.mark.line > flow->place.line)) {
    const bool map = flow->kind == YamlNode::Kind::kMap;
    source->Error(
        flow->place,
        absl::StrCat("this `", map ? "{" : "[", "` is never closed; add the `",
                     map ? "}" : "]", "`, or the rest of a half-written file"));
    return;
  }
  if (error.mark.is_null()) {
    source->FileError(Explain(error.msg));
    return;
  }
  const absl::string_view line = source->Line(error.mark.line);
  const size_t tab = line.substr(0, line.find_first_not_of(" \t")).find('\t');
  if (tab != absl::string_view::npos) {
    source->Error({error.mark.line, static_cast<int>(tab)},
                  "this line is indented with a tab; indent with spaces");
    return;
  }
  source->Error({error.mark.line, error.mark.column}, Explain(error.msg));
}

}  // namespace

YamlNode ReadYaml(SourceText* source) {
  Builder builder(source);
  ViewBuffer buffer(source->text());
  std::istream stream(&buffer);
  try {
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const Stop&) {
  } catch (const YAML::Exception& error) {
    NoteSyntaxError(error, builder, source);
  } catch (const std::exception& error) {
    source->FileError(absl::StrCat("cannot be read as YAML: ", error.what()));
  }
  YamlNode root = builder.Take();
  // Nothing was read because of an error: that it is nothing goes without
  // saying.
  if (root.kind == YamlNode::Kind::kNull && source->has_errors()) {
    root.kind = YamlNode::Kind::kRefused;
  }
  if (!builder.any_document() && !source->has_errors()) {
    source->FileError(
        "the file says nothing; a scenario starts with the line `apiVersion: "
        "bulkhead/v1`");
    root.kind = YamlNode::Kind::kRefused;
  }
  return root;
}

}  // namespace bulkhead::policy
