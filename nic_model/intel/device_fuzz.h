// A driver that does anything: registers, descriptors and tails from the
// fuzzer. The NIC must stay inside its map and its own memory, come to an end
// with each request, and lose count of no frame (S3, S8).
#ifndef BULKHEAD_NIC_MODEL_INTEL_DEVICE_FUZZ_H_
#define BULKHEAD_NIC_MODEL_INTEL_DEVICE_FUZZ_H_

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>

#include "nic_model/intel/registers.h"
#include "nic_model/intel/test_bench.h"

namespace bulkhead::nic_model::intel {

class FuzzInput {
 public:
  FuzzInput(const uint8_t* data, size_t size) : data_(data), size_(size) {}
  bool empty() const { return size_ == 0; }
  template <typename T>
  T Take() {
    T value = {};
    const size_t bytes = std::min(size_, sizeof(T));
    std::memcpy(&value, data_, bytes);
    data_ += bytes;
    size_ -= bytes;
    return value;
  }

 private:
  const uint8_t* data_;
  size_t size_;
};

template <typename Bench>
void FuzzStep(Bench& bench, std::span<const uint32_t> steering,
              FuzzInput& input, uint64_t* offered) {
  switch (input.Take<uint8_t>() % 12) {
    case 0:
      bench.Write(input.Take<uint32_t>() % kBar0Bytes & ~3u,
                  input.Take<uint32_t>());
      break;
    case 1:
      bench.Read(input.Take<uint32_t>() % kBar0Bytes & ~3u);
      break;
    case 2:
    case 3:
    case 4:
      bench.Write(steering[input.Take<uint8_t>() % steering.size()],
                  input.Take<uint32_t>());
      break;
    case 5:
      bench.WriteConfig(input.Take<uint16_t>() % 1024 * 4,
                        input.Take<uint32_t>());
      break;
    case 6:
    case 7:  // A descriptor, or what lies where one is expected.
      bench.Quad(Bench::kIova + input.Take<uint16_t>() % 0x1000 * 8) =
          input.Take<uint64_t>();
      break;
    case 8: {
      Frame frame(input.Take<uint16_t>() % 10'000 + 14, input.Take<uint8_t>());
      if (input.Take<uint8_t>() % 2 == 0) {
        std::memcpy(frame.data(), Bench::kMac.data(), 6);
      }
      bench.nic->Receive(frame);
      bench.nic->EndReceive();
      ++*offered;
      break;
    }
    case 9:
      bench.network.answer = static_cast<SendResult>(input.Take<uint8_t>() % 3);
      bench.nic->ResumeSend();
      break;
    case 10:
      if (bench.nic->UnmapDma(Bench::kIova, Bench::kMemoryBytes) != 0) {
        bench.MapMemory();
      }
      break;
    default:
      if (input.Take<uint8_t>() % 8 == 0) bench.nic->Reset();
  }
  bench.network.sent.clear();
}

// `steering`: the registers that steer the data path, more often than all
// others.
template <typename Bench>
void FuzzDevice(std::span<const uint8_t> data,
                std::span<const uint32_t> steering) {
  FuzzInput input(data.data(), data.size());
  Bench bench;
  bench.BringUp();
  bench.PostRx(8);
  uint64_t offered = 0;
  while (!input.empty()) FuzzStep(bench, steering, input, &offered);
  bench.nic->Reset();
  const PortCounters& c = bench.counters;
  const uint64_t counted =
      c.rx_frames + c.rx_missed + c.rx_disabled + c.rx_filtered + c.rx_oversize;
  if (counted != offered || c.rx_offered != offered) std::abort();
}

}  // namespace bulkhead::nic_model::intel

#endif  // BULKHEAD_NIC_MODEL_INTEL_DEVICE_FUZZ_H_
