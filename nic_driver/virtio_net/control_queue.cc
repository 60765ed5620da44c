#include "nic_driver/virtio_net/control_queue.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "nic_driver/virtio_net/virtio_net_regs.h"

namespace bulkhead::nic_driver::virtio_net {
namespace {

// 5.1.6.5: classes and commands.
constexpr uint8_t CTRL_RX = 0;
constexpr uint8_t RX_PROMISC = 0;
constexpr uint8_t RX_ALLMULTI = 1;
constexpr uint8_t CTRL_MAC = 1;
constexpr uint8_t MAC_TABLE_SET = 0;
constexpr uint8_t CTRL_MQ = 4;
constexpr uint8_t MQ_VQ_PAIRS_SET = 0;
constexpr uint8_t CTRL_STATS = 8;  // Version 1.4.
constexpr uint8_t STATS_GET = 1;
constexpr uint8_t ACK_OK = 0;

constexpr uint64_t STATS_TYPE_RX_BASIC = 1;
// Of each queue: a struct virtio_net_ctrl_queue_stats asks, and a struct
// virtio_net_stats_rx_basic answers, a header, then six counters; rx_drops is
// the fifth. A dropped frame is one that found no buffer, since nothing else
// makes this device drop what passed its filter.
constexpr size_t kStatsAskBytes = 16;
constexpr size_t kStatsReplyBytes = 8 + 6 * 8;
constexpr size_t kDropsOffset = 8 + 4 * 8;

constexpr size_t kHeaderBytes = 2;
// Commands go to the slot's start, answers behind them.
constexpr size_t kReplyOffset = 1024;
static_assert(kHeaderBytes + 8 + 6 * ControlQueue::kMaxMulticast <=
              kReplyOffset);
static_assert(kReplyOffset + ControlQueue::kMaxPairs * kStatsReplyBytes + 1 <=
              ControlQueue::kSlotBytes);

template <typename T>
void Put(std::span<uint8_t> bytes, size_t at, T value) {
  std::memcpy(bytes.data() + at, &value, sizeof(value));
}

}  // namespace

ControlQueue::ControlQueue(std::unique_ptr<Virtqueue> queue,
                           const DmaMemory& memory, size_t offset)
    : queue_(std::move(queue)), memory_(memory), offset_(offset) {}

void ControlQueue::Reset() {
  queue_->Reset();
  slots_ = {};
  in_flight_ = 0;
  dropped_.reset();
  pairs_set_.reset();
}

bool ControlQueue::SetPromiscuous(bool on) {
  const uint8_t data = on ? 1 : 0;
  return Send(CTRL_RX, RX_PROMISC, std::span(&data, 1));
}

bool ControlQueue::SetAllMulticast(bool on) {
  const uint8_t data = on ? 1 : 0;
  return Send(CTRL_RX, RX_ALLMULTI, std::span(&data, 1));
}

// 5.1.6.5.2: the unicast table, empty, since the device knows its own address;
// then the multicast table.
bool ControlQueue::SetMulticast(std::span<const MacAddress> addresses) {
  std::array<uint8_t, 8 + 6 * kMaxMulticast> data = {};
  const size_t count = std::min(addresses.size(), kMaxMulticast);
  Put(data, 4, static_cast<uint32_t>(count));
  for (size_t i = 0; i < count; ++i) Put(data, 8 + 6 * i, addresses[i]);
  return Send(CTRL_MAC, MAC_TABLE_SET, std::span(data).first(8 + 6 * count));
}

bool ControlQueue::SetPairs(uint16_t pairs) {
  std::array<uint8_t, 2> data;
  Put(data, 0, pairs);
  return Send(CTRL_MQ, MQ_VQ_PAIRS_SET, data);
}

bool ControlQueue::AskStatistics(uint32_t pairs) {
  std::array<uint8_t, kMaxPairs* kStatsAskBytes> data = {};
  const size_t count = std::min<size_t>(pairs, kMaxPairs);
  for (uint32_t i = 0; i < count; ++i) {
    Put(data, i * kStatsAskBytes, RxQueueOf(i));
    Put(data, i * kStatsAskBytes + 8, STATS_TYPE_RX_BASIC);
  }
  return Send(CTRL_STATS, STATS_GET,
              std::span(data).first(count * kStatsAskBytes),
              count * kStatsReplyBytes);
}

bool ControlQueue::Send(uint8_t command_class, uint8_t command,
                        std::span<const uint8_t> data, size_t reply_bytes) {
  const auto free = std::find_if(slots_.begin(), slots_.end(),
                                 [](const Slot& slot) { return !slot.busy; });
  if (free == slots_.end() || queue_->room() < 2) return false;
  const auto slot = static_cast<uint16_t>(free - slots_.begin());
  *free = {true, command_class, reply_bytes};
  ++in_flight_;
  const std::span<uint8_t> bytes = Bytes(slot);
  bytes[0] = command_class;
  bytes[1] = command;
  std::copy(data.begin(), data.end(), bytes.begin() + kHeaderBytes);
  const uint64_t iova = memory_.iova(offset_ + slot * kSlotBytes);
  const Segment segments[] = {
      {iova, static_cast<uint32_t>(kHeaderBytes + data.size()), false},
      {iova + kReplyOffset, static_cast<uint32_t>(reply_bytes + 1), true}};
  queue_->Add(segments, slot);
  return true;
}

void ControlQueue::Reap() {
  Completion completion;
  while (queue_->Peek(&completion)) {
    queue_->Pop();
    if (completion.cookie >= kSlots) continue;
    Slot& slot = slots_[completion.cookie];
    slot.busy = false;
    --in_flight_;
    const std::span<uint8_t> reply =
        Bytes(completion.cookie).subspan(kReplyOffset);
    const bool obeyed = reply[slot.reply_bytes] == ACK_OK;
    if (slot.command_class == CTRL_MQ) pairs_set_ = obeyed;
    if (!obeyed) {
      NoteRefusal(slot.command_class);
    } else if (slot.command_class == CTRL_STATS) {
      TakeStatistics(reply.first(slot.reply_bytes));
    }
  }
}

void ControlQueue::NoteRefusal(uint8_t command_class) {
  const uint32_t bit = uint32_t{1} << (command_class & 31);
  if ((refused_classes_ & bit) == 0) {
    LogWarning(absl::StrCat("control queue: the device refused a command of ",
                            "class ", command_class));
  }
  refused_classes_ |= bit;
}

void ControlQueue::TakeStatistics(std::span<const uint8_t> reply) {
  dropped_ = 0;
  for (; reply.size() >= kStatsReplyBytes;
       reply = reply.subspan(kStatsReplyBytes)) {
    uint64_t drops;
    std::memcpy(&drops, reply.data() + kDropsOffset, sizeof(drops));
    *dropped_ += drops;
  }
}

std::optional<uint64_t> ControlQueue::TakeDropped() {
  return std::exchange(dropped_, std::nullopt);
}

std::optional<bool> ControlQueue::TakePairsSet() {
  return std::exchange(pairs_set_, std::nullopt);
}

}  // namespace bulkhead::nic_driver::virtio_net
