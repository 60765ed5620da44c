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

  static constexpr const char* kName = "82574l";
  static constexpr uint32_t kPhyId1 = 0x0141;
  // In a transmit descriptor, beside its command and length: legacy.
  static constexpr uint64_t kPlain = 0;

  // Maps the memory, turns bus mastering on, sets up both rings and enables
  // receive (legacy descriptors, promiscuous, SECRC) and transmit.
  void BringUp(uint32_t rctl_extra = 0, uint32_t rfctl = 0);

  // Writes a legacy descriptor for `data` at the tail and advances it, without
  // ringing. `command` is bits 31:24 of the second quadword, in place.
  void QueueTx(std::span<const uint8_t> data, uint32_t command);
  // The same for a TcpFrame, with its context, to be cut up.
  void QueueTcp(std::span<const uint8_t> frame, uint64_t segment_bytes);

  // Of a legacy descriptor that was written back.
  uint64_t RxLength(uint32_t index) { return RxStatus(index) & 0xffff; }
  uint64_t RxBits(uint32_t index) { return RxStatus(index) >> 32 & 0xff; }

  // Receive queue 0 signals vector 0, transmit queue 0 vector 1, the rest 2.
  void AllocateVectors();
  // All causes mask and clear themselves as they signal.
  void AutoMask();

  std::unique_ptr<Intel82574> nic;
};

}  // namespace bulkhead::nic_model::i82574

#endif  // BULKHEAD_NIC_MODEL_82574L_TEST_BENCH_H_
