// Any bytes as a capture: every frame that comes out lies inside them.
#include <cstdlib>

#include "nic_model/network/network.h"
#include "nic_model/network/pcap_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using bulkhead::nic_model::PcapFile;
  auto file = PcapFile::Open({data, size});
  if (!file.ok()) return 0;
  size_t frames = 0;
  for (auto frame = file->Next(); !frame.empty(); frame = file->Next()) {
    if (frame.data() < data || frame.data() + frame.size() > data + size) {
      std::abort();
    }
    if (++frames > size) std::abort();
  }
  return 0;
}
