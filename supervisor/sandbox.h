// What a child process is stripped of before its program runs.
#ifndef BULKHEAD_SUPERVISOR_SANDBOX_H_
#define BULKHEAD_SUPERVISOR_SANDBOX_H_

#include <sched.h>
#include <sys/types.h>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "supervisor/api/supervisor.pb.h"
#include "supervisor/seccomp_filter.h"

namespace bulkhead::supervisor {

// The parts, in the order in which Enter applies them.
enum class SandboxPart : uint8_t {
  kUserNamespace,
  kNetworkNamespace,
  kIpcNamespace,
  kUtsNamespace,
  kMountNamespace,
  kCoreLimit,
  kFdLimit,
  kMemoryLimit,
  kCpuAffinity,
  kNoCapabilities,
  kDropPrivileges,
  kProcessLimit,
  kParentDeathSignal,
  kNoNewPrivileges,
  kSeccomp,
  kCount,
};

// An errno per part: 0, it was applied.
using SandboxOutcome =
    std::array<int, static_cast<size_t>(SandboxPart::kCount)>;

// For parts that were left out because of the program, not of the system.
constexpr int kNotForDynamicPrograms = -1;

// "network namespace: Operation not permitted", … one line per part that was
// not applied.
std::vector<std::string> NotApplied(const SandboxOutcome& outcome);

// What differs from process to process.
struct SandboxLimits {
  uint64_t memory_bytes = 0;  // 0: none.
  cpu_set_t cpus = {};
  bool any_cpu = true;
  uint32_t max_fds = 256;
  bool threads = false;  // It may start some.
  // A dynamically linked program must open its libraries, so that it keeps the
  // file system and gets no seccomp allow-list. Drivers and models are static.
  bool dynamic_program = false;
};
SandboxLimits LimitsOf(const ProcessSpec& spec);

// One sandbox serves all children. Its namespaces are made once, as an *empty
// room* that each child enters: a network namespace alone costs half a
// millisecond to make, and next to nothing to join. In the room there is no
// network interface, and the file system is one empty read-only directory.
//
// There is no pid namespace: its first process would be an init, which ignores
// SIGABRT and SIGTERM, so that abort() and `bulkhead kill --signal` would stop
// to mean what they say. What it would add, seccomp gives already: no fork, and
// no signal to any other process.
class Sandbox {
 public:
  // Makes the room. Never fails: what the system refuses ends up in NotApplied
  // of each child.
  Sandbox();

  // Two steps for the calling process, which shares the supervisor's memory
  // until it runs its program: no allocation, no lock. The first one needs the
  // supervisor's descriptors, the second one leaves nothing but execveat.
  void EnterRoom(const SandboxLimits& limits, SandboxOutcome* outcome);
  void Confine(const SandboxLimits& limits, pid_t supervisor,
               SandboxOutcome* outcome);

 private:
  struct Namespace {
    SandboxPart part;
    int flag;
    const char* file;
    int error;
    UniqueFd fd;
  };
  void MakeRoom();

  std::array<Namespace, 5> room_;
  SeccompFilter filter_{SeccompFilter::Threads::kNone};
  SeccompFilter thread_filter_{SeccompFilter::Threads::kAllowed};
  bool root_;
};

}  // namespace bulkhead::supervisor

#endif  // BULKHEAD_SUPERVISOR_SANDBOX_H_
