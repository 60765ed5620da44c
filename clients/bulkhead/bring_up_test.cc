// Shows that `up` and `down` leave nothing behind whatever the platform service
// does: it is missing, ends at once, or neither answers nor ends. Runs the real
// supervisor.
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "clients/bulkhead/commands.h"
#include "clients/bulkhead/process_exit.h"

namespace bulkhead::cli {
namespace {

namespace fs = std::filesystem;

class BringUpTest : public testing::Test {
 protected:
  void SetUp() override {
    // Short: Unix sockets go below it.
    char path[] = "/tmp/bulkhead_up_XXXXXX";
    ASSERT_NE(::mkdtemp(path), nullptr);
    base_ = path;
    auto run_dir = RunDir::Resolve(base_ + "/run");
    ASSERT_TRUE(run_dir.ok());
    context_ =
        std::make_unique<Context>(Context{.console = {.out = out_, .err = err_},
                                          .run_dir = *run_dir,
                                          .bin_dir = base_ + "/bin"});
    Install("supervisor/supervisor", "supervisor/supervisor");
    // Named, but not run.
    Install("nic_driver/e1000e/e1000e", "supervisor/supervisor");
    Install("nic_model/82574l/82574l", "supervisor/supervisor");
    Install("nic_model/82574l/model.yaml", "nic_model/82574l/model.yaml");
    scenario_ = base_ + "/scenario.yaml";
    std::ofstream(scenario_) << "apiVersion: bulkhead/v1\n"
                                "simulated:\n"
                                "  - {name: port0, model: 82574l, "
                                "network: {echo: {}}}\n"
                                "drivers:\n"
                                "  - {match: {class: ethernet}, driver: "
                                "e1000e}\n";
  }
  void TearDown() override {
    RunCommand(DownOptions{}, *context_).IgnoreError();
    fs::remove_all(base_);
  }

  // Puts the program built as `from` at BIN/`to`.
  void Install(const std::string& to, const std::string& from) {
    const fs::path target = base_ + "/bin/" + to;
    fs::create_directories(target.parent_path());
    fs::copy_file(from, target, fs::copy_options::overwrite_existing);
  }
  void InstallPlatform(const std::string& name) {
    Install("platform_service/platform_service",
            "clients/bulkhead/testing/" + name);
  }
  UpOptions Up(uint32_t timeout_ms, bool wait = true) const {
    return {.file = scenario_,
            .wait = wait,
            .foreground = false,
            .timeout_ms = timeout_ms};
  }
  bool NothingIsLeft() const { return !fs::exists(context_->run_dir.path()); }

  std::string base_;
  std::string scenario_;
  std::ostringstream out_;
  std::ostringstream err_;
  std::unique_ptr<Context> context_;
};

TEST_F(BringUpTest, S10_AMissingPlatformServiceIsNamedAndNothingIsLeft) {
  const absl::Status status = RunCommand(Up(5000), *context_);
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.message().find("platform_service/platform_service"),
            std::string::npos)
      << status;
  EXPECT_TRUE(NothingIsLeft());
}

TEST_F(BringUpTest, S10_ABrokenPlatformServiceIsQuotedAndNothingIsLeft) {
  InstallPlatform("broken_platform");
  const absl::Status status = RunCommand(Up(60'000), *context_);
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.message().find("this platform service is broken"),
            std::string::npos)
      << status;
  EXPECT_NE(status.message().find("exited with status 3"), std::string::npos)
      << status;
  EXPECT_TRUE(NothingIsLeft());
}

TEST_F(BringUpTest, S10_ASilentPlatformServiceIsEndedBySignals) {
  InstallPlatform("silent_platform");
  const absl::Status status = RunCommand(Up(50), *context_);
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.message().find("did not come up within 50 ms"),
            std::string::npos)
      << status;
  EXPECT_TRUE(NothingIsLeft());
}

TEST_F(BringUpTest, ASecondUpIsRefusedAndChangesNothing) {
  InstallPlatform("silent_platform");
  ASSERT_TRUE(RunCommand(Up(0, false), *context_).ok());
  const absl::Status status = RunCommand(Up(0, false), *context_);
  EXPECT_EQ(status.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_NE(status.message().find("bulkhead down"), std::string::npos);
  const auto running = context_->run_dir.FindSupervisor();
  ASSERT_TRUE(running.ok());
  EXPECT_TRUE(running->has_value());
}

TEST_F(BringUpTest, S10_FilesOfAKilledSystemAreCleanedByTheNextUpOrDown) {
  InstallPlatform("silent_platform");
  for (const bool by_down : {true, false}) {
    ASSERT_TRUE(RunCommand(Up(0, false), *context_).ok());
    const auto running = context_->run_dir.FindSupervisor();
    ASSERT_TRUE(running.ok() && running->has_value());
    ASSERT_EQ(::kill((*running)->pid, SIGKILL), 0);
    ASSERT_TRUE(AwaitExit((*running)->pidfd.get(), 10'000));
    EXPECT_FALSE(NothingIsLeft());
    if (by_down) {
      const absl::Status status = RunCommand(DownOptions{}, *context_);
      EXPECT_TRUE(status.ok()) << status;
      EXPECT_TRUE(NothingIsLeft());
    } else {
      const absl::Status status = RunCommand(Up(0, false), *context_);
      EXPECT_TRUE(status.ok()) << status;
    }
  }
}

TEST_F(BringUpTest, DownOfNothingSucceedsAndSaysSo) {
  EXPECT_TRUE(RunCommand(DownOptions{}, *context_).ok());
  EXPECT_NE(out_.str().find("no Bulkhead runs in"), std::string::npos);
}

TEST_F(BringUpTest, AWrongScenarioStartsNothing) {
  InstallPlatform("silent_platform");
  std::ofstream(scenario_, std::ios::app) << "nonsense: 1\n";
  const absl::Status status = RunCommand(Up(0, false), *context_);
  EXPECT_TRUE(IsAlreadyReported(status)) << status;
  EXPECT_NE(err_.str().find("scenario.yaml:6:1: error:"), std::string::npos)
      << err_.str();
  EXPECT_TRUE(NothingIsLeft());
}

}  // namespace
}  // namespace bulkhead::cli
