// A real NIC: taken from the kernel's driver, owned through VFIO, given back.
#ifndef BULKHEAD_PLATFORM_SERVICE_VFIO_VFIO_NIC_H_
#define BULKHEAD_PLATFORM_SERVICE_VFIO_VFIO_NIC_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/event_loop.h"
#include "base/unique_fd.h"
#include "platform_service/devices/nic.h"
#include "platform_service/parking/parking_lot.h"
#include "platform_service/pci/device.h"
#include "platform_service/policy/driver_description.h"
#include "platform_service/supervisor_link.h"
#include "platform_service/vfio/function_taker.h"
#include "platform_service/vfio/reset_ladder.h"
#include "platform_service/vfio/vfio_owner.h"

namespace bulkhead::platform {

// Its descriptors (container, group, device, two eventfds) are parked with the
// supervisor under "vfio/ADDRESS", so that the next platform service takes over
// without the driver noticing (S5).
//
// A device that failed is tried again, with growing pauses; one that was pulled
// out, when it is back.
// Threading: the loop's thread.
class VfioNic final : public Nic {
 public:
  struct Handlers {
    std::function<void()> up;
    std::function<void(const std::string& reason)> down;
  };
  // What all real NICs share; outlives them.
  struct Shared {
    EventLoop& loop;
    SupervisorLink& link;
    FunctionTaker& taker;
    ResetMemory& resets;
    std::string run_dir;
  };

  // `instance`: the name under which its events are told. `in_use` counts each
  // time that it is taken, also after it was put in anew (S9).
  VfioNic(const Shared& shared, std::string instance, pci::PciDeviceInfo info,
          FunctionTaker::InUse in_use, policy::ResetDescription reset,
          Handlers handlers);
  ~VfioNic() override;

  // Takes the function and opens it. An error names cause and remedy, and the
  // machine is as it was.
  absl::Status Take();
  // What an earlier platform service took and parked; nothing, if it was down
  // then. An error: the device is not there, and will be tried again.
  absl::Status Restore(std::optional<ParkedEntry> entry);
  // Lets go of the function; `done` when the kernel's driver has it again, or
  // could not get it. The instance is gone.
  void GiveBack(std::function<void(absl::Status)> done);
  // Only closes it, here and at the supervisor: somebody else gives it back.
  void Release();

  DeviceOwner* device() override { return device_.get(); }
  const std::string& down_reason() const override { return down_reason_; }
  absl::StatusOr<std::unique_ptr<DriverBus>> MakeDriverBus() override;
  void Fail(const absl::Status& why) override;

  const pci::PciDeviceInfo& info() const { return info_; }

 private:
  absl::Status Adopt(ParkedEntry entry);
  absl::Status OpenTaken(int group);
  absl::Status Open(int group);
  absl::Status TakeDevice(VfioContainer container, VfioDeviceFd device);
  absl::Status WatchEvents();
  void OnError();
  void OnRequest();
  void Drop(const std::string& reason);
  void Retry(std::chrono::milliseconds delay);
  void TryAgain();
  void Rescan();
  void AwaitHelper(absl::StatusOr<UniqueFd> helper,
                   std::function<void(absl::Status)> done);
  void Park();
  void Record(absl::string_view kind, absl::string_view text);
  std::string Key() const;

  Shared shared_;
  const std::string instance_;
  const pci::PciDeviceInfo info_;
  const FunctionTaker::InUse in_use_;
  const policy::ResetDescription reset_;
  const Handlers handlers_;

  UniqueFd error_;    // Signalled on an uncorrectable error.
  UniqueFd request_;  // Signalled when the kernel wants the function back.
  EventLoop::WatchId error_watch_ = 0;
  EventLoop::WatchId request_watch_ = 0;
  std::unique_ptr<VfioOwner> device_;
  std::string config_space_;
  std::string down_reason_ = "it was not taken yet";

  EventLoop::TimerId retry_timer_ = 0;
  std::chrono::milliseconds retry_delay_;
  int failures_ = 0;  // In a row.
  uint64_t up_since_ns_ = 0;
  bool wanted_back_ = false;  // By the kernel: to be unbound or pulled out.
  bool pulled_out_ = false;
  std::function<void(absl::Status)> given_back_;
  EventLoop::WatchId helper_watch_ = 0;
  UniqueFd helper_;
};

}  // namespace bulkhead::platform

#endif  // BULKHEAD_PLATFORM_SERVICE_VFIO_VFIO_NIC_H_
