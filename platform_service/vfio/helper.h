// Processes of their own that give functions back: what the kernel makes one
// wait for must hold up nobody else, and what must be done when everybody else
// is dead cannot be done by them.
//
//   platform_service --run_dir=DIR --give_back[=ADDRESS]   now, then ends
//   platform_service --run_dir=DIR --rescan=ADDRESS        now, then ends
//   platform_service --run_dir=DIR --guard=PID             once PID has ended
#ifndef BULKHEAD_PLATFORM_SERVICE_VFIO_HELPER_H_
#define BULKHEAD_PLATFORM_SERVICE_VFIO_HELPER_H_

#include <sys/types.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace bulkhead::platform {

// Starts a process that gives one function back, or, without an address, all
// that have a record; no system may run then. The pidfd becomes readable when
// it has ended.
absl::StatusOr<UniqueFd> StartGiveBack(const std::string& run_dir,
                                       const std::string& address);
// Starts a process that takes a function off the bus and has the kernel look
// for it anew: the last rung of the reset ladder. What is back is reserved for
// vfio-pci, unless the machine has come to use it.
absl::StatusOr<UniqueFd> StartRescan(const std::string& run_dir,
                                     const std::string& address);
// Of a process that has ended; its error was logged by it.
absl::Status ReapHelper(const UniqueFd& pidfd);

// There is one guard for each run directory from the first function that is
// taken: it sleeps until the supervisor has ended, however that happened, and
// then gives back what still has a record (S10). Starts it unless it is there.
absl::Status EnsureGuard(const std::string& run_dir);

// What the two processes do; the exit status is returned.
int RunGiveBack(const std::string& run_dir, const std::string& address);
int RunRescan(const std::string& run_dir, const std::string& address);
int RunGuard(const std::string& run_dir, pid_t supervisor);

}  // namespace bulkhead::platform

#endif  // BULKHEAD_PLATFORM_SERVICE_VFIO_HELPER_H_
