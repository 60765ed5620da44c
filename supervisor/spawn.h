// Starts a program by descriptor.
#ifndef BULKHEAD_SUPERVISOR_SPAWN_H_
#define BULKHEAD_SUPERVISOR_SPAWN_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/seqpacket.h"
#include "base/unique_fd.h"
#include "supervisor/program.h"
#include "supervisor/sandbox.h"

namespace bulkhead::supervisor {

struct SpawnRequest {
  const Program* program = nullptr;
  std::vector<std::string> arguments;  // Without the program's name.
  // No sandbox, and the supervisor's environment: the platform service only.
  // Everybody else gets an empty environment.
  bool trusted = false;
  SandboxLimits limits;
};

struct Spawned {
  pid_t pid = 0;
  UniqueFd pidfd;
  SeqpacketChannel channel;  // The other end is the child's descriptor 3.
  UniqueFd log;              // Read end of its standard output and error.
  std::vector<std::string> not_applied;
};

// Starts the program as leader of its own session, with the descriptors 0
// (/dev/null), 1 and 2 (log), 3 (channel) and no others, inside `sandbox`.
// Returns when the program runs: about 0.2 ms.
//
// Requires: a single-threaded caller without signal handlers, which stays
// blocked meanwhile.
absl::StatusOr<Spawned> Spawn(const SpawnRequest& request, Sandbox& sandbox);

}  // namespace bulkhead::supervisor

#endif  // BULKHEAD_SUPERVISOR_SPAWN_H_
