#include "nic_driver/framework/prefault.h"

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>

#include "base/shared_memory.h"

// Where the linker put the program; see ld(1).
extern "C" {
extern const char __executable_start;
extern const char end;
}

namespace bulkhead::nic_driver {
namespace {

// Linux 5.14; the C library of Debian 12 does not name it.
constexpr int kMadvisePopulateRead = 22;

}  // namespace

void PrefaultProgram() {
  const auto first = reinterpret_cast<uintptr_t>(&__executable_start) &
                     ~uintptr_t{kPageBytes - 1};
  const auto last = reinterpret_cast<uintptr_t>(&end);
  // Advice: nothing depends on it.
  (void)::madvise(reinterpret_cast<void*>(first), last - first,
                  kMadvisePopulateRead);
}

}  // namespace bulkhead::nic_driver
