#include "tests/bench/router/cpu_time.h"

#include <sched.h>
#include <time.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"

namespace bulkhead::bench {
namespace {

std::string FirstLine(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// The process directory of ksoftirqd/N; empty: not found.
std::string FindSoftirqThread(int cpu) {
  const std::string name = absl::StrCat("ksoftirqd/", cpu);
  std::error_code error;
  for (const auto& entry :
       std::filesystem::directory_iterator("/proc", error)) {
    const std::string path = entry.path().string();
    if (FirstLine(path + "/comm") == name) return path;
  }
  return "";
}

}  // namespace

uint64_t ThreadCpuNs() {
  timespec now;
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000u +
         static_cast<uint64_t>(now.tv_nsec);
}

uint64_t SoftirqThreadCpuNs(int cpu) {
  static const std::string path = FindSoftirqThread(cpu);
  if (path.empty()) return 0;
  return std::strtoull(FirstLine(path + "/schedstat").c_str(), nullptr, 10);
}

void PinThread(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  ::sched_setaffinity(0, sizeof(set), &set);
}

}  // namespace bulkhead::bench
