// "did you mean": the known word that a mistyped one is nearest to.
#ifndef BULKHEAD_PLATFORM_SERVICE_POLICY_SUGGESTION_H_
#define BULKHEAD_PLATFORM_SERVICE_POLICY_SUGGESTION_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace bulkhead::policy {

// The nearest of `known`, or empty when none is near: at most a third of the
// letters differ. Inserting, leaving out, replacing a letter and swapping two
// neighbours count one each. A word that breaks off is near its whole.
std::string Nearest(absl::string_view word,
                    const std::vector<std::string>& known);

// "did you mean `x`?", or "known NOUN: a, b, c" when none is near.
std::string Suggest(absl::string_view word,
                    const std::vector<std::string>& known,
                    absl::string_view noun);

}  // namespace bulkhead::policy

#endif  // BULKHEAD_PLATFORM_SERVICE_POLICY_SUGGESTION_H_
