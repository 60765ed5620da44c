#include "nic_model/82576/receiver.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "nic_model/frames/checksum.h"
#include "nic_model/intel/rx_filter.h"

namespace bulkhead::nic_model::i82576 {
namespace {

constexpr size_t kFcsBytes = 4;
// 8.10.1 LPE: longer frames are long packets, which RLPML limits; FCS counted.
constexpr size_t kLongestWithoutLpe = 1522;

}  // namespace

uint32_t Receiver::Free(uint32_t queue) const {
  if ((Reg(queue, kRxdctl) & kQueueEnable) == 0 ||
      (Reg(queue, kSrrctl) & kSrrctlTypeMask) != kSrrctlTypeOneBuffer) {
    return 0;
  }
  return RingOf(queue).owned();
}

bool Receiver::HasFreeDescriptors() const {
  for (uint32_t left = rss_.used_queues(); left != 0; left &= left - 1) {
    if (Free(static_cast<uint32_t>(std::countr_zero(left))) == 0) return false;
  }
  return enabled_;
}

uint32_t Receiver::BufferBytes(uint32_t queue) const {
  const uint32_t kib = Reg(queue, kSrrctl) & kSrrctlKib;
  if (kib != 0) return kib * 1024;
  return 2048u >> ((regs_[kRctl] >> 16) & 3);
}

bool Receiver::TooLong(size_t bytes) const {
  if (bytes > kMaxFrameBytes) return true;
  const size_t longest =
      regs_.Has(kRctl, kRctlLpe) ? regs_[kRlpml] & 0x3fff : kLongestWithoutLpe;
  return bytes + kFcsBytes > longest;
}

uint32_t Receiver::DescriptorsFor(size_t bytes, uint32_t queue) const {
  if (!regs_.Has(kRctl, kRctlSecrc)) bytes += kFcsBytes;
  const uint32_t buffer = BufferBytes(queue);
  return static_cast<uint32_t>((bytes + buffer - 1) / buffer);
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
  if (TooLong(frame.size())) {
    statistics_.Count(kRoc);
    statistics_.Count(kRlec);
    return Account(counters_.rx_oversize);
  }
  if (!intel::PassesFilter(regs_, frame.first(6))) {
    return Account(counters_.rx_filtered);
  }
  if (fifo_.frames() == 0 && Place(frame)) return;
  statistics_.Count(kRnbc);
  if (fifo_.Push(frame)) return;
  statistics_.Count(kMpc);
  missed_ = true;
  Account(counters_.rx_missed);
}

bool Receiver::Place(std::span<const uint8_t> frame) {
  const RssResult rss = rss_.Classify(frame);
  const uint32_t descriptors = DescriptorsFor(frame.size(), rss.queue);
  const uint32_t count = RingOf(rss.queue).count();
  if (count != 0 && descriptors >= count) {
    statistics_.Count(kRlec);
    Account(counters_.rx_oversize);
    return true;
  }
  if (Free(rss.queue) >= descriptors) {
    Deliver(frame, rss, descriptors);
    return true;
  }
  if ((Reg(rss.queue, kSrrctl) & kSrrctlDropEn) == 0) return false;
  uint32_t& dropped = Reg(rss.queue, kRqdpc);
  dropped = (dropped + 1) & 0xfff;
  Account(counters_.rx_missed);
  return true;
}

void Receiver::DrainFifo() {
  while (fifo_.frames() != 0 && enabled_ && Place(fifo_.Front())) fifo_.Pop();
}

void Receiver::Deliver(std::span<const uint8_t> frame, const RssResult& rss,
                       uint32_t descriptors) {
  statistics_.CountReceived(frame);
  delivered_ |= 1u << rss.queue;
  // A descriptor or buffer outside the DMA map: the frame is lost, and the
  // fault counted where it happened.
  Account(WriteFrame(frame, rss, descriptors) ? counters_.rx_frames
                                              : counters_.rx_missed);
}

std::span<const uint8_t> Receiver::OnBus(std::span<const uint8_t> frame) {
  const bool with_fcs = !regs_.Has(kRctl, kRctlSecrc);
  if (!with_fcs && !faults_.corrupt_payload) return frame;
  const uint32_t fcs = FrameCheckSequence(frame);
  std::memmove(scratch_.data(), frame.data(), frame.size());
  if (faults_.corrupt_payload) scratch_[frame.size() / 2] ^= 0x5a;
  std::memcpy(scratch_.data() + frame.size(), &fcs, kFcsBytes);
  return std::span(scratch_).first(frame.size() + (with_fcs ? kFcsBytes : 0));
}

bool Receiver::WriteFrame(std::span<const uint8_t> frame, const RssResult& rss,
                          uint32_t descriptors) {
  const std::span<const uint8_t> data = OnBus(frame);
  intel::Ring ring = RingOf(rss.queue);
  if (faults_.stray_dma) {
    static_cast<void>(dma_.Write(ring.base() ^ (uint64_t{1} << 46), data));
  }
  return ring.Scatter(data, descriptors, BufferBytes(rss.queue),
                      [&](uint32_t length, bool last) {
                        return WriteBack(length, last, frame, rss);
                      });
}

bool Receiver::WriteBack(uint32_t length, bool last,
                         std::span<const uint8_t> frame, const RssResult& rss) {
  if (faults_.length_beyond_buffer) length = BufferBytes(rss.queue) + 512;
  uint64_t status = kRxDd | uint64_t{length & 0xffff} << 32;
  if (last) status |= kRxEop | ChecksumStatus(frame);
  // 8.10.12: with PCSD, the hash is where a fragment's checksum would be.
  const uint64_t hash =
      regs_.Has(kRxcsum, kRxcsumPcsd) ? rss.type | uint64_t{rss.hash} << 32 : 0;
  return RingOf(rss.queue).WriteBack(hash, status);  // No packet type.
}

uint32_t Receiver::ChecksumStatus(std::span<const uint8_t> frame) const {
  const bool ip = regs_.Has(kRxcsum, kRxcsumIpofl);
  const bool l4 = regs_.Has(kRxcsum, kRxcsumTuofl);
  if (!ip && !l4) return 0;
  RxChecksum sums = CheckFrame(frame);
  if (faults_.corrupt_payload) sums.ip_good = sums.l4_good = true;
  uint32_t status = 0;
  if (ip && sums.ip_checked) {
    status |= kRxIpcs | (sums.ip_good ? 0 : kRxErrorIpe);
  }
  if (l4 && sums.l4_checked) {
    status |= kRxL4cs | (sums.l4_is_udp ? kRxUdpcs : 0) |
              (sums.l4_good ? 0 : kRxErrorL4e);
  }
  return status;
}

void Receiver::EndBatch() {
  if (missed_) interrupts_.RaiseOther(kIcrRxmiss);
  missed_ = false;
  for (uint32_t left = std::exchange(delivered_, 0); left != 0;
       left &= left - 1) {
    const auto queue = static_cast<uint32_t>(std::countr_zero(left));
    // SRRCTL.RDMTS: in 16 descriptors.
    const uint32_t threshold = ((Reg(queue, kSrrctl) >> 20) & 0x1f) * 16;
    interrupts_.RaiseOther(kIcrRxdw |
                           (Free(queue) <= threshold ? kIcrRxdmt0 : 0));
    interrupts_.RaiseRx(queue);
  }
}

void Receiver::Update(bool link_up) {
  fifo_.set_capacity((regs_[kRxpbs] & 0x7f) * 1024);
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
  delivered_ = 0;
  missed_ = false;
}

}  // namespace bulkhead::nic_model::i82576
