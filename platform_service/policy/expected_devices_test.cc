// Shows that what cannot be listed is an error. That simulated NICs are
// expected to be what they then say is each model's test
// (nic_model/announced_test.cc).
#include "platform_service/policy/expected_devices.h"

#include <gtest/gtest.h>

namespace bulkhead::policy {
namespace {

TEST(ExpectedDevices, AMissingDumpIsAnError) {
  Scenario scenario;
  scenario.devices.recorded = "nowhere.lspci";
  EXPECT_EQ(ExpectedDevices(scenario, {}).status().message(),
            "cannot open the recorded dump nowhere.lspci: No such file or "
            "directory");
}

}  // namespace
}  // namespace bulkhead::policy
