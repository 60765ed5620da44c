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
constexpr uint32_t kVectors = 3;

// What we make use of; the device offers what it has.
constexpr uint64_t kWanted =
    F_CSUM | F_GUEST_CSUM | F_CTRL_GUEST_OFFLOADS | F_MTU | F_MAC |
    F_HOST_TSO4 | F_HOST_TSO6 | F_STATUS | F_CTRL_VQ | F_CTRL_RX | F_EVENT_IDX |
    F_VERSION_1 | F_ACCESS_PLATFORM | F_RING_PACKED | F_ORDER_PLATFORM |
    F_RING_RESET | F_DEVICE_STATS | F_SPEED_DUPLEX;
// A session that may ask for the one may ask for the other (5.1.3.1).
constexpr uint64_t kSegmentation = F_CSUM | F_HOST_TSO4 | F_HOST_TSO6;
// What is of use only together with the control queue (5.1.3.1).
constexpr uint64_t kNeedControl =
    F_CTRL_RX | F_CTRL_GUEST_OFFLOADS | F_DEVICE_STATS;

// The specification sets no limit; a device that takes longer to become quiet
// than a PCIe function-level reset may take is broken.
constexpr uint64_t kResetDeadlineNs = 100'000'000;
constexpr std::chrono::milliseconds kResetPoll{1};
constexpr uint64_t kRingResetDeadlineNs = 10'000'000;
// How long Stop waits for the device's last word on what it dropped.
constexpr uint64_t kStatisticsDeadlineNs = 2'000'000;
constexpr std::chrono::microseconds kStatisticsPoll{100};
// How often a device without buffers is asked for it: at first, and at most.
constexpr uint32_t kDropsIntervalMs = 100;
constexpr uint32_t kMaxDropsIntervalMs = 3200;

// As long as a jumbo frame of most other NICs.
constexpr uint32_t kMaxMtu = 9000;
// Ethernet header and one VLAN tag around the mtu's payload.
constexpr uint32_t kFrameOverheadBytes = 14 + 4;
constexpr uint32_t kMinTxFrameBytes = 14;
// The runtime brings batches of kBatchPieces, each piece a frame at worst, and
// each frame two descriptors.
constexpr uint16_t kMinTxEntries = 2 * kBatchPieces;
constexpr uint16_t kMinRxEntries = 2 * kMaxFramePieces;
constexpr size_t kHeaderBytes = 16;  // A header's place: 12, aligned.
constexpr size_t kPageBytes = 4096;
constexpr uint8_t kAllOnes = 0xff;

Value<DEVICE_STATUS> Alive() {
  return DEVICE_STATUS::ACKNOWLEDGE(1) | DEVICE_STATUS::DRIVER(1);
}

}  // namespace

std::unique_ptr<VirtioNet> VirtioNet::Create(const DriverContext& context) {
  return std::unique_ptr<VirtioNet>(new VirtioNet(context));
}

VirtioNet::~VirtioNet() { context_.loop.Cancel(drops_timer_); }

absl::Status VirtioNet::Probe() {
  const PciIdentity& identity = context_.identity;
  if (identity.vendor != kRedHat ||
      (identity.device != kModern && identity.device != kTransitional)) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "drive %s: it is %04x:%04x and virtio_net drives 1af4:1041 and "
        "1af4:1000; name another driver in the scenario's rule",
        identity.address, identity.vendor, identity.device));
  }
  if (context_.irq_vectors < kVectors) {
    return absl::InvalidArgumentError(absl::StrCat(
        "drive ", identity.address, ": the grant has ", context_.irq_vectors,
        " MSI-X vectors; virtio_net needs ", kVectors));
  }
  return absl::OkStatus();
}

// 3.1.1, up to the point where the features are known.
Task<absl::StatusOr<NicFacts>> VirtioNet::Attach() {
  CO_RETURN_IF_ERROR(FindStructures());
  CO_RETURN_IF_ERROR(co_await Reset());
  // The device does no DMA by itself from here on, so that it may (S4); the
  // platform turns it on while we go on.
  context_.platform.RequestDma();
  CO_RETURN_IF_ERROR(Negotiate());
  CO_RETURN_IF_ERROR(ReadQueueFacts());
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

absl::Status VirtioNet::Negotiate() {
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
  // Checksums are switched while frames flow, or not at all.
  if (!Has(F_CTRL_GUEST_OFFLOADS)) features_ &= ~F_GUEST_CSUM;
  return absl::OkStatus();
}

// 4.1.5.1.3, and 4.1.4.4 for the notification address.
absl::Status VirtioNet::ReadQueueFacts() {
  const uint16_t most[] = {kRxEntries, kTxEntries, kControlEntries};
  const uint16_t least[] = {kMinRxEntries, kMinTxEntries, 2};
  for (uint16_t queue = 0; queue < (Has(F_CTRL_VQ) ? 3 : 2); ++queue) {
    std::array<uint32_t, 4> run;  // Size, vector, enable, notify_off.
    common_->HoldWrites();
    common_->Write(Value<QUEUE_SELECT>(queue));
    common_->ReadRun<QUEUE_SIZE>(run);
    if (context_.device.gone()) return GoneError();
    const auto size = static_cast<uint16_t>(
        std::bit_floor(std::min<uint32_t>(run[0], most[queue])));
    if (size < least[queue]) {
      return absl::FailedPreconditionError(
          absl::StrCat("attach: queue ", queue, " has ", run[0],
                       " entries; at least ", least[queue], " are needed"));
    }
    const uint64_t at = uint64_t{run[3]} * structures_.notify_multiplier;
    if (at + 2 > structures_.notify.bytes) {
      return absl::DataLossError(
          absl::StrCat("attach: the notification address of queue ", queue,
                       " at ", at, " is outside of its structure of ",
                       structures_.notify.bytes, " bytes"));
    }
    facts_[queue] = {size,
                     static_cast<uint32_t>(structures_.notify.offset + at)};
  }
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
  if (Has(F_GUEST_CSUM)) facts.offloads |= packet_stream::kOffloadRxChecksum;
  if (HasAll(kSegmentation)) {
    // 5.1.6.2.1: the sum is that of the pseudo header, the length included.
    facts.offloads |= packet_stream::kOffloadTxTcpSegmentation |
                      packet_stream::kOffloadTxWholeSegments;
    facts.max_segment_header_bytes = UINT16_MAX;
  }
  facts.min_tx_frame_bytes = kMinTxFrameBytes;
  facts.max_checksum_position = UINT16_MAX;
  if (context_.device.gone()) return GoneError();
  return facts;
}

Task<absl::Status> VirtioNet::AllocRings() {
  const bool packed = Has(F_RING_PACKED);
  const auto ring_bytes = packed ? PackedRingBytes : SplitRingBytes;
  const uint16_t rx_size = facts_[kRxQueue].size;
  const uint16_t tx_size = facts_[kTxQueue].size;
  const size_t tx_ring = ring_bytes(rx_size);
  const size_t control_ring = tx_ring + ring_bytes(tx_size);
  rx_headers_ = control_ring + ring_bytes(kControlEntries);
  tx_headers_ = rx_headers_ + rx_size * kHeaderBytes;
  const size_t slots = tx_headers_ + (tx_size + 1) * kHeaderBytes;
  const size_t bytes =
      (slots + ControlQueue::kBytes + kPageBytes - 1) & ~(kPageBytes - 1);
  absl::StatusOr<DmaMemory> memory = co_await context_.platform.AllocDma(bytes);
  if (!memory.ok()) co_return memory.status();
  memory_ = *std::move(memory);

  const auto make = packed ? MakePackedRing : MakeSplitRing;
  const bool event_idx = Has(F_EVENT_IDX);
  rx_ = make(memory_, 0, rx_size, event_idx);
  tx_ = make(memory_, tx_ring, tx_size, event_idx);
  if (Has(F_CTRL_VQ)) {
    control_ = std::make_unique<ControlQueue>(
        make(memory_, control_ring, facts_[kControlQueue].size, event_idx),
        memory_, slots);
  }
  rx_slots_.resize(rx_size / 2);
  tx_slots_.resize(tx_size / 2);
  rx_free_.reserve(rx_slots_.size());
  tx_free_.reserve(tx_slots_.size());
  rx_spares_.reserve(rx_size + kMaxFramePieces);
  ForgetBuffers();
  co_return absl::OkStatus();
}

// 3.1.1, steps 3 to 6.
absl::Status VirtioNet::SetFeatures() {
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
        "start: the device refuses the features %#x, all of which it offered",
        features_));
  }
  return absl::OkStatus();
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

void VirtioNet::InitRx() { InitQueue(kRxQueue, *rx_, RxVector()); }

// Last of all queues: Start reads it back.
void VirtioNet::InitTx() { InitQueue(kTxQueue, *tx_, TxVector()); }

// 4.1.5.1.2. Answers on the control queue interrupt only when they are waited
// for.
void VirtioNet::InitIrq() {
  common_->Write(Value<CONFIG_MSIX_VECTOR>(OtherVector()));
  if (control_ == nullptr) return;
  InitQueue(kControlQueue, control_->queue(), OtherVector());
  control_->queue().DisarmInterrupt();
}

void VirtioNet::Notify(uint16_t queue) {
  context_.device.WriteDoorbell16(structures_.notify.bar,
                                  facts_[queue].notify_offset, queue);
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
      old.multicast != config.multicast ||
      old.rx_checksum != config.rx_checksum) {
    SendConfig();
  }
  if (PiecesOf(config.mtu) != rx_chain_) RebuildRx();
  return absl::OkStatus();
}

// All of it, as commands are few and short.
void VirtioNet::SendConfig() {
  if (control_ == nullptr) return;
  control_->Reap();
  TakeStatistics();
  resend_config_ = false;
  if (Has(F_CTRL_RX)) SendFilter();
  if (Has(F_GUEST_CSUM) && !control_->SetRxChecksum(config_.rx_checksum)) {
    resend_config_ = true;
  }
  // What found no slot is sent again when the answers are in.
  if (resend_config_) control_->queue().ArmInterrupt();
  PublishControl();
}

// 5.1.6.5.1 and .2.
void VirtioNet::SendFilter() {
  const bool crowded = config_.multicast.size() > ControlQueue::kMaxMulticast;
  const std::span<const MacAddress> table =
      crowded ? std::span<const MacAddress>() : config_.multicast;
  if (!control_->SetPromiscuous(config_.promiscuous) ||
      !control_->SetAllMulticast(crowded) || !control_->SetMulticast(table)) {
    resend_config_ = true;
  }
}

void VirtioNet::PublishControl() {
  if (control_->Publish()) Notify(kControlQueue);
}

uint32_t VirtioNet::PiecesOf(uint32_t mtu) const {
  const uint32_t frame = mtu + kFrameOverheadBytes;
  return std::min<uint32_t>((frame + rx_buffer_bytes_ - 1) / rx_buffer_bytes_,
                            kMaxFramePieces);
}

Task<absl::StatusOr<LinkStatus>> VirtioNet::Start(uint32_t rx_buffer_bytes,
                                                  uint32_t) {
  rx_buffer_bytes_ = rx_buffer_bytes;
  rx_chain_ = PiecesOf(config_.mtu);
  rx_chain_max_ = PiecesOf(kMaxMtu);
  rx_buffers_.resize(rx_slots_.size() * rx_chain_max_);

  CO_RETURN_IF_ERROR(SetFeatures());
  common_->HoldWrites();
  InitRx();
  InitIrq();
  InitTx();
  common_->Write(Alive() | DEVICE_STATUS::FEATURES_OK(1) |
                 DEVICE_STATUS::DRIVER_OK(1));
  // This read also flushes the writes before it, so that doorbells may follow.
  std::array<uint32_t, 4> run;  // Size, vector, enable, notify_off.
  common_->ReadRun<QUEUE_SIZE>(run);
  if (context_.device.gone()) co_return GoneError();
  if (run[1] != TxVector() || run[2] != 1) {
    co_return absl::FailedPreconditionError(
        absl::StrCat("start: the device did not enable its queue: vector ",
                     run[1], ", enabled ", run[2]));
  }
  started_ = true;
  if (Has(F_DEVICE_STATS)) AskStatistics();
  SendConfig();
  WatchDrops();
  co_return Link();
}

// ---- Receive.

size_t VirtioNet::RxRoom() const {
  const size_t chains =
      std::min<size_t>(rx_->room() / (1 + rx_chain_), rx_free_.size());
  const size_t buffers = chains * rx_chain_;
  return buffers > rx_spares_.size() ? buffers - rx_spares_.size() : 0;
}

void VirtioNet::RxRefill(std::span<const RxBuffer> buffers) {
  rx_spares_.insert(rx_spares_.end(), buffers.begin(), buffers.end());
  PostSpares();
}

void VirtioNet::PostSpares() {
  while (rx_spares_.size() >= rx_chain_ && rx_->room() > rx_chain_ &&
         !rx_free_.empty()) {
    PostChain(rx_chain_);
  }
  // A session with fewer buffers than a frame may need: some is better than
  // none.
  if (rx_in_flight_ == 0 && !rx_spares_.empty()) {
    PostChain(static_cast<uint32_t>(rx_spares_.size()));
  }
  if (rx_->Publish()) Notify(kRxQueue);
}

void VirtioNet::PostChain(uint32_t buffers) {
  const uint16_t cookie = rx_free_.back();
  rx_free_.pop_back();
  rx_slots_[cookie].buffers = static_cast<uint16_t>(buffers);
  std::array<Segment, 1 + kMaxFramePieces> segments;
  segments[0] = {memory_.iova(rx_headers_ + cookie * kHeaderBytes),
                 sizeof(NetHeader), true};
  for (uint32_t i = 0; i < buffers; ++i) {
    const RxBuffer buffer = rx_spares_.back();
    rx_spares_.pop_back();
    rx_buffers_[cookie * rx_chain_max_ + i] = buffer;
    segments[1 + i] = {buffer.iova, rx_buffer_bytes_, true};
  }
  rx_->Add(std::span(segments).first(1 + buffers), cookie);
  ++rx_in_flight_;
}

size_t VirtioNet::RxHarvest(std::span<RxPiece> out) {
  size_t count = 0;
  if (!rx_rescued_.empty()) {
    // RebuildRx left whole frames here.
    while (count < rx_rescued_.size() && count < out.size()) {
      out[count] = rx_rescued_[count];
      ++count;
    }
    while (count > 0 && out[count - 1].more) --count;
    rx_rescued_.erase(rx_rescued_.begin(), rx_rescued_.begin() + count);
    return count;
  }
  Completion completion;
  while (rx_->Peek(&completion)) {
    const RxSlot& slot = rx_slots_[completion.cookie];
    if (count + slot.buffers > out.size()) break;
    rx_->Pop();
    count += EmitFrame(completion, out.subspan(count));
  }
  if (rx_spares_.size() >= rx_chain_ ||
      (rx_in_flight_ == 0 && !rx_spares_.empty())) {
    PostSpares();
  }
  if (count != 0 && rx_in_flight_ == 0) WatchDrops();
  return count;
}

// The device's word is checked as any other's (S7): a length beyond the buffers
// would make the client read a neighbour's bytes.
size_t VirtioNet::EmitFrame(const Completion& completion,
                            std::span<RxPiece> out) {
  const uint16_t cookie = completion.cookie;
  const uint32_t buffers = rx_slots_[cookie].buffers;
  const RxBuffer* const buffer = &rx_buffers_[cookie * rx_chain_max_];
  rx_free_.push_back(cookie);
  --rx_in_flight_;
  uint32_t left = completion.bytes - static_cast<uint32_t>(sizeof(NetHeader));
  const bool good = completion.bytes > sizeof(NetHeader) &&
                    left <= uint64_t{buffers} * rx_buffer_bytes_ &&
                    left <= UINT16_MAX;
  // Acquired with the completion.
  const uint8_t flags =
      memory_.As<NetHeader>(rx_headers_ + cookie * kHeaderBytes, 1)[0].flags;
  const uint32_t pieces =
      good ? (left + rx_buffer_bytes_ - 1) / rx_buffer_bytes_ : 1;
  for (uint32_t i = 0; i < pieces; ++i) {
    const uint32_t length = std::min(left, rx_buffer_bytes_);
    // NEEDS_CSUM: it never crossed a wire, and its checksum is not complete;
    // what it covers is as good as if it had been verified (5.1.6.4.1).
    out[i] = {.buffer = buffer[i].buffer,
              .length = static_cast<uint16_t>(good ? length : 0),
              .more = i + 1 < pieces,
              .checksum_good =
                  config_.rx_checksum && (flags & (NetHeader::DATA_VALID |
                                                   NetHeader::NEEDS_CSUM)) != 0,
              .status = good ? RxStatus::kGood : RxStatus::kDeviceError};
    left -= length;
  }
  for (uint32_t i = pieces; i < buffers; ++i) rx_spares_.push_back(buffer[i]);
  return pieces;
}

void VirtioNet::ReclaimRx() {
  std::vector<bool> free(rx_slots_.size(), false);
  for (const uint16_t cookie : rx_free_) free[cookie] = true;
  for (size_t cookie = 0; cookie < rx_slots_.size(); ++cookie) {
    if (free[cookie]) continue;
    for (uint16_t i = 0; i < rx_slots_[cookie].buffers; ++i) {
      rx_spares_.push_back(rx_buffers_[cookie * rx_chain_max_ + i]);
    }
    rx_free_.push_back(static_cast<uint16_t>(cookie));
  }
  rx_in_flight_ = 0;
  rx_->Reset();
}

// Without F_RING_RESET the old chains serve until frames have used them up; a
// frame that is too long for one is dropped by the device meanwhile.
void VirtioNet::RebuildRx() {
  const uint32_t wanted = PiecesOf(config_.mtu);
  if (!Has(F_RING_RESET)) {
    rx_chain_ = wanted;
    return;
  }
  common_->HoldWrites();
  common_->Write(Value<QUEUE_SELECT>(kRxQueue));
  common_->Write(Value<QUEUE_RESET>(1));
  const uint64_t deadline_ns = MonotonicNs() + kRingResetDeadlineNs;
  while (common_->Read<QUEUE_RESET>().bits() != 0) {
    if (context_.device.gone() || MonotonicNs() > deadline_ns) {
      LogError("configure: the device does not reset its rx ring; restart it");
      return;
    }
  }
  // Nothing of the ring is reached by the device any more (2.6.1).
  Completion completion;
  std::array<RxPiece, kMaxFramePieces> pieces;
  while (rx_->Peek(&completion)) {
    rx_->Pop();
    const size_t count = EmitFrame(completion, pieces);
    rx_rescued_.insert(rx_rescued_.end(), pieces.begin(),
                       pieces.begin() + count);
  }
  ReclaimRx();
  rx_chain_ = wanted;
  common_->HoldWrites();
  InitRx();
  static_cast<void>(common_->Read<QUEUE_ENABLE>());  // Before the doorbell.
  PostSpares();
}

// ---- Transmit.

size_t VirtioNet::TxRoom() const {
  return std::min<size_t>(tx_->room() / 2, tx_free_.size());
}

// Of a frame that begins with `first`, and asks for something.
NetHeader VirtioNet::HeaderOf(const TxPiece& first) {
  const uint8_t gso = first.ipv6 ? NetHeader::GSO_TCPV6 : NetHeader::GSO_TCPV4;
  return {.flags = NetHeader::NEEDS_CSUM,
          .gso_type = first.segment_bytes != 0 ? gso : NetHeader::GSO_NONE,
          .hdr_len = first.header_bytes,
          .gso_size = first.segment_bytes,
          .csum_start = first.checksum_start,
          .csum_offset = static_cast<uint16_t>(first.checksum_position -
                                               first.checksum_start),
          .num_buffers = 0};
}

// 5.1.6.2.
void VirtioNet::TxSubmit(std::span<const TxPiece> pieces) {
  std::array<Segment, 1 + kMaxFramePieces> segments;
  size_t parts = 0;
  uint16_t cookie = 0;
  for (const TxPiece& piece : pieces) {
    if (parts == 0) {
      cookie = tx_free_.back();
      tx_free_.pop_back();
      size_t header = tx_slots_.size();  // The shared one.
      if (piece.checksum) {
        header = cookie;
        memory_.As<NetHeader>(tx_headers_ + header * kHeaderBytes, 1)[0] =
            HeaderOf(piece);
      }
      segments[0] = {memory_.iova(tx_headers_ + header * kHeaderBytes),
                     sizeof(NetHeader), false};
    }
    tx_slots_[cookie].part[parts++] = {piece.buffer, piece.length};
    segments[parts] = {piece.iova, piece.length, false};
    if (piece.more) continue;
    tx_slots_[cookie].parts = static_cast<uint16_t>(parts);
    tx_->Add(std::span(segments).first(1 + parts), cookie);
    parts = 0;
  }
  if (tx_->Publish()) Notify(kTxQueue);
}

// A device reports no error of a frame: what it gives back counts as sent.
size_t VirtioNet::TxReap(std::span<TxDone> out) {
  size_t count = 0;
  Completion completion;
  while (tx_->Peek(&completion)) {
    const TxSlot& slot = tx_slots_[completion.cookie];
    if (count + slot.parts > out.size()) break;
    tx_->Pop();
    tx_free_.push_back(completion.cookie);
    for (uint16_t i = 0; i < slot.parts; ++i) {
      out[count++] = {.buffer = slot.part[i].buffer,
                      .length = slot.part[i].length,
                      .more = i + 1 < slot.parts,
                      .good = true};
    }
  }
  return count;
}

// ---- Interrupts, link, statistics.

IrqResult VirtioNet::HandleIrq(uint32_t vector) {
  if (vector == RxVector() || vector == TxVector()) {
    (vector == RxVector() ? rx_ : tx_)->DisarmInterrupt();
    return {.traffic = true};
  }
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
  result.statistics = drops_untold_ > 0;
  return result;
}

void VirtioNet::ArmIrqs() {
  rx_->ArmInterrupt();
  tx_->ArmInterrupt();
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
  return {.rx_missed = std::exchange(drops_untold_, 0)};
}

void VirtioNet::AskStatistics() {
  if (!control_->AskStatistics()) return;
  control_->queue().ArmInterrupt();
  PublishControl();
}

// The first answer after a reset is where counting begins: whether a reset
// clears its counters is the device's affair.
void VirtioNet::TakeStatistics() {
  const std::optional<uint64_t> drops = control_->TakeDropped();
  if (!drops.has_value()) return;
  if (drops_known_ && *drops > drops_seen_) {
    drops_untold_ += *drops - drops_seen_;
    drops_interval_ms_ = kDropsIntervalMs;
  }
  drops_known_ = true;
  drops_seen_ = *drops;
}

void VirtioNet::WatchDrops() {
  if (!Has(F_DEVICE_STATS) || drops_timer_ != 0) return;
  drops_interval_ms_ = kDropsIntervalMs;
  AskForDropsLater();
}

void VirtioNet::AskForDropsLater() {
  drops_timer_ = context_.loop.After(
      std::chrono::milliseconds(drops_interval_ms_), [this] {
        drops_timer_ = 0;
        if (!started_) return;
        AskStatistics();
        // With buffers in its ring again, this was the last time.
        if (rx_in_flight_ != 0) return;
        drops_interval_ms_ =
            std::min(2 * drops_interval_ms_, kMaxDropsIntervalMs);
        AskForDropsLater();
      });
}

// ---- The end.

// 3.3.1. There is no way to stop one direction: the device is reset whole.
Task<absl::StatusOr<StopReport>> VirtioNet::Stop() {
  if (Has(F_DEVICE_STATS) && rx_in_flight_ == 0) {
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
  context_.loop.Cancel(std::exchange(drops_timer_, 0));
  CO_RETURN_IF_ERROR(co_await Reset());
  StopReport report = CountLeftovers();
  report.rx_missed = ReadStatistics().rx_missed;
  // No stale frame: no descriptor of before is left either.
  rx_->Reset();
  tx_->Reset();
  if (control_ != nullptr) control_->Reset();
  ForgetBuffers();
  drops_known_ = false;
  co_return report;
}

// Of a device that was reset. Sees the rings as the data path would have.
StopReport VirtioNet::CountLeftovers() {
  StopReport report;
  std::array<TxDone, kBatchPieces> sent;
  while (const size_t count = TxReap(sent)) {
    for (const TxDone& piece : std::span(sent).first(count)) {
      report.tx_sent_bytes += piece.length;
      if (!piece.more) ++report.tx_sent_frames;
    }
  }
  report.tx_unsent_frames = tx_slots_.size() - tx_free_.size();
  for (const RxPiece& piece : rx_rescued_) {
    if (!piece.more) ++report.rx_unclaimed_frames;
  }
  Completion completion;
  std::array<RxPiece, kMaxFramePieces> received;
  while (rx_->Peek(&completion)) {
    rx_->Pop();
    static_cast<void>(EmitFrame(completion, received));
    ++report.rx_unclaimed_frames;
  }
  return report;
}

void VirtioNet::ForgetBuffers() {
  rx_free_.clear();
  for (size_t i = rx_slots_.size(); i > 0; --i) {
    rx_free_.push_back(static_cast<uint16_t>(i - 1));
  }
  tx_free_.clear();
  for (size_t i = tx_slots_.size(); i > 0; --i) {
    tx_free_.push_back(static_cast<uint16_t>(i - 1));
  }
  rx_spares_.clear();
  rx_rescued_.clear();
  rx_in_flight_ = 0;
}

Task<absl::Status> VirtioNet::Detach() {
  // The ring addresses go with it.
  CO_RETURN_IF_ERROR(co_await Reset());
  rx_.reset();
  tx_.reset();
  control_.reset();
  context_.platform.FreeDma(std::exchange(memory_, DmaMemory()));
  co_return absl::OkStatus();
}

void VirtioNet::Shutdown() {
  if (common_.has_value()) common_->Write(Value<DEVICE_STATUS>(0));
}

}  // namespace bulkhead::nic_driver
