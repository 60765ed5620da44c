// One simulated NIC: the model's process, its sockets, and the owner's
// connection through which the platform service holds the device.
#ifndef BULKHEAD_PLATFORM_SERVICE_MODELS_SIM_PORT_H_
#define BULKHEAD_PLATFORM_SERVICE_MODELS_SIM_PORT_H_

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/event_loop.h"
#include "base/shared_memory.h"
#include "base/unique_fd.h"
#include "nic_model/counters.h"
#include "platform_service/devices/nic.h"
#include "platform_service/devices/vfio_user_owner.h"
#include "platform_service/parking/parking_lot.h"
#include "platform_service/policy/scenario.h"
#include "platform_service/supervisor_link.h"

namespace bulkhead::platform {

struct ModelPlace {
  std::string run_dir;
  std::string bin_dir;
};

// The listening sockets and the counters outlive the model: a client may
// connect while the model restarts, and counting goes on.
//
// Guarantees: a model that dies, hangs or answers nonsense makes the device
// disappear (down) with a reason, never more; a hanging one is killed so that
// it starts afresh. No call waits longer than kOwnerTimeoutMs, and after the
// first such wait the model is not spoken to again.
// Threading: the loop's thread.
class SimPort : public Nic {
 public:
  // The longest that one unanswered request may hold up the other instances.
  static constexpr int kOwnerTimeoutMs = 100;
  // And all of one model's answers together; it grows back by a tenth of the
  // time, so that a model which is always late costs no more than that.
  static constexpr int kOwnerPatienceMs = 500;

  struct Handlers {
    std::function<void()> up;                             // device() is there.
    std::function<void(const std::string& reason)> down;  // It is gone.
  };

  static absl::StatusOr<std::unique_ptr<SimPort>> Create(
      EventLoop& loop, SupervisorLink& link, policy::SimulatedNic nic,
      int wire_fd, const ModelPlace& place, Handlers handlers);
  // With the sockets, counters and connection of a parked "port/NAME".
  static absl::StatusOr<std::unique_ptr<SimPort>> Restore(
      EventLoop& loop, SupervisorLink& link, policy::SimulatedNic nic,
      int wire_fd, const ModelPlace& place, Handlers handlers,
      ParkedEntry entry);
  ~SimPort() override;

  // Defines the model's process and gives it its specification.
  void Launch();
  // Asks the supervisor to end the model; Removed follows.
  void Remove();
  // The same NIC, otherwise plugged in: another model process on the same
  // sockets.
  void Redefine(policy::SimulatedNic nic, int wire_fd);
  // True: the model was removed for good, and its files with it (S10).
  bool OnRemoved();
  bool redefining() const { return redefining_; }

  void OnState(const supervisor::ProcessState& state);
  void OnDied(const supervisor::FromSupervisor::Died& died);
  // The supervisor would not define the model; `reason` says why.
  void OnUndefined(const std::string& reason);
  // Tries that again; false: it was defined.
  bool DefineAgain();
  // Why no model can run, until something is mended; empty: one can.
  const std::string& failure() const { return failure_; }

  const policy::SimulatedNic& nic() const { return nic_; }
  int wire() const { return wire_fd_; }
  DeviceOwner* device() override { return device_.get(); }
  const std::string& down_reason() const override { return down_reason_; }
  absl::StatusOr<std::unique_ptr<DriverBus>> MakeDriverBus() override;
  // Kills this generation of the model.
  void Attend() override { link_.Attend(nic_.name); }
  void Fail(const absl::Status& why) override;

  // Config space and BAR sizes as the model answered them when it came up.
  const std::vector<uint8_t>& config_space() const { return config_space_; }
  const std::array<uint64_t, 6>& bar_bytes() const { return bar_bytes_; }

  const nic_model::PortCounters& counters() const {
    return *counters_.As<nic_model::PortCounters>();
  }

 private:
  SimPort(EventLoop& loop, SupervisorLink& link, policy::SimulatedNic nic,
          int wire_fd, const ModelPlace& place, Handlers handlers)
      : loop_(loop),
        link_(link),
        nic_(std::move(nic)),
        wire_fd_(wire_fd),
        place_(place),
        handlers_(std::move(handlers)) {}

  std::string SocketPath(absl::string_view role) const;
  absl::Status MakeSockets();
  absl::Status MapCounters();
  absl::Status Begin();
  void BeginOrDrop();
  absl::Status ConnectOwner();
  absl::Status TakeDevice(std::unique_ptr<vfio_user::Client> client);
  void Drop(const std::string& reason);
  void Park();

  EventLoop& loop_;
  SupervisorLink& link_;
  policy::SimulatedNic nic_;
  int wire_fd_;
  ModelPlace place_;
  Handlers handlers_;

  UniqueFd owner_socket_;
  UniqueFd driver_socket_;
  UniqueFd counters_fd_;
  Mapping counters_;
  uint32_t generation_ = 0;       // The running or the last one.
  uint32_t dead_generation_ = 0;  // The last whose death was dealt with.
  bool restoring_ = false;        // Until the supervisor's first word on it.
  bool begun_ = false;            // The next generation has its specification.
  bool redefining_ = false;
  bool undefined_ = false;  // The supervisor has no such process.
  std::string failure_;
  std::unique_ptr<VfioUserOwner> device_;
  EventLoop::WatchId watch_ = 0;
  std::vector<uint8_t> config_space_;
  std::array<uint64_t, 6> bar_bytes_ = {};
  std::string down_reason_ = "its model has not started yet";
};

}  // namespace bulkhead::platform

#endif  // BULKHEAD_PLATFORM_SERVICE_MODELS_SIM_PORT_H_
