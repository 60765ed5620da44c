#include "supervisor/cpu_share.h"

#include <fcntl.h>
#include <unistd.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/unique_fd.h"

namespace bulkhead::supervisor {
namespace {

// Its start, or nothing.
std::string ReadFile(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  char text[1024];
  const ssize_t got = fd.valid() ? ::read(fd.get(), text, sizeof(text)) : 0;
  return std::string(text, got > 0 ? got : 0);
}

}  // namespace

std::optional<CpuUse> ParseCpuUse(absl::string_view schedstat,
                                  absl::string_view stat) {
  CpuUse use;
  const std::vector<absl::string_view> fields =
      absl::StrSplit(schedstat, absl::ByAnyChar(" \n"), absl::SkipEmpty());
  if (fields.size() != 3 || !absl::SimpleAtoi(fields[0], &use.run_ns) ||
      !absl::SimpleAtoi(fields[1], &use.wait_ns)) {
    return std::nullopt;
  }
  // The state follows the name, which may hold any character.
  const size_t name_end = stat.rfind(") ");
  if (name_end == absl::string_view::npos || name_end + 2 >= stat.size()) {
    return std::nullopt;
  }
  use.runnable = stat[name_end + 2] == 'R';
  return use;
}

std::optional<CpuUse> ReadCpuUse(pid_t pid) {
  const std::string folder = absl::StrCat("/proc/", pid, "/");
  return ParseCpuUse(ReadFile(folder + "schedstat"), ReadFile(folder + "stat"));
}

std::optional<uint64_t> ParsePressureNs(absl::string_view text) {
  constexpr absl::string_view kTotal = "total=";
  const absl::string_view line = text.substr(0, text.find('\n'));
  const size_t at = line.find(kTotal);
  uint64_t total_us = 0;
  if (!absl::StartsWith(line, "some ") || at == absl::string_view::npos ||
      !absl::SimpleAtoi(line.substr(at + kTotal.size()), &total_us)) {
    return std::nullopt;
  }
  return total_us * 1000;
}

bool WasStarved(const CpuUse& before, const CpuUse& after,
                uint64_t elapsed_ns) {
  const uint64_t ran_ns = after.run_ns - before.run_ns;
  const uint64_t waited_ns = after.wait_ns - before.wait_ns;
  if (ran_ns >= elapsed_ns / 4) return false;
  // A wait that goes on is not counted yet.
  return waited_ns >= elapsed_ns / 2 || after.runnable;
}

bool CpuShare::StarvedSinceLast(pid_t pid, uint64_t now_ns) {
  const std::optional<CpuUse> now = ReadCpuUse(pid);
  const bool starved = now.has_value() && last_.has_value() &&
                       WasStarved(*last_, *now, now_ns - last_ns_);
  last_ = now;
  last_ns_ = now_ns;
  return starved;
}

bool CpuShare::AnyStarvedSinceLast(pid_t pid, uint64_t now_ns) {
  const uint64_t elapsed_ns = now_ns - last_ns_;
  const bool starved = StarvedSinceLast(pid, now_ns);
  const auto before = std::exchange(
      last_pressure_ns_, ParsePressureNs(ReadFile("/proc/pressure/cpu")));
  return starved || (before.has_value() && last_pressure_ns_.has_value() &&
                     *last_pressure_ns_ - *before >= elapsed_ns / 2);
}

void CpuShare::Forget() {
  last_.reset();
  last_pressure_ns_.reset();
}

}  // namespace bulkhead::supervisor
