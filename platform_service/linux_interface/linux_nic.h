// A Linux interface as a NIC: taken, watched, given back.
#ifndef BULKHEAD_PLATFORM_SERVICE_LINUX_INTERFACE_LINUX_NIC_H_
#define BULKHEAD_PLATFORM_SERVICE_LINUX_INTERFACE_LINUX_NIC_H_

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/event_loop.h"
#include "base/unique_fd.h"
#include "platform_service/devices/nic.h"
#include "platform_service/linux_interface/interface_taker.h"
#include "platform_service/linux_interface/linux_owner.h"
#include "platform_service/linux_interface/netlink.h"
#include "platform_service/parking/parking_lot.h"
#include "platform_service/pci/device.h"
#include "platform_service/policy/driver_description.h"
#include "platform_service/supervisor_link.h"

namespace bulkhead::platform {

// The kernel tells of every change. What the instance can go on with is told to
// its driver: link, MTU; a new name is an event. When the interface is removed
// or moved to another namespace, there is no device until one of its name is
// back, and that is taken anew.
//
// The program's descriptors are parked with the supervisor under
// "interface/ADDRESS", so that the next platform service takes over without the
// driver noticing (S5).
// Threading: the loop's thread.
class LinuxNic final : public Nic {
 public:
  struct Handlers {
    std::function<void()> up;
    std::function<void(const std::string& reason)> down;
    // interface_state() is another one.
    std::function<void()> changed;
  };
  // What all interfaces share; outlives them.
  struct Shared {
    EventLoop& loop;
    SupervisorLink& link;
    InterfaceTaker& taker;
    std::string run_dir;
  };

  // What its driver wants of it.
  struct Use {
    policy::SocketKind socket = policy::SocketKind::kNone;
    uint32_t queues = 1;  // At most, each with an XDP socket.

    bool operator==(const Use&) const = default;
  };

  // `instance`: the name under which its events are told.
  LinuxNic(const Shared& shared, std::string instance, pci::PciDeviceInfo info,
           const Use& use, Handlers handlers);
  ~LinuxNic() override;

  // An error names cause and remedy, and the interface is as it was.
  absl::Status Take();
  // What an earlier platform service took and parked. An error: the interface
  // is not there, and will be tried again.
  absl::Status Restore(ParkedEntry entry);
  // Another driver comes, which may want something else.
  void SetUse(const Use& use);
  // The interface is as it was before Take. The instance is gone.
  absl::Status GiveBack();

  DeviceOwner* device() override { return device_.get(); }
  const std::string& down_reason() const override { return down_reason_; }
  absl::StatusOr<std::unique_ptr<DriverBus>> MakeDriverBus() override;
  const InterfaceState* interface_state() const override { return &state_; }
  std::string Mode() const override;
  absl::Status PrepareSession(const SessionMemory& memory) override {
    return device_ == nullptr ? absl::OkStatus()
                              : device_->PrepareSession(memory);
  }
  void Configure(const NicConfig& config) override;
  void Fail(const absl::Status& why) override;

  const pci::PciDeviceInfo& info() const { return info_; }

 private:
  absl::Status Watch();
  // Finds the interface by its name; fills in what is known of it.
  absl::Status Find();
  absl::Status Open(std::optional<XdpProgram> program);
  void TellQueues();
  void Receive(const Reception& reception);
  void OnKernelEvents();
  void OnLink(const LinkMessage& link);
  void OnOwnLink(const LinkMessage& link);
  void LookAgain();
  void ReadState(const LinkMessage& link);
  void Drop(const std::string& reason);
  void Retry();
  void TryAgain();
  void Park();
  std::string Key() const;
  void Record(absl::string_view kind, absl::string_view text);

  const Shared shared_;
  const std::string instance_;
  pci::PciDeviceInfo info_;
  const std::string wanted_name_;  // By which it is found again.
  Use use_;
  const Handlers handlers_;

  std::optional<NetlinkSocket> kernel_;  // Of the interface's namespace.
  EventLoop::WatchId watch_ = 0;
  EventLoop::TimerId retry_timer_ = 0;
  std::chrono::milliseconds retry_delay_;
  InterfaceState state_;
  // As last heard.
  uint32_t flags_ = 0;  // IFF_…
  std::string name_;
  MacAddress mac_ = {};
  Reception reception_;  // As last configured.
  UniqueFd reception_socket_;
  bool busy_poll_ = false;  // As last configured.
  std::unique_ptr<LinuxOwner> device_;
  std::string down_reason_;
};

}  // namespace bulkhead::platform

#endif  // BULKHEAD_PLATFORM_SERVICE_LINUX_INTERFACE_LINUX_NIC_H_
