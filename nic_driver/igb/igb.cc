#include "nic_driver/igb/igb.h"

#include <algorithm>
#include <chrono>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/clock.h"
#include "base/log.h"
#include "nic_driver/framework/task_status.h"
#include "nic_driver/intel/mac.h"

namespace bulkhead::nic_driver {

using namespace igb;  // The register table.

namespace {

constexpr uint16_t kIntel = 0x8086;
constexpr uint16_t k82576 = 0x10c9;

// MSI-X vectors, as IVAR allocates them (7.3).
constexpr uint32_t kRxVector = 0;
constexpr uint32_t kTxVector = 1;
constexpr uint32_t kOtherVector = 2;
constexpr uint32_t kVectors = 3;
constexpr uint32_t kAllVectors = (1u << kVectors) - 1;
// The other causes come in floods: a miss for each frame, a loose cable.
constexpr uint32_t kOtherIntervalUs = 2000;

// 8.2.1: a millisecond after CTRL.RST nothing may be accessed; the EEPROM's
// auto-load follows. Pending bus requests end within PCIe's completion timeout
// of 50 ms. A queue is on or off within microseconds (4.5.9.2).
constexpr std::chrono::milliseconds kResetPause{1};
constexpr uint64_t kResetDeadlineNs = 50'000'000;
constexpr uint64_t kMasterDeadlineNs = 80'000'000;
constexpr uint64_t kQueueDeadlineNs = 20'000'000;
constexpr std::chrono::milliseconds kPoll{1};

// The MAC takes 9.5 KiB; this is what networks agree on.
constexpr uint32_t kMaxMtu = 9000;
constexpr uint32_t kMaxStandardMtu = 1500;
// Around the MTU: Ethernet header, VLAN tag, FCS.
constexpr uint32_t kFrameOverheadBytes = 14 + 4 + 4;
// TCTL.PSP pads only what has 17 bytes or more (8.12.1).
constexpr uint32_t kMinTxFrameBytes = 17;
// MACLEN of a context; IPLEN holds nine bits (7.2.2.2).
constexpr uint32_t kMacHeaderBytes = 14;
constexpr uint32_t kMaxIpBytes = 511;
// Where L4 headers have their checksums: what L4T stands for.
constexpr uint32_t kUdpChecksumOffset = 6;
constexpr uint32_t kTcpChecksumOffset = 16;
constexpr uint32_t kMaxChecksumPosition =
    kMacHeaderBytes + kMaxIpBytes + kUdpChecksumOffset;

// L4LEN holds eight bits: with the least of the others, what any TCP needs.
constexpr uint32_t kMaxSegmentHeaderBytes = 255;

// The thresholds that Intel's own drivers use for this MAC.
constexpr uint32_t kPrefetch = 8;
constexpr uint32_t kRxHost = 8;
constexpr uint32_t kTxHost = 1;

}  // namespace

std::unique_ptr<Igb> Igb::Create(const DriverContext& context) {
  return std::unique_ptr<Igb>(new Igb(context));
}

absl::Status Igb::Probe() {
  const PciIdentity& identity = context_.identity;
  if (identity.vendor != kIntel || identity.device != k82576) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "drive %s: it is %04x:%04x and igb drives 8086:10c9; name another "
        "driver in the scenario's rule",
        identity.address, identity.vendor, identity.device));
  }
  if (context_.irq_vectors < kVectors) {
    return absl::InvalidArgumentError(absl::StrCat(
        "drive ", identity.address, ": the grant has ", context_.irq_vectors,
        " MSI-X vectors; igb needs ", kVectors));
  }
  return absl::OkStatus();
}

Task<absl::StatusOr<NicFacts>> Igb::Attach() {
  absl::StatusOr<DmaMemory> memory =
      co_await context_.platform.AllocDma(intel::kRingBytes);
  if (!memory.ok()) co_return memory.status();
  memory_ = *std::move(memory);
  rx_.Attach(memory_, 0);
  tx_.Attach(memory_, intel::kRxRingBytes);

  CO_RETURN_IF_ERROR(co_await Reset());
  // The device does no DMA by itself from here on, so that it may (S4); the
  // platform turns it on while we go on.
  context_.platform.RequestDma();
  regs_.HoldWrites();
  InitRx();
  InitTx();
  InitIrq();
  absl::StatusOr<MacAddress> mac = co_await ReadMac();
  if (!mac.ok()) co_return mac.status();
  CO_RETURN_IF_ERROR(co_await RaiseLink());
  CO_RETURN_IF_ERROR(co_await context_.platform.DmaEnabled());
  co_return NicFacts{.mac = *mac,
                     .max_mtu = kMaxMtu,
                     .offloads = packet_stream::kOffloadTxChecksum |
                                 packet_stream::kOffloadRxChecksum |
                                 packet_stream::kOffloadTxTcpSegmentation,
                     .min_tx_frame_bytes = kMinTxFrameBytes,
                     .max_checksum_position = kMaxChecksumPosition,
                     .only_tcp_udp_checksums = true,
                     .max_segment_header_bytes = kMaxSegmentHeaderBytes};
}

// 4.5.4 and 4.5.5: interrupts off, reset, interrupts off again. Whatever state
// an earlier generation left is gone then, ring heads and tails included.
//
// CTRL.PHY_RST is not set: the link stays up.
Task<absl::Status> Igb::Reset() {
  regs_.HoldWrites();
  ShutDmaOff();
  // The read flushes them: the queues are shut before the reset is.
  ctrl_ = regs_.Read<CTRL>();
  if (ReadsAsGone(ctrl_)) co_return GoneError();
  regs_.Write(ctrl_ | CTRL::RST(1));
  const uint64_t deadline_ns = MonotonicNs() + kResetDeadlineNs;
  do {
    if (MonotonicNs() > deadline_ns) {
      co_return absl::DeadlineExceededError(
          "reset the NIC: CTRL.RST is still set after 50 ms; power-cycle it");
    }
    co_await context_.loop.Sleep(kResetPause);
    ctrl_ = regs_.Read<CTRL>();
    if (ReadsAsGone(ctrl_)) co_return GoneError();
  } while (ctrl_[CTRL::RST] != 0);
  regs_.HoldWrites();
  regs_.Write(Value<IMC>(~uint32_t{0}));
  regs_.Write(EIMC::VECTORS(~uint32_t{0}));
  // 4.5.7: the MAC takes speed and duplex from the PHY.
  ctrl_ = ctrl_.With(CTRL::SLU, 1)
              .With(CTRL::FRCSPD, 0)
              .With(CTRL::FRCDPLX, 0)
              .With(CTRL::GIO_MASTER_DISABLE, 0);
  regs_.Write(ctrl_);
  tctl_ = regs_.Read<TCTL>();
  ForgetRings();
  co_return absl::OkStatus();
}

void Igb::ForgetRings() {
  rctl_ = Value<RCTL>();
  fired_ = 0;
  rx_.Forget();
  tx_.Forget();
  tx_context_ = TxContext();
}

// No interrupt, no new frame in or out.
void Igb::ShutDmaOff() {
  regs_.Write(Value<IMC>(~uint32_t{0}));
  regs_.Write(EIMC::VECTORS(~uint32_t{0}));
  regs_.Write(Value<RCTL>());
  regs_.Write(TCTL::PSP(1));
}

// The address valid bit also tells that the EEPROM's auto-load is done, which
// saves the read of EEC.Auto_RD.
Task<absl::StatusOr<MacAddress>> Igb::ReadMac() {
  const uint64_t deadline_ns = MonotonicNs() + kResetDeadlineNs;
  auto [low, high] = regs_.ReadPair<RAL0, RAH0>();
  while (high[RAH0::AV] == 0) {
    if (MonotonicNs() > deadline_ns) {
      co_return absl::DeadlineExceededError(
          "read the MAC address: RAH0.AV is still clear 50 ms after the reset; "
          "the NIC's EEPROM may be blank");
    }
    co_await context_.loop.Sleep(kPoll);
    std::tie(low, high) = regs_.ReadPair<RAL0, RAH0>();
  }
  if (ReadsAsGone(high)) co_return GoneError();
  co_return intel::MacOf(low, high);
}

// The PHY keeps its link over CTRL.RST, so that there is nothing to do. Where
// it does not (emulations; a PHY that was reset with the function), nothing but
// a driver makes it negotiate. Whether the link then comes, and when, is told
// by LSC.
Task<absl::Status> Igb::RaiseLink() {
  const Value<STATUS> status = regs_.Read<STATUS>();
  if (status[STATUS::LU] != 0) co_return absl::OkStatus();
  reset_drops_link_ = true;
  const absl::Status negotiation =
      co_await phy_.Negotiate(status[STATUS::LAN_ID]);
  if (!negotiation.ok()) LogWarning(negotiation.message());
  co_return absl::OkStatus();
}

// 4.5.9: ring and filters, while the queue is off: a reset leaves queue 0 on.
// RDH and RDT are 0 after a reset.
void Igb::InitRx() {
  regs_.Write(Value<RXDCTL>());
  regs_.Write(Value<RDBAL>(Low(memory_.iova())));
  regs_.Write(Value<RDBAH>(High(memory_.iova())));
  regs_.Write(Value<RDLEN>(intel::kRxRingBytes));
  regs_.Write(RXCSUM::TUOFLD(config_.rx_checksum));
  WriteMaxLength();
  multicast_.Restore();
}

// 4.5.10. TDH and TDT are 0 after a reset, TIPG is right for copper.
void Igb::InitTx() {
  const uint64_t ring = memory_.iova(intel::kRxRingBytes);
  regs_.Write(Value<TXDCTL>());
  regs_.Write(Value<TDBAL>(Low(ring)));
  regs_.Write(Value<TDBAH>(High(ring)));
  regs_.Write(Value<TDLEN>(intel::kTxRingBytes));
}

// 7.3: a message clears its cause (EIAC) and masks it (EIAM), so that no
// register access is needed before ArmIrqs. GPIE first: the others mean vectors
// only with it.
void Igb::InitIrq() {
  regs_.Write(GPIE::MULTIPLE_MSIX(1) | GPIE::EIAME(1) | GPIE::PBA_SUPPORT(1));
  regs_.Write(IVAR::RX(kRxVector) | IVAR::RX_VALID(1) | IVAR::TX(kTxVector) |
              IVAR::TX_VALID(1));
  regs_.Write(IVAR_MISC::OTHER(kOtherVector) | IVAR_MISC::OTHER_VALID(1));
  regs_.Write(EIAC::VECTORS(kAllVectors));
  regs_.Write(EIAM::VECTORS(kAllVectors));
  regs_.Write(CTRL_EXT::DRV_LOAD(1));
  // A reset keeps what an earlier owner had in it.
  WriteModeration();
  regs_.Write(EITR::INTERVAL(kOtherIntervalUs), kOtherVector);
}

// Off unless the scenario asks for it: while we poll, the vectors are masked
// anyway.
void Igb::WriteModeration() {
  const uint32_t interval_us =
      std::min(config_.interrupt_interval_us,
               EITR::INTERVAL.kMask / EITR::INTERVAL(1).bits());
  regs_.Write(EITR::INTERVAL(interval_us), kRxVector);
  regs_.Write(EITR::INTERVAL(interval_us), kTxVector);
}

absl::Status Igb::Configure(const NicConfig& config) {
  if (config.mtu > kMaxMtu) {
    return absl::InvalidArgumentError(
        absl::StrCat("configure: an mtu of ", config.mtu,
                     "; the 82576 takes at most ", kMaxMtu));
  }
  const NicConfig old = std::exchange(config_, config);
  if (old.interrupt_interval_us != config.interrupt_interval_us) {
    WriteModeration();
  }
  if (old.rx_checksum != config.rx_checksum) {
    regs_.Write(RXCSUM::TUOFLD(config.rx_checksum));
  }
  if (old.multicast != config.multicast) multicast_.Set(config.multicast);
  if (old.mtu != config.mtu) WriteMaxLength();
  if (started_ && ReceiveControl() != rctl_) {
    rctl_ = ReceiveControl();
    regs_.Write(rctl_);
  }
  return absl::OkStatus();
}

// Of long frames, which RCTL.LPE lets in.
void Igb::WriteMaxLength() {
  regs_.Write(Value<RLPML>(config_.mtu + kFrameOverheadBytes));
}

// Bad frames are not stored (SBP = 0), the FCS is stripped, frames of more than
// 1522 bytes are dropped by the device unless the mtu allows them.
Value<RCTL> Igb::ReceiveControl() const {
  // Of buffers that SRRCTL cannot say, because they are smaller than 1 KiB.
  const uint32_t code = rx_buffer_bytes_ == 512 ? 2 : 3;
  return RCTL::EN(1) | RCTL::BAM(1) | RCTL::SECRC(1) |
         RCTL::BSIZE(rx_buffer_bytes_ < 1024 ? code : 0) |
         RCTL::UPE(config_.promiscuous) | RCTL::MPE(config_.promiscuous) |
         RCTL::LPE(config_.mtu > kMaxStandardMtu);
}

Task<absl::StatusOr<LinkStatus>> Igb::Start(uint32_t rx_buffer_bytes,
                                            uint32_t) {
  rx_buffer_bytes_ = rx_buffer_bytes;
  CO_RETURN_IF_ERROR(co_await EnableQueues());
  rctl_ = ReceiveControl();
  regs_.HoldWrites();
  regs_.Write(rctl_);
  // 8.12.1: the collision values matter at half duplex only.
  regs_.Write(tctl_.With(TCTL::EN, 1)
                  .With(TCTL::PSP, 1)
                  .With(TCTL::CT, 15)
                  .With(TCTL::RTLC, 1));
  // The reset's own link change is no news.
  regs_.Clear(Value<ICR>(~uint32_t{0}));
  regs_.Write(IMS::LSC(1) | IMS::RXMISS(1));
  regs_.Write(EIMS::VECTORS(kAllVectors));
  // This read also flushes the writes before it, so that doorbells may follow.
  const Value<STATUS> status = regs_.Read<STATUS>();
  if (ReadsAsGone(status)) co_return GoneError();
  started_ = true;
  multicast_.ClearLater();
  co_return intel::LinkOf(status);
}

// 4.5.9 and 4.5.10: a queue counts as on once ENABLE reads so; only then may
// the tails move. DROP_EN stays 0: frames without a buffer wait in the packet
// buffer while it lasts.
Task<absl::Status> Igb::EnableQueues() {
  regs_.HoldWrites();
  regs_.Write(SRRCTL::BSIZEPACKET(rx_buffer_bytes_ / 1024) |
              SRRCTL::DESCTYPE(1));
  // WTHRESH 1: each descriptor is written back at once, we poll for DD.
  regs_.Write(RXDCTL::PTHRESH(kPrefetch) | RXDCTL::HTHRESH(kRxHost) |
              RXDCTL::WTHRESH(1) | RXDCTL::ENABLE(1));
  regs_.Write(TXDCTL::PTHRESH(kPrefetch) | TXDCTL::HTHRESH(kTxHost) |
              TXDCTL::WTHRESH(1) | TXDCTL::ENABLE(1));
  const uint64_t deadline_ns = MonotonicNs() + kQueueDeadlineNs;
  while (regs_.Read<RXDCTL>()[RXDCTL::ENABLE] == 0 ||
         regs_.Read<TXDCTL>()[TXDCTL::ENABLE] == 0) {
    if (MonotonicNs() > deadline_ns) {
      co_return absl::DeadlineExceededError(
          "start the NIC: its queues are still off after 20 ms");
    }
    co_await context_.loop.Sleep(kPoll);
  }
  co_return absl::OkStatus();
}

size_t Igb::RxRoom() const { return rx_.Room(); }

void Igb::RxRefill(std::span<const RxBuffer> buffers) {
  rx_.Refill(buffers);
  regs_.Ring(Value<RDT>(rx_.tail()));
}

intel::RxFormat Igb::Format() const {
  if (!config_.rx_checksum) return {.frame_errors = rx::kFrameErrors};
  return {.frame_errors = rx::kFrameErrors,
          .checksum_checked = rx::L4CS | rx::UDPCS,
          .checksum_doubted = rx::L4E};
}

size_t Igb::RxHarvest(std::span<RxPiece> out) {
  return rx_.Harvest(Format(), rx_buffer_bytes_, out);
}

size_t Igb::TxRoom() const { return tx_.Room(); }

// RS is set in the last descriptor of every frame, not only of the batch: each
// frame is acknowledged as soon as it is sent, so that the fewest are in doubt
// when we die (S8). It costs the device a write of 16 bytes per frame.
void Igb::TxSubmit(std::span<const TxPiece> pieces) {
  for (const TxPiece& piece : pieces) {
    const bool first = tx_.at_frame_start();
    if (first && piece.checksum) PutContext(piece);
    uint64_t command = piece.length | tx::DEXT | tx::DTYP_DATA | tx::IFCS;
    if (!piece.more) command |= tx::EOP | tx::RS;
    if (piece.segment_bytes != 0) command |= tx::TSE;
    if (first) command |= FrameOptions(piece);
    tx_.Put(piece, command);
  }
  regs_.Ring(Value<TDT>(tx_.tail()));
}

// 7.2.2.3: POPTS and PAYLEN, which count in a frame's first descriptor. PAYLEN
// is without the headers when they are copied before each segment.
uint64_t Igb::FrameOptions(const TxPiece& first) {
  if (!first.checksum) return tx::Paylen(first.frame_bytes);
  if (first.segment_bytes == 0) {
    return tx::Paylen(first.frame_bytes) | tx::TXSM;
  }
  return tx::Paylen(first.frame_bytes - first.header_bytes) | tx::TXSM |
         (first.ipv6 ? 0 : tx::IXSM);
}

// 7.2.2.2: a queue keeps its context until another comes. A session asks for
// the same one mostly.
//
// Of a checksum alone, where the L4 header begins is all that matters:
// TUCMD.IPV4 is for header checksums and segmentation.
void Igb::PutContext(const TxPiece& first) {
  const TxContext wanted = {.checksum_start = first.checksum_start,
                            .checksum_position = first.checksum_position,
                            .segment_bytes = first.segment_bytes,
                            .header_bytes = first.header_bytes,
                            .ipv6 = first.ipv6};
  if (wanted == tx_context_) return;
  tx_context_ = wanted;
  const uint32_t l4 = first.checksum_start;
  const uint32_t mac_bytes = std::min(l4, kMacHeaderBytes);
  const bool tcp = first.checksum_position - l4 == kTcpChecksumOffset;
  uint64_t command =
      tx::DEXT | tx::DTYP_CONTEXT | (tcp ? tx::L4T_TCP : tx::L4T_UDP);
  if (first.segment_bytes != 0) {
    command |= tx::L4Len(first.header_bytes - l4) |
               tx::Mss(first.segment_bytes) | (first.ipv6 ? 0 : tx::TUCMD_IPV4);
  }
  tx_.PutContext(tx::Lengths(mac_bytes, l4 - mac_bytes), command);
}

size_t Igb::TxReap(std::span<TxDone> out) { return tx_.Reap(tx::kErrors, out); }

IrqResult Igb::HandleIrq(uint32_t vector) {
  if (vector >= kVectors) return {};
  const uint32_t bit = uint32_t{1} << vector;
  // It should have masked itself. Emulations may not, and a device that lies
  // will not.
  if ((fired_ & bit) != 0) regs_.Write(EIMC::VECTORS(bit));
  fired_ |= bit;
  if (vector != kOtherVector) return {.traffic = true};
  // Which cause it was could only be read from ICR, and that is a round trip.
  // So both are looked after, and the vector stays masked until the next
  // statistics: a flood of frames would raise RXMISS for each, a flapping link
  // LSC.
  regs_.Clear(ICR::LSC(1) | ICR::RXMISS(1));
  return {.link = true, .statistics = true};
}

void Igb::ArmIrqs() {
  constexpr uint32_t kQueues = 1u << kRxVector | 1u << kTxVector;
  const uint32_t due = fired_ & kQueues;
  if (due == 0) return;
  fired_ &= ~due;
  regs_.Write(EIMS::VECTORS(due));
}

LinkStatus Igb::Link() { return intel::LinkOf(regs_.Read<STATUS>()); }

DeviceStatistics Igb::ReadStatistics() {
  // In this order, a miss after the read interrupts again; a change of the link
  // since the last look does so now.
  regs_.Clear(ICR::RXMISS(1));
  fired_ &= ~(1u << kOtherVector);
  if (started_) regs_.Write(EIMS::VECTORS(1u << kOtherVector));
  const Value<MPC> missed = regs_.ReadAndClear<MPC>();
  return {.rx_missed = ReadsAsGone(missed) ? 0 : missed.bits()};
}

Task<absl::StatusOr<StopReport>> Igb::Stop() {
  started_ = false;
  ShutDmaOff();
  CO_RETURN_IF_ERROR(co_await DisableBusMaster());
  StopReport report =
      intel::CountLeftovers(rx_, Format(), rx_buffer_bytes_, tx_, tx::kErrors);
  report.rx_missed = ReadStatistics().rx_missed;
  if (reset_drops_link_) {
    CO_RETURN_IF_ERROR(co_await EmptyQueues());
  } else {
    CO_RETURN_IF_ERROR(co_await Reset());
  }
  // No stale frame: no descriptor of before is left either.
  rx_.Clear();
  tx_.Clear();
  InitRx();
  InitTx();
  InitIrq();
  CO_RETURN_IF_ERROR(co_await RaiseLink());
  co_return report;
}

// 4.5.9.2 and 4.5.10: queues that are off may be given other rings. Instead of
// a reset after which a link would be gone for as long as negotiation takes; no
// bus request is pending (DisableBusMaster).
Task<absl::Status> Igb::EmptyQueues() {
  regs_.HoldWrites();
  regs_.Write(Value<RXDCTL>());
  regs_.Write(Value<TXDCTL>());
  const uint64_t deadline_ns = MonotonicNs() + kQueueDeadlineNs;
  while (regs_.Read<RXDCTL>()[RXDCTL::ENABLE] != 0 ||
         regs_.Read<TXDCTL>()[TXDCTL::ENABLE] != 0) {
    if (MonotonicNs() > deadline_ns) co_return co_await Reset();
    co_await context_.loop.Sleep(kPoll);
  }
  regs_.HoldWrites();
  regs_.Write(Value<RDH>());
  regs_.Write(Value<RDT>());
  regs_.Write(Value<TDH>());
  regs_.Write(Value<TDT>());
  regs_.Write(ctrl_);
  ForgetRings();
  co_return absl::OkStatus();
}

// 8.2.1: after GIO_MASTER_DISABLE the device starts no new request, and
// STATUS.GIO_MASTER_ENABLE clears when none is pending. Should one stay
// pending, the reset that follows ends it.
Task<absl::Status> Igb::DisableBusMaster() {
  regs_.Write(ctrl_ | CTRL::GIO_MASTER_DISABLE(1));
  const uint64_t deadline_ns = MonotonicNs() + kMasterDeadlineNs;
  Value<STATUS> status = regs_.Read<STATUS>();
  while (status[STATUS::GIO_MASTER_ENABLE] != 0) {
    if (ReadsAsGone(status)) co_return GoneError();
    if (MonotonicNs() > deadline_ns) {
      LogWarning("stop the NIC: bus requests are pending after 80 ms");
      break;
    }
    co_await context_.loop.Sleep(kPoll);
    status = regs_.Read<STATUS>();
  }
  co_return absl::OkStatus();
}

Task<absl::Status> Igb::Detach() {
  multicast_.CancelClear();
  // The ring addresses go with it.
  CO_RETURN_IF_ERROR(co_await Reset());
  rx_.Detach();
  tx_.Detach();
  context_.platform.FreeDma(std::exchange(memory_, DmaMemory()));
  co_return absl::OkStatus();
}

void Igb::Shutdown() {
  ShutDmaOff();
  regs_.Write(ctrl_ | CTRL::GIO_MASTER_DISABLE(1));
}

}  // namespace bulkhead::nic_driver
