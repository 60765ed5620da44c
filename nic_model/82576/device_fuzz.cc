// A driver that does anything: registers, descriptors and tails from the
// fuzzer. The NIC must stay inside its map and its own memory, come to an end
// with each request, and lose count of no frame (S3, S8).
#include <cstdlib>
#include <cstring>

#include "nic_model/82576/test_bench.h"

using namespace bulkhead::nic_model;          // NOLINT
using namespace bulkhead::nic_model::i82576;  // NOLINT

namespace {

class Input {
 public:
  Input(const uint8_t* data, size_t size) : data_(data), size_(size) {}
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

// The registers that steer the data path, more often than all others.
constexpr uint32_t kSteering[] = {
    kRctl,   kTctl,  kRdlen, kTdlen, kRdh,    kTdh,    kRdt,    kTdt,
    kRdbal,  kRdbah, kTdbal, kTdbah, kRxdctl, kTxdctl, kSrrctl, kRxpbs,
    kRxcsum, kRlpml, kCtrl,  kIms,   kEims,   kEicr,   kEics,   kGpie,
    kEiac,   kEiam,  kIvar0, kEitr0, kMdic,   kEerd,   kMta,    kIvarMisc};

void Step(TestBench& bench, Input& input, uint64_t* offered) {
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
      bench.Write(kSteering[input.Take<uint8_t>() % std::size(kSteering)],
                  input.Take<uint32_t>());
      break;
    case 5:
      bench.WriteConfig(input.Take<uint16_t>() % 1024 * 4,
                        input.Take<uint32_t>());
      break;
    case 6:
    case 7:  // A descriptor, or what lies where one is expected.
      bench.Quad(TestBench::kIova + input.Take<uint16_t>() % 0x1000 * 8) =
          input.Take<uint64_t>();
      break;
    case 8: {
      Frame frame(input.Take<uint16_t>() % 10'000 + 14, input.Take<uint8_t>());
      if (input.Take<uint8_t>() % 2 == 0) {
        std::memcpy(frame.data(), TestBench::kMac.data(), 6);
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
      if (bench.nic->UnmapDma(TestBench::kIova, TestBench::kMemoryBytes) != 0) {
        bench.MapMemory();
      }
      break;
    default:
      if (input.Take<uint8_t>() % 8 == 0) bench.nic->Reset();
  }
  bench.network.sent.clear();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input input(data, size);
  TestBench bench;
  bench.BringUp();
  bench.PostRx(8);
  uint64_t offered = 0;
  while (!input.empty()) Step(bench, input, &offered);
  bench.nic->Reset();
  const PortCounters& c = bench.counters;
  const uint64_t counted =
      c.rx_frames + c.rx_missed + c.rx_disabled + c.rx_filtered + c.rx_oversize;
  if (counted != offered || c.rx_offered != offered) std::abort();
  return 0;
}
