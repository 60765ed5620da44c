#include "nic_model/intel/test_bench.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstring>

#include "gtest/gtest.h"

namespace bulkhead::nic_model::intel {

TestBenchBase::TestBenchBase(const Layout& layout)
    : loop(*EventLoop::Create()),
      at_(layout),
      memory_fd_(*CreateSealedMemory("test bench", kMemoryBytes)),
      memory_(*Mapping::MapSealed(memory_fd_.get(), kMemoryBytes,
                                  Access::kReadWrite)) {}

ModelOptions TestBenchBase::Options(const Faults& faults) const {
  return {kMac, 0, faults, *CreateSealedMemory("doorbells", kPageBytes)};
}

void TestBenchBase::PlugIn(Model* model) {
  model_ = model;
  model_->PlugIn(&network);
}

uint32_t TestBenchBase::Read(uint32_t offset) {
  uint32_t value = 0;
  EXPECT_EQ(model_->ReadRegion(
                0, offset,
                std::span(reinterpret_cast<uint8_t*>(&value), sizeof(value))),
            0);
  return value;
}

void TestBenchBase::Write(uint32_t offset, uint32_t value) {
  EXPECT_EQ(
      model_->WriteRegion(
          0, offset,
          std::span(reinterpret_cast<const uint8_t*>(&value), sizeof(value))),
      0);
}

uint32_t TestBenchBase::ReadConfig(uint32_t offset) {
  uint32_t value = 0;
  EXPECT_EQ(model_->ReadRegion(
                7, offset,
                std::span(reinterpret_cast<uint8_t*>(&value), sizeof(value))),
            0);
  return value;
}

void TestBenchBase::WriteConfig(uint32_t offset, uint32_t value) {
  EXPECT_EQ(
      model_->WriteRegion(
          7, offset,
          std::span(reinterpret_cast<const uint8_t*>(&value), sizeof(value))),
      0);
}

void TestBenchBase::MapMemory() {
  EXPECT_EQ(model_->MapDma(kIova, kMemoryBytes, memory_fd_.Duplicate(), 0, true,
                           true),
            0);
}

void TestBenchBase::SetBusMaster(bool on) { WriteConfig(4, on ? 0x6 : 0x2); }

void TestBenchBase::PostRx(uint32_t count, uint32_t queue) {
  uint32_t& tail = tails_[queue].rx;
  for (uint32_t i = 0; i < count; ++i) {
    Quad(RxRing(queue) + 16 * tail) = RxBuffer(tail, queue);
    Quad(RxRing(queue) + 16 * tail + 8) = 0;
    tail = (tail + 1) % kRingCount;
  }
  Write(at_.rdt + queue * at_.queue_stride, tail);
}

void TestBenchBase::QueueDescriptor(uint64_t low, uint64_t high,
                                    uint32_t queue) {
  uint32_t& tail = tails_[queue].tx;
  Quad(TxRing(queue) + 16 * tail) = low;
  Quad(TxRing(queue) + 16 * tail + 8) = high;
  tail = (tail + 1) % kRingCount;
}

uint64_t TestBenchBase::FillTxBuffer(std::span<const uint8_t> data,
                                     uint32_t queue) {
  const uint64_t buffer = TxBuffer(tails_[queue].tx, queue);
  std::memcpy(memory_.data() + (buffer - kIova), data.data(), data.size());
  return buffer;
}

Frame TestBenchBase::Bytes(uint64_t iova, size_t count) const {
  const uint8_t* data = memory_.data() + (iova - kIova);
  return Frame(data, data + count);
}

void TestBenchBase::ArmMsix() {
  std::vector<UniqueFd> given;
  for (uint32_t i = 0; i < at_.msix_vectors; ++i) {
    events_.emplace_back(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    given.push_back(events_.back().Duplicate());
  }
  EXPECT_EQ(model_->ArmIrqs(2, 0, std::move(given)), 0);
}

uint64_t TestBenchBase::Signals(uint32_t vector) {
  uint64_t count = 0;
  const ssize_t got = ::read(events_.at(vector).get(), &count, sizeof(count));
  return got == sizeof(count) ? count : 0;
}

void TestBenchBase::FillEvent(uint32_t vector) {
  const uint64_t most = UINT64_MAX - 1;
  [[maybe_unused]] const ssize_t written =
      ::write(events_.at(vector).get(), &most, sizeof(most));
}

Frame TestFrame(size_t bytes, uint8_t number) {
  Frame frame(bytes);
  for (size_t i = 0; i < bytes; ++i) frame[i] = static_cast<uint8_t>(i);
  std::memcpy(frame.data(), TestBenchBase::kMac.data(), 6);
  const uint8_t source[] = {2, 0, 0, 0, 0, 9, 0x88, 0xb5, number};
  std::memcpy(frame.data() + 6, source, std::min(sizeof(source), bytes - 6));
  return frame;
}

}  // namespace bulkhead::nic_model::intel
