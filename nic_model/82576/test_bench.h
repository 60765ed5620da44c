// A simulated 82576 without a socket, for tests.
#ifndef BULKHEAD_NIC_MODEL_82576_TEST_BENCH_H_
#define BULKHEAD_NIC_MODEL_82576_TEST_BENCH_H_

#include <cstdint>
#include <memory>
#include <span>

#include "nic_model/82576/device.h"
#include "nic_model/faults.h"
#include "nic_model/intel/test_bench.h"

namespace bulkhead::nic_model::i82576 {

class TestBench : public intel::TestBenchBase {
 public:
  explicit TestBench(const Faults& faults = {});

  // Maps the memory, turns bus mastering on, sets up both rings and enables
  // receive (promiscuous, SECRC) and transmit.
  void BringUp(uint32_t rctl_extra = 0, uint32_t srrctl_extra = 0);

  // Writes a data descriptor for `data` at the tail and advances it, without
  // ringing. `command` is added to the second quadword.
  void QueueTx(std::span<const uint8_t> data, uint64_t command,
               uint32_t queue = 0);

  // After BringUp: sets up queues 1 to `queues` - 1 as well, and RSS of TCP,
  // UDP and other IP over all of them, with Microsoft's key for verification.
  void BringUpQueues(uint32_t queues, uint32_t srrctl_extra = 0);

  std::unique_ptr<Intel82576> nic;
};

}  // namespace bulkhead::nic_model::i82576

#endif  // BULKHEAD_NIC_MODEL_82576_TEST_BENCH_H_
