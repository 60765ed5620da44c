// A simulated virtio network device without a socket, and a driver's side to go
// with it: rings and buffers in a memfd, written by hand, for tests.
#ifndef BULKHEAD_NIC_MODEL_VIRTIO_NET_TEST_BENCH_H_
#define BULKHEAD_NIC_MODEL_VIRTIO_NET_TEST_BENCH_H_

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/event_loop.h"
#include "base/shared_memory.h"
#include "nic_model/counters.h"
#include "nic_model/faults.h"
#include "nic_model/network/network.h"
#include "nic_model/virtio_net/device.h"
#include "nic_model/virtio_net/layout.h"

namespace bulkhead::nic_model::virtio_net {

using Frame = std::vector<uint8_t>;

// Keeps what the NIC sends; `answer` decides what becomes of it.
class RecordingNetwork : public Network {
 public:
  SendResult Send(std::span<uint8_t> frame) override {
    if (sent.size() >= busy_after) return SendResult::kBusy;
    if (answer == SendResult::kSent) {
      sent.emplace_back(frame.begin(), frame.end());
    }
    return answer;
  }
  std::vector<Frame> sent;
  SendResult answer = SendResult::kSent;
  size_t busy_after = SIZE_MAX;  // Frames.
};

// Memory, from kIova on: for each queue a page of descriptors, one for the
// driver's and one for the device's ring; then buffers of kBufferBytes each.
class TestBench {
 public:
  static constexpr Mac kMac = {2, 0, 0, 0, 0, 9};
  static constexpr uint64_t kIova = 0x10000000;
  static constexpr size_t kMemoryBytes = 2 << 20;
  static constexpr uint64_t kBuffers = kIova + 0x50000;
  static constexpr uint32_t kBufferBytes = 2048;
  static constexpr uint16_t kSize = 16;
  // What most tests negotiate: split rings, without event indices.
  static constexpr uint64_t kPlain =
      kVersion1 | kAccessPlatform | virtio_net::kMac | kCtrlVq | kCtrlRx;

  explicit TestBench(const Faults& faults = {});

  // Registers.
  uint32_t Read(uint32_t offset, uint32_t width);
  void Write(uint32_t offset, uint32_t width, uint32_t value);
  uint8_t Status() { return static_cast<uint8_t>(Read(kDeviceStatus, 1)); }
  // Negotiates, true when the device accepted; then the queues of `pairs`, and
  // the control queue, DRIVER_OK.
  bool Negotiate(uint64_t features);
  void BringUp(uint64_t features = kPlain, uint16_t pairs = 1);
  // Without VIRTIO_NET_F_MQ, `kControlQueue` has another index.
  void SelectQueue(uint16_t queue);
  void PlaceQueue(uint16_t queue, uint16_t size = kSize);
  void MapMemory();
  void SetBusMaster(bool on);

  // Queues are given by number, see layout.h. In memory, the control queue's
  // ring follows those of the first pair.
  static constexpr uint64_t Ring(uint16_t queue) {
    const uint32_t place = queue == kControlQueue ? 2
                           : queue < 2            ? queue
                                                  : queue + 1u;
    return kIova + place * 0x4000;
  }
  static constexpr uint64_t Avail(uint16_t queue) {
    return Ring(queue) + 0x1000;
  }
  static constexpr uint64_t Used(uint16_t queue) {
    return Ring(queue) + 0x2000;
  }

  // Split rings: a descriptor; a chain made available; the device told.
  void Describe(uint16_t queue, uint16_t index, uint64_t addr, uint32_t len,
                uint16_t flags, uint16_t next = 0);
  void MakeAvailable(uint16_t queue, uint16_t head);
  void Kick(uint16_t queue) {
    Write(kNotifyOffset + queue * kNotifyMultiplier, 2, queue);
  }
  uint16_t UsedIndex(uint16_t queue) { return At<uint16_t>(Used(queue) + 2); }
  uint32_t UsedBytes(uint16_t queue, uint16_t entry) {
    return At<uint32_t>(Used(queue) + 4 + 8 * entry + 4);
  }
  // An rx buffer of `bytes` at buffer `number`, as descriptor `number` % kSize.
  void PostRx(uint16_t number, uint32_t bytes = kBufferBytes,
              uint16_t queue = kRxQueue);
  // A control command; returns the device's acknowledgement.
  uint8_t Command(uint8_t command_class, uint8_t command,
                  std::span<const uint8_t> data);
  // One that is answered with `reply_bytes`: them, then the acknowledgement.
  Frame Ask(uint8_t command_class, uint8_t command,
            std::span<const uint8_t> data, uint32_t reply_bytes);
  void Receive(const Frame& frame) {
    nic->Receive(frame);
    nic->EndReceive();
  }

  template <typename T>
  T& At(uint64_t iova) {
    return *memory_.As<T>(iova - kIova);
  }
  static uint64_t Buffer(uint32_t number) {
    return kBuffers + number * kBufferBytes;
  }
  Frame Bytes(uint64_t iova, size_t count) const;

  PortCounters counters = {};
  std::unique_ptr<EventLoop> loop;
  RecordingNetwork network;
  std::unique_ptr<VirtioNet> nic;

 private:
  uint64_t features_ = 0;
  UniqueFd memory_fd_;
  Mapping memory_;
};

// A frame for the bench's MAC of `bytes` bytes, numbered.
Frame TestFrame(size_t bytes, uint8_t number = 0);

}  // namespace bulkhead::nic_model::virtio_net

#endif  // BULKHEAD_NIC_MODEL_VIRTIO_NET_TEST_BENCH_H_
