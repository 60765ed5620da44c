// Ring memory: mapped into the driver and reachable by its NIC.
#ifndef BULKHEAD_NIC_DRIVER_FRAMEWORK_DMA_MEMORY_H_
#define BULKHEAD_NIC_DRIVER_FRAMEWORK_DMA_MEMORY_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "base/shared_memory.h"

namespace bulkhead::nic_driver {

// The mapping goes away with the object; the NIC's view of it only when the
// platform service is told (DmaPlatform::FreeDma). Movable.
class DmaMemory {
 public:
  DmaMemory() = default;
  DmaMemory(Mapping mapping, uint64_t iova)
      : mapping_(std::move(mapping)), iova_(iova) {}

  bool valid() const { return mapping_.valid(); }
  size_t bytes() const { return mapping_.bytes(); }
  // The address that the NIC knows byte `offset` by.
  uint64_t iova(size_t offset = 0) const { return iova_ + offset; }

  // `count` objects from byte `offset`; the caller keeps within bytes().
  template <typename T>
  std::span<T> As(size_t offset, size_t count) const {
    return {mapping_.As<T>(offset), count};
  }

 private:
  Mapping mapping_;
  uint64_t iova_ = 0;
};

}  // namespace bulkhead::nic_driver

#endif  // BULKHEAD_NIC_DRIVER_FRAMEWORK_DMA_MEMORY_H_
