#include "platform_service/vfio/container.h"

#include <fcntl.h>
#include <linux/vfio.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "base/shared_memory.h"
#include "platform_service/vfio/group_holders.h"

namespace bulkhead::platform {
namespace {

absl::Status BusyGroup(int group) {
  const std::string holders = HoldersText(ReadGroupHolders()[group]);
  return absl::FailedPreconditionError(absl::StrCat(
      "open IOMMU group ", group, ": ",
      holders.empty() ? "another program or kernel driver" : holders,
      " has a card of it; end that, or have it give the card back"));
}

}  // namespace

absl::StatusOr<VfioContainer> VfioContainer::Open(int group) {
  UniqueFd container(::open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC));
  if (!container.valid()) {
    return ErrnoStatus(
        "open /dev/vfio/vfio (load the module with `modprobe vfio-pci`, and "
        "run as root)");
  }
  if (::ioctl(container.get(), VFIO_GET_API_VERSION) != VFIO_API_VERSION ||
      ::ioctl(container.get(), VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU) <= 0) {
    return absl::UnimplementedError(
        "use /dev/vfio/vfio: this kernel has no VFIO type 1 version 2; load "
        "the module with `modprobe vfio_iommu_type1`");
  }
  const std::string path = absl::StrCat("/dev/vfio/", group);
  UniqueFd group_fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (!group_fd.valid()) {
    return errno == EBUSY ? BusyGroup(group)
                          : ErrnoStatus(absl::StrCat("open ", path));
  }
  vfio_group_status status = {.argsz = sizeof(status), .flags = 0};
  if (::ioctl(group_fd.get(), VFIO_GROUP_GET_STATUS, &status) != 0) {
    return ErrnoStatus(absl::StrCat("ask for the status of ", path));
  }
  if ((status.flags & VFIO_GROUP_FLAGS_VIABLE) == 0) return BusyGroup(group);
  const int container_number = container.get();
  if (::ioctl(group_fd.get(), VFIO_GROUP_SET_CONTAINER, &container_number) !=
      0) {
    return ErrnoStatus(absl::StrCat("put ", path, " into a container"));
  }
  if (::ioctl(container.get(), VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) != 0) {
    return ErrnoStatus(absl::StrCat(
        "bind IOMMU group ", group,
        " to the IOMMU (EPERM: the platform cannot remap interrupts; see "
        "`bulkhead doctor`)"));
  }
  return VfioContainer(std::move(container), std::move(group_fd));
}

absl::Status VfioContainer::Map(uint64_t iova, uint64_t bytes, int memory_fd,
                                bool writable) {
  // Only for the call: the pinned pages stay when the mapping goes.
  ASSIGN_OR_RETURN(
      const Mapping view,
      Mapping::MapAny(memory_fd, 0, bytes,
                      writable ? Access::kReadWrite : Access::kReadOnly));
  vfio_iommu_type1_dma_map map = {};
  map.argsz = sizeof(map);
  map.flags = VFIO_DMA_MAP_FLAG_READ | (writable ? VFIO_DMA_MAP_FLAG_WRITE : 0);
  map.vaddr = reinterpret_cast<uintptr_t>(view.data());
  map.iova = iova;
  map.size = bytes;
  if (::ioctl(container_.get(), VFIO_IOMMU_MAP_DMA, &map) == 0) {
    return absl::OkStatus();
  }
  if (errno == ENOMEM || errno == ENOSPC) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "map ", bytes, " bytes for DMA: ", std::strerror(errno),
        "; raise the limit of locked memory (`ulimit -l`), or use fewer or "
        "smaller sessions"));
  }
  return ErrnoStatus(absl::StrCat("map ", bytes, " bytes for DMA"));
}

absl::Status VfioContainer::Unmap(uint64_t iova, uint64_t bytes) {
  vfio_iommu_type1_dma_unmap unmap = {};
  unmap.argsz = sizeof(unmap);
  unmap.iova = iova;
  unmap.size = bytes;
  if (::ioctl(container_.get(), VFIO_IOMMU_UNMAP_DMA, &unmap) != 0) {
    return ErrnoStatus(absl::StrCat("unmap DMA at ", iova));
  }
  if (unmap.size != bytes) {
    return absl::InternalError(absl::StrCat("unmap DMA at ", iova, ": ",
                                            unmap.size, " of ", bytes,
                                            " bytes were mapped"));
  }
  return absl::OkStatus();
}

absl::Status VfioContainer::UnmapAll() {
  vfio_iommu_type1_dma_unmap unmap = {};
  unmap.argsz = sizeof(unmap);
  unmap.flags = VFIO_DMA_UNMAP_FLAG_ALL;
  if (::ioctl(container_.get(), VFIO_IOMMU_UNMAP_DMA, &unmap) != 0) {
    return ErrnoStatus("unmap all DMA");
  }
  return absl::OkStatus();
}

absl::StatusOr<UniqueFd> VfioContainer::OpenDevice(
    const std::string& address) const {
  UniqueFd device(
      ::ioctl(group_.get(), VFIO_GROUP_GET_DEVICE_FD, address.c_str()));
  if (!device.valid()) {
    return ErrnoStatus(absl::StrCat("open ", address, " by its VFIO group"));
  }
  return device;
}

}  // namespace bulkhead::platform
