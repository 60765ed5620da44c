// The driver process between its channels and its driver: binds sessions to
// queues and does one control sequence at a time.
//
// Who is who: the supervisor starts the process and asks for progress
// (supervisor/child.h); the platform service grants the device, opens and
// closes sessions (platform_channel.h); the driver knows the NIC (driver.h);
// a lane server polls and sleeps for each queue (lane_server.h); the data path
// moves frames (data_path.h). The runtime knows no NIC.
//
// Threads: with a driver of one queue there is one. With several, queue 0 is
// served by this thread, and each other by one of its own. They are made before
// the process listens to anybody, and held between two handlers
// (queue_thread.h) for as long as a control sequence lasts; so control and data
// path need no lock.
//
// No session open: the NIC stays attached and its receiver has no buffers, so
// that the device counts what it misses.
#ifndef BULKHEAD_NIC_DRIVER_FRAMEWORK_RUNTIME_H_
#define BULKHEAD_NIC_DRIVER_FRAMEWORK_RUNTIME_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/event_loop.h"
#include "base/shared_memory.h"
#include "base/task.h"
#include "nic_driver/framework/call_queue.h"
#include "nic_driver/framework/checked_driver.h"
#include "nic_driver/framework/counters.h"
#include "nic_driver/framework/device_grant.h"
#include "nic_driver/framework/driver.h"
#include "nic_driver/framework/lane_server.h"
#include "nic_driver/framework/linux_interface.h"
#include "nic_driver/framework/platform_channel.h"
#include "nic_driver/framework/queue_thread.h"
#include "nic_driver/framework/trace.h"

namespace bulkhead::nic_driver {

using DriverFactory =
    std::function<std::unique_ptr<Driver>(const DriverContext&)>;

// What it has to tell the supervisor.
struct RuntimeEvents {
  std::function<void()> started;
  // The process cannot go on. Does not return.
  std::function<void(absl::Status)> failed;
};

// Threading: the loop's thread, which is the control thread. `loop` outlives
// it.
class Runtime {
 public:
  Runtime(EventLoop& loop, DriverFactory factory, RuntimeEvents events)
      : loop_(loop), factory_(std::move(factory)), events_(std::move(events)) {}
  ~Runtime();

  // Takes the grant and brings the NIC up; once.
  void Begin(DeviceGrant grant);
  // Ends in an orderly way: no more DMA, rings given back; then `done`.
  void Finish(std::function<void()> done);

  // For the heartbeat. A lane that stands still with work before it, or whose
  // thread does not come round, counts as if all did.
  struct Progress {
    uint64_t done = 0;
    bool waiting = false;
  };
  Progress TakeProgress();

 private:
  struct ControlRequest {
    platform::ToDriver message;
    std::vector<UniqueFd> fds;
  };

  // One of the driver's queues, and who serves it.
  struct QueueSlot {
    QueueThread* thread = nullptr;  // Null: this one.
    std::unique_ptr<LaneServer> server;
    uint64_t frames_seen = 0;  // By the last TakeProgress.
    bool waited = false;       // Then, too.
  };

  absl::Status Connect(DeviceGrant& grant);
  absl::Status MakeThreads(uint32_t queues);
  absl::Status WatchDevice();
  Task<absl::Status> BringUp();
  absl::Status ServeQueues();
  absl::Status ServeQueue(uint32_t index);
  LaneNews NewsOf(QueueThread* thread);
  absl::Status WatchControlVector(uint32_t vector);
  // Of all threads but this one. Nests.
  void HoldQueues();
  void ReleaseQueues();

  // Control sequences: at most one runs; the others wait their turn.
  void RunNextControl();
  Task<absl::Status> Control();  // Of request_.
  Task<absl::Status> OpenSession(SessionGrant& grant);
  Task<absl::Status> LetGoOfRefused();
  Task<absl::Status> CloseSession(uint64_t session_id);
  Task<absl::Status> BreakSession();
  Task<absl::Status> StopTraffic();
  Task<absl::Status> StartTraffic(uint32_t rx_buffer_bytes, uint32_t lanes);
  Task<absl::Status> Leave();
  absl::Status Configure(const NicConfig& config);
  void OnInterfaceState(const LinuxInterface::State& state);
  void RunControl(Task<absl::Status> task);
  void BindSession(SessionGrant grant);
  // The session as lane 0 has it; null: none is open.
  const packet_stream::ProviderEnd* session() const;
  void NoteBroken();
  void NoteFirstFrame();
  void HandleControlIrq(uint32_t vector);

  void SetLink(LinkStatus link);
  void SayLink();
  void ApplyLimits();
  void ReadStatisticsSoon();
  void ReadStatistics();
  void Fail(absl::Status status);

  EventLoop& loop_;
  DriverFactory factory_;
  RuntimeEvents events_;

  // The grant, in the order in which its parts depend on each other.
  Mapping counters_page_;
  DriverCounters* counters_ = nullptr;
  std::unique_ptr<PciDevice> device_;
  std::unique_ptr<LinuxInterface> interface_;  // Null: a PCI device.
  std::unique_ptr<TracingDevice> trace_;
  std::unique_ptr<PlatformChannel> platform_;
  std::vector<UniqueFd> irqs_;
  NicConfig config_;
  std::vector<SessionGrant> granted_sessions_;
  std::unique_ptr<CallQueue> calls_;  // Of the queues' threads, for this one.
  std::vector<std::unique_ptr<QueueThread>> threads_;
  int holds_ = 0;
  std::unique_ptr<CheckedDriver> driver_;
  std::vector<QueueSlot> queues_;  // Of the driver.

  NicFacts facts_;
  LinkStatus link_;
  uint32_t rx_buffer_bytes_ = 0;
  uint32_t lanes_ = 1;  // That the driver was started for.
  bool attached_ = false;
  bool announced_ = false;  // To the platform and the supervisor.
  bool traffic_ = false;    // Started, and no Stop under way.

  std::deque<ControlRequest> requests_;
  ControlRequest request_;  // The one under way.
  std::function<void()> finish_;
  bool breaking_ = false;  // A session's end is queued or under way.
  std::optional<Task<absl::Status>> control_;

  std::vector<EventLoop::WatchId> watches_;
  EventLoop::TimerId statistics_timer_ = 0;  // Once there was traffic: always.
  bool statistics_soon_ = false;
  // By some queue, which says so once until they are read: sockets would say it
  // at every wake-up.
  std::atomic<bool> statistics_wanted_ = false;
  bool first_frame_said_ = false;
  uint64_t steps_done_ = 0;  // Control sequences, for the heartbeat.
  uint64_t work_done_ = 0;   // As TakeProgress said.
};

}  // namespace bulkhead::nic_driver

#endif  // BULKHEAD_NIC_DRIVER_FRAMEWORK_RUNTIME_H_
