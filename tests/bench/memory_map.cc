#include "tests/bench/memory_map.h"

#include <cinttypes>
#include <cstdio>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"

namespace bulkhead::bench {

absl::StatusOr<MemoryUse> ReadMemoryUse(int pid) {
  const std::string path = absl::StrCat("/proc/", pid, "/smaps");
  std::ifstream in(path);
  if (!in) return ErrnoStatus("open " + path);
  MemoryUse use;
  bool shared = false;
  std::string line;
  while (std::getline(in, line)) {
    uint64_t begin, end, kib;
    char permissions[5];
    if (std::sscanf(line.c_str(), "%" SCNx64 "-%" SCNx64 " %4s", &begin, &end,
                    permissions) == 3) {
      shared = permissions[3] == 's';
    } else if (std::sscanf(line.c_str(), "Private_Dirty: %" SCNu64, &kib) ==
               1) {
      (shared ? use.shared_dirty : use.private_dirty) += kib;
      use.rollup_private_dirty += kib;
    } else if (std::sscanf(line.c_str(), "Shared_Dirty: %" SCNu64, &kib) == 1) {
      if (shared) use.shared_dirty += kib;
    } else if (std::sscanf(line.c_str(), "Rss: %" SCNu64, &kib) == 1) {
      use.resident += kib;
    }
  }
  return use;
}

}  // namespace bulkhead::bench
