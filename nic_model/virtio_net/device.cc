#include "nic_model/virtio_net/device.h"

#include <sys/epoll.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/errno_status.h"
#include "base/log.h"

namespace bulkhead::nic_model::virtio_net {
namespace {

using std::chrono::milliseconds;

// Frames, or commands, handled before other events get their turn.
constexpr uint32_t kBudget = 256;
constexpr milliseconds kFlapPeriod(100);

// Copies what of [offset, offset + out.size()) lies in `image`, which begins at
// `begin`.
void CopyOverlap(std::span<const uint8_t> image, uint32_t begin,
                 uint32_t offset, std::span<uint8_t> out) {
  for (size_t i = 0; i < out.size(); ++i) {
    const size_t at = offset + i;
    if (at >= begin && at - begin < image.size()) out[i] = image[at - begin];
  }
}

uint64_t Offered(const Faults& faults) {
  uint64_t offered = faults.bare ? kBare : kOffered;
  if (faults.split_rings) offered &= ~kRingPacked;
  if (faults.no_event_index) offered &= ~kEventIdx;
  return offered;
}

}  // namespace

absl::StatusOr<std::unique_ptr<VirtioNet>> VirtioNet::Create(
    EventLoop& loop, PortCounters& counters, ModelOptions options) {
  ASSIGN_OR_RETURN(auto doorbells, virtio_net::Doorbells::Create(
                                       std::move(options.doorbell_page)));
  std::unique_ptr<VirtioNet> device(
      new VirtioNet(loop, counters, std::move(options), std::move(doorbells)));
  RETURN_IF_ERROR(device->Watch());
  return device;
}

VirtioNet::VirtioNet(EventLoop& loop, PortCounters& counters,
                     ModelOptions options,
                     std::unique_ptr<virtio_net::Doorbells> doorbells)
    : loop_(loop),
      permanent_mac_(options.mac),
      mac_(options.mac),
      counters_(counters),
      faults_(options.faults),
      config_(options.mac, options.serial),
      common_(Offered(faults_)),
      msix_(kMsixVectors, faults_, counters),
      dma_(counters),
      control_(dma_, filter_, receivers_,
               [this](uint32_t pairs) { return SetPairs(pairs); }),
      doorbells_(std::move(doorbells)) {
  for (uint32_t pair = 0; pair < kMaxPairs; ++pair) {
    receivers_.emplace_back(dma_, counters, faults_);
    transmitters_.emplace_back(dma_, counters, steering_, pair);
  }
  if (faults_.looping_capabilities) config_.LoopCapabilities();
}

VirtioNet::~VirtioNet() {
  for (const EventLoop::WatchId watch : watches_) loop_.Unwatch(watch);
  loop_.RemovePoller(poller_);
  loop_.Cancel(link_timer_);
}

absl::Status VirtioNet::Watch() {
  // Edge triggered: each ring of a doorbell is one event, and its counter need
  // never be read.
  for (uint32_t queue = 0; queue < Doorbells::kOffered; ++queue) {
    ASSIGN_OR_RETURN(watches_[queue],
                     loop_.Watch(doorbells_->event(queue), EPOLLIN | EPOLLET,
                                 [this, queue](uint32_t) { Kick(queue); }));
  }
  poller_ =
      loop_.AddPoller([this] { return more_to_send_ != 0 && Transmit(); });
  if (faults_.link_flap) FlapLink();
  return absl::OkStatus();
}

// ---- Data path.

void VirtioNet::Kick(uint32_t queue) {
  if (!running()) return;
  // What the driver commanded before it rang applies to what it rang for.
  ServeControl();
  if (queue == kControlQueue || queue / 2 >= steering_.pairs()) return;
  if (queue % 2 == 0) return ReceiverReady(queue / 2);
  more_to_send_ |= 1u << queue / 2;
  Transmit();
}

void VirtioNet::ServeControl() {
  Virtqueue* queue = queues_[kControlQueue].get();
  if (queue == nullptr) return;
  if (!control_.Process(*queue, common_.features(), kBudget)) return Break();
  Signal(kControlQueue);
}

// 5.1.6.5.6.1: within limits, and not before the queues are there.
bool VirtioNet::SetPairs(uint32_t pairs) {
  if (pairs < 1 || pairs > kMaxPairs) return false;
  for (uint32_t i = 0; i < pairs; ++i) {
    if (queues_[RxQueueOf(i)] == nullptr || queues_[TxQueueOf(i)] == nullptr) {
      return false;
    }
  }
  steering_.set_pairs(pairs);
  SetReceiversRunning();
  return true;
}

bool VirtioNet::Transmit() {
  for (uint32_t left = std::exchange(more_to_send_, 0); left != 0;
       left &= left - 1) {
    TransmitOn(static_cast<uint32_t>(std::countr_zero(left)));
  }
  return more_to_send_ != 0;
}

void VirtioNet::TransmitOn(uint32_t pair) {
  Virtqueue* queue = queues_[TxQueueOf(pair)].get();
  if (!running() || queue == nullptr || pair >= steering_.pairs()) return;
  Transmitter::Outcome outcome = transmitters_[pair].Process(
      *queue, *network_, kBudget, link_up_, common_.features());
  if (outcome == Transmitter::Outcome::kIdle) {
    queue->AskForKick();
    // One may have come before the driver saw that we wait.
    if (queue->HasChain()) outcome = Transmitter::Outcome::kMore;
  }
  if (outcome == Transmitter::Outcome::kBroken) return Break();
  Signal(TxQueueOf(pair));
  // What an echo gave back.
  EndReceive();
  if (outcome == Transmitter::Outcome::kMore) more_to_send_ |= 1u << pair;
}

uint64_t VirtioNet::work_done() const {
  uint64_t done = 0;
  for (const Receiver& receiver : receivers_) done += receiver.frames_done();
  for (const Transmitter& one : transmitters_) done += one.frames_done();
  return done;
}

// Whichever queue a frame goes to.
bool VirtioNet::CanReceive() const {
  for (uint32_t i = 0; i < steering_.pairs(); ++i) {
    if (!receivers_[i].HasBuffers()) return false;
  }
  return true;
}

void VirtioNet::ReceiverReady(uint32_t pair) {
  receivers_[pair].Drain();
  EndReceive();
  network_->PortReady();
}

void VirtioNet::Receive(std::span<const uint8_t> frame) {
  receivers_[steering_.PairFor(frame)].Receive(frame, filter_, mac_);
}

void VirtioNet::EndReceive() {
  for (uint32_t i = 0; running() && i < steering_.pairs(); ++i) {
    if (!receivers_[i].EndBatch()) return Break();
    Signal(RxQueueOf(i));
  }
}

void VirtioNet::SetReceiversRunning() {
  for (uint32_t i = 0; i < kMaxPairs; ++i) {
    receivers_[i].set_running(link_up_ && common_.live() &&
                              i < steering_.pairs());
  }
}

void VirtioNet::ResumeSend() {
  for (Transmitter& transmitter : transmitters_) transmitter.Resume();
  more_to_send_ = (1u << steering_.pairs()) - 1;
  Transmit();
}

void VirtioNet::Signal(uint32_t queue) {
  if (queues_[queue] == nullptr) return;
  if (!queues_[queue]->ShouldInterrupt() && !faults_.interrupt_storm) return;
  isr_ |= kIsrQueue;
  msix_.Raise(common_.queue(queue).vector);
}

// ---- Life.

void VirtioNet::DeviceReset() {
  if (faults_.die_on_reset) {
    LogError("test fault die_on_reset: exiting");
    std::_Exit(1);
  }
  Bump(counters_.resets);
  for (uint32_t i = 0; i < kQueues; ++i) CloseQueue(i);
  common_.Reset();
  steering_.set_pairs(1);
  SetReceiversRunning();
  for (Receiver& receiver : receivers_) {
    receiver.set_checksums(false);
    receiver.ResetStatistics();
  }
  more_to_send_ = 0;
  filter_ = {};
  msix_.ClearPending();
  isr_ = 0;
  LoadMac();
}

void VirtioNet::LoadMac() {
  mac_ = permanent_mac_;
  if (faults_.identity_change && counters_.resets % 2 == 1) mac_[5] ^= 1;
}

void VirtioNet::Reset() {
  DeviceReset();
  config_.Reset();
  // Armed vectors stay enabled, as after a reset through VFIO.
  config_.set_msix_enabled(msix_.armed());
  ConfigChanged();
}

void VirtioNet::StatusChanged() {
  if (!common_.live()) return;
  for (uint32_t i = 0; i < kQueues; ++i) {
    if (common_.queue(i).enabled && queues_[i] == nullptr) OpenQueue(i);
  }
  // 5.1.6.5.8: what was negotiated is on until the driver turns it off.
  for (Receiver& receiver : receivers_) {
    receiver.set_checksums(common_.Has(kGuestCsum));
  }
  SetReceiversRunning();
}

void VirtioNet::OpenQueue(uint32_t index) {
  const QueueOptions options = {common_.Has(kEventIdx),
                                common_.Has(kIndirectDesc), faults_};
  const QueueAddresses& at = common_.queue(index).addresses;
  queues_[index] = common_.Has(kRingPacked) ? MakePackedQueue(dma_, at, options)
                                            : MakeSplitQueue(dma_, at, options);
  if (index != kControlQueue && index % 2 == 0) {
    receivers_[index / 2].Open(queues_[index].get(), common_.Has(kMrgRxbuf));
  }
}

void VirtioNet::CloseQueue(uint32_t index) {
  if (index != kControlQueue) {
    if (index % 2 == 0) receivers_[index / 2].Open(nullptr, false);
    if (index % 2 == 1) transmitters_[index / 2].Reset();
  }
  queues_[index].reset();
}

void VirtioNet::Break() {
  if ((common_.status() & kNeedsReset) != 0) return;
  common_.set_needs_reset();
  for (uint32_t i = 0; i < kQueues; ++i) CloseQueue(i);
  SetReceiversRunning();
  more_to_send_ = 0;
  isr_ |= kIsrConfig;
  msix_.Raise(common_.config_vector());
}

void VirtioNet::UpdateLink() {
  const bool up = config_.cable() && !flapped_;
  if (up == link_up_) return;
  link_up_ = up;
  SetReceiversRunning();
  common_.BumpGeneration();
  if (!common_.live()) return;
  isr_ |= kIsrConfig;
  msix_.Raise(common_.config_vector());
}

void VirtioNet::FlapLink() {
  link_timer_ = loop_.After(kFlapPeriod, [this] {
    flapped_ = !flapped_;
    UpdateLink();
    FlapLink();
  });
}

void VirtioNet::ConfigChanged() {
  dma_.set_bus_master(config_.bus_master());
  msix_.set_open(config_.bus_master() && config_.msix_enabled() &&
                 !config_.msix_masked());
}

// ---- Registers.

std::array<uint8_t, kDeviceConfigBytes> VirtioNet::DeviceConfig() const {
  std::array<uint8_t, kDeviceConfigBytes> image = {};
  const auto put = [&image]<typename T>(uint32_t at, T value) {
    std::memcpy(image.data() + at, &value, sizeof(value));
  };
  std::copy(mac_.begin(), mac_.end(), image.begin());
  put(kConfigStatus, static_cast<uint16_t>(link_up_ ? kLinkUp : 0));
  put(kConfigMaxPairs, static_cast<uint16_t>(kMaxPairs));
  put(kConfigMtu, kMaxMtu);
  put(kConfigSpeed, kSpeedMbps);
  put(kConfigDuplex, uint8_t{1});
  return image;
}

void VirtioNet::ReadBar(uint32_t offset, std::span<uint8_t> data) {
  std::fill(data.begin(), data.end(), 0);
  if (offset < kCommonOffset + kCommonBytes) {
    std::array<uint8_t, kCommonBytes> image;
    common_.Read(0, image);
    if (faults_.reset_never_ends) image[kDeviceStatus] |= kAcknowledge;
    CopyOverlap(image, kCommonOffset, offset, data);
  } else if (offset >= kDeviceOffset && offset < kNotifyOffset) {
    CopyOverlap(DeviceConfig(), kDeviceOffset, offset, data);
  } else if (offset == kIsrOffset) {
    data[0] = std::exchange(isr_, 0);  // 4.1.4.5.1: reading clears it.
  }
  if (faults_.all_ones) std::fill(data.begin(), data.end(), 0xff);
}

void VirtioNet::WriteBar(uint32_t offset, std::span<const uint8_t> data) {
  if (faults_.all_ones) return;
  if (offset >= kNotifyOffset) {
    const uint32_t queue = (offset - kNotifyOffset) / kNotifyMultiplier;
    if (data.size() == 2 && queue < kQueues &&
        offset % kNotifyMultiplier == 0) {
      Kick(queue);
    }
    return;
  }
  if (offset >= kCommonOffset + kCommonBytes) return;
  const uint32_t selected = common_.selected();
  switch (common_.Write(offset - kCommonOffset, data)) {
    case CommonConfig::Effect::kNone:
      return;
    case CommonConfig::Effect::kReset:
      return DeviceReset();
    case CommonConfig::Effect::kStatus:
      return StatusChanged();
    case CommonConfig::Effect::kQueue:
      if (common_.live() && queues_[selected] == nullptr) OpenQueue(selected);
      return;
    case CommonConfig::Effect::kQueueReset:
      return CloseQueue(selected);
  }
}

void VirtioNet::ReadTable(uint32_t offset, std::span<uint8_t> data) const {
  for (size_t i = 0; i < data.size(); i += 4) {
    const auto at = static_cast<uint32_t>(offset + i);
    const uint32_t value =
        at == kPendingOffset ? msix_.Pending() : msix_.ReadTable(at);
    std::memcpy(data.data() + i, &value, 4);
  }
}

void VirtioNet::WriteConfig(uint32_t offset, std::span<const uint8_t> data) {
  config_.Write(offset, data);
  ConfigChanged();
  UpdateLink();
}

// ---- vfio-user.

vfio_user::RegionInfo VirtioNet::Region(uint32_t index) const {
  switch (index) {
    case 0:
      return {faults_.absurd_bar ? uint64_t{1} << 62 : kBar0Bytes, true, true};
    case 1:
      return {kBar1Bytes, true, true};
    case vfio_user::kConfigRegion:
      return {ConfigSpace::kBytes, true, true};
    default:
      return {};
  }
}

std::span<const vfio_user::DoorbellOffer> VirtioNet::Doorbells(
    uint32_t region) const {
  if (region != 0) return {};
  return doorbells_->offers();
}

uint32_t VirtioNet::IrqCount(uint32_t index) const {
  return index == vfio_user::kMsixIrqIndex ? msix_.vectors() : 0;
}

int VirtioNet::ReadRegion(uint32_t region, uint64_t offset,
                          std::span<uint8_t> data) {
  if (region == vfio_user::kConfigRegion) {
    config_.Read(static_cast<uint32_t>(offset), data);
    if (faults_.all_ones) std::memset(data.data(), 0xff, data.size());
    return 0;
  }
  if (data.empty() || offset >= kBar0Bytes ||
      data.size() > kBar0Bytes - offset) {
    return EINVAL;
  }
  const auto at = static_cast<uint32_t>(offset);
  if (region == 0) {
    ReadBar(at, data);
    return 0;
  }
  if (at % 4 != 0 || data.size() % 4 != 0) return EINVAL;
  ReadTable(at, data);
  return 0;
}

int VirtioNet::WriteRegion(uint32_t region, uint64_t offset,
                           std::span<const uint8_t> data) {
  if (region == vfio_user::kConfigRegion) {
    WriteConfig(static_cast<uint32_t>(offset), data);
    return 0;
  }
  if (data.empty() || offset >= kBar0Bytes ||
      data.size() > kBar0Bytes - offset) {
    return EINVAL;
  }
  const auto at = static_cast<uint32_t>(offset);
  if (region == 0) {
    WriteBar(at, data);
    return 0;
  }
  if (at % 4 != 0 || data.size() % 4 != 0) return EINVAL;
  for (size_t i = 0; i < data.size(); i += 4) {
    uint32_t value;
    std::memcpy(&value, data.data() + i, 4);
    msix_.WriteTable(static_cast<uint32_t>(at + i), value);
  }
  return 0;
}

int VirtioNet::ArmIrqs(uint32_t index, uint32_t start,
                       std::vector<UniqueFd> events) {
  if (index != vfio_user::kMsixIrqIndex) return EINVAL;
  msix_.Arm(start, std::move(events));
  config_.set_msix_enabled(msix_.armed());
  ConfigChanged();
  return 0;
}

void VirtioNet::DisarmIrqs(uint32_t index) {
  if (index != vfio_user::kMsixIrqIndex) return;
  msix_.DisarmAll();
  config_.set_msix_enabled(false);
  ConfigChanged();
}

int VirtioNet::TriggerIrq(uint32_t index, uint32_t vector) {
  return index == vfio_user::kMsixIrqIndex && msix_.Signal(vector) ? 0 : EINVAL;
}

int VirtioNet::MapDma(uint64_t iova, uint64_t bytes, UniqueFd memory,
                      uint64_t fd_offset, bool device_may_read,
                      bool device_may_write) {
  return dma_.Map(iova, bytes, std::move(memory), fd_offset, device_may_read,
                  device_may_write);
}

int VirtioNet::UnmapDma(uint64_t iova, uint64_t bytes) {
  return dma_.Unmap(iova, bytes);
}

}  // namespace bulkhead::nic_model::virtio_net
