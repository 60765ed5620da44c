// Frames of strangers, of every length.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "nic_driver/af_packet/missing_checksum.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::vector<uint8_t> frame(data, data + size);
  bulkhead::nic_driver::CompleteChecksum(frame);
  return 0;
}
