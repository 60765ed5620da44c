#include "platform_service/policy/instance_pattern.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "platform_service/policy/scalar.h"
#include "platform_service/policy/suggestion.h"

namespace bulkhead::policy {
namespace {

using Placeholder = InstancePattern::Placeholder;

// Leaves four digits for an index in a name of 32 characters.
constexpr size_t kMaxFixedCharacters = 28;

bool DigitsOnly(absl::string_view text) {
  return std::all_of(text.begin(), text.end(), absl::ascii_isdigit);
}

// What the longer of two prefixes has more than the shorter; false when neither
// is the start of the other.
bool PrefixRest(absl::string_view a, absl::string_view b,
                absl::string_view* rest) {
  if (a.size() < b.size()) std::swap(a, b);
  *rest = a.substr(b.size());
  return absl::StartsWith(a, b);
}

bool SuffixRest(absl::string_view a, absl::string_view b,
                absl::string_view* rest) {
  if (a.size() < b.size()) std::swap(a, b);
  *rest = a.substr(0, a.size() - b.size());
  return absl::EndsWith(a, b);
}

}  // namespace

absl::StatusOr<InstancePattern> InstancePattern::Parse(absl::string_view text) {
  InstancePattern pattern;
  const size_t open = text.find('{');
  if (open == absl::string_view::npos) {
    if (absl::Status named = CheckName(text); !named.ok()) return named;
    pattern.before = std::string(text);
    return pattern;
  }
  const size_t close = text.find('}', open);
  if (close == absl::string_view::npos) {
    return absl::InvalidArgumentError(
        "the `{` is never closed; write it as `nic{index}`");
  }
  const absl::string_view word = text.substr(open + 1, close - open - 1);
  if (word == "index") {
    pattern.placeholder = Placeholder::kIndex;
  } else if (word == "name") {
    pattern.placeholder = Placeholder::kName;
  } else {
    return absl::InvalidArgumentError(
        absl::StrCat("unknown placeholder `{", word.substr(0, 32), "}`; ",
                     Suggest(word, {"index", "name"}, "placeholders")));
  }
  pattern.before = std::string(text.substr(0, open));
  pattern.after = std::string(text.substr(close + 1));
  if (absl::StrContains(pattern.after, '{')) {
    return absl::InvalidArgumentError(
        "only one placeholder is allowed; `{index}` alone tells NICs apart");
  }
  if (pattern.before.empty() && pattern.after.empty() && word == "name") {
    return absl::InvalidArgumentError(
        "`{name}` alone is the name of the NIC itself; write for example "
        "`drv-{name}`");
  }
  // A name of the NIC's starts as a name does, an index does not.
  const absl::string_view sample = word == "name" ? "n" : "0";
  if (absl::Status named =
          CheckName(absl::StrCat(pattern.before, sample, pattern.after));
      !named.ok() ||
      pattern.before.size() + pattern.after.size() > kMaxFixedCharacters) {
    return absl::InvalidArgumentError(absl::StrCat(
        "`", text.substr(0, 48), "` makes no names; a name starts with a ",
        "lower-case letter, goes on with lower-case letters, digits, `_` and ",
        "`-`, and has at most ", kMaxFixedCharacters,
        " characters besides the placeholder"));
  }
  return pattern;
}

std::string InstancePattern::Expand(size_t index,
                                    absl::string_view nic_name) const {
  switch (placeholder) {
    case Placeholder::kNone:
      return before;
    case Placeholder::kIndex:
      return absl::StrCat(before, index, after);
    case Placeholder::kName:
      return absl::StrCat(before, nic_name, after);
  }
  return before;
}

std::optional<size_t> InstancePattern::IndexIn(absl::string_view name) const {
  if (placeholder != Placeholder::kIndex ||
      name.size() <= before.size() + after.size() ||
      !absl::StartsWith(name, before) || !absl::EndsWith(name, after)) {
    return std::nullopt;
  }
  const absl::string_view digits =
      name.substr(before.size(), name.size() - before.size() - after.size());
  uint32_t index = 0;
  if (!DigitsOnly(digits) || (digits[0] == '0' && digits.size() > 1) ||
      !absl::SimpleAtoi(digits, &index)) {
    return std::nullopt;
  }
  return index;
}

bool MayCollide(const InstancePattern& a, const InstancePattern& b) {
  if (a.placeholder == Placeholder::kName ||
      b.placeholder == Placeholder::kName) {
    return false;
  }
  if (a.placeholder == Placeholder::kNone &&
      b.placeholder == Placeholder::kNone) {
    return a.before == b.before;
  }
  if (a.placeholder == Placeholder::kNone)
    return b.IndexIn(a.before).has_value();
  if (b.placeholder == Placeholder::kNone)
    return a.IndexIn(b.before).has_value();
  // Two indices: what one pattern has fixed beyond the other must be digits
  // that the other's index can be.
  absl::string_view before_rest;
  absl::string_view after_rest;
  return PrefixRest(a.before, b.before, &before_rest) &&
         SuffixRest(a.after, b.after, &after_rest) && DigitsOnly(before_rest) &&
         DigitsOnly(after_rest);
}

}  // namespace bulkhead::policy
