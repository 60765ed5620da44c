// The 128 KiB of BAR0 as plain storage.
#ifndef BULKHEAD_NIC_MODEL_INTEL_REGISTER_FILE_H_
#define BULKHEAD_NIC_MODEL_INTEL_REGISTER_FILE_H_

#include <array>
#include <cstdint>

#include "nic_model/intel/registers.h"

namespace bulkhead::nic_model::intel {

class RegisterFile {
 public:
  // Requires: offset < kBar0Bytes, a multiple of 4; the device checks what
  // comes from outside.
  uint32_t& operator[](uint32_t offset) { return words_[offset / 4]; }
  uint32_t operator[](uint32_t offset) const { return words_[offset / 4]; }

  bool Has(uint32_t offset, uint32_t bits) const {
    return ((*this)[offset] & bits) != 0;
  }

  void Clear() { words_.fill(0); }

 private:
  std::array<uint32_t, kBar0Bytes / 4> words_ = {};
};

}  // namespace bulkhead::nic_model::intel

#endif  // BULKHEAD_NIC_MODEL_INTEL_REGISTER_FILE_H_
