// The device grant, taken apart: message fields and descriptors brought
// together and checked, each descriptor owned.
#ifndef BULKHEAD_NIC_DRIVER_FRAMEWORK_DEVICE_GRANT_H_
#define BULKHEAD_NIC_DRIVER_FRAMEWORK_DEVICE_GRANT_H_

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/unique_fd.h"
#include "nic_driver/framework/driver.h"
#include "nic_driver/framework/linux_interface.h"
#include "nic_driver/framework/platform_channel.h"
#include "nic_model/vfio_user/client.h"
#include "packet_stream/provider.h"
#include "platform_service/api/driver.pb.h"

namespace bulkhead::nic_driver {

struct SessionGrant {
  packet_stream::ProviderGrant provider;
  uint64_t tx_iova = 0;
  uint64_t rx_iova = 0;
  std::vector<SessionSocket> sockets;  // With a Linux interface.
};

struct VfioUserGrant {
  UniqueFd connection;
  bool negotiated = false;
  std::vector<vfio_user::Doorbell> doorbells;  // If negotiated.
};

struct VfioGrant {
  struct Bar {
    int index = 0;        // 0 … 5, each once.
    uint64_t offset = 0;  // In the device descriptor.
    uint64_t bytes = 0;
  };
  UniqueFd device;
  std::vector<Bar> bars;
  std::string config_space;
};

struct InterfaceGrant {
  MacAddress mac = {};
  LinuxInterface::State state;
};

struct DeviceGrant {
  PciIdentity identity;
  std::variant<VfioUserGrant, VfioGrant, InterfaceGrant> bus;
  UniqueFd platform;
  UniqueFd counters;
  std::vector<UniqueFd> irqs;
  NicConfig config;
  uint32_t queues = 1;  // The most that are of use.
  bool trace_registers = false;
  std::vector<PreparedDma> prepared;
  std::vector<SessionGrant> sessions;
};

// InvalidArgument names the field that is wrong. Descriptors that no field
// names are closed.
absl::StatusOr<DeviceGrant> ParseDeviceGrant(absl::string_view payload,
                                             std::vector<UniqueFd> fds);

// A session that comes later, in OpenSession.
absl::StatusOr<SessionGrant> ParseSessionGrant(
    const platform::SessionGrant& message, std::vector<UniqueFd> fds);

LinuxInterface::State ParseInterfaceState(
    const platform::InterfaceState& message);

// InvalidArgument for a MAC address that is none, or an absurd MTU.
absl::StatusOr<NicConfig> ParseNicConfig(const platform::NicConfig& message);

}  // namespace bulkhead::nic_driver

#endif  // BULKHEAD_NIC_DRIVER_FRAMEWORK_DEVICE_GRANT_H_
