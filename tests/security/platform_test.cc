// What the platform service survives, and what a driver holds: whole systems,
// with traffic on another link.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/bench/echo_client.h"
#include "tests/bench/system_under_test.h"
#include "tests/recovery/bystanders.h"

namespace bulkhead::security {
namespace {

using bench::MakeScenario;
using bench::SystemUnderTest;
namespace v1 = bench::v1;

std::unique_ptr<SystemUnderTest> Start(const std::string& scenario) {
  auto system = SystemUnderTest::Start({.scenario = scenario, .bin_dir = ""});
  EXPECT_TRUE(system.ok()) << system.status();
  return system.ok() ? *std::move(system) : nullptr;
}

// kill -9, and its successor's answer.
void KillPlatform(SystemUnderTest& system) {
  const auto before = system.GetStatus();
  ASSERT_TRUE(before.ok()) << before.status();
  ASSERT_TRUE(system.Kill("platform_service", SIGKILL).ok());
  const absl::Status back = system.WaitForStatus(
      [&](const v1::Status& status) {
        return status.platform_generation() > before->platform_generation();
      },
      15000);
  ASSERT_TRUE(back.ok()) << back.message();
}

// Shows that a scenario of a size which no message to the supervisor could
// carry is taken over by the next platform service like any other.
TEST(PlatformService, S5_ComesBackToALargeScenario) {
  std::string text = MakeScenario({{.port = "oport", .instance = "other0"}});
  for (int i = 0; i < 4000; ++i) {
    absl::StrAppend(&text, "# ", std::string(70, 'x'), "\n");
  }
  const auto system = Start(text);
  ASSERT_NE(system, nullptr);
  const absl::Status up = system->WaitForLinks(1, 20000);
  ASSERT_TRUE(up.ok()) << up.message();
  recovery::Bystanders bystanders(*system, {"other0"});
  const auto pid = system->PidOf("other0");
  ASSERT_TRUE(pid.ok());
  ASSERT_NO_FATAL_FAILURE(KillPlatform(*system));
  bystanders.ExpectUndisturbed();
  const auto after = system->PidOf("other0");
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_EQ(*after, *pid);
}

// Shows that a platform service which could apply no scenario is replaced by
// one that can be asked and told as well.
TEST(PlatformService, S5_ComesBackWithoutAScenario) {
  const auto system = Start("nonsense: [\n");
  ASSERT_NE(system, nullptr);
  const absl::Status up = system->WaitForStatus(
      [](const v1::Status& status) { return status.warning_size() > 0; },
      20000);
  ASSERT_TRUE(up.ok()) << up.message();
  ASSERT_NO_FATAL_FAILURE(KillPlatform(*system));
  const auto status = system->GetStatus();
  ASSERT_TRUE(status.ok());
  EXPECT_GT(status->warning_size(), 0);
}

// Descriptors of a process: what each leads to, and how it was opened.
std::multimap<std::string, int> DescriptorsOf(int pid) {
  std::multimap<std::string, int> descriptors;
  const std::string folder = absl::StrCat("/proc/", pid);
  for (const auto& entry :
       std::filesystem::directory_iterator(folder + "/fd")) {
    std::error_code error;
    const std::string target =
        std::filesystem::read_symlink(entry.path(), error).string();
    std::ifstream info(folder + "/fdinfo/" + entry.path().filename().string());
    int flags = 0;
    for (std::string word; info >> word;) {
      if (word == "flags:") info >> std::oct >> flags;
    }
    descriptors.emplace(target, flags);
  }
  return descriptors;
}

// Shows that a driver in the middle of its work holds no frame memory, no
// status page, nothing of the owner's or of another NIC, and of its client's
// area only a descriptor for reading.
TEST(Driver, S3_HoldsNothingItWasNotGranted) {
  const auto system = Start(
      MakeScenario({{.port = "oport", .instance = "other{index}", .nics = 2}}));
  ASSERT_NE(system, nullptr);
  const absl::Status up = system->WaitForLinks(2, 20000);
  ASSERT_TRUE(up.ok()) << up.message();
  recovery::Bystanders traffic(*system, {"other0", "other1"});
  traffic.ExpectUndisturbed();
  const auto pid = system->PidOf("other0");
  ASSERT_TRUE(pid.ok()) << pid.status();
  int sockets = 0;
  for (const auto& [target, flags] : DescriptorsOf(*pid)) {
    sockets += absl::StartsWith(target, "socket:") ? 1 : 0;
    EXPECT_FALSE(absl::StrContains(target, "tx_data")) << target;
    EXPECT_FALSE(absl::StrContains(target, "rx_data")) << target;
    EXPECT_FALSE(absl::StrContains(target, "status")) << target;
    EXPECT_FALSE(absl::StrContains(target, "other1")) << target;
    EXPECT_FALSE(absl::StartsWith(target, "/") &&
                 !absl::StartsWith(target, "/memfd:") &&
                 !absl::StartsWith(target, "/dev/null"))
        << target;
    if (absl::StrContains(target, "client_control")) {
      EXPECT_EQ(flags & O_ACCMODE, O_RDONLY) << target;
    }
  }
  // The supervisor's, the platform service's, and the NIC's.
  EXPECT_EQ(sockets, 3);
}

}  // namespace
}  // namespace bulkhead::security
