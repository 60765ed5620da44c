#include "nic_model/virtio_net/control.h"

#include <algorithm>
#include <cstring>

#include "nic_model/virtio_net/layout.h"

namespace bulkhead::nic_model::virtio_net {
namespace {

template <typename T>
T Load(std::span<const uint8_t> bytes, size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof(value));
  return value;
}

template <typename T>
void Append(std::vector<uint8_t>* bytes, T value) {
  const auto* raw = reinterpret_cast<const uint8_t*>(&value);
  bytes->insert(bytes->end(), raw, raw + sizeof(value));
}

}  // namespace

bool Control::Process(Virtqueue& queue, uint64_t features, uint32_t budget) {
  while (budget-- != 0) {
    const Virtqueue::Taken taken = queue.Take(&chain_);
    if (taken == Virtqueue::Taken::kBroken) return false;
    if (taken == Virtqueue::Taken::kEmpty) {
      queue.AskForKick();
      if (queue.HasChain()) continue;
      break;
    }
    const uint64_t bytes = chain_.readable_bytes();
    const uint64_t room = chain_.writable_bytes();
    bool done = false;
    result_.clear();
    if (bytes >= 2 && bytes <= kMaxCommandBytes && room >= 1) {
      command_.resize(static_cast<size_t>(bytes));
      done = ReadSegments(dma_, chain_.readable, 0, command_) &&
             Execute(command_, features) && room > result_.size();
    }
    if (!done) result_.clear();
    // The acknowledgement is the last byte of the buffer.
    if (room >= 1) {
      result_.resize(
          static_cast<size_t>(std::min<uint64_t>(room, kMaxCommandBytes)));
      result_.back() = done ? kOk : kError;
      static_cast<void>(WriteSegments(dma_, chain_.writable, 0, result_));
    }
    if (!queue.Put(chain_, static_cast<uint32_t>(result_.size()))) return false;
  }
  return queue.Publish();
}

bool Control::Execute(std::span<const uint8_t> command, uint64_t features) {
  const std::span<const uint8_t> data = command.subspan(2);
  switch (command[0]) {
    case kClassRx:
      return (features & kCtrlRx) != 0 && SetRxMode(command[1], data);
    case kClassMac:
      return (features & kCtrlRx) != 0 && command[1] == kMacTableSet &&
             SetMacTable(data);
    case kClassMq:
      return (features & kMq) != 0 && command[1] == kVqPairsSet &&
             data.size() == 2 && set_pairs_(Load<uint16_t>(data, 0));
    case kClassGuestOffloads:
      return (features & kCtrlGuestOffloads) != 0 &&
             command[1] == kGuestOffloadsSet && SetOffloads(data, features);
    case kClassStats:
      return (features & kDeviceStats) != 0 &&
             GetStatistics(command[1], data, features);
    default:
      return false;
  }
}

bool Control::SetRxMode(uint8_t command, std::span<const uint8_t> data) {
  if (data.size() != 1 || data[0] > 1) return false;
  switch (command) {
    case kRxPromisc:
      filter_.promiscuous = data[0] == 1;
      return true;
    case kRxAllmulti:
      filter_.all_multicast = data[0] == 1;
      return true;
    default:
      return false;
  }
}

// Two tables, unicast and multicast, each a 32-bit count and its addresses.
bool Control::SetMacTable(std::span<const uint8_t> data) {
  std::vector<Mac> table;
  bool overflow = false;
  for (int part = 0; part < 2; ++part) {
    if (data.size() < 4) return false;
    const uint64_t count = Load<uint32_t>(data, 0);
    data = data.subspan(4);
    if (count * sizeof(Mac) > data.size()) return false;
    for (uint64_t i = 0; i < count; ++i) {
      if (table.size() < RxFilter::kMaxEntries) {
        table.push_back(Load<Mac>(data, i * sizeof(Mac)));
      } else {
        overflow = true;
      }
    }
    data = data.subspan(count * sizeof(Mac));
  }
  if (!data.empty()) return false;
  filter_.table = std::move(table);
  filter_.table_overflow = overflow;
  return true;
}

bool Control::SetOffloads(std::span<const uint8_t> data, uint64_t features) {
  if (data.size() != 8) return false;
  const auto wanted = Load<uint64_t>(data, 0);
  if ((wanted & ~(features & kGuestCsum)) != 0) return false;
  for (Receiver& receiver : receivers_) {
    receiver.set_checksums((wanted & kGuestCsum) != 0);
  }
  return true;
}

// 5.1.6.5.9 of version 1.4. One type: receive queues' basics.
bool Control::GetStatistics(uint8_t command, std::span<const uint8_t> data,
                            uint64_t features) {
  if (command == kStatsQuery) {
    Append(&result_, kStatsRxBasic);
    return data.empty();
  }
  // struct virtio_net_ctrl_queue_stats: for each queue its index, reserved,
  // types.
  constexpr size_t kEntryBytes = 16;
  const size_t pairs = (features & kMq) != 0 ? kMaxPairs : 1;
  if (command != kStatsGet || data.empty() || data.size() % kEntryBytes != 0 ||
      data.size() / kEntryBytes > kMaxPairs) {
    return false;
  }
  for (; !data.empty(); data = data.subspan(kEntryBytes)) {
    const auto queue = Load<uint16_t>(data, 0);
    if (queue % 2 != 0 || queue / 2u >= pairs ||
        Load<uint64_t>(data, 8) != kStatsRxBasic) {
      return false;
    }
    AppendStatistics(queue);
  }
  return true;
}

void Control::AppendStatistics(uint16_t queue) {
  const Receiver& receiver = receivers_[queue / 2];
  constexpr uint16_t kReplyBytes = 8 + 6 * 8;
  Append<uint8_t>(&result_, 0);  // VIRTIO_NET_STATS_TYPE_REPLY_RX_BASIC
  Append<uint8_t>(&result_, 0);
  Append<uint16_t>(&result_, queue);
  Append<uint16_t>(&result_, 0);
  Append<uint16_t>(&result_, kReplyBytes);
  Append<uint64_t>(&result_, 0);                     // rx_notifications
  Append<uint64_t>(&result_, receiver.delivered());  // rx_packets
  Append<uint64_t>(&result_, 0);                     // rx_bytes
  Append<uint64_t>(&result_, 0);                     // rx_interrupts
  Append<uint64_t>(&result_, receiver.missed());     // rx_drops
  Append<uint64_t>(&result_, receiver.missed());     // rx_drop_overruns
}

}  // namespace bulkhead::nic_model::virtio_net
