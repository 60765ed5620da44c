// What an interface's driver is asked through SIOCETHTOOL: its name, its
// settings.
#ifndef BULKHEAD_PLATFORM_SERVICE_LINUX_INTERFACE_ETHTOOL_H_
#define BULKHEAD_PLATFORM_SERVICE_LINUX_INTERFACE_ETHTOOL_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace bulkhead::platform {

// Of interfaces in the network namespace in which it was made. What a driver
// cannot say reads as 0, empty or false.
class Ethtool {
 public:
  static absl::StatusOr<Ethtool> Open();

  std::string DriverOf(const std::string& interface) const;
  struct Speed {
    uint32_t mbps = 0;
    bool full_duplex = false;
  };
  Speed SpeedOf(const std::string& interface) const;

  // Receive offloads that make one large frame of several: no session has
  // buffers for those.
  bool Gro(const std::string& interface) const;
  bool Lro(const std::string& interface) const;
  absl::Status SetGro(const std::string& interface, bool on) const;
  absl::Status SetLro(const std::string& interface, bool on) const;

  // Receive queues that carry traffic, as "combined" or as "rx" channels; 0:
  // the driver does not say.
  struct Channels {
    uint32_t combined = 0;
    uint32_t rx = 0;
    bool operator==(const Channels&) const = default;
  };
  Channels ChannelsOf(const std::string& interface) const;
  // Queues that only send, where "combined" ones do not.
  uint32_t TxChannelsOf(const std::string& interface) const;
  absl::Status SetChannels(const std::string& interface,
                           Channels channels) const;

 private:
  explicit Ethtool(UniqueFd socket) : socket_(std::move(socket)) {}
  bool Call(const std::string& interface, void* command) const;
  uint32_t Value(const std::string& interface, uint32_t command) const;

  UniqueFd socket_;
};

}  // namespace bulkhead::platform

#endif  // BULKHEAD_PLATFORM_SERVICE_LINUX_INTERFACE_ETHTOOL_H_
