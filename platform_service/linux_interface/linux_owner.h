// A Linux interface's owner. "DMA" is what the kernel does to the memory of a
// driver's socket; it ends with the socket, or when its queue is led elsewhere.
#ifndef BULKHEAD_PLATFORM_SERVICE_LINUX_INTERFACE_LINUX_OWNER_H_
#define BULKHEAD_PLATFORM_SERVICE_LINUX_INTERFACE_LINUX_OWNER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "platform_service/devices/device_owner.h"
#include "platform_service/devices/driver_bus.h"
#include "platform_service/devices/nic.h"
#include "platform_service/linux_interface/interface_socket.h"
#include "platform_service/linux_interface/xdp_program.h"

namespace bulkhead::platform {

// A driver's sockets are its own once they are granted: no descriptor of them
// stays here, so that they end with the driver (S4).
class LinuxOwner final : public DeviceOwner {
 public:
  struct Place {
    std::string network_namespace;  // Empty: this one.
    int index = 0;
  };

  // With a program, sessions get an XDP socket for each of the interface's
  // first `queues` queues, which all receive; else a packet socket.
  LinuxOwner(Place place, std::optional<XdpProgram> program,
             uint32_t queues = 1)
      : place_(std::move(place)),
        program_(std::move(program)),
        queues_(queues) {}

  // There is none.
  absl::StatusOr<std::vector<uint8_t>> ReadConfigSpace() override {
    return std::vector<uint8_t>();
  }
  absl::Status EnableBusMaster() override { return absl::OkStatus(); }
  // No frame reaches a socket that there was.
  absl::Status ClearBusMaster() override;
  // A socket has no state that the next one would find.
  absl::Status ResetAndVerify(const StepRecorder&) override {
    return absl::OkStatus();
  }
  // Sockets are their own interrupts.
  uint32_t irq_count() const override { return 0; }
  absl::Status ArmIrqs(std::span<const int>) override {
    return absl::OkStatus();
  }
  absl::Status RestoreIrqs() override { return absl::OkStatus(); }

  absl::Status CheckSession(
      const packet_stream::SessionGeometry& geometry) const override;
  // Opens and binds the sockets of the session that comes next. Unavailable: a
  // queue is a predecessor's still, from which the kernel takes it some time
  // after its end; ask again soon, and for this session. ResourceExhausted: for
  // too long.
  absl::Status PrepareSession(const SessionMemory& memory);
  // Those of the last PrepareSession; opens them, if that was of another
  // session.
  absl::Status AddToSession(const SessionMemory& memory, SessionGrant* grant,
                            FdList* fds) override;

  void set_mtu(uint32_t mtu) { mtu_ = mtu; }
  // Of sockets opened from now on.
  void set_busy_poll(bool on) {
    if (busy_poll_ != on) next_ = {};
    busy_poll_ = on;
  }
  const std::optional<XdpProgram>& program() const { return program_; }
  // "af_xdp, native, copy": of the last session.
  std::string Mode() const;

 protected:
  // The session's own descriptors are what reaches its memory.
  absl::Status MapAt(uint64_t, uint64_t, int, DeviceAccess) override {
    return absl::OkStatus();
  }
  absl::Status UnmapAt(uint64_t iova, uint64_t bytes) override;

 private:
  // Sockets that no driver has yet.
  struct Next {
    std::optional<uint64_t> session;  // Its tx_iova.
    std::vector<XdpSocket> sockets;   // In the order of the queues.
    uint32_t bound = 0;               // The first of them.
    uint64_t give_up_ns = 0;          // Waiting for the next one's queue.
  };

  absl::Status BindNext();
  absl::Status AddPacketSocket(const SessionMemory& memory, SessionGrant* grant,
                               FdList* fds);
  absl::Status AddXdpSockets(const SessionMemory& memory, SessionGrant* grant,
                             FdList* fds);

  const Place place_;
  std::optional<XdpProgram> program_;
  const uint32_t queues_;
  Next next_;
  std::optional<uint64_t> session_;  // To whose sockets frames are led.
  uint32_t mtu_ = 1500;
  bool busy_poll_ = false;
  std::optional<bool> zero_copy_;  // Of the last XDP sockets.
};

// What a driver is told of the interface; the sockets come with sessions.
class LinuxBus final : public DriverBus {
 public:
  LinuxBus(const InterfaceState& state, std::string mac)
      : state_(state), mac_(std::move(mac)) {}

  absl::Status Prepare() override { return absl::OkStatus(); }
  void AddTo(DeviceGrant* grant, FdList* fds) override;

 private:
  const InterfaceState state_;
  const std::string mac_;  // Six bytes.
};

}  // namespace bulkhead::platform

#endif  // BULKHEAD_PLATFORM_SERVICE_LINUX_INTERFACE_LINUX_OWNER_H_
