#include "clients/bulkhead/process_exit.h"

#include <poll.h>
#include <sys/wait.h>

#include <algorithm>

#include "base/clock.h"

namespace bulkhead::cli {

bool AwaitExit(int pidfd, int timeout_ms) {
  pollfd watched = {.fd = pidfd, .events = POLLIN, .revents = 0};
  const uint64_t deadline_ns =
      MonotonicNs() + static_cast<uint64_t>(timeout_ms) * 1'000'000;
  for (;;) {
    const uint64_t now_ns = MonotonicNs();
    const uint64_t left_ns = deadline_ns - std::min(deadline_ns, now_ns);
    const int ready =
        ::poll(&watched, 1, static_cast<int>((left_ns + 999'999) / 1'000'000));
    if (ready > 0) break;
    if (ready == 0) return false;
  }
  // Ours to reap, if we started it.
  siginfo_t info = {};
  ::waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(pidfd), &info,
           WEXITED | WNOHANG);
  return true;
}

}  // namespace bulkhead::cli
