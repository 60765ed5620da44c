// A TAP device of ours in a network namespace: the end that programs see as a
// network interface, and the descriptor that its frames pass through.
#ifndef BULKHEAD_CLIENTS_NIC_TAP_TAP_DEVICE_H_
#define BULKHEAD_CLIENTS_NIC_TAP_TAP_DEVICE_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "clients/nic_tap/mtu_setter.h"

namespace bulkhead::nic_tap {

using MacAddress = std::array<uint8_t, 6>;

// Moves this process into a network namespace: one of `ip netns` by its name,
// any by a path (/proc/PID/ns/net). Files and Unix sockets stay what they are.
absl::Status EnterNetworkNamespace(const std::string& netns);

// Guarantees: the device goes away with this object, and with the process
// however it ends; one that was there before (`ip tuntap add`) stays, without a
// carrier.
class TapDevice {
 public:
  // In the network namespace of the caller. Needs CAP_NET_ADMIN over it, or a
  // device that was made for this user.
  static absl::StatusOr<TapDevice> Create(const std::string& name);

  // Non-blocking; a read or write is a virtio_net_hdr and one frame.
  int fd() const { return fd_.get(); }
  const std::string& name() const { return name_; }

  // These work without privileges.
  absl::Status SetMac(const MacAddress& mac);
  absl::Status SetOffloads(unsigned tun_flags);
  absl::Status SetCarrier(bool up);
  // These need CAP_NET_ADMIN.
  absl::Status SetUp();
  // Or one who has kept it.
  absl::Status SetMtu(uint32_t mtu);
  void UseForMtu(MtuSetter setter) { mtu_setter_ = std::move(setter); }

 private:
  TapDevice(std::string name, UniqueFd fd, UniqueFd socket)
      : name_(std::move(name)),
        fd_(std::move(fd)),
        socket_(std::move(socket)) {}

  std::string name_;
  UniqueFd fd_;
  std::optional<MtuSetter> mtu_setter_;
  UniqueFd socket_;  // In the device's namespace, for requests about it.
};

}  // namespace bulkhead::nic_tap

#endif  // BULKHEAD_CLIENTS_NIC_TAP_TAP_DEVICE_H_
