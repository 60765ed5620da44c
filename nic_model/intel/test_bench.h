// One of Intel's controllers without a socket, and a driver's side to go with
// it: rings and buffers in a memfd, for tests. Descriptors have 16 bytes; what
// is in them is the controller's test bench's, and so is all that differs.
#ifndef BULKHEAD_NIC_MODEL_INTEL_TEST_BENCH_H_
#define BULKHEAD_NIC_MODEL_INTEL_TEST_BENCH_H_

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/event_loop.h"
#include "base/shared_memory.h"
#include "nic_model/counters.h"
#include "nic_model/faults.h"
#include "nic_model/model.h"
#include "nic_model/network/network.h"

namespace bulkhead::nic_model::intel {

using Frame = std::vector<uint8_t>;

// Keeps what the NIC sends; `answer` decides what becomes of it.
class RecordingNetwork : public Network {
 public:
  SendResult Send(std::span<uint8_t> frame) override {
    if (answer == SendResult::kSent)
      sent.emplace_back(frame.begin(), frame.end());
    return answer;
  }
  void PortReady() override { ++ready_calls; }

  std::vector<Frame> sent;
  SendResult answer = SendResult::kSent;
  int ready_calls = 0;
};

// Where a controller has what the bench and its tests use. Rings are those of
// queue 0.
struct TestLayout {
  // In config space: what it is, and where two capabilities are.
  uint32_t pci_id, pci_class, power_management, msix;
  uint32_t tdbal, tdlen, tdh, tdt;
  uint32_t rdbal, rdlen, rdh, rdt;
  uint32_t queue_stride = 0;
  uint32_t icr, ics, ims, imc;
  uint32_t doorbells;  // How many it offers.
  uint32_t msix_vectors;
  // Bits that stand for vectors, and the registers that set, clear, unmask and
  // mask them.
  uint32_t rx_cause, tx_cause, other_cause;
  uint32_t set_causes, clear_causes, unmask_causes, mask_causes;
  uint32_t eitr0;
  uint32_t eitr_5120_us;  // What EITR says for this interval.
};

// Memory, from kIova on: transmit rings, receive rings, then buffers of
// kBufferBytes each; of each queue kRingCount for either ring.
class TestBenchBase {
 public:
  static constexpr Mac kMac = {0x52, 0x54, 0, 0x12, 0x34, 0x56};
  static constexpr uint64_t kIova = 0x10000000;
  static constexpr size_t kMemoryBytes = 1 << 20;
  static constexpr uint64_t kTxRing = kIova;
  static constexpr uint64_t kRxRing = kIova + 0x4000;
  static constexpr uint64_t kBuffers = kIova + 0x8000;
  static constexpr uint32_t kBufferBytes = 2048;
  static constexpr uint32_t kRingCount = 16;
  static constexpr uint32_t kMaxQueues = 8;

  uint32_t Read(uint32_t offset);
  void Write(uint32_t offset, uint32_t value);
  uint32_t ReadConfig(uint32_t offset);
  void WriteConfig(uint32_t offset, uint32_t value);

  void MapMemory();
  void SetBusMaster(bool on);

  // Posts the next `count` receive buffers.
  void PostRx(uint32_t count, uint32_t queue = 0);
  void QueueDescriptor(uint64_t low, uint64_t high, uint32_t queue = 0);
  void RingTx(uint32_t queue = 0) {
    Write(at.tdt + queue * at.queue_stride, tails_[queue].tx);
  }

  uint64_t& Quad(uint64_t iova) { return *memory_.As<uint64_t>(iova - kIova); }
  static constexpr uint64_t TxRing(uint32_t queue) {
    return kTxRing + uint64_t{queue} * kRingCount * 16;
  }
  static constexpr uint64_t RxRing(uint32_t queue) {
    return kRxRing + uint64_t{queue} * kRingCount * 16;
  }
  uint64_t TxStatus(uint32_t index, uint32_t queue = 0) {
    return Quad(TxRing(queue) + 16 * index + 8);
  }
  uint64_t RxStatus(uint32_t index, uint32_t queue = 0) {
    return Quad(RxRing(queue) + 16 * index + 8);
  }
  static constexpr uint64_t TxBuffer(uint32_t index, uint32_t queue = 0) {
    return kBuffers + uint64_t{2 * queue * kRingCount + index} * kBufferBytes;
  }
  static constexpr uint64_t RxBuffer(uint32_t index, uint32_t queue = 0) {
    return TxBuffer(kRingCount + index, queue);
  }
  Frame Bytes(uint64_t iova, size_t count) const;

  // The eventfds of the MSI-X vectors.
  void ArmMsix();
  // How often a vector has signalled since the last call.
  uint64_t Signals(uint32_t vector);
  // Makes the vector's counter full, as its other holder could.
  void FillEvent(uint32_t vector);

  const TestLayout at;
  PortCounters counters = {};
  std::unique_ptr<EventLoop> loop;
  RecordingNetwork network;

 protected:
  explicit TestBenchBase(const TestLayout& layout);
  ~TestBenchBase() = default;

  // What the controller is made with, and what to do with it then. It goes away
  // before the bench does.
  ModelOptions Options(const Faults& faults) const;
  void PlugIn(Model* model);

  // Maps the memory, turns bus mastering and the link on, sets up the rings of
  // queue 0; then, once the rest is set up, enables receive (promiscuous,
  // SECRC) and transmit.
  void BeginBringUp();
  void EndBringUp(uint32_t rctl_extra);
  void SetUpRings(uint32_t queue);

  // Puts `data` into the buffer of the next transmit descriptor.
  uint64_t FillTxBuffer(std::span<const uint8_t> data, uint32_t queue = 0);

 private:
  Model* model_ = nullptr;
  UniqueFd memory_fd_;
  Mapping memory_;
  std::vector<UniqueFd> events_;
  struct Tails {
    uint32_t tx = 0;
    uint32_t rx = 0;
  };
  std::array<Tails, kMaxQueues> tails_;
};

// A frame for the bench's MAC of `bytes` bytes, numbered.
Frame TestFrame(size_t bytes, uint8_t number = 0);
// Ethernet, IPv4 without options, UDP, 8 bytes of payload, and `behind` bytes
// that are none of the datagram's; the UDP checksum field holds the pseudo
// header's sum, as software leaves it.
Frame UdpFrame(size_t behind = 0);
// Ethernet, IPv4, TCP and `payload` numbered bytes, as a host leaves it that
// wants it cut up.
Frame TcpFrame(size_t payload);

}  // namespace bulkhead::nic_model::intel

#endif  // BULKHEAD_NIC_MODEL_INTEL_TEST_BENCH_H_
