// A simulated 82576 without a socket, for tests.
#ifndef BULKHEAD_NIC_MODEL_82576_TEST_BENCH_H_
#define BULKHEAD_NIC_MODEL_82576_TEST_BENCH_H_

#include <cstdint>
#include <memory>
#include <span>

#include "nic_model/82576/device.h"
#include "nic_model/82576/registers.h"
#include "nic_model/faults.h"
#include "nic_model/intel/test_bench.h"

namespace bulkhead::nic_model::i82576 {

class TestBench : public intel::TestBenchBase {
 public:
  explicit TestBench(const Faults& faults = {});

  static constexpr const char* kName = "82576";
  static constexpr uint32_t kPhyId1 = 0x02a8;
  // In a transmit descriptor, beside its command and length: advanced data.
  static constexpr uint64_t kPlain = kTxDext | kTxTypeData;

  // Maps the memory, turns bus mastering on, sets up both rings and enables
  // receive (promiscuous, SECRC) and transmit.
  void BringUp(uint32_t rctl_extra = 0, uint32_t srrctl_extra = 0);

  // Writes a data descriptor for `data` at the tail and advances it, without
  // ringing. `command` is added to the second quadword.
  void QueueTx(std::span<const uint8_t> data, uint64_t command,
               uint32_t queue = 0);
  // The same for a TcpFrame, with its context, to be cut up.
  void QueueTcp(std::span<const uint8_t> frame, uint64_t segment_bytes);

  // Of a descriptor that was written back.
  uint64_t RxLength(uint32_t index) { return RxStatus(index) >> 32; }
  uint64_t RxBits(uint32_t index) { return RxStatus(index) & 0xfffff; }

  // Receive queue 0 signals vector 0, transmit queue 0 vector 1, the link 2.
  void AllocateVectors();
  // All vectors mask and clear themselves as they signal.
  void AutoMask();

  // After BringUp: sets up queues 1 to `queues` - 1 as well, and RSS of TCP,
  // UDP and other IP over all of them, with Microsoft's key for verification.
  void BringUpQueues(uint32_t queues, uint32_t srrctl_extra = 0);

  std::unique_ptr<Intel82576> nic;

 private:
  void TurnOn(uint32_t queue, uint32_t srrctl_extra);
};

}  // namespace bulkhead::nic_model::i82576

#endif  // BULKHEAD_NIC_MODEL_82576_TEST_BENCH_H_
