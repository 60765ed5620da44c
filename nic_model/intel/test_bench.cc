#include "nic_model/intel/test_bench.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstring>

#include "gtest/gtest.h"
#include "nic_model/frames/checksum.h"
#include "nic_model/intel/registers.h"

namespace bulkhead::nic_model::intel {
namespace {

// `sum` goes where the checksum of `l4` is.
void PutHeaders(Frame& frame, std::span<const uint8_t, 20> ip,
                std::span<const uint8_t> l4, uint16_t sum, size_t sum_at) {
  frame[12] = 0x08;
  frame[13] = 0x00;
  std::memcpy(frame.data() + 14, ip.data(), ip.size());
  std::memcpy(frame.data() + 34, l4.data(), l4.size());
  frame[sum_at] = static_cast<uint8_t>(sum >> 8);
  frame[sum_at + 1] = static_cast<uint8_t>(sum);
}

}  // namespace

TestBenchBase::TestBenchBase(const TestLayout& layout)
    : at(layout),
      loop(*EventLoop::Create()),
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

void TestBenchBase::SetUpRings(uint32_t queue) {
  const uint32_t offset = queue * at.queue_stride;
  Write(at.tdbal + offset, static_cast<uint32_t>(TxRing(queue)));
  Write(at.tdlen + offset, kRingCount * 16);
  Write(at.rdbal + offset, static_cast<uint32_t>(RxRing(queue)));
  Write(at.rdlen + offset, kRingCount * 16);
}

void TestBenchBase::BeginBringUp() {
  MapMemory();
  SetBusMaster(true);
  Write(kCtrl, kCtrlFd | kCtrlSlu);
  SetUpRings(0);
}

void TestBenchBase::EndBringUp(uint32_t rctl_extra) {
  Write(kTctl, kTctlEn | kTctlPsp);
  Write(kRctl, kRctlEn | kRctlUpe | kRctlSecrc | kRctlBam | rctl_extra);
  Read(at.icr);
}

void TestBenchBase::PostRx(uint32_t count, uint32_t queue) {
  uint32_t& tail = tails_[queue].rx;
  for (uint32_t i = 0; i < count; ++i) {
    Quad(RxRing(queue) + 16 * tail) = RxBuffer(tail, queue);
    Quad(RxRing(queue) + 16 * tail + 8) = 0;
    tail = (tail + 1) % kRingCount;
  }
  Write(at.rdt + queue * at.queue_stride, tail);
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
  for (uint32_t i = 0; i < at.msix_vectors; ++i) {
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

Frame UdpFrame(size_t behind) {
  const uint8_t ip[] = {0x45, 0, 0,  36, 0, 1, 0,  0, 64, 17,
                        0,    0, 10, 0,  0, 1, 10, 0, 0,  2};
  const uint8_t udp[] = {0, 1, 0, 2, 0, 16, 0, 0};
  Frame frame = TestFrame(14 + 20 + 8 + 8 + behind);
  PutHeaders(frame, ip, udp, OnesSum(std::span(ip).subspan(12), 17 + 16), 40);
  return frame;
}

Frame TcpFrame(size_t payload) {
  const uint8_t ip[] = {0x45, 0, 0,  0, 0xff, 0xfe, 0,  0, 64, 6,
                        0,    0, 10, 0, 0,    1,    10, 0, 0,  2};
  const uint8_t tcp[] = {0, 1, 0,    2,    0, 0, 0xff, 0xf0, 0, 0,
                         0, 0, 0x50, 0x19, 0, 0, 0,    0,    0, 0};
  Frame frame = TestFrame(54 + payload);
  PutHeaders(frame, ip, tcp, OnesSum(std::span(ip).subspan(12), 6), 50);
  for (size_t i = 0; i < payload; ++i) frame[54 + i] = static_cast<uint8_t>(i);
  return frame;
}

}  // namespace bulkhead::nic_model::intel
