#include "nic_model/intel/ring.h"

#include <algorithm>

namespace bulkhead::nic_model::intel {

uint32_t Ring::count() const {
  return (regs_[at_ + kLength] & 0xfff80) / kDescriptorBytes;
}

uint32_t Ring::owned() const {
  const uint32_t count = this->count(), head = this->head(),
                 tail = this->tail();
  if (!dma_.bus_master() || head >= count || tail >= count) return 0;
  return tail >= head ? tail - head : count - head + tail;
}

uint64_t Ring::base() const {
  return uint64_t{regs_[at_ + kBaseHigh]} << 32 | (regs_[at_] & ~0xfu);
}

uint64_t Ring::descriptor() const { return base() + head() * kDescriptorBytes; }

bool Ring::Read(uint64_t* low, uint64_t* high) const {
  return dma_.ReadQuad(descriptor(), low) &&
         dma_.ReadQuad(descriptor() + 8, high);
}

bool Ring::WriteBack(uint64_t high) {
  if (faults_.never_complete) return true;
  if (faults_.complete_twice && head() != 0) {
    static_cast<void>(
        dma_.WriteQuad(descriptor() + 8 - kDescriptorBytes, high));
  }
  return dma_.WriteQuad(descriptor() + 8, high);
}

bool Ring::WriteBack(uint64_t low, uint64_t high) {
  if (faults_.never_complete) return true;
  return dma_.WriteQuad(descriptor(), low) && WriteBack(high);
}

void Ring::Advance() {
  regs_[at_ + kHead] = head() + 1 == count() ? 0 : head() + 1;
}

bool Ring::Scatter(
    std::span<const uint8_t> data, uint32_t descriptors, uint32_t buffer_bytes,
    absl::FunctionRef<bool(uint32_t length, bool last)> write_back) {
  bool written = true;
  for (uint32_t i = 0; i < descriptors; ++i) {
    const auto part = data.first(std::min<size_t>(data.size(), buffer_bytes));
    uint64_t buffer;
    written = written && dma_.ReadQuad(descriptor(), &buffer) &&
              dma_.Write(buffer, part);
    data = data.subspan(part.size());
    written = written && write_back(static_cast<uint32_t>(part.size()),
                                    i + 1 == descriptors);
    Advance();
  }
  return written;
}

}  // namespace bulkhead::nic_model::intel
