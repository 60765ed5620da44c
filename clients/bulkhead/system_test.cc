// Shows that a run directory is believed only as far as its lock goes, that
// cleaning it touches only Bulkhead's files, and that logs are followed through
// a change of files.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "clients/bulkhead/connection.h"
#include "clients/bulkhead/log_file.h"
#include "clients/bulkhead/run_dir.h"
#include "supervisor/run_directory.h"

namespace bulkhead::cli {
namespace {

namespace fs = std::filesystem;

class SystemTest : public testing::Test {
 protected:
  void SetUp() override {
    char path[] = "/tmp/bulkhead_cli_XXXXXX";
    ASSERT_NE(::mkdtemp(path), nullptr);
    base_ = path;
    auto run_dir = RunDir::Resolve(base_ + "/run");
    ASSERT_TRUE(run_dir.ok()) << run_dir.status();
    run_dir_ = std::make_unique<RunDir>(*run_dir);
  }
  void TearDown() override { fs::remove_all(base_); }

  void Write(const std::string& path, const std::string& text) {
    std::ofstream(path, std::ios::app) << text;
  }

  std::string base_;
  std::unique_ptr<RunDir> run_dir_;
};

TEST_F(SystemTest, NothingRunsWhereThereIsNoDirectory) {
  const auto running = run_dir_->FindSupervisor();
  ASSERT_TRUE(running.ok());
  EXPECT_FALSE(running->has_value());
}

TEST_F(SystemTest, AStalePidFileNamesNobody) {
  ASSERT_TRUE(run_dir_->Create().ok());
  // This test's own pid: alive, but not a supervisor that holds the lock.
  Write(run_dir_->PidFile(), std::to_string(::getpid()) + "\n");
  const auto running = run_dir_->FindSupervisor();
  ASSERT_TRUE(running.ok());
  EXPECT_FALSE(running->has_value());
}

TEST_F(SystemTest, ASupervisorsPidFileNamesIt) {
  const auto owner = supervisor::RunDirectory::Take(run_dir_->path());
  ASSERT_TRUE(owner.ok()) << owner.status();
  const auto running = run_dir_->FindSupervisor();
  ASSERT_TRUE(running.ok()) << running.status();
  ASSERT_TRUE(running->has_value());
  EXPECT_EQ((*running)->pid, ::getpid());
}

TEST_F(SystemTest, ALockedFileWithoutAPidIsAnError) {
  const auto owner = supervisor::RunDirectory::Take(run_dir_->path());
  ASSERT_TRUE(owner.ok()) << owner.status();
  for (const char* text : {"", "0", "1", "-5", "nonsense"}) {
    fs::resize_file(run_dir_->PidFile(), 0);
    Write(run_dir_->PidFile(), text);
    EXPECT_FALSE(run_dir_->FindSupervisor().ok()) << text;
  }
}

TEST_F(SystemTest, ALookNeverKeepsASupervisorFromItsDirectory) {
  ASSERT_TRUE(run_dir_->Create().ok());
  // A place without an owner, which both sides meet again and again.
  Write(run_dir_->PidFile(), "");
  std::atomic<bool> done = false;
  std::thread looker([&] {
    while (!done) EXPECT_TRUE(run_dir_->FindSupervisor().ok());
  });
  for (int i = 0; i < 2000; ++i) {
    const auto owner = supervisor::RunDirectory::Take(run_dir_->path());
    EXPECT_TRUE(owner.ok()) << owner.status();
  }
  done = true;
  looker.join();
}

TEST_F(SystemTest, S10_RemoveFilesTakesOnlyWhatIsBulkheads) {
  ASSERT_TRUE(run_dir_->Create().ok());
  fs::create_directories(run_dir_->path() + "/models");
  fs::create_directories(run_dir_->path() + "/bus/devices");
  Write(run_dir_->PlatformSocket(), "");
  Write(run_dir_->LogFile("nic0"), "x");
  Write(run_dir_->path() + "/somebody_elses", "x");
  ASSERT_TRUE(run_dir_->RemoveFiles().ok());
  EXPECT_TRUE(fs::exists(run_dir_->path() + "/somebody_elses"));
  EXPECT_FALSE(fs::exists(run_dir_->LogDir()));
  fs::remove(run_dir_->path() + "/somebody_elses");
  ASSERT_TRUE(run_dir_->RemoveFiles().ok());
  EXPECT_FALSE(fs::exists(run_dir_->path()));
}

TEST_F(SystemTest, TheRunDirectoryIsForItsUserAlone) {
  ASSERT_TRUE(run_dir_->Create().ok());
  struct stat info;
  ASSERT_EQ(::stat(run_dir_->path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
}

TEST_F(SystemTest, APathTooLongForSocketsIsRefused) {
  EXPECT_FALSE(RunDir::Resolve("/" + std::string(90, 'x')).ok());
}

TEST_F(SystemTest, AsWhoIsNotThereNamesTheRemedy) {
  const auto status = Connection::Create(*run_dir_, 2000)->GetStatus();
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.status().message(),
            "no Bulkhead runs in " + run_dir_->path() +
                "; start one with `bulkhead up FILE`");
}

TEST_F(SystemTest, LogsAreReadThroughAChangeOfFiles) {
  ASSERT_TRUE(run_dir_->Create().ok());
  const std::string path = run_dir_->LogFile("nic0");
  Write(path + ".1", "oldest\n");
  Write(path, "old\n");
  auto log = LogFile::Open(*run_dir_, "nic0");
  ASSERT_TRUE(log.ok()) << log.status();
  EXPECT_EQ(log->ReadAll(), "oldest\nold\n");
  EXPECT_EQ(log->ReadMore(), "");
  Write(path, "more\n");
  fs::rename(path, path + ".1");
  Write(path, "new\n");
  EXPECT_EQ(log->ReadMore(), "more\nnew\n");
}

TEST_F(SystemTest, AnUnknownLogNamesTheKnownOnes) {
  ASSERT_TRUE(run_dir_->Create().ok());
  Write(run_dir_->LogFile("nic0"), "");
  Write(run_dir_->LogFile("nic1"), "");
  for (const char* name : {"nic7", "../nic0", "", "."}) {
    const auto log = LogFile::Open(*run_dir_, name);
    ASSERT_FALSE(log.ok());
    EXPECT_NE(log.status().message().find("nic0, nic1"), std::string::npos);
  }
}

TEST(LastLines, CountsFromTheEnd) {
  EXPECT_EQ(LastLines("a\nb\nc\n", 2), "b\nc\n");
  EXPECT_EQ(LastLines("a\nb\nc", 1), "c");
  EXPECT_EQ(LastLines("a\nb\n", 5), "a\nb\n");
  EXPECT_EQ(LastLines("a\nb\n", 0), "a\nb\n");
  EXPECT_EQ(LastLines("", 3), "");
}

}  // namespace
}  // namespace bulkhead::cli
