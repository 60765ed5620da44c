#include "nic_driver/igb/igb.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/clock.h"
#include "base/log.h"
#include "nic_driver/framework/task_status.h"
#include "nic_driver/intel/mac.h"
#include "nic_driver/intel/statistics.h"

namespace bulkhead::nic_driver {

using namespace igb;  // The register table.

namespace {

constexpr uint16_t kIntel = 0x8086;
constexpr uint16_t k82576 = 0x10c9;

// MSI-X vectors, as IVAR allocates them (7.3): each queue pair has the one of
// its number, the other causes that which follows.
constexpr uint32_t kLeastVectors = 2;
constexpr uint32_t VectorBits(uint32_t count) { return (1u << count) - 1; }
// The other causes come in floods: a miss for each frame, a loose cable.
constexpr uint32_t kOtherIntervalUs = 2000;

// 8.2.1: a millisecond after CTRL.RST nothing may be accessed; the EEPROM's
// auto-load follows. A queue is on or off within microseconds (4.5.9.2).
constexpr std::chrono::milliseconds kResetPause{1};
constexpr uint64_t kResetDeadlineNs = 50'000'000;
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
// RFC 768: where UDP has its checksum.
constexpr uint32_t kUdpChecksumOffset = 6;
constexpr uint32_t kMaxChecksumPosition =
    kMacHeaderBytes + kMaxIpBytes + kUdpChecksumOffset;

// L4LEN holds eight bits: with the least of the others, what any TCP needs.
constexpr uint32_t kMaxSegmentHeaderBytes = 255;

// The thresholds that Intel's own drivers use for this MAC.
constexpr uint32_t kPrefetch = 8;
constexpr uint32_t kRxHost = 8;
constexpr uint32_t kTxHost = 1;

// The key of the RSS hash. Two bytes over and over make the hash symmetric:
// both directions of a connection come to the same number, and so to the same
// lane (Woo and Park, "Scalable TCP Session Monitoring with Symmetric
// Receive-side Scaling", 2012). It is the same at each start, so that flows
// keep their lanes when the driver is replaced.
constexpr uint32_t kRssKeyWord = 0x5a6d5a6d;
constexpr uint32_t kRetaEntries = 128;

uint32_t QueuesFor(const DriverContext& context) {
  const uint32_t vectors = std::max(context.irq_vectors, kLeastVectors);
  return std::clamp(std::min(context.queues, vectors - 1), 1u, Igb::kMaxQueues);
}

}  // namespace

Igb::Igb(const DriverContext& context)
    : context_(context),
      regs_(context.device, igb::kRegisterBar),
      phy_(context.loop, regs_),
      multicast_(context.loop, regs_) {
  const uint32_t count = QueuesFor(context);
  for (uint32_t i = 0; i < count; ++i) queues_.emplace_back(regs_, i);
}

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
  if (context_.irq_vectors < kLeastVectors) {
    return absl::InvalidArgumentError(absl::StrCat(
        "drive ", identity.address, ": the grant has ", context_.irq_vectors,
        " MSI-X vectors; igb needs ", kLeastVectors));
  }
  return absl::OkStatus();
}

Task<absl::StatusOr<NicFacts>> Igb::Attach() {
  absl::StatusOr<DmaMemory> memory =
      co_await context_.platform.AllocDma(queues_.size() * intel::kRingBytes);
  if (!memory.ok()) co_return memory.status();
  memory_ = *std::move(memory);
  for (size_t i = 0; i < queues_.size(); ++i) {
    queues_[i].Attach(memory_, i * intel::kRingBytes);
  }

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
                     .max_segment_header_bytes = kMaxSegmentHeaderBytes,
                     .queues = QueueCount()};
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
  mrqc_ = Value<MRQC>();
  ForgetRings();
  co_return absl::OkStatus();
}

void Igb::ForgetRings() {
  rctl_ = Value<RCTL>();
  other_fired_ = false;
  for (IgbQueue& queue : queues_) queue.Forget();
}

// No interrupt, no new frame in or out.
void Igb::ShutDmaOff() {
  regs_.Write(Value<IMC>(~uint32_t{0}));
  regs_.Write(EIMC::VECTORS(~uint32_t{0}));
  regs_.Write(Value<RCTL>());
  regs_.Write(TCTL::PSP(1));
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

// 4.5.9: rings and filters, while the queues are off: a reset leaves queue 0
// on. RDH and RDT are 0 after a reset.
void Igb::InitRx() {
  for (uint32_t i = 0; i < QueueCount(); ++i) {
    const uint64_t ring = queues_[i].rx_ring();
    regs_.Write(Value<RXDCTL>(), i);
    regs_.Write(Value<RDBAL>(Low(ring)), i);
    regs_.Write(Value<RDBAH>(High(ring)), i);
    regs_.Write(Value<RDLEN>(intel::kRxRingBytes), i);
  }
  regs_.Write(RxChecksum());
  WriteMaxLength();
  multicast_.Restore();
}

// 4.5.10. TDH and TDT are 0 after a reset, TIPG is right for copper.
void Igb::InitTx() {
  for (uint32_t i = 0; i < QueueCount(); ++i) {
    const uint64_t ring = queues_[i].tx_ring();
    regs_.Write(Value<TXDCTL>(), i);
    regs_.Write(Value<TDBAL>(Low(ring)), i);
    regs_.Write(Value<TDBAH>(High(ring)), i);
    regs_.Write(Value<TDLEN>(intel::kTxRingBytes), i);
  }
}

// 7.3: a message clears its cause (EIAC) and masks it (EIAM), so that no
// register access is needed before ArmIrqs. GPIE first: the others mean vectors
// only with it.
void Igb::InitIrq() {
  regs_.Write(GPIE::MULTIPLE_MSIX(1) | GPIE::EIAME(1) | GPIE::PBA_SUPPORT(1));
  for (uint32_t i = 0; i < QueueCount(); ++i) {
    regs_.Write(
        IVAR::RX(i) | IVAR::RX_VALID(1) | IVAR::TX(i) | IVAR::TX_VALID(1), i);
  }
  regs_.Write(IVAR_MISC::OTHER(OtherVector()) | IVAR_MISC::OTHER_VALID(1));
  const uint32_t all = VectorBits(OtherVector() + 1);
  regs_.Write(EIAC::VECTORS(all));
  regs_.Write(EIAM::VECTORS(all));
  regs_.Write(CTRL_EXT::DRV_LOAD(1));
  // A reset keeps what an earlier owner had in it.
  WriteModeration();
  regs_.Write(EITR::INTERVAL(kOtherIntervalUs), OtherVector());
}

// Off unless the scenario asks for it: while we poll, the vectors are masked
// anyway.
void Igb::WriteModeration() {
  const uint32_t interval_us =
      std::min(config_.interrupt_interval_us,
               EITR::INTERVAL.kMask / EITR::INTERVAL(1).bits());
  for (uint32_t i = 0; i < QueueCount(); ++i) {
    regs_.Write(EITR::INTERVAL(interval_us), i);
  }
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
    regs_.Write(RxChecksum());
    ExpectFrames();
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
         RCTL::UPE(config_.promiscuous) |
         RCTL::MPE(config_.promiscuous || config_.all_multicast) |
         RCTL::LPE(config_.mtu > kMaxStandardMtu);
}

void Igb::ExpectFrames() {
  for (IgbQueue& queue : queues_) {
    queue.Expect(rx_buffer_bytes_, config_.rx_checksum);
  }
}

Task<absl::StatusOr<LinkStatus>> Igb::Start(uint32_t rx_buffer_bytes,
                                            uint32_t queues) {
  rx_buffer_bytes_ = rx_buffer_bytes;
  running_ = std::clamp(queues, 1u, QueueCount());
  ExpectFrames();
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
  regs_.Write(EIMS::VECTORS(VectorBits(running_) | OtherBit()));
  // This read also flushes the writes before it, so that doorbells may follow.
  const Value<STATUS> status = regs_.Read<STATUS>();
  if (ReadsAsGone(status)) co_return GoneError();
  started_ = true;
  multicast_.ClearLater();
  co_return intel::LinkOf(status);
}

// 4.5.9 and 4.5.10: a queue counts as on once ENABLE reads so; only then may
// the tails move. DROP_EN stays 0: frames without a buffer wait in the packet
// buffer while it lasts. A lane whose client takes none then holds up the
// others of the same client, which is its own affair; what DROP_EN drops, no
// interrupt tells of.
Task<absl::Status> Igb::EnableQueues() {
  regs_.HoldWrites();
  SpreadFlows();
  for (uint32_t i = 0; i < running_; ++i) {
    regs_.Write(
        SRRCTL::BSIZEPACKET(rx_buffer_bytes_ / 1024) | SRRCTL::DESCTYPE(1), i);
    // WTHRESH 1: each descriptor is written back at once, we poll for DD.
    regs_.Write(RXDCTL::PTHRESH(kPrefetch) | RXDCTL::HTHRESH(kRxHost) |
                    RXDCTL::WTHRESH(1) | RXDCTL::ENABLE(1),
                i);
    regs_.Write(TXDCTL::PTHRESH(kPrefetch) | TXDCTL::HTHRESH(kTxHost) |
                    TXDCTL::WTHRESH(1) | TXDCTL::ENABLE(1),
                i);
  }
  const uint64_t deadline_ns = MonotonicNs() + kQueueDeadlineNs;
  for (uint32_t i = 0; i < running_; ++i) {
    while (regs_.Read<RXDCTL>(i)[RXDCTL::ENABLE] == 0 ||
           regs_.Read<TXDCTL>(i)[TXDCTL::ENABLE] == 0) {
      if (MonotonicNs() > deadline_ns) {
        co_return absl::DeadlineExceededError(
            "start the NIC: its queues are still off after 20 ms");
      }
      co_await context_.loop.Sleep(kPoll);
    }
  }
  co_return absl::OkStatus();
}

// 7.1.2.8: the hash of a frame's addresses, and of TCP its ports, picks one of
// the 128 entries of RETA, which names the queue. What has neither goes to
// queue 0. Ports of UDP are not hashed: fragments have none, so that those of a
// large datagram would go another way than the small ones of the same flow, and
// overtake them. The receiver is off, as RSS wants it to be set up.
void Igb::SpreadFlows() {
  const Value<MRQC> wanted =
      running_ == 1 ? Value<MRQC>()
                    : MRQC::MODE(MRQC::kRss) | MRQC::TCP_IPV4(1) |
                          MRQC::IPV4(1) | MRQC::IPV6(1) | MRQC::TCP_IPV6(1);
  if (wanted == mrqc_ && running_ == 1) return;
  mrqc_ = wanted;
  regs_.Write(RxChecksum());
  if (running_ > 1) {
    for (uint32_t i = 0; i < RSSRK::kCount; ++i) {
      regs_.Write(Value<RSSRK>(kRssKeyWord), i);
    }
    for (uint32_t i = 0; i < kRetaEntries; i += 4) {
      regs_.Write(RETA::ENTRY0(i % running_) |
                      RETA::ENTRY1((i + 1) % running_) |
                      RETA::ENTRY2((i + 2) % running_) |
                      RETA::ENTRY3((i + 3) % running_),
                  i / 4);
    }
  }
  regs_.Write(mrqc_);
}

// 8.10, RXCSUM.PCSD: the place in the descriptor is the hash's, not that of a
// checksum which nobody asks for; RSS is on only with it.
Value<RXCSUM> Igb::RxChecksum() const {
  return RXCSUM::TUOFLD(config_.rx_checksum) |
         RXCSUM::PCSD(mrqc_ != Value<MRQC>());
}

IrqResult Igb::HandleIrq(uint32_t vector) {
  if (vector != OtherVector()) return {};
  // It should have masked itself, see IgbQueue::HandleIrq.
  if (other_fired_) regs_.Write(EIMC::VECTORS(OtherBit()));
  other_fired_ = true;
  // Which cause it was could only be read from ICR, and that is a round trip.
  // So both are looked after, and the vector stays masked until the next
  // statistics: a flood of frames would raise RXMISS for each, a flapping link
  // LSC.
  regs_.Clear(ICR::LSC(1) | ICR::RXMISS(1));
  return {.link = true, .statistics = true};
}

LinkStatus Igb::Link() { return intel::LinkOf(regs_.Read<STATUS>()); }

DeviceStatistics Igb::ReadStatistics() {
  // In this order, a miss after the read interrupts again; a change of the link
  // since the last look does so now.
  regs_.Clear(ICR::RXMISS(1));
  other_fired_ = false;
  if (started_) regs_.Write(EIMS::VECTORS(OtherBit()));
  return intel::ReadStatistics(regs_);
}

Task<absl::StatusOr<StopReport>> Igb::Stop() {
  started_ = false;
  ShutDmaOff();
  CO_RETURN_IF_ERROR(co_await DisableBusMaster());
  StopReport report;
  for (IgbQueue& queue : queues_) report += queue.TakeLeftovers();
  report.statistics = ReadStatistics();
  if (reset_drops_link_) {
    CO_RETURN_IF_ERROR(co_await EmptyQueues());
  } else {
    CO_RETURN_IF_ERROR(co_await Reset());
  }
  // No stale frame: no descriptor of before is left either.
  for (IgbQueue& queue : queues_) queue.Clear();
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
  for (uint32_t i = 0; i < running_; ++i) {
    regs_.Write(Value<RXDCTL>(), i);
    regs_.Write(Value<TXDCTL>(), i);
  }
  const uint64_t deadline_ns = MonotonicNs() + kQueueDeadlineNs;
  for (uint32_t i = 0; i < running_; ++i) {
    while (regs_.Read<RXDCTL>(i)[RXDCTL::ENABLE] != 0 ||
           regs_.Read<TXDCTL>(i)[TXDCTL::ENABLE] != 0) {
      if (MonotonicNs() > deadline_ns) co_return co_await Reset();
      co_await context_.loop.Sleep(kPoll);
    }
  }
  regs_.HoldWrites();
  for (uint32_t i = 0; i < running_; ++i) {
    regs_.Write(Value<RDH>(), i);
    regs_.Write(Value<RDT>(), i);
    regs_.Write(Value<TDH>(), i);
    regs_.Write(Value<TDT>(), i);
  }
  regs_.Write(ctrl_);
  ForgetRings();
  co_return absl::OkStatus();
}

// 8.2.1: the device starts no new bus request.
Task<absl::Status> Igb::DisableBusMaster() {
  regs_.Write(ctrl_ | CTRL::GIO_MASTER_DISABLE(1));
  return intel::AwaitBusMasterOff<STATUS>(context_.loop, regs_);
}

Task<absl::Status> Igb::Detach() {
  multicast_.CancelClear();
  // The ring addresses go with it.
  CO_RETURN_IF_ERROR(co_await Reset());
  for (IgbQueue& queue : queues_) queue.Detach();
  context_.platform.FreeDma(std::exchange(memory_, DmaMemory()));
  co_return absl::OkStatus();
}

void Igb::Shutdown() {
  ShutDmaOff();
  regs_.Write(ctrl_ | CTRL::GIO_MASTER_DISABLE(1));
}

}  // namespace bulkhead::nic_driver
