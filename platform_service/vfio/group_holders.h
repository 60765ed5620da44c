// Which processes have which IOMMU groups open through VFIO. Only looks.
#ifndef BULKHEAD_PLATFORM_SERVICE_VFIO_GROUP_HOLDERS_H_
#define BULKHEAD_PLATFORM_SERVICE_VFIO_GROUP_HOLDERS_H_

#include <map>
#include <string>
#include <vector>

namespace bulkhead::platform {

struct ProcessName {
  int pid = 0;
  std::string name;  // As in /proc/PID/comm.

  bool operator==(const ProcessName&) const = default;
};

// By group; of the processes that this user may look at. A group is open by its
// own file, /dev/vfio/GROUP, or by that of a function in it,
// /dev/vfio/devices/vfioN (Linux 6.6, CONFIG_VFIO_DEVICE_CDEV). `root`: where
// /proc and /sys are; "" for this machine's.
std::map<int, std::vector<ProcessName>> ReadGroupHolders(
    const std::string& root = "");

// "process 4711 (qemu-system-x86)", …; empty when there is none.
std::string HoldersText(const std::vector<ProcessName>& holders);

}  // namespace bulkhead::platform

#endif  // BULKHEAD_PLATFORM_SERVICE_VFIO_GROUP_HOLDERS_H_
