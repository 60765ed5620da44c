#include "nic_driver/e1000e/e1000e.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/clock.h"
#include "nic_driver/framework/task_status.h"
#include "nic_driver/intel/mac.h"
#include "nic_driver/intel/statistics.h"

namespace bulkhead::nic_driver {

using namespace e1000e;  // The register table.

namespace {

constexpr uint16_t kIntel = 0x8086;
constexpr uint16_t k82574L = 0x10d3;

// MSI-X vectors, as IVAR allocates them (7.4.1).
constexpr uint32_t kRxVector = 0;
constexpr uint32_t kTxVector = 1;
constexpr uint32_t kOtherVector = 2;
constexpr uint32_t kVectors = 3;

// A reset takes 1 µs for the MAC and up to 25 ms for the NVM's auto-load (4.2).
constexpr uint64_t kResetDeadlineNs = 50'000'000;
constexpr std::chrono::milliseconds kResetPoll{1};

// The MAC's largest frame is 9018 bytes with header and FCS (1.0, jumbo).
constexpr uint32_t kMaxMtu = 9000;
constexpr uint32_t kMaxStandardMtu = 1500;
// TCTL.PSP pads only what has 17 bytes or more (10.2.6.1).
constexpr uint32_t kMinTxFrameBytes = 17;
// CSO and CSS of a legacy tx descriptor have eight bits (7.2.10).
constexpr uint32_t kMaxChecksumPosition = 255;
// HDRLEN of a context descriptor, too (7.2.10.1).
constexpr uint32_t kMaxSegmentHeaderBytes = 255;
}  // namespace

std::unique_ptr<E1000e> E1000e::Create(const DriverContext& context) {
  return std::unique_ptr<E1000e>(new E1000e(context));
}

absl::Status E1000e::Probe() {
  const PciIdentity& identity = context_.identity;
  if (identity.vendor != kIntel || identity.device != k82574L) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "drive %s: it is %04x:%04x and e1000e drives 8086:10d3; name another "
        "driver in the scenario's rule",
        identity.address, identity.vendor, identity.device));
  }
  if (context_.irq_vectors < kVectors) {
    return absl::InvalidArgumentError(absl::StrCat(
        "drive ", identity.address, ": the grant has ", context_.irq_vectors,
        " MSI-X vectors; e1000e needs ", kVectors));
  }
  return absl::OkStatus();
}

Task<absl::StatusOr<NicFacts>> E1000e::Attach() {
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
  absl::StatusOr<MacAddress> mac =
      co_await intel::ReadMac<RAL0, RAH0>(context_.loop, regs_);
  if (!mac.ok()) co_return mac.status();
  CO_RETURN_IF_ERROR(co_await context_.platform.DmaEnabled());
  co_return NicFacts{.mac = *mac,
                     .max_mtu = kMaxMtu,
                     .offloads = packet_stream::kOffloadTxChecksum |
                                 packet_stream::kOffloadRxChecksum |
                                 packet_stream::kOffloadTxTcpSegmentation,
                     .min_tx_frame_bytes = kMinTxFrameBytes,
                     .max_checksum_position = kMaxChecksumPosition,
                     .max_segment_header_bytes = kMaxSegmentHeaderBytes};
}

// 4.6.2 and 4.6.3: interrupts off, reset, interrupts off again. Whatever state
// an earlier generation left is gone then, ring heads and tails included.
//
// CTRL.PHY_RST is not set: the link stays up.
Task<absl::Status> E1000e::Reset() {
  regs_.HoldWrites();
  regs_.Write(Value<IMC>(~uint32_t{0}));
  regs_.Write(Value<RCTL>());
  regs_.Write(TCTL::PSP(1));
  regs_.Write(CTRL::RST(1));
  const uint64_t deadline_ns = MonotonicNs() + kResetDeadlineNs;
  Value<CTRL> ctrl = regs_.Read<CTRL>();
  while (ctrl[CTRL::RST] != 0) {
    if (ReadsAsGone(ctrl)) co_return GoneError();
    if (MonotonicNs() > deadline_ns) {
      co_return absl::DeadlineExceededError(
          "reset the NIC: CTRL.RST is still set after 50 ms; power-cycle it");
    }
    co_await context_.loop.Sleep(kResetPoll);
    ctrl = regs_.Read<CTRL>();
  }
  regs_.Write(Value<IMC>(~uint32_t{0}));
  // 4.6.4: the MAC takes speed and duplex from the PHY.
  regs_.Write(ctrl.With(CTRL::SLU, 1)
                  .With(CTRL::FRCSPD, 0)
                  .With(CTRL::FRCDPLX, 0)
                  .With(CTRL::GIO_MASTER_DISABLE, 0));
  rctl_ = Value<RCTL>();
  fired_ = 0;
  rx_.Forget();
  tx_.Forget();
  co_return absl::OkStatus();
}

// 4.6.6: ring, descriptor format, filters. RDH and RDT are 0 after a reset.
void E1000e::InitRx() {
  regs_.Write(Value<RDBAL>(Low(memory_.iova())));
  regs_.Write(Value<RDBAH>(High(memory_.iova())));
  regs_.Write(Value<RDLEN>(intel::kRxRingBytes));
  // Each descriptor is written back at once: we poll for DD.
  regs_.Write(RXDCTL::GRAN(1) | RXDCTL::WTHRESH(1));
  regs_.Write(RFCTL::EXSTEN(1) | RFCTL::ACK_DIS(1));
  regs_.Write(RXCSUM::TUOFLD(config_.rx_checksum));
  multicast_.Restore();
}

// 4.6.7. TDH and TDT are 0 after a reset.
void E1000e::InitTx() {
  const uint64_t ring = memory_.iova(intel::kRxRingBytes);
  regs_.Write(Value<TDBAL>(Low(ring)));
  regs_.Write(Value<TDBAH>(High(ring)));
  regs_.Write(Value<TDLEN>(intel::kTxRingBytes));
  regs_.Write(TXDCTL::GRAN(1) | TXDCTL::WTHRESH(1) | TXDCTL::ONE(1));
  // The values that 10.2.6.2 recommends for copper.
  regs_.Write(TIPG::IPGT(8) | TIPG::IPGR1(8) | TIPG::IPGR2(6));
}

// 7.4: a message of vectors 0–2 clears its cause (EIAC) and masks it (IAM), so
// that no register access is needed before ArmIrqs. The moderation timer is off
// unless the scenario asks for it: while we poll, the causes are masked anyway.
void E1000e::InitIrq() {
  regs_.Write(IVAR::RXQ0(kRxVector) | IVAR::RXQ0_VALID(1) |
              IVAR::TXQ0(kTxVector) | IVAR::TXQ0_VALID(1) |
              IVAR::OTHER(kOtherVector) | IVAR::OTHER_VALID(1) |
              IVAR::TX_EVERY_WRITE_BACK(1));
  regs_.Write(CTRL_EXT::EIAME(1) | CTRL_EXT::DRV_LOAD(1) |
              CTRL_EXT::PBA_SUPPORT(1));
  regs_.Write(EIAC::RXQ0(1) | EIAC::TXQ0(1) | EIAC::OTHER(1));
  regs_.Write(IAM::RXQ0(1) | IAM::TXQ0(1) | IAM::OTHER(1));
  if (config_.interrupt_interval_us != 0) WriteModeration();
}

void E1000e::WriteModeration() {
  constexpr uint32_t kUnitNs = 256;
  const uint32_t units = std::min<uint64_t>(
      uint64_t{config_.interrupt_interval_us} * 1000 / kUnitNs, 0xffff);
  regs_.Write(EITR::INTERVAL(units), kRxVector);
  regs_.Write(EITR::INTERVAL(units), kTxVector);
}

absl::Status E1000e::Configure(const NicConfig& config) {
  if (config.mtu > kMaxMtu) {
    return absl::InvalidArgumentError(
        absl::StrCat("configure: an mtu of ", config.mtu,
                     "; the 82574L takes at most ", kMaxMtu));
  }
  const NicConfig old = std::exchange(config_, config);
  if (old.interrupt_interval_us != config.interrupt_interval_us) {
    WriteModeration();
  }
  if (old.rx_checksum != config.rx_checksum) {
    regs_.Write(RXCSUM::TUOFLD(config.rx_checksum));
  }
  if (old.multicast != config.multicast) multicast_.Set(config.multicast);
  if (started_ && ReceiveControl() != rctl_) {
    rctl_ = ReceiveControl();
    regs_.Write(rctl_);
  }
  return absl::OkStatus();
}

// Bad frames are not stored (SBP = 0), the FCS is stripped, frames of more than
// 1522 bytes are dropped by the device unless the mtu allows them.
Value<RCTL> E1000e::ReceiveControl() const {
  uint32_t size = rx_buffer_bytes_;
  const bool extended = size >= 4096;
  if (extended) size /= 16;
  // 2048, 1024, 512, 256 are 0, 1, 2, 3; with BSEX, 16384 is 1.
  uint32_t code = 0;
  while (size < 2048 && code < 3) {
    size *= 2;
    ++code;
  }
  return RCTL::EN(1) | RCTL::BAM(1) | RCTL::SECRC(1) | RCTL::BSIZE(code) |
         RCTL::BSEX(extended) | RCTL::UPE(config_.promiscuous) |
         RCTL::MPE(config_.promiscuous || config_.all_multicast) |
         RCTL::LPE(config_.mtu > kMaxStandardMtu);
}

Task<absl::StatusOr<LinkStatus>> E1000e::Start(uint32_t rx_buffer_bytes,
                                               uint32_t) {
  // The largest that RCTL can say; what is longer is left unused.
  rx_buffer_bytes_ = std::min(rx_buffer_bytes, uint32_t{16384});
  rctl_ = ReceiveControl();
  regs_.HoldWrites();
  regs_.Write(rctl_);
  // 10.2.6.1: the collision values matter at half duplex only.
  regs_.Write(TCTL::EN(1) | TCTL::PSP(1) | TCTL::CT(15) | TCTL::COLD(63) |
              TCTL::RTLC(1) | TCTL::MULR(1));
  // The reset's own link change is no news.
  regs_.Clear(Value<ICR>(~uint32_t{0}));
  regs_.Write(IMS::RXQ0(1) | IMS::TXQ0(1) | IMS::OTHER(1) | IMS::LSC(1) |
              IMS::RXO(1));
  // This read also flushes the writes before it, so that doorbells may follow.
  const Value<STATUS> status = regs_.Read<STATUS>();
  if (ReadsAsGone(status)) co_return GoneError();
  if (status[STATUS::LU] == 0) {
    const absl::Status raised = co_await RaiseLink();
    if (!raised.ok()) LogWarning(raised.message());
  }
  started_ = true;
  multicast_.ClearLater();
  co_return intel::LinkOf(status);
}

// Linux powers the PHY down with the interface, and CTRL.RST does not reach it.
// Whether a link then comes, and when, is told by LSC.
Task<absl::Status> E1000e::RaiseLink() {
  const uint64_t deadline_ns = MonotonicNs() + intel::Phy::kDeadlineNs;
  for (;;) {
    regs_.Write(regs_.Read<EXTCNF_CTRL>().With(EXTCNF_CTRL::MDIO_SW, 1));
    if (regs_.Read<EXTCNF_CTRL>()[EXTCNF_CTRL::MDIO_SW] != 0) break;
    if (MonotonicNs() > deadline_ns) {
      co_return absl::DeadlineExceededError(
          "use the PHY: the firmware holds it for 50 ms");
    }
    co_await context_.loop.Sleep(intel::Phy::kPoll);
  }
  const absl::Status status = co_await phy_.Negotiate();
  regs_.Write(regs_.Read<EXTCNF_CTRL>().With(EXTCNF_CTRL::MDIO_SW, 0));
  co_return status;
}

size_t E1000e::RxRoom() const { return rx_.Room(); }

void E1000e::RxRefill(std::span<const RxBuffer> buffers) {
  rx_.Refill(buffers);
  regs_.Ring(Value<RDT>(rx_.tail()));
}

intel::RxFormat E1000e::Format() const {
  if (!config_.rx_checksum) return {.frame_errors = rx::kFrameErrors};
  return {.frame_errors = rx::kFrameErrors,
          .checksum_checked = rx::TCPCS | rx::UDPCS,
          .checksum_doubted = rx::TCPE | rx::IXSM};
}

size_t E1000e::RxHarvest(std::span<RxPiece> out) {
  return rx_.Harvest(Format(), rx_buffer_bytes_, out);
}

size_t E1000e::TxRoom() const { return tx_.Room(); }

// RS is set in the last descriptor of every frame, not only of the batch: each
// frame is acknowledged as soon as it is sent, so that the fewest are in doubt
// when we die (S8). It costs the device a write of 16 bytes per frame.
//
// CSS and CSO of a legacy descriptor would say the one checksum that a session
// asks for without a context. QEMU's card does not look at them.
void E1000e::TxSubmit(std::span<const TxPiece> pieces) {
  for (const TxPiece& piece : pieces) {
    const bool segmented = piece.segment_bytes != 0;
    if (piece.checksum && tx_.at_frame_start()) PutContext(piece);
    uint64_t command = piece.length | tx::IFCS;
    if (!piece.more) command |= tx::EOP | tx::RS;
    if (piece.checksum) command |= tx::DEXT | tx::DTYP_DATA | tx::TXSM;
    if (segmented) command |= tx::TSE | (piece.ipv6 ? 0 : tx::IXSM);
    tx_.Put(piece, command);
  }
  regs_.Ring(Value<TDT>(tx_.tail()));
}

// 7.2.4 and 7.2.10.1. The session's contract puts the IP header of a segment
// behind 14 bytes of Ethernet.
void E1000e::PutContext(const TxPiece& first) {
  constexpr uint64_t kIp = 14;
  constexpr uint64_t kIpv4Checksum = kIp + 10;
  const uint64_t l4 = uint64_t{first.checksum_start} << 32 |
                      uint64_t{first.checksum_position} << 40;
  if (first.segment_bytes == 0) return tx_.PutContext(l4, tx::DEXT);
  const uint64_t end = first.checksum_start - 1;
  const uint64_t ip = first.ipv6 ? 0 : kIpv4Checksum << 8 | end << 16;
  tx_.PutContext(kIp | ip | l4,
                 (first.frame_bytes - first.header_bytes) | tx::DEXT | tx::TSE |
                     tx::TUCMD_TCP | (first.ipv6 ? 0 : tx::TUCMD_IPV4) |
                     tx::HdrLen(first.header_bytes) |
                     tx::Mss(first.segment_bytes));
}

size_t E1000e::TxReap(std::span<TxDone> out) {
  return tx_.Reap(tx::kErrors, out);
}

IrqResult E1000e::HandleIrq(uint32_t vector) {
  switch (vector) {
    case kRxVector:
      fired_ |= IMS::RXQ0.kMask;
      return {.traffic = true};
    case kTxVector:
      fired_ |= IMS::TXQ0.kMask;
      return {.traffic = true};
    case kOtherVector:
      // Which cause it was could only be read from ICR, and a read may clear
      // the queues' causes too. So both are looked after, and the vector stays
      // masked until the next statistics: a flood of frames would raise RXO for
      // each, a flapping link LSC.
      regs_.Clear(ICR::LSC(1) | ICR::RXO(1));
      return {.link = true, .statistics = true};
    default:
      return {};
  }
}

void E1000e::ArmIrqs() {
  if (fired_ == 0) return;
  regs_.Write(Value<IMS>(std::exchange(fired_, 0)));
}

LinkStatus E1000e::Link() { return intel::LinkOf(regs_.Read<STATUS>()); }

DeviceStatistics E1000e::ReadStatistics() {
  // In this order, a miss after the read interrupts again; a change of the link
  // since the last look does so now.
  regs_.Clear(ICR::RXO(1) | ICR::OTHER(1));
  if (started_) regs_.Write(IMS::OTHER(1));
  return intel::ReadStatistics(regs_);
}

Task<absl::StatusOr<StopReport>> E1000e::Stop() {
  started_ = false;
  regs_.Write(Value<IMC>(~uint32_t{0}));
  regs_.Write(Value<RCTL>());
  regs_.Write(TCTL::PSP(1));
  CO_RETURN_IF_ERROR(co_await DisableBusMaster());
  StopReport report =
      intel::CountLeftovers(rx_, Format(), rx_buffer_bytes_, tx_, tx::kErrors);
  report.statistics = ReadStatistics();
  CO_RETURN_IF_ERROR(co_await Reset());
  // No stale frame: no descriptor of before is left either.
  rx_.Clear();
  tx_.Clear();
  InitRx();
  InitTx();
  InitIrq();
  co_return report;
}

// 10.2.2.1: the device starts no new bus request.
Task<absl::Status> E1000e::DisableBusMaster() {
  regs_.Write(CTRL::SLU(1) | CTRL::GIO_MASTER_DISABLE(1));
  return intel::AwaitBusMasterOff<STATUS>(context_.loop, regs_);
}

Task<absl::Status> E1000e::Detach() {
  multicast_.CancelClear();
  // The ring addresses go with it.
  CO_RETURN_IF_ERROR(co_await Reset());
  rx_.Detach();
  tx_.Detach();
  context_.platform.FreeDma(std::exchange(memory_, DmaMemory()));
  co_return absl::OkStatus();
}

void E1000e::Shutdown() {
  regs_.Write(Value<IMC>(~uint32_t{0}));
  regs_.Write(Value<RCTL>());
  regs_.Write(TCTL::PSP(1));
  regs_.Write(CTRL::SLU(1) | CTRL::GIO_MASTER_DISABLE(1));
}

}  // namespace bulkhead::nic_driver
