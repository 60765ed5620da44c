#include "nic_model/virtio_net/test_bench.h"

#include <cstring>

#include "gtest/gtest.h"

namespace bulkhead::nic_model::virtio_net {
namespace {

constexpr uint32_t kAckBuffer = 400;  // Beyond those that tests use.

}  // namespace

TestBench::TestBench(const Faults& faults)
    : loop(*EventLoop::Create()),
      nic(*VirtioNet::Create(*loop, counters, {kMac, 0, faults, UniqueFd()})),
      memory_fd_(*CreateSealedMemory("test bench", kMemoryBytes)),
      memory_(*Mapping::MapSealed(memory_fd_.get(), kMemoryBytes,
                                  Access::kReadWrite)) {
  nic->PlugIn(&network);
}

uint32_t TestBench::Read(uint32_t offset, uint32_t width) {
  uint32_t value = 0;
  EXPECT_EQ(
      nic->ReadRegion(0, offset,
                      std::span(reinterpret_cast<uint8_t*>(&value), width)),
      0);
  return value;
}

void TestBench::Write(uint32_t offset, uint32_t width, uint32_t value) {
  EXPECT_EQ(nic->WriteRegion(
                0, offset,
                std::span(reinterpret_cast<const uint8_t*>(&value), width)),
            0);
}

void TestBench::MapMemory() {
  EXPECT_EQ(
      nic->MapDma(kIova, kMemoryBytes, memory_fd_.Duplicate(), 0, true, true),
      0);
}

void TestBench::SetBusMaster(bool on) {
  const uint8_t command[] = {static_cast<uint8_t>(on ? 6 : 2), 0};
  EXPECT_EQ(nic->WriteRegion(vfio_user::kConfigRegion, 4, command), 0);
}

bool TestBench::Negotiate(uint64_t features) {
  features_ = features;
  Write(kDeviceStatus, 1, kAcknowledge);
  Write(kDeviceStatus, 1, kAcknowledge | kDriver);
  for (uint32_t half = 0; half < 2; ++half) {
    Write(kDriverFeatureSelect, 4, half);
    Write(kDriverFeature, 4, static_cast<uint32_t>(features >> (32 * half)));
  }
  Write(kDeviceStatus, 1, kAcknowledge | kDriver | kFeaturesOk);
  return (Status() & kFeaturesOk) != 0;
}

void TestBench::SelectQueue(uint16_t queue) {
  const bool one_pair = (features_ & kMq) == 0;
  Write(kQueueSelect, 2,
        queue == kControlQueue && one_pair ? kControlIndexOfOnePair : queue);
}

void TestBench::PlaceQueue(uint16_t queue, uint16_t size) {
  SelectQueue(queue);
  Write(kQueueSize, 2, size);
  Write(kQueueMsixVector, 2, queue == kControlQueue ? 2 : queue / 2);
  Write(kQueueDesc, 4, static_cast<uint32_t>(Ring(queue)));
  Write(kQueueDriver, 4, static_cast<uint32_t>(Avail(queue)));
  Write(kQueueDevice, 4, static_cast<uint32_t>(Used(queue)));
  Write(kQueueEnable, 2, 1);
}

void TestBench::BringUp(uint64_t features, uint16_t pairs) {
  MapMemory();
  SetBusMaster(true);
  ASSERT_TRUE(Negotiate(features));
  for (uint16_t queue = 0; queue < 2 * pairs; ++queue) PlaceQueue(queue);
  PlaceQueue(kControlQueue);
  Write(kDeviceStatus, 1, kAcknowledge | kDriver | kFeaturesOk | kDriverOk);
}

void TestBench::Describe(uint16_t queue, uint16_t index, uint64_t addr,
                         uint32_t len, uint16_t flags, uint16_t next) {
  At<uint64_t>(Ring(queue) + 16 * index) = addr;
  At<uint64_t>(Ring(queue) + 16 * index + 8) =
      len | uint64_t{flags} << 32 | uint64_t{next} << 48;
}

void TestBench::MakeAvailable(uint16_t queue, uint16_t head) {
  uint16_t& index = At<uint16_t>(Avail(queue) + 2);
  At<uint16_t>(Avail(queue) + 4 + 2 * (index % kSize)) = head;
  ++index;
}

void TestBench::PostRx(uint16_t number, uint32_t bytes, uint16_t queue) {
  Describe(queue, number % kSize, Buffer(number), bytes, kWrite);
  MakeAvailable(queue, number % kSize);
}

uint8_t TestBench::Command(uint8_t command_class, uint8_t command,
                           std::span<const uint8_t> data) {
  return Ask(command_class, command, data, 0).back();
}

Frame TestBench::Ask(uint8_t command_class, uint8_t command,
                     std::span<const uint8_t> data, uint32_t reply_bytes) {
  At<uint8_t>(Buffer(kAckBuffer)) = command_class;
  At<uint8_t>(Buffer(kAckBuffer) + 1) = command;
  for (size_t i = 0; i < data.size(); ++i) {
    At<uint8_t>(Buffer(kAckBuffer) + 2 + i) = data[i];
  }
  At<uint8_t>(Buffer(kAckBuffer + 1) + reply_bytes) = 0xee;
  Describe(kControlQueue, 0, Buffer(kAckBuffer),
           static_cast<uint32_t>(2 + data.size()), kNext, 1);
  Describe(kControlQueue, 1, Buffer(kAckBuffer + 1), reply_bytes + 1, kWrite);
  MakeAvailable(kControlQueue, 0);
  Kick(kControlQueue);
  return Bytes(Buffer(kAckBuffer + 1), reply_bytes + 1);
}

Frame TestBench::Bytes(uint64_t iova, size_t count) const {
  const uint8_t* data = memory_.data() + (iova - kIova);
  return {data, data + count};
}

Frame TestFrame(size_t bytes, uint8_t number) {
  Frame frame(bytes, number);
  std::memcpy(frame.data(), TestBench::kMac.data(), 6);
  return frame;
}

}  // namespace bulkhead::nic_model::virtio_net
