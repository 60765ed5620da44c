#include "platform_service/router/client_policy.h"

#include <cstdint>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace bulkhead::platform {
namespace {

using nic_router::MacAddress;
using nic_router::PolicyRule;

bool Matches(const PolicyRule& policy, absl::string_view label) {
  switch (policy.kind) {
    case PolicyRule::Kind::kExact:
      return policy.label == label;
    case PolicyRule::Kind::kPrefix:
      return absl::StartsWith(label, policy.label);
    case PolicyRule::Kind::kSuffix:
      return absl::EndsWith(label, policy.label);
    case PolicyRule::Kind::kDefault:
      return true;
  }
  return false;
}

// FNV-1a, 64 bits: the same in every build, which absl::Hash is not.
uint64_t HashOf(absl::string_view text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) {
    hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  }
  return hash;
}

}  // namespace

absl::StatusOr<std::string> DomainOf(const nic_router::RouterConfig& config,
                                     absl::string_view label) {
  for (const PolicyRule& policy : config.policies) {
    if (Matches(policy, label)) return policy.domain;
  }
  return absl::PermissionDeniedError(
      absl::StrCat("open a session: no policy of the router `", config.name,
                   "` matches the label `", label,
                   "`; add one to `policies` in the scenario, such as `{label: "
                   "PROGRAM, domain: DOMAIN}`, and `bulkhead apply` it"));
}

MacAddress MacOf(absl::string_view router, absl::string_view label,
                 const std::set<MacAddress>& taken) {
  for (uint64_t hash = HashOf(absl::StrCat(router, "/", label));; ++hash) {
    MacAddress mac = {0x02};
    for (size_t i = 1; i < mac.size(); ++i) {
      mac[i] = static_cast<uint8_t>(hash >> 8 * (mac.size() - 1 - i));
    }
    if (taken.count(mac) == 0) return mac;
  }
}

}  // namespace bulkhead::platform
