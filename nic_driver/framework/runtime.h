// The driver process between its channels and its driver: binds sessions,
// polls under load, sleeps when idle, and does one control sequence at a time.
//
// Who is who: the supervisor starts the process and asks for progress
// (supervisor/child.h); the platform service grants the device, opens and
// closes sessions (platform_channel.h); the driver knows the NIC (driver.h);
// the data path moves frames (data_path.h). The runtime knows no NIC.
//
// No session open: the NIC stays attached and its receiver has no buffers, so
// that the device counts what it misses.
#ifndef BULKHEAD_NIC_DRIVER_FRAMEWORK_RUNTIME_H_
#define BULKHEAD_NIC_DRIVER_FRAMEWORK_RUNTIME_H_

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
#include "nic_driver/framework/checked_driver.h"
#include "nic_driver/framework/counters.h"
#include "nic_driver/framework/data_path.h"
#include "nic_driver/framework/device_grant.h"
#include "nic_driver/framework/driver.h"
#include "nic_driver/framework/linux_interface.h"
#include "nic_driver/framework/platform_channel.h"
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

// Threading: the loop's thread. `loop` outlives it.
class Runtime {
 public:
  Runtime(EventLoop& loop, DriverFactory factory, RuntimeEvents events)
      : loop_(loop), factory_(std::move(factory)), events_(std::move(events)) {}
  ~Runtime();

  // Takes the grant and brings the NIC up; once.
  void Begin(DeviceGrant grant);
  // Ends in an orderly way: no more DMA, rings given back; then `done`.
  void Finish(std::function<void()> done);

  // For the heartbeat.
  uint64_t work_done() const;
  bool work_waiting() const;

 private:
  struct ControlRequest {
    platform::ToDriver message;
    std::vector<UniqueFd> fds;
  };

  absl::Status Connect(DeviceGrant& grant);
  absl::Status WatchDescriptors();
  Task<absl::Status> BringUp();

  // Control sequences: at most one runs; the others wait their turn.
  void RunNextControl();
  Task<absl::Status> Control();  // Of request_.
  Task<absl::Status> OpenSession(SessionGrant& grant);
  Task<absl::Status> CloseSession(uint64_t session_id);
  Task<absl::Status> BreakSession();
  Task<absl::Status> StopTraffic();
  Task<absl::Status> StartTraffic(uint32_t rx_buffer_bytes);
  Task<absl::Status> Leave();
  absl::Status Configure(const NicConfig& config);
  void OnInterfaceState(const LinuxInterface::State& state);
  void RunControl(Task<absl::Status> task);
  void BindSession(SessionGrant grant);

  // The loop's poller: true while there was work.
  bool Poll();
  bool Sleep();
  void HandleIrq(uint32_t vector);
  void HandleDoorbell();
  void WatchDoorbell();
  void UnwatchDoorbell();

  void SetLink(LinkStatus link);
  void SayLink();
  void ApplyLimits();
  void ReadStatisticsLater();
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
  std::unique_ptr<CheckedDriver> driver_;
  std::unique_ptr<DataPath> data_path_;

  NicFacts facts_;
  LinkStatus link_;
  uint32_t rx_buffer_bytes_ = 0;
  bool attached_ = false;
  bool announced_ = false;  // To the platform and the supervisor.
  bool traffic_ = false;    // Started, and no Stop under way.

  std::deque<ControlRequest> requests_;
  ControlRequest request_;  // The one under way.
  std::function<void()> finish_;
  bool breaking_ = false;  // A session's end is queued or under way.
  std::optional<Task<absl::Status>> control_;

  std::vector<EventLoop::WatchId> watches_;
  EventLoop::WatchId doorbell_watch_ = 0;
  EventLoop::WatchId wake_watch_ = 0;
  EventLoop::PollerId poller_ = 0;
  EventLoop::TimerId statistics_timer_ = 0;
  EventLoop::TimerId blocked_timer_ = 0;
  bool doorbell_armed_ = false;
  bool irqs_armed_ = true;  // None has fired since ArmIrqs.
  bool first_frame_said_ = false;
  uint64_t steps_done_ = 0;  // Control sequences, for the heartbeat.
};

}  // namespace bulkhead::nic_driver

#endif  // BULKHEAD_NIC_DRIVER_FRAMEWORK_RUNTIME_H_
