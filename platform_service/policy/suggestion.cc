#include "platform_service/policy/suggestion.h"

#include <algorithm>
#include <array>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace bulkhead::policy {
namespace {

constexpr size_t kMaxLetters = 40;

// Damerau's distance in its "optimal string alignment" form.
size_t Distance(absl::string_view a, absl::string_view b) {
  std::array<std::array<size_t, kMaxLetters + 1>, kMaxLetters + 1> best;
  for (size_t i = 0; i <= a.size(); ++i) best[i][0] = i;
  for (size_t j = 0; j <= b.size(); ++j) best[0][j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replace = best[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
      best[i][j] = std::min({replace, best[i - 1][j] + 1, best[i][j - 1] + 1});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        best[i][j] = std::min(best[i][j], best[i - 2][j - 2] + 1);
      }
    }
  }
  return best[a.size()][b.size()];
}

}  // namespace

std::string Nearest(absl::string_view word,
                    const std::vector<std::string>& known) {
  std::string nearest;
  size_t least = std::max<size_t>(word.size() / 3, 1) + 1;
  if (word.empty() || word.size() > kMaxLetters) return nearest;
  for (const std::string& candidate : known) {
    if (candidate.size() > kMaxLetters) continue;
    const size_t distance = Distance(word, candidate);
    if (distance < least && distance < candidate.size()) {
      least = distance;
      nearest = candidate;
    }
  }
  // A word that breaks off, as in a half-written file.
  constexpr size_t kMinPrefixLetters = 3;
  for (const std::string& candidate : known) {
    if (nearest.empty() && word.size() >= kMinPrefixLetters &&
        absl::StartsWith(candidate, word)) {
      nearest = candidate;
    }
  }
  return nearest;
}

std::string Suggest(absl::string_view word,
                    const std::vector<std::string>& known,
                    absl::string_view noun) {
  const std::string nearest = Nearest(word, known);
  if (!nearest.empty()) return absl::StrCat("did you mean `", nearest, "`?");
  return absl::StrCat("known ", noun, ": ", absl::StrJoin(known, ", "));
}

}  // namespace bulkhead::policy
