// A YAML text as a tree in which each node knows its place. The .cc is the one
// file that includes yaml-cpp, and turns its exceptions into diagnostics.
//
// Only YAML that says what it means is taken: no anchors, aliases, tags or
// merge keys, no second document, no key twice, at most kMaxDepth levels and
// kMaxNodes values (REFERENCE §8, attacks 40 and 43).
#ifndef BULKHEAD_PLATFORM_SERVICE_POLICY_YAML_TREE_H_
#define BULKHEAD_PLATFORM_SERVICE_POLICY_YAML_TREE_H_

#include <string>
#include <vector>

#include "platform_service/policy/source_text.h"

namespace bulkhead::policy {

inline constexpr size_t kMaxDepth = 16;
inline constexpr size_t kMaxNodes = 65536;

struct YamlEntry;

struct YamlNode {
  enum class Kind : uint8_t {
    kNull,  // Nothing, `~` or `null`.
    kScalar,
    kSequence,
    kMap,
    kRefused,  // Something that was reported already: say no more about it.
  };
  Kind kind = Kind::kNull;
  Position place;
  std::string scalar;
  bool quoted = false;  // A scalar that is text and nothing else.
  // False: the text ended, or went wrong, before this did.
  bool complete = true;
  std::vector<YamlNode> items;     // Of a sequence.
  std::vector<YamlEntry> entries;  // Of a map, in their order.
};

struct YamlEntry {
  std::string key;
  Position place;  // Of the key.
  YamlNode value;
};

// Reads the whole of `source`; what is wrong with it is noted there. What came
// before an error in the syntax is in the tree, marked incomplete.
YamlNode ReadYaml(SourceText* source);

}  // namespace bulkhead::policy

#endif  // BULKHEAD_PLATFORM_SERVICE_POLICY_YAML_TREE_H_
