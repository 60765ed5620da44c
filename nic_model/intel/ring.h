// A descriptor ring: datasheet 7.1 (receive) and 7.2 (transmit).
#ifndef BULKHEAD_NIC_MODEL_INTEL_RING_H_
#define BULKHEAD_NIC_MODEL_INTEL_RING_H_

#include <cstdint>
#include <span>

#include "absl/functional/function_ref.h"
#include "nic_model/dma_map.h"
#include "nic_model/faults.h"
#include "nic_model/intel/register_file.h"

namespace bulkhead::nic_model::intel {

// What its registers say, which lie at the same distances in every ring of
// either controller, and which software may write anything to (S7). The
// descriptors from the head to before the tail are the device's.
class Ring {
 public:
  // `base_register`: RDBAL or TDBAL.
  Ring(RegisterFile& regs, uint32_t base_register, DmaMap& dma,
       const Faults& faults)
      : regs_(regs), at_(base_register), dma_(dma), faults_(faults) {}

  // In descriptors.
  uint32_t count() const;
  uint32_t head() const { return regs_[at_ + kHead]; }
  uint32_t tail() const { return regs_[at_ + kTail]; }
  // How many are the device's: none without bus mastering, nor when head or
  // tail lies outside the ring, which is software's error.
  uint32_t owned() const;

  // The base's address, and that of the descriptor at the head.
  uint64_t base() const;
  uint64_t descriptor() const;

  // Reads the descriptor at the head. False: a DMA fault.
  bool Read(uint64_t* low, uint64_t* high) const;
  // Writes the second quadword of the descriptor at the head, which says that
  // it is done, or both, that one last; test faults have it otherwise. False: a
  // DMA fault.
  bool WriteBack(uint64_t high);
  bool WriteBack(uint64_t low, uint64_t high);
  // Gives the descriptor at the head back. Requires: owned() != 0.
  void Advance();

  // Receive: writes `data` to the buffers of the next `descriptors`, of
  // `buffer_bytes` each, and gives them back. `write_back` says how much went
  // to the one at the head, and whether it is the last. False: a DMA fault;
  // the descriptors are used up even so, since the NIC must not stand still at
  // one.
  bool Scatter(std::span<const uint8_t> data, uint32_t descriptors,
               uint32_t buffer_bytes,
               absl::FunctionRef<bool(uint32_t length, bool last)> write_back);

 private:
  static constexpr uint64_t kDescriptorBytes = 16;
  // From the base register on.
  static constexpr uint32_t kBaseHigh = 0x04;
  static constexpr uint32_t kLength = 0x08;
  static constexpr uint32_t kHead = 0x10;
  static constexpr uint32_t kTail = 0x18;

  RegisterFile& regs_;
  const uint32_t at_;
  DmaMap& dma_;
  const Faults& faults_;
};

}  // namespace bulkhead::nic_model::intel

#endif  // BULKHEAD_NIC_MODEL_INTEL_RING_H_
