// Names with wildcards.
#ifndef BULKHEAD_PLATFORM_SERVICE_POLICY_GLOB_H_
#define BULKHEAD_PLATFORM_SERVICE_POLICY_GLOB_H_

#include "absl/strings/string_view.h"

namespace bulkhead::policy {

// Whether the whole of `text` is what `glob` describes: `*` stands for any
// characters, `?` for one, everything else for itself. Takes at most
// |glob| × |text| steps, whatever the glob.
bool GlobMatches(absl::string_view glob, absl::string_view text);

}  // namespace bulkhead::policy

#endif  // BULKHEAD_PLATFORM_SERVICE_POLICY_GLOB_H_
