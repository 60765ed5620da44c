// UDP frames of many flows, for both routers: from 10.0.1.2, each flow with a
// destination and a source port of its own, checksums right.
#ifndef BULKHEAD_TESTS_BENCH_ROUTER_TEST_FLOWS_H_
#define BULKHEAD_TESTS_BENCH_ROUTER_TEST_FLOWS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace bulkhead::bench {

using Mac = std::array<uint8_t, 6>;

// Frame sizes, without the checksum that a NIC appends.
enum class Mix : uint8_t {
  k64,    // The smallest.
  kImix,  // 7 of 64 bytes, 4 of 594, 1 of 1518.
  k1518,
};

class TestFlows {
 public:
  static constexpr size_t kMaxFrameBytes = 1514;
  // Flows to one destination; a router has a port for each of them.
  static constexpr uint32_t kFlowsPerDestination = 10'000;

  // Flows `first` … `first + count - 1`.
  TestFlows(const Mac& from, const Mac& to, uint32_t first, uint32_t count,
            Mix mix);

  // Writes the next frame, of the next flow; returns its bytes.
  size_t Next(uint8_t* out);

 private:
  struct Template {
    std::vector<uint8_t>
        bytes;  // Checksums over zeros at what flows differ in.
    uint32_t ip_sum = 0;
    uint32_t udp_sum = 0;
  };
  static Template Make(const Mac& from, const Mac& to, size_t bytes);

  uint32_t first_;
  uint32_t count_;
  uint32_t flow_ = 0;
  std::vector<Template> templates_;
  std::vector<uint8_t> cycle_;  // Templates, in the order of their use.
  size_t at_ = 0;
};

}  // namespace bulkhead::bench

#endif  // BULKHEAD_TESTS_BENCH_ROUTER_TEST_FLOWS_H_
