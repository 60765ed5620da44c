#include "supervisor/child_log.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "gtest/gtest.h"

namespace bulkhead::supervisor {
namespace {

constexpr uint64_t kSecondNs = 1'000'000'000;

class ChildLogTest : public ::testing::Test {
 protected:
  ChildLogTest() {
    std::string pattern = ::testing::TempDir() + "/log.XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
    path_ = directory_ + "/nic0.log";
  }
  ~ChildLogTest() override { std::filesystem::remove_all(directory_); }

  static std::string Read(const std::string& path) {
    std::ifstream file(path);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
  }

  std::string directory_;
  std::string path_;
  uint64_t now_ns_ = 1'000'000 * kSecondNs;
};

// Shows what becomes of each kind of byte.
TEST(Sanitise, LeavesOnlyPrintableText) {
  EXPECT_EQ(Sanitise("plain text\n\ttab"), "plain text\n\ttab");
  EXPECT_EQ(Sanitise("\x1b[31m"), "\\x1b[31m");
  EXPECT_EQ(Sanitise(absl::string_view("\0\r\x7f\xc2\x9b", 5)),
            "\\x00\\x0d\\x7f\\xc2\\x9b");
}

// Shows that text over the rate is dropped and counted to the byte, and that
// the allowance comes back with time.
TEST_F(ChildLogTest, RateIsBounded) {
  auto log = *ChildLog::Create(
      path_, {.max_file_bytes = 1 << 20, .bytes_per_second = 100});
  log->Append(std::string(90, 'a') + "\n", now_ns_);
  log->Append(std::string(50, 'b') + "\n", now_ns_);
  log->Append(std::string(60, 'c') + "\n", now_ns_);
  EXPECT_EQ(log->dropped_bytes(), 112u);
  log->Append(std::string(50, 'd') + "\n", now_ns_ + kSecondNs / 2);
  EXPECT_EQ(Read(path_),
            std::string(90, 'a') + "\n" +
                "supervisor: 112 bytes dropped: the process writes more than "
                "100 bytes a second\n" +
                std::string(50, 'd') + "\n");
}

// Shows that the disk holds at most two files of the allowed size, with the
// newest text in them.
TEST_F(ChildLogTest, SizeIsBounded) {
  auto log = *ChildLog::Create(
      path_, {.max_file_bytes = 1000, .bytes_per_second = 10'000});
  for (int i = 0; i < 100; ++i) {
    log->Append(std::string(99, 'a' + i % 26) + "\n", now_ns_ += kSecondNs);
  }
  EXPECT_EQ(Read(path_).size(), 1000u);
  EXPECT_EQ(Read(path_ + ".1").size(), 1000u);
  EXPECT_EQ(Read(path_).back(), '\n');
  EXPECT_NE(Read(path_).find(std::string(99, 'a' + 99 % 26)),
            std::string::npos);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(directory_),
                          std::filesystem::directory_iterator()),
            2);
}

// Shows that the supervisor's own lines begin on a line of their own.
TEST_F(ChildLogTest, NotesStandAlone) {
  auto log = *ChildLog::Create(path_, {});
  log->Append("half a line", now_ns_);
  log->Note("parked: \x1b");
  EXPECT_EQ(Read(path_), "half a line\nsupervisor: parked: \\x1b\n");
}

// Shows that only the owner can read a log, and that a link put in its place is
// not followed.
TEST_F(ChildLogTest, FileIsPrivate) {
  { auto log = *ChildLog::Create(path_, {}); }
  struct stat info;
  ASSERT_EQ(::stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  ::unlink(path_.c_str());
  ASSERT_EQ(::symlink("/dev/null", path_.c_str()), 0);
  EXPECT_FALSE(ChildLog::Create(path_, {}).ok());
}

// Shows that what a process wrote just before its end is not lost, and that the
// end of file does not keep the loop busy.
TEST_F(ChildLogTest, PipeIsReadToItsEnd) {
  auto loop = *EventLoop::Create();
  auto log = *ChildLog::Create(path_, {});
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  auto pipe = *LogPipe::Create(*loop, UniqueFd(ends[0]), log.get());
  ASSERT_EQ(::write(ends[1], "one\n", 4), 4);
  loop->RunOnce(0);
  EXPECT_EQ(Read(path_), "one\n");
  ASSERT_EQ(::write(ends[1], "last words", 10), 10);
  ::close(ends[1]);
  pipe.reset();
  EXPECT_EQ(Read(path_), "one\nlast words");
}

}  // namespace
}  // namespace bulkhead::supervisor
