#include "base/log.h"

#include <unistd.h>

#include <string>

#include "base/unique_fd.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bulkhead {
namespace {

// Shows the form of a line, and that text from outside can neither begin a line
// of its own nor reach a terminal's control sequences.
TEST(Log, LinesCannotBeForged) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  UniqueFd read_end(ends[0]);
  UniqueFd saved(::dup(STDERR_FILENO));
  ASSERT_GE(::dup2(ends[1], STDERR_FILENO), 0);
  ::close(ends[1]);
  SetLogName("nic0");
  LogWarning("a\nb\x1b[31m\x7f");
  ASSERT_GE(::dup2(saved.get(), STDERR_FILENO), 0);
  char text[200];
  const ssize_t got = ::read(read_end.get(), text, sizeof(text));
  ASSERT_GT(got, 0);
  EXPECT_THAT(std::string(text, got),
              ::testing::EndsWith(" warning nic0: a\\x0ab\\x1b[31m\\x7f\n"));
}

}  // namespace
}  // namespace bulkhead
