// The names that a rule gives its instances: "nic{index}".
#ifndef BULKHEAD_PLATFORM_SERVICE_POLICY_INSTANCE_PATTERN_H_
#define BULKHEAD_PLATFORM_SERVICE_POLICY_INSTANCE_PATTERN_H_

#include <cstddef>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace bulkhead::policy {

// At most one placeholder, between two fixed parts.
struct InstancePattern {
  enum class Placeholder : uint8_t { kNone, kIndex, kName };
  std::string before;
  Placeholder placeholder = Placeholder::kNone;
  std::string after;

  // Errors: INVALID_ARGUMENT, for the user.
  static absl::StatusOr<InstancePattern> Parse(absl::string_view text);

  // The name for the NIC number `index`, called `nic_name`.
  std::string Expand(size_t index, absl::string_view nic_name) const;

  // The index in `name`, when this pattern with {index} could have made it.
  std::optional<size_t> IndexIn(absl::string_view name) const;
};

// Whether both can give the same name. Patterns with {name} are taken not to
// collide; the matcher sees to those.
bool MayCollide(const InstancePattern& a, const InstancePattern& b);

}  // namespace bulkhead::policy

#endif  // BULKHEAD_PLATFORM_SERVICE_POLICY_INSTANCE_PATTERN_H_
