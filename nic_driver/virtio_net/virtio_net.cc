#include "nic_driver/virtio_net/virtio_net.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/clock.h"
#include "base/log.h"
#include "nic_driver/framework/task_status.h"

namespace bulkhead::nic_driver {

using namespace virtio_net;  // The register table and the queues.

namespace {

constexpr uint16_t kRedHat = 0x1af4;
constexpr uint16_t kModern = 0x1041;        // 4.1.2: 0x1040 + 1, network.
constexpr uint16_t kTransitional = 0x1000;  // May have modern structures, too.
// Each pair's, and the one for everything else.
constexpr uint32_t kLeastVectors = 2;

// What we make use of; the device offers what it has.
constexpr uint64_t kWanted =
    F_CSUM | F_MTU | F_MAC | F_HOST_TSO4 | F_HOST_TSO6 | F_STATUS | F_CTRL_VQ |
    F_CTRL_RX | F_MQ | F_EVENT_IDX | F_VERSION_1 | F_ACCESS_PLATFORM |
    F_RING_PACKED | F_ORDER_PLATFORM | F_RING_RESET | F_DEVICE_STATS |
    F_SPEED_DUPLEX;
// A session that may ask for the one may ask for the other (5.1.3.1).
constexpr uint64_t kSegmentation = F_CSUM | F_HOST_TSO4 | F_HOST_TSO6;
// What is of use only together with the control queue (5.1.3.1).
constexpr uint64_t kNeedControl = F_CTRL_RX | F_MQ | F_DEVICE_STATS;

// The specification sets no limit; a device that takes longer to become quiet
// than a PCIe function-level reset may take is broken.
constexpr uint64_t kResetDeadlineNs = 100'000'000;
constexpr std::chrono::milliseconds kResetPoll{1};
constexpr uint64_t kRingResetDeadlineNs = 10'000'000;
// How long Stop waits for the device's last word on what it dropped.
constexpr uint64_t kStatisticsDeadlineNs = 2'000'000;
constexpr std::chrono::microseconds kStatisticsPoll{100};
// How long Start waits for the device to use several queues. It is no register:
// a host process carries it out, which may have to wait for its turn.
constexpr uint64_t kPairsDeadlineNs = 2'000'000'000;
constexpr std::chrono::microseconds kPairsPoll{50};

constexpr uint32_t kMinTxFrameBytes = 14;
// The runtime brings batches of kBatchPieces, each piece a frame at worst, and
// each frame two descriptors.
constexpr uint16_t kMinTxEntries = 2 * kBatchPieces;
constexpr uint16_t kMinRxEntries = 2 * kMaxFramePieces;
// Up to max_virtqueue_pairs (5.1.4).
constexpr uint32_t kPairsConfigBytes = 10;
constexpr size_t kPageBytes = 4096;
constexpr uint8_t kAllOnes = 0xff;

Value<DEVICE_STATUS> Alive() {
  return DEVICE_STATUS::ACKNOWLEDGE(1) | DEVICE_STATUS::DRIVER(1);
}

// On a page of its own each: queues of different threads share none.
size_t WholePages(size_t bytes) {
  return (bytes + kPageBytes - 1) & ~(kPageBytes - 1);
}

}  // namespace

std::unique_ptr<VirtioNet> VirtioNet::Create(const DriverContext& context) {
  return std::unique_ptr<VirtioNet>(new VirtioNet(context));
}

absl::Status VirtioNet::Probe() {
  const PciIdentity& identity = context_.identity;
  if (identity.vendor != kRedHat ||
      (identity.device != kModern && identity.device != kTransitional)) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "drive %s: it is %04x:%04x and virtio_net drives 1af4:1041 and "
        "1af4:1000; name another driver in the scenario's rule",
        identity.address, identity.vendor, identity.device));
  }
  if (context_.irq_vectors < kLeastVectors) {
    return absl::InvalidArgumentError(absl::StrCat(
        "drive ", identity.address, ": the grant has ", context_.irq_vectors,
        " MSI-X vectors; virtio_net needs ", kLeastVectors));
  }
  return absl::OkStatus();
}

// 3.1.1, up to step 7: which queues there are, the device knows once it has
// accepted the features.
Task<absl::StatusOr<NicFacts>> VirtioNet::Attach() {
  CO_RETURN_IF_ERROR(FindStructures());
  CO_RETURN_IF_ERROR(co_await Reset());
  // The device does no DMA by itself from here on, so that it may (S4); the
  // platform turns it on while we go on.
  context_.platform.RequestDma();
  CO_RETURN_IF_ERROR(ReadFeatures());
  const uint32_t most = AgreeOnPairs();
  CO_RETURN_IF_ERROR(SetFeatures());
  CO_RETURN_IF_ERROR(FindQueues(
      std::min({most, kMaxPairs, context_.queues, context_.irq_vectors - 1}),
      RxQueueOf(most)));
  absl::StatusOr<NicFacts> facts = ReadFacts();
  if (!facts.ok()) co_return facts.status();
  CO_RETURN_IF_ERROR(co_await AllocRings());
  CO_RETURN_IF_ERROR(co_await context_.platform.DmaEnabled());
  co_return facts;
}

// 4.1.4.
absl::Status VirtioNet::FindStructures() {
  std::array<uint8_t, 256> config;
  RETURN_IF_ERROR(context_.device.ReadConfigSpace(config));
  if (config[0] == kAllOnes && config[1] == kAllOnes) return GoneError();
  ASSIGN_OR_RETURN(structures_, FindPciStructures(config));
  common_.emplace(context_.device, structures_.common.bar,
                  structures_.common.offset);
  config_regs_.emplace(context_.device, structures_.device.bar,
                       structures_.device.offset);
  return absl::OkStatus();
}

// 2.4.1: the device is reset once its status reads 0. It then does no DMA.
Task<absl::Status> VirtioNet::Reset() {
  features_set_ = false;
  common_->HoldWrites();
  common_->Write(Value<DEVICE_STATUS>(0));
  const uint64_t deadline_ns = MonotonicNs() + kResetDeadlineNs;
  Value<DEVICE_STATUS> status = common_->Read<DEVICE_STATUS>();
  while (status.bits() != 0) {
    if (ReadsAsGone(status)) co_return GoneError();
    if (MonotonicNs() > deadline_ns) {
      co_return absl::DeadlineExceededError(
          "reset the NIC: its status is not 0 after 100 ms; power-cycle it");
    }
    co_await context_.loop.Sleep(kResetPoll);
    status = common_->Read<DEVICE_STATUS>();
  }
  co_return absl::OkStatus();
}

absl::Status VirtioNet::ReadFeatures() {
  common_->HoldWrites();
  common_->Write(DEVICE_STATUS::ACKNOWLEDGE(1));
  common_->Write(Alive());
  common_->Write(Value<DEVICE_FEATURE_SELECT>(0));
  const uint64_t low = common_->Read<DEVICE_FEATURE>().bits();
  common_->HoldWrites();
  common_->Write(Value<DEVICE_FEATURE_SELECT>(1));
  const uint64_t high = common_->Read<DEVICE_FEATURE>().bits();
  const uint64_t offered = high << 32 | low;
  features_ = offered & kWanted;
  if (!Has(F_VERSION_1)) {
    return absl::FailedPreconditionError(
        "attach: the device offers no VIRTIO_F_VERSION_1; virtio_net drives "
        "modern devices only: start it with disable-modern=off");
  }
  if (!Has(F_ACCESS_PLATFORM)) {
    return absl::FailedPreconditionError(
        "attach: the device offers no VIRTIO_F_ACCESS_PLATFORM: its DMA would "
        "go round the IOMMU (S3); start it with iommu_platform=on");
  }
  if (!Has(F_MAC)) {
    return absl::FailedPreconditionError(
        "attach: the device has no MAC address (VIRTIO_NET_F_MAC)");
  }
  if (!Has(F_CTRL_VQ)) features_ &= ~kNeedControl;
  if (!HasAll(kSegmentation)) features_ &= ~(F_HOST_TSO4 | F_HOST_TSO6);
  return absl::OkStatus();
}

// 5.1.4: max_virtqueue_pairs; 1 without F_MQ. What is none or makes no sense is
// of no use (S7); neither is more than one that nobody wants, and where the
// control queue is depends on it.
uint32_t VirtioNet::AgreeOnPairs() {
  const bool wanted = context_.queues > 1 && context_.irq_vectors > 2;
  if (wanted && Has(F_MQ) && structures_.device.bytes >= kPairsConfigBytes) {
    const uint32_t most = config_regs_->Read<MAX_VIRTQUEUE_PAIRS>().bits();
    if (most > 1 && most <= kMostPairs) return most;
  }
  features_ &= ~F_MQ;
  return 1;
}

// 3.1.1, steps 3 to 6.
absl::Status VirtioNet::SetFeatures() {
  if (features_set_) return absl::OkStatus();
  common_->HoldWrites();
  common_->Write(DEVICE_STATUS::ACKNOWLEDGE(1));
  common_->Write(Alive());
  common_->Write(Value<DRIVER_FEATURE_SELECT>(0));
  common_->Write(Value<DRIVER_FEATURE>(Low(features_)));
  common_->Write(Value<DRIVER_FEATURE_SELECT>(1));
  common_->Write(Value<DRIVER_FEATURE>(High(features_)));
  common_->Write(Alive() | DEVICE_STATUS::FEATURES_OK(1));
  const Value<DEVICE_STATUS> status = common_->Read<DEVICE_STATUS>();
  if (ReadsAsGone(status)) return GoneError();
  if (status[DEVICE_STATUS::FEATURES_OK] == 0) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "negotiate: the device refuses the features %#x, all of which it "
        "offered",
        features_));
  }
  features_set_ = true;
  return absl::OkStatus();
}

// 4.1.5.1.3, and 4.1.4.4 for the notification address.
absl::StatusOr<QueueFacts> VirtioNet::FindQueue(uint16_t index, uint16_t most,
                                                uint16_t least) {
  std::array<uint32_t, 4> run;  // Size, vector, enable, notify_off.
  common_->HoldWrites();
  common_->Write(Value<QUEUE_SELECT>(index));
  common_->ReadRun<QUEUE_SIZE>(run);
  if (context_.device.gone()) return GoneError();
  const auto size =
      static_cast<uint16_t>(std::bit_floor(std::min<uint32_t>(run[0], most)));
  if (size < least) {
    return absl::FailedPreconditionError(
        absl::StrCat("attach: queue ", index, " has ", run[0],
                     " entries; at least ", least, " are needed"));
  }
  const uint64_t at = uint64_t{run[3]} * structures_.notify_multiplier;
  if (at + 2 > structures_.notify.bytes) {
    return absl::DataLossError(
        absl::StrCat("attach: the notification address of queue ", index,
                     " at ", at, " is outside of its structure of ",
                     structures_.notify.bytes, " bytes"));
  }
  return QueueFacts{index, size,
                    static_cast<uint32_t>(structures_.notify.offset + at)};
}

absl::Status VirtioNet::FindQueues(uint32_t pairs, uint16_t control_index) {
  for (uint32_t i = 0; i < pairs; ++i) {
    ASSIGN_OR_RETURN(const QueueFacts rx,
                     FindQueue(RxQueueOf(i), kRxEntries, kMinRxEntries));
    ASSIGN_OR_RETURN(const QueueFacts tx,
                     FindQueue(TxQueueOf(i), kTxEntries, kMinTxEntries));
    pairs_.emplace_back(context_.device, structures_.notify.bar, rx, tx);
  }
  if (!Has(F_CTRL_VQ)) return absl::OkStatus();
  ASSIGN_OR_RETURN(control_facts_,
                   FindQueue(control_index, kControlEntries, 2));
  return absl::OkStatus();
}

// 5.1.4.
absl::StatusOr<NicFacts> VirtioNet::ReadFacts() {
  std::array<uint32_t, 6> bytes;
  config_regs_->ReadRun<MAC>(bytes);
  NicFacts facts;
  for (size_t i = 0; i < bytes.size(); ++i) {
    facts.mac[i] = static_cast<uint8_t>(bytes[i]);
  }
  facts.max_mtu = kMaxMtu;
  if (Has(F_MTU)) {
    facts.max_mtu = std::min(kMaxMtu, config_regs_->Read<MTU>().bits());
  }
  if (Has(F_CSUM)) facts.offloads |= packet_stream::kOffloadTxChecksum;
  if (HasAll(kSegmentation)) {
    // 5.1.6.2.1: the sum is that of the pseudo header, the length included.
    facts.offloads |= packet_stream::kOffloadTxTcpSegmentation |
                      packet_stream::kOffloadTxWholeSegments;
    facts.max_segment_header_bytes = UINT16_MAX;
  }
  facts.min_tx_frame_bytes = kMinTxFrameBytes;
  facts.max_checksum_position = UINT16_MAX;
  facts.queues = PairCount();
  if (context_.device.gone()) return GoneError();
  return facts;
}

Task<absl::Status> VirtioNet::AllocRings() {
  const RingKind kind = {Has(F_RING_PACKED), Has(F_EVENT_IDX)};
  size_t bytes = 0;
  for (const QueuePair& pair : pairs_) {
    bytes += WholePages(pair.MemoryBytes(kind));
  }
  const size_t control = bytes;
  const size_t slots = control + kind.Bytes(kControlEntries);
  if (Has(F_CTRL_VQ)) bytes = WholePages(slots + ControlQueue::kBytes);
  absl::StatusOr<DmaMemory> memory = co_await context_.platform.AllocDma(bytes);
  if (!memory.ok()) co_return memory.status();
  memory_ = *std::move(memory);
  if (Has(F_DEVICE_STATS)) {
    auto drops = DropWatch::Create(
        context_.loop, [this] { return Starving(); },
        [this] { AskStatistics(); });
    if (!drops.ok()) co_return drops.status();
    drops_ = *std::move(drops);
  }
  size_t offset = 0;
  for (QueuePair& pair : pairs_) {
    pair.Attach(memory_, offset, kind, drops_.get());
    offset += WholePages(pair.MemoryBytes(kind));
  }
  if (Has(F_CTRL_VQ)) {
    control_ = std::make_unique<ControlQueue>(
        kind.Make(memory_, control, control_facts_.size), memory_, slots);
  }
  co_return absl::OkStatus();
}

// 4.1.5.1.3.
void VirtioNet::InitQueue(uint16_t index, const Virtqueue& queue,
                          uint32_t vector) {
  const RingAddresses at = queue.addresses();
  common_->Write(Value<QUEUE_SELECT>(index));
  common_->Write(Value<QUEUE_SIZE>(queue.size()));
  common_->Write(Value<QUEUE_MSIX_VECTOR>(vector));
  common_->Write(Value<QUEUE_DESC>(Low(at.desc)), 0);
  common_->Write(Value<QUEUE_DESC>(High(at.desc)), 1);
  common_->Write(Value<QUEUE_DRIVER>(Low(at.driver)), 0);
  common_->Write(Value<QUEUE_DRIVER>(High(at.driver)), 1);
  common_->Write(Value<QUEUE_DEVICE>(Low(at.device)), 0);
  common_->Write(Value<QUEUE_DEVICE>(High(at.device)), 1);
  common_->Write(Value<QUEUE_ENABLE>(1));
}

void VirtioNet::InitRx(uint32_t pair) {
  InitQueue(RxQueueOf(pair), pairs_[pair].rx(), pair);
}

void VirtioNet::InitTx(uint32_t pair) {
  InitQueue(TxQueueOf(pair), pairs_[pair].tx(), pair);
}

// 4.1.5.1.2. Answers on the control queue interrupt only when they are waited
// for.
void VirtioNet::InitIrq() {
  common_->Write(Value<CONFIG_MSIX_VECTOR>(OtherVector()));
  if (control_ == nullptr) return;
  InitQueue(control_facts_.index, control_->queue(), OtherVector());
  control_->queue().DisarmInterrupt();
}

absl::Status VirtioNet::Configure(const NicConfig& config) {
  if (config.mtu > kMaxMtu) {
    return absl::InvalidArgumentError(
        absl::StrCat("configure: an mtu of ", config.mtu,
                     "; virtio_net takes at most ", kMaxMtu));
  }
  const NicConfig old = std::exchange(config_, config);
  if (!started_) return absl::OkStatus();
  if (old.promiscuous != config.promiscuous ||
      old.all_multicast != config.all_multicast ||
      old.multicast != config.multicast) {
    SendConfig();
  }
  for (uint32_t i = 0; i < running_; ++i) {
    if (!pairs_[i].Fits(config.mtu)) RebuildRx(i);
  }
  return absl::OkStatus();
}

// All of it, as commands are few and short.
void VirtioNet::SendConfig() {
  if (control_ == nullptr) return;
  control_->Reap();
  TakeStatistics();
  resend_config_ = false;
  if (Has(F_CTRL_RX)) SendFilter();
  // What found no slot is sent again when the answers are in.
  if (resend_config_) control_->queue().ArmInterrupt();
  PublishControl();
}

// 5.1.6.5.1 and .2.
void VirtioNet::SendFilter() {
  const bool all = config_.all_multicast ||
                   config_.multicast.size() > ControlQueue::kMaxMulticast;
  const std::span<const MacAddress> table =
      all ? std::span<const MacAddress>() : config_.multicast;
  if (!control_->SetPromiscuous(config_.promiscuous) ||
      !control_->SetAllMulticast(all) || !control_->SetMulticast(table)) {
    resend_config_ = true;
  }
}

void VirtioNet::PublishControl() {
  if (!control_->Publish()) return;
  context_.device.WriteDoorbell16(structures_.notify.bar,
                                  control_facts_.notify_offset,
                                  control_facts_.index);
}

Task<absl::StatusOr<LinkStatus>> VirtioNet::Start(uint32_t rx_buffer_bytes,
                                                  uint32_t queues) {
  running_ = std::clamp(queues, 1u, PairCount());
  for (uint32_t i = 0; i < running_; ++i) {
    pairs_[i].Expect(rx_buffer_bytes, config_.mtu);
  }
  CO_RETURN_IF_ERROR(SetFeatures());
  CO_RETURN_IF_ERROR(GoLive());
  if (running_ > 1) CO_RETURN_IF_ERROR(co_await UsePairs());
  started_ = true;
  if (drops_ != nullptr) drops_->Start();
  SendConfig();
  co_return Link();
}

// 3.1.1, steps 7 and 8.
absl::Status VirtioNet::GoLive() {
  common_->HoldWrites();
  for (uint32_t i = 0; i < running_; ++i) {
    InitRx(i);
    if (i + 1 < running_) InitTx(i);
  }
  InitIrq();
  // Last of all queues: it is read back.
  InitTx(running_ - 1);
  common_->Write(Alive() | DEVICE_STATUS::FEATURES_OK(1) |
                 DEVICE_STATUS::DRIVER_OK(1));
  // This read also flushes the writes before it, so that doorbells may follow.
  std::array<uint32_t, 4> run;  // Size, vector, enable, notify_off.
  common_->ReadRun<QUEUE_SIZE>(run);
  if (context_.device.gone()) return GoneError();
  if (run[1] != running_ - 1 || run[2] != 1) {
    return absl::FailedPreconditionError(
        absl::StrCat("start: the device did not enable its queue: vector ",
                     run[1], ", enabled ", run[2]));
  }
  return absl::OkStatus();
}

// 5.1.6.5.6.1. A reset leaves one pair in use. No lane is served before the
// others are, since frames would wait there for good.
Task<absl::Status> VirtioNet::UsePairs() {
  static_cast<void>(control_->TakePairsSet());
  // It is the first command since the reset: there is a slot.
  if (!control_->SetPairs(static_cast<uint16_t>(running_))) {
    co_return absl::InternalError("start: the control queue has no room");
  }
  PublishControl();
  const uint64_t deadline_ns = MonotonicNs() + kPairsDeadlineNs;
  while (true) {
    control_->Reap();
    const std::optional<bool> set = control_->TakePairsSet();
    if (set == true) co_return absl::OkStatus();
    if (set == false) {
      co_return absl::FailedPreconditionError(
          absl::StrCat("start: the device refuses to use ", running_,
                       " queue pairs; give the rule `limits: {queues: 1}`"));
    }
    if (MonotonicNs() > deadline_ns) {
      co_return absl::DeadlineExceededError(absl::StrCat(
          "start: the device does not say within 2 s whether it uses ",
          running_, " queue pairs; give the rule `limits: {queues: 1}`"));
    }
    co_await context_.loop.Sleep(kPairsPoll);
  }
}

// ---- Receive.

// Without F_RING_RESET the old chains serve until frames have used them up; a
// frame that is too long for one is dropped by the device meanwhile.
void VirtioNet::RebuildRx(uint32_t pair) {
  QueuePair& queues = pairs_[pair];
  if (!Has(F_RING_RESET)) return queues.FitNewChains(config_.mtu);
  common_->HoldWrites();
  common_->Write(Value<QUEUE_SELECT>(RxQueueOf(pair)));
  common_->Write(Value<QUEUE_RESET>(1));
  const uint64_t deadline_ns = MonotonicNs() + kRingResetDeadlineNs;
  while (common_->Read<QUEUE_RESET>().bits() != 0) {
    if (context_.device.gone() || MonotonicNs() > deadline_ns) {
      LogError("configure: the device does not reset its rx ring; restart it");
      return;
    }
  }
  queues.RebuildRx(config_.mtu);
  common_->HoldWrites();
  InitRx(pair);
  static_cast<void>(common_->Read<QUEUE_ENABLE>());  // Before the doorbell.
  queues.PostSpares();
}

// ---- Interrupts, link, statistics.

IrqResult VirtioNet::HandleIrq(uint32_t vector) {
  if (vector != OtherVector() || !started_) return {};
  IrqResult result = {.link = true};
  // 2.1.2: the device met an error that only a reset mends.
  const Value<DEVICE_STATUS> status = common_->Read<DEVICE_STATUS>();
  if (!ReadsAsGone(status) && status[DEVICE_STATUS::DEVICE_NEEDS_RESET] != 0) {
    result.failure = "the NIC says that it needs a reset";
    return result;
  }
  if (control_ == nullptr) return result;
  control_->queue().DisarmInterrupt();
  control_->Reap();
  if (control_->in_flight() > 0) {
    control_->queue().ArmInterrupt();
    control_->Reap();
  }
  TakeStatistics();
  if (resend_config_) SendConfig();
  result.statistics = drops_ != nullptr && drops_->has_news();
  return result;
}

LinkStatus VirtioNet::Link() {
  LinkStatus link = {.up = true, .speed_mbps = 0, .full_duplex = true};
  if (Has(F_STATUS)) {
    const Value<STATUS> status = config_regs_->Read<STATUS>();
    if (ReadsAsGone(status)) return {};
    link.up = status[STATUS::LINK_UP] != 0;
  }
  if (Has(F_SPEED_DUPLEX)) {
    // 5.1.4: anything above 0x7fffffff stands for unknown, and so does 0 here.
    const uint32_t speed = config_regs_->Read<SPEED>().bits();
    link.speed_mbps = speed > INT32_MAX ? 0 : speed;
    link.full_duplex = config_regs_->Read<DUPLEX>().bits() != 0;
  }
  return link;
}

DeviceStatistics VirtioNet::ReadStatistics() {
  return {.rx_missed = drops_ == nullptr ? 0 : drops_->Take()};
}

void VirtioNet::AskStatistics() {
  if (!control_->AskStatistics(running_)) return;
  control_->queue().ArmInterrupt();
  PublishControl();
}

void VirtioNet::TakeStatistics() {
  const std::optional<uint64_t> drops = control_->TakeDropped();
  if (drops.has_value() && drops_ != nullptr) drops_->Answer(*drops);
}

bool VirtioNet::Starving() const {
  for (uint32_t i = 0; i < running_; ++i) {
    if (pairs_[i].starving()) return true;
  }
  return false;
}

// ---- The end.

// 3.3.1. There is no way to stop one direction: the device is reset whole.
Task<absl::StatusOr<StopReport>> VirtioNet::Stop() {
  if (drops_ != nullptr && (drops_->watching() || Starving())) {
    control_->Reap();
    AskStatistics();
    const uint64_t deadline_ns = MonotonicNs() + kStatisticsDeadlineNs;
    while (control_->in_flight() > 0 && MonotonicNs() < deadline_ns) {
      co_await context_.loop.Sleep(kStatisticsPoll);
      control_->Reap();
    }
    TakeStatistics();
  }
  started_ = false;
  // Nothing is asked of a device that is being reset.
  if (drops_ != nullptr) drops_->Stop();
  CO_RETURN_IF_ERROR(co_await Reset());
  StopReport report;
  for (QueuePair& pair : pairs_) report += pair.TakeLeftovers();
  report.statistics = ReadStatistics();
  // No stale frame: no descriptor of before is left either.
  for (QueuePair& pair : pairs_) pair.Clear();
  if (control_ != nullptr) control_->Reset();
  co_return report;
}

Task<absl::Status> VirtioNet::Detach() {
  // The ring addresses go with it.
  CO_RETURN_IF_ERROR(co_await Reset());
  for (QueuePair& pair : pairs_) pair.Detach();
  control_.reset();
  drops_.reset();
  context_.platform.FreeDma(std::exchange(memory_, DmaMemory()));
  co_return absl::OkStatus();
}

void VirtioNet::Shutdown() {
  if (common_.has_value()) common_->Write(Value<DEVICE_STATUS>(0));
}

}  // namespace bulkhead::nic_driver
