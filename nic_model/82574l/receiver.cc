#include "nic_model/82574l/receiver.h"

#include <algorithm>
#include <cstring>

#include "nic_model/intel/rx_filter.h"

namespace bulkhead::nic_model::i82574 {
namespace {

constexpr size_t kFcsBytes = 4;
// 10.2.5.1 LPE: longer frames are long packets; FCS not counted here.
constexpr size_t kLongestWithoutLpe = 1522 - kFcsBytes;

}  // namespace

uint32_t Receiver::BufferBytes() const {
  const uint32_t rctl = regs_[kRctl];
  const uint32_t flexible = (rctl >> 27) & 0xf;
  if (flexible != 0) return flexible * 1024;
  const uint32_t bytes = 2048u >> ((rctl >> 16) & 3);
  if ((rctl & kRctlBsex) == 0) return bytes;
  // BSIZE 0 is reserved with BSEX; 16 times the size otherwise.
  return bytes == 2048 ? 2048 : bytes * 16;
}

uint32_t Receiver::DescriptorsFor(size_t bytes) const {
  if (!regs_.Has(kRctl, kRctlSecrc)) bytes += kFcsBytes;
  const uint32_t buffer = BufferBytes();
  return static_cast<uint32_t>((bytes + buffer - 1) / buffer);
}

bool Receiver::PausesPartner() const {
  const uint32_t threshold = regs_[kFcrth] & 0xfff8;
  return regs_.Has(kCtrl, kCtrlTfce) && threshold != 0 && enabled_ &&
         fifo_.bytes() != 0 &&
         (ring_.owned() == 0 || fifo_.bytes() >= threshold);
}

void Receiver::Account(std::atomic<uint64_t>& counter) {
  Bump(counter);
  Bump(counters_.rx_offered);
  ++frames_done_;
}

void Receiver::Receive(std::span<const uint8_t> frame) {
  if (!enabled_) return Account(counters_.rx_disabled);
  if (frame.size() < kMinFrameBytes) {
    // The wire carries no shorter frame: its sender padded it.
    std::memset(scratch_.data(), 0, kMinFrameBytes);
    std::memcpy(scratch_.data(), frame.data(), frame.size());
    frame = std::span(scratch_).first(kMinFrameBytes);
  }
  statistics_.CountArrived(frame.size());
  if (frame.size() > kMaxFrameBytes ||
      (frame.size() > kLongestWithoutLpe && !regs_.Has(kRctl, kRctlLpe))) {
    statistics_.Count(kRoc);
    statistics_.Count(kRlec);
    return Account(counters_.rx_oversize);
  }
  if (!PassesFilter(regs_, frame.first(6))) {
    return Account(counters_.rx_filtered);
  }
  const uint32_t descriptors = DescriptorsFor(frame.size());
  const uint32_t count = ring_.count();
  if (count != 0 && descriptors >= count) {
    statistics_.Count(kRlec);
    return Account(counters_.rx_oversize);
  }
  if (fifo_.frames() == 0 && ring_.owned() >= descriptors) {
    return Deliver(frame, descriptors);
  }
  statistics_.Count(kRnbc);
  if (fifo_.Push(frame)) return;
  statistics_.Count(kMpc);
  overrun_ = true;
  Account(counters_.rx_missed);
}

void Receiver::DrainFifo() {
  while (fifo_.frames() != 0 && enabled_) {
    const std::span<const uint8_t> frame = fifo_.Front();
    // The ring may have changed since the frame was let in.
    const uint32_t descriptors = DescriptorsFor(frame.size());
    const uint32_t count = ring_.count();
    if (count != 0 && descriptors >= count) {
      Account(counters_.rx_oversize);
    } else if (ring_.owned() >= descriptors) {
      Deliver(frame, descriptors);
    } else {
      break;
    }
    fifo_.Pop();
  }
}

void Receiver::Deliver(std::span<const uint8_t> frame, uint32_t descriptors) {
  statistics_.CountReceived(frame);
  delivered_ = true;
  // A descriptor or buffer outside the DMA map: the frame is lost, and the
  // fault counted where it happened.
  Account(WriteFrame(frame, descriptors) ? counters_.rx_frames
                                         : counters_.rx_missed);
}

bool Receiver::WriteFrame(std::span<const uint8_t> frame,
                          uint32_t descriptors) {
  std::span<const uint8_t> data = frame;
  const bool with_fcs = !regs_.Has(kRctl, kRctlSecrc);
  if (with_fcs || faults_.corrupt_payload) {
    const uint32_t fcs = FrameCheckSequence(frame);
    std::memmove(scratch_.data(), frame.data(), frame.size());
    if (faults_.corrupt_payload) scratch_[frame.size() / 2] ^= 0x5a;
    std::memcpy(scratch_.data() + frame.size(), &fcs, kFcsBytes);
    data = std::span(scratch_).first(frame.size() + (with_fcs ? kFcsBytes : 0));
  }
  if (faults_.stray_dma) {
    static_cast<void>(dma_.Write(ring_.base() ^ (uint64_t{1} << 46), data));
  }
  return ring_.Scatter(data, descriptors, BufferBytes(),
                       [&](uint32_t length, bool last) {
                         return WriteBack(length, last, frame);
                       });
}

bool Receiver::WriteBack(uint32_t length, bool last,
                         std::span<const uint8_t> frame) {
  if (faults_.length_beyond_buffer) length = BufferBytes() + 512;
  const uint32_t checksum_status = last ? ChecksumStatus(frame) : 0;
  const uint32_t status =
      kRxDd | (last ? kRxEop : 0) | (checksum_status & 0xff);
  const uint32_t errors = checksum_status >> 24;
  const uint16_t packet_checksum = last ? PacketChecksum(frame) : 0;
  if (!regs_.Has(kRfctl, kRfctlExsten)) {
    return ring_.WriteBack(length | uint64_t{packet_checksum} << 16 |
                           uint64_t{status} << 32 | uint64_t{errors} << 40);
  }
  return ring_.WriteBack(
      uint64_t{packet_checksum} << 48,
      status | uint64_t{errors} << 24 | uint64_t{length & 0xffff} << 32);
}

uint32_t Receiver::ChecksumStatus(std::span<const uint8_t> frame) const {
  const bool ip = regs_.Has(kRxcsum, kRxcsumIpofl);
  const bool l4 = regs_.Has(kRxcsum, kRxcsumTuofl);
  if (!ip && !l4) return kRxIxsm;
  RxChecksum sums = CheckFrame(frame);
  if (faults_.corrupt_payload) sums.ip_good = sums.l4_good = true;
  uint32_t status = 0;
  uint32_t errors = 0;
  if (ip && sums.ip_checked) {
    status |= kRxIpcs;
    if (!sums.ip_good) errors |= kRxErrorIpe;
  }
  if (l4 && sums.l4_checked) {
    // 7.1.11.2: UDP packets set both bits.
    status |= sums.l4_is_udp ? kRxUdpcs | kRxTcpcs : kRxTcpcs;
    if (!sums.l4_good) errors |= kRxErrorTcpe;
  }
  return status | errors << 24;
}

uint16_t Receiver::PacketChecksum(std::span<const uint8_t> frame) const {
  // 10.2.5.15: from PCSS on, unless PCSD gives the field to the RSS hash.
  const size_t start = regs_[kRxcsum] & 0xff;
  if (regs_.Has(kRxcsum, kRxcsumPcsd) || start >= frame.size()) return 0;
  return OnesSum(frame.subspan(start));
}

void Receiver::EndBatch() {
  if (!delivered_ && !overrun_) return;
  if (overrun_) interrupts_.Raise(kIcrRxo);
  overrun_ = false;
  if (!delivered_) return;
  delivered_ = false;
  uint32_t causes = kIcrRxt0 | kIcrRxq0;
  // 10.2.5.1 RDMTS: a half, a quarter or an eighth of the ring is left.
  const uint32_t threshold = ring_.count() >> (1 + ((regs_[kRctl] >> 8) & 3));
  if (ring_.owned() <= threshold) causes |= kIcrRxdmt0;
  interrupts_.RaiseDelayed(causes, kRdtr, kRadv);
}

void Receiver::Update(bool link_up) {
  fifo_.set_capacity((regs_[kPba] & 0x3f) * 1024);
  const bool enabled = link_up && regs_.Has(kRctl, kRctlEn);
  if (enabled == enabled_) return;
  enabled_ = enabled;
  if (enabled) return;
  for (size_t left = fifo_.Clear(); left != 0; --left) {
    Account(counters_.rx_disabled);
  }
}

void Receiver::Reset() {
  regs_[kRctl] = 0;
  Update(/*link_up=*/false);
  delivered_ = overrun_ = false;
}

}  // namespace bulkhead::nic_model::i82574
