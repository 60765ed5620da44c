// Serves one lane of the session with one queue of the driver, on one event
// loop: polls under load, sleeps when idle.
#ifndef BULKHEAD_NIC_DRIVER_FRAMEWORK_LANE_SERVER_H_
#define BULKHEAD_NIC_DRIVER_FRAMEWORK_LANE_SERVER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "base/event_loop.h"
#include "nic_driver/framework/checked_driver.h"
#include "nic_driver/framework/counters.h"
#include "nic_driver/framework/data_path.h"
#include "nic_driver/framework/driver.h"
#include "packet_stream/provider.h"

namespace bulkhead::nic_driver {

// What a lane has to tell the control path, on the lane's own thread.
struct LaneNews {
  // The client broke the session's protocol in this lane.
  std::function<void()> broken;
  // The process cannot go on.
  std::function<void(absl::Status)> failed;
  // The first frame went through it.
  std::function<void()> first_frame;
  // The link may have changed; there may be statistics to be read, not at once.
  std::function<void()> link;
  std::function<void()> statistics;
};

// Threading: the loop's thread, or one that holds it (queue_thread.h). The
// loop, the queue, the device and the counters outlive it.
class LaneServer {
 public:
  LaneServer(EventLoop& loop, CheckedQueue& queue, PciDevice& device,
             DriverCounters& counters, LaneNews news);
  ~LaneServer();

  // Vector `vector`, which is the queue's, signals `event`.
  absl::Status ServeVector(uint32_t vector, int event);

  // The driver was started, is about to be stopped, and was stopped; what was
  // left in the rings.
  void Start();
  void Stop();
  void Close(const StopReport& report);
  // From here on the lane is served.
  absl::Status Open(std::unique_ptr<packet_stream::ProviderEnd> lane,
                    uint64_t tx_iova, uint64_t rx_iova);
  void SetLimits(const TxLimits& limits) { data_path_.SetLimits(limits); }

  // One turn; true while there was work. The loop calls it as well.
  bool Poll();

  const packet_stream::ProviderEnd* lane() const {
    return data_path_.session();
  }
  // From any thread, for the heartbeat.
  uint64_t frames_moved() const { return data_path_.frames_moved(); }
  bool tx_pending() const { return data_path_.tx_pending(); }

 private:
  bool Sleep();
  void HandleIrq(uint32_t vector, int event);
  void HandleDoorbell();
  void Unwatch();
  void Fail(absl::Status status);

  EventLoop& loop_;
  CheckedQueue& queue_;
  PciDevice& device_;
  DriverCounters& counters_;
  const LaneNews news_;
  DataPath data_path_;

  bool traffic_ = false;  // Started, and no Stop under way.
  std::vector<EventLoop::WatchId> vector_watches_;
  EventLoop::WatchId doorbell_watch_ = 0;
  std::vector<EventLoop::WatchId> wake_watches_;
  EventLoop::PollerId poller_ = 0;
  EventLoop::TimerId blocked_timer_ = 0;
  bool doorbell_armed_ = false;
  bool irqs_armed_ = true;  // None has fired since ArmIrqs.
  bool first_frame_said_ = false;
  bool broken_said_ = false;
};

}  // namespace bulkhead::nic_driver

#endif  // BULKHEAD_NIC_DRIVER_FRAMEWORK_LANE_SERVER_H_
