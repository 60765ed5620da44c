// A simulated 82574L without a socket, for tests.
#ifndef BULKHEAD_NIC_MODEL_82574L_TEST_BENCH_H_
#define BULKHEAD_NIC_MODEL_82574L_TEST_BENCH_H_

#include <cstdint>
#include <memory>
#include <span>

#include "nic_model/82574l/device.h"
#include "nic_model/faults.h"
#include "nic_model/intel/test_bench.h"

namespace bulkhead::nic_model::i82574 {

class TestBench : public intel::TestBenchBase {
 public:
  explicit TestBench(const Faults& faults = {});

  // Maps the memory, turns bus mastering on, sets up both rings and enables
  // receive (legacy descriptors, promiscuous, SECRC) and transmit.
  void BringUp(uint32_t rctl_extra = 0, uint32_t rfctl = 0);

  // Writes a legacy descriptor for `data` at the tail and advances it, without
  // ringing. `command` is bits 31:24 of the second quadword, in place.
  void QueueTx(std::span<const uint8_t> data, uint32_t command);

  std::unique_ptr<Intel82574> nic;
};

}  // namespace bulkhead::nic_model::i82574

#endif  // BULKHEAD_NIC_MODEL_82574L_TEST_BENCH_H_
