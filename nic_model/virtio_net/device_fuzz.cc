// A driver that does anything: registers, rings and notifications from the
// fuzzer. The NIC must stay inside its map and its own memory, come to an end
// with each request, and lose count of no frame (S3, S8).
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <iterator>

#include "nic_model/virtio_net/test_bench.h"

using namespace bulkhead::nic_model;              // NOLINT
using namespace bulkhead::nic_model::virtio_net;  // NOLINT

namespace {

class Input {
 public:
  Input(const uint8_t* data, size_t size) : data_(data), size_(size) {}
  bool empty() const { return size_ == 0; }
  template <typename T>
  T Take() {
    T value = {};
    const size_t bytes = std::min(size_, sizeof(T));
    if (bytes == 0) return value;  // An empty input has no address either.
    std::memcpy(&value, data_, bytes);
    data_ += bytes;
    size_ -= bytes;
    return value;
  }

 private:
  const uint8_t* data_;
  size_t size_;
};

// Of two pairs, and the control queue.
uint16_t TakeQueue(Input& input) {
  constexpr uint16_t kSome[] = {kRxQueue, kTxQueue, RxQueueOf(1), TxQueueOf(1),
                                kControlQueue};
  return kSome[input.Take<uint8_t>() % std::size(kSome)];
}

// A descriptor whose parts are mostly such as a ring may have.
void PutDescriptor(TestBench& bench, Input& input) {
  const uint16_t queue = TakeQueue(input);
  const auto index =
      static_cast<uint16_t>(input.Take<uint8_t>() % TestBench::kSize);
  const auto flags = input.Take<uint16_t>();
  bench.Describe(queue, index,
                 TestBench::Buffer(input.Take<uint8_t>()) +
                     (flags & 0x2000 ? uint64_t{1} << 40 : 0),
                 input.Take<uint16_t>(), flags & 0x8087,
                 static_cast<uint16_t>(input.Take<uint8_t>() % 20));
}

void Step(TestBench& bench, Input& input, uint64_t* offered) {
  switch (input.Take<uint8_t>() % 15) {
    case 0: {
      const uint32_t width = 1u << input.Take<uint8_t>() % 3;
      bench.Write(input.Take<uint8_t>() % kCommonBytes, width,
                  input.Take<uint32_t>());
      break;
    }
    case 1:
      bench.Read(input.Take<uint16_t>() % (kBar0Bytes - 4), 4);
      break;
    case 2:
    case 3:
    case 4:
      PutDescriptor(bench, input);
      break;
    case 5:
    case 6: {
      const uint16_t queue = TakeQueue(input);
      bench.MakeAvailable(queue,
                          static_cast<uint16_t>(input.Take<uint8_t>() % 20));
      break;
    }
    case 7:
    case 8:
      bench.Kick(TakeQueue(input));
      break;
    case 9: {
      Frame frame(input.Take<uint16_t>() % 10'000 + 14, input.Take<uint8_t>());
      if (frame[0] % 2 != 0) frame[12] = 8, frame[13] = 0;  // A flow's.
      bench.Receive(frame);
      ++*offered;
      break;
    }
    case 10:  // Anything anywhere in the rings.
      bench.At<uint16_t>(TestBench::kIova + input.Take<uint32_t>() % 0x14000 /
                                                2 * 2) = input.Take<uint16_t>();
      break;
    case 11:
      bench.network.answer = static_cast<SendResult>(input.Take<uint8_t>() % 3);
      bench.nic->ResumeSend();
      break;
    case 12:
      if (bench.nic->UnmapDma(TestBench::kIova, TestBench::kMemoryBytes) != 0) {
        bench.MapMemory();
      }
      break;
    case 13: {
      const auto pairs = static_cast<uint8_t>(input.Take<uint8_t>() % 4);
      const uint8_t data[] = {pairs, 0};
      bench.Command(kClassMq, kVqPairsSet, data);
      break;
    }
    default:
      if (input.Take<uint8_t>() % 8 == 0) bench.nic->Reset();
  }
  bench.network.sent.clear();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input input(data, size);
  TestBench bench;
  constexpr uint64_t kKinds[] = {TestBench::kPlain, kOffered & ~kRingPacked,
                                 kOffered};
  bench.BringUp(kKinds[input.Take<uint8_t>() % 3], 2);
  bench.PostRx(0);
  uint64_t offered = 0;
  while (!input.empty()) Step(bench, input, &offered);
  bench.nic->Reset();
  const PortCounters& c = bench.counters;
  const uint64_t counted =
      c.rx_frames + c.rx_missed + c.rx_disabled + c.rx_filtered + c.rx_oversize;
  if (counted != offered || c.rx_offered != offered) std::abort();
  return 0;
}
