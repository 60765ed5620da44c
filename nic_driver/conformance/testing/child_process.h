// A supervised process as the supervisor sees it, for tests: spawned with a
// parent channel on descriptor 3, started with a payload, killed or stopped.
#ifndef BULKHEAD_NIC_DRIVER_CONFORMANCE_TESTING_CHILD_PROCESS_H_
#define BULKHEAD_NIC_DRIVER_CONFORMANCE_TESTING_CHILD_PROCESS_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/seqpacket.h"
#include "supervisor/api/child.pb.h"

namespace bulkhead::nic_driver::testing {

// Kills and reaps its process when it goes out of scope.
class ChildProcess {
 public:
  // Spawns `program` and waits until it says Ready.
  static absl::StatusOr<std::unique_ptr<ChildProcess>> Spawn(
      const std::string& program);
  ~ChildProcess();

  absl::Status Start(const std::string& name, uint32_t generation,
                     const std::string& payload, std::span<const int> fds);
  absl::Status Ping(uint64_t number);
  absl::Status AskToStop();
  // As if the supervisor had died.
  void CloseChannel() { channel_.Close(); }

  // Takes one message if one waits.
  absl::StatusOr<bool> Receive(supervisor::FromChild* message);

  // SIGKILL, and waits until it is reaped.
  void Kill();
  // Waits for the process to end by itself; its exit status, or 128 + signal.
  absl::StatusOr<int> WaitForExit(int timeout_ms);

  pid_t pid() const { return pid_; }
  bool running() const { return pid_ > 0; }
  int channel_fd() const { return channel_.fd(); }

  // What /proc says of it.
  size_t OpenDescriptors() const;
  std::vector<std::string> DescriptorTargets() const;
  std::string Maps() const;
  size_t PrivateDirtyBytes() const;

 private:
  ChildProcess(pid_t pid, SeqpacketChannel channel)
      : pid_(pid), channel_(std::move(channel)) {}

  pid_t pid_;
  SeqpacketChannel channel_;
};

}  // namespace bulkhead::nic_driver::testing

#endif  // BULKHEAD_NIC_DRIVER_CONFORMANCE_TESTING_CHILD_PROCESS_H_
