// The simulated PCIe bus as a tree of files, laid out like /sys/bus/pci, so
// that libpci enumerates simulated NICs as it does real ones.
//
// Threading: one thread.
#ifndef BULKHEAD_PLATFORM_SERVICE_PCI_SIMULATED_BUS_H_
#define BULKHEAD_PLATFORM_SERVICE_PCI_SIMULATED_BUS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "platform_service/pci/device.h"

namespace bulkhead::pci {

// Address of the simulated NIC number `index`: "1000:01:00.0" for 0. A domain
// of their own keeps simulated NICs apart from the machine's.
std::string SimulatedAddress(size_t index);

class SimulatedBus {
 public:
  // Makes `path` a bus without devices: makes the folder, and removes the
  // devices that an earlier run left in it.
  static absl::StatusOr<SimulatedBus> Create(const std::string& path);

  // Puts a NIC on the bus, or replaces the one at that address. `config` is its
  // config space, 64 to 4096 bytes as the model answered them; `bar_bytes` the
  // sizes of BAR0 to BAR5, 0 where there is none.
  // Errors: INVALID_ARGUMENT for an address or a config space that is none.
  absl::Status Add(const std::string& address, const std::string& name,
                   absl::Span<const uint8_t> config,
                   const std::array<uint64_t, 6>& bar_bytes);

  // Takes it off; nothing happens when it is not there.
  absl::Status Remove(const std::string& address);

  // What libpci finds on it now, sorted by address.
  absl::StatusOr<std::vector<PciDeviceInfo>> Enumerate() const;
  // The same, only at `addresses`: NICs that come up one by one cost no more
  // together than all at once.
  absl::StatusOr<std::vector<PciDeviceInfo>> Enumerate(
      const std::set<std::string>& addresses) const;

  const std::string& path() const { return path_; }

 private:
  explicit SimulatedBus(std::string path) : path_(std::move(path)) {}

  std::string path_;
};

}  // namespace bulkhead::pci

#endif  // BULKHEAD_PLATFORM_SERVICE_PCI_SIMULATED_BUS_H_
