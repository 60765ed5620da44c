// Shows which domain a label leads to, that the first match counts, and that a
// label's MAC address is its own and always the same.
#include "platform_service/router/client_policy.h"

#include <gtest/gtest.h>

namespace bulkhead::platform {
namespace {

using Kind = nic_router::PolicyRule::Kind;

nic_router::RouterConfig Config(bool with_default) {
  nic_router::RouterConfig config;
  config.policies = {{Kind::kExact, "web", "dmz", 0, 0, 1},
                     {Kind::kPrefix, "vm-", "guests", 0, 0, 1},
                     {Kind::kSuffix, "-admin", "lab", 0, 0, 1}};
  if (with_default) {
    config.policies.push_back({Kind::kDefault, "", "rest", 0, 0, 1});
  }
  return config;
}

TEST(DomainOf, TheFirstPolicyThatMatchesCounts) {
  const auto config = Config(true);
  EXPECT_EQ(*DomainOf(config, "web"), "dmz");
  EXPECT_EQ(*DomainOf(config, "vm-1"), "guests");
  EXPECT_EQ(*DomainOf(config, "vm-admin"), "guests");
  EXPECT_EQ(*DomainOf(config, "the-admin"), "lab");
  EXPECT_EQ(*DomainOf(config, "website"), "rest");
}

TEST(DomainOf, NobodyIsRefusedWithoutCauseAndRemedy) {
  const auto domain = DomainOf(Config(false), "website");
  EXPECT_EQ(domain.status().code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(domain.status().message(),
            "open a session: no policy of the router `router` matches the "
            "label `website`; add one to `policies` in the scenario, such as "
            "`{label: PROGRAM, domain: DOMAIN}`, and `bulkhead apply` it");
}

TEST(MacOf, IsStableLocalAndUnique) {
  const auto first = MacOf("router", "web", {});
  EXPECT_EQ(first, MacOf("router", "web", {}));
  EXPECT_EQ(first[0], 0x02);
  EXPECT_NE(first, MacOf("router", "web", {first}));
  EXPECT_NE(first, MacOf("router", "vm", {}));
  EXPECT_NE(first, MacOf("gate", "web", {}));
}

}  // namespace
}  // namespace bulkhead::platform
