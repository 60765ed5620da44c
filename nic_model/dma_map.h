// The only way from a simulated NIC to host memory: the ranges that the owner
// has mapped, as an IOMMU would (S3).
#ifndef BULKHEAD_NIC_MODEL_DMA_MAP_H_
#define BULKHEAD_NIC_MODEL_DMA_MAP_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/shared_memory.h"
#include "base/unique_fd.h"
#include "nic_model/counters.h"

namespace bulkhead::nic_model {

// Guarantees:
//   - An access outside the map, against its direction, or while bus mastering
//     is off changes nothing and returns false; the first two count as
//     dma_faults.
//   - After Unmap returns nothing of the range is reached any more (S4).
// Threading: one thread.
class DmaMap {
 public:
  static constexpr size_t kMaxRanges = 256;

  explicit DmaMap(PortCounters& counters) : counters_(counters) {}

  // Each returns 0 or an errno: EEXIST when a mapped range is touched, ENOSPC
  // when there are too many, EINVAL when `memory` has no such bytes.
  int Map(uint64_t iova, uint64_t bytes, UniqueFd memory, uint64_t fd_offset,
          bool readable, bool writable);
  // Exactly a range that was mapped, or ENOENT.
  int Unmap(uint64_t iova, uint64_t bytes);
  void UnmapAll();

  // PCI COMMAND.BME.
  void set_bus_master(bool on) { bus_master_ = on; }
  bool bus_master() const { return bus_master_; }

  [[nodiscard]] bool Read(uint64_t iova, std::span<uint8_t> out);
  [[nodiscard]] bool Write(uint64_t iova, std::span<const uint8_t> data);

  // A naturally aligned quadword: one access, which the host sees whole and
  // after (Write) or before (Read) everything else that the device does.
  [[nodiscard]] bool ReadQuad(uint64_t iova, uint64_t* out);
  [[nodiscard]] bool WriteQuad(uint64_t iova, uint64_t value);
  // The same for a naturally aligned 16-bit word, and in one order with all
  // other such accesses (virtio's indices: store one, then load the other's).
  [[nodiscard]] bool ReadWord(uint64_t iova, uint16_t* out);
  [[nodiscard]] bool WriteWord(uint64_t iova, uint16_t value);

 private:
  struct Range {
    uint64_t iova;
    uint64_t bytes;
    uint8_t* data;
    bool readable;
    bool writable;
    Mapping mapping;
  };

  // Where [iova, iova + bytes) begins, and in *here how many of the bytes lie
  // in the same range; nullptr counts the fault.
  uint8_t* Find(uint64_t iova, size_t bytes, bool write, size_t* here);
  // The T at `iova`; nullptr, a counted fault, when it is not aligned or whole.
  template <typename T>
  T* FindOne(uint64_t iova, bool write);

  PortCounters& counters_;
  std::vector<Range> ranges_;  // By iova.
  size_t last_ = 0;            // Hit last: the next access is near.
  bool bus_master_ = false;
};

}  // namespace bulkhead::nic_model

#endif  // BULKHEAD_NIC_MODEL_DMA_MAP_H_
