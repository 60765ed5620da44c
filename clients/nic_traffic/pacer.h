// When frames are due at a given rate.
#ifndef BULKHEAD_CLIENTS_NIC_TRAFFIC_PACER_H_
#define BULKHEAD_CLIENTS_NIC_TRAFFIC_PACER_H_

#include <cstdint>

namespace bulkhead::nic_traffic {

// Frames become due in groups, one group per `tick_ns`, so that a process that
// sends at a moderate rate wakes once per tick and not once per frame.
//
// Guarantees: over any span without a stall the number due is exact. After a
// stall (ours, or a link that took nothing) at most `max_burst` frames are due
// at once; the rest is not made up for but counted in skipped().
class Pacer {
 public:
  Pacer(uint64_t start_ns, uint64_t frames_per_second, uint64_t tick_ns,
        uint64_t max_burst)
      : start_ns_(start_ns),
        rate_(frames_per_second),
        tick_ns_(tick_ns),
        max_burst_(max_burst) {}

  // Frames to send now.
  uint64_t Due(uint64_t now_ns) {
    const uint64_t ticks = (now_ns - start_ns_) / tick_ns_;
    const uint64_t target = FramesUntil(ticks);
    uint64_t due = target - taken_;
    if (due > max_burst_) {
      skipped_ += due - max_burst_;
      taken_ += due - max_burst_;
      due = max_burst_;
    }
    return due;
  }
  // `frames` of those due were sent.
  void Took(uint64_t frames) { taken_ += frames; }

  // When more become due than now.
  uint64_t NextDueNs(uint64_t now_ns) const {
    uint64_t tick = (now_ns - start_ns_) / tick_ns_ + 1;
    const uint64_t have = FramesUntil(tick - 1);
    if (FramesUntil(tick) == have) {
      // Slower than a frame a tick: the tick by which the next one is due.
      const auto ns = static_cast<uint64_t>(
          (static_cast<unsigned __int128>(have + 1) * 1'000'000'000u + rate_ -
           1) /
          rate_);
      tick = (ns + tick_ns_ - 1) / tick_ns_;
    }
    return start_ns_ + tick * tick_ns_;
  }
  uint64_t skipped() const { return skipped_; }

 private:
  uint64_t FramesUntil(uint64_t ticks) const {
    return static_cast<uint64_t>(static_cast<unsigned __int128>(ticks) *
                                 tick_ns_ * rate_ / 1'000'000'000u);
  }

  uint64_t start_ns_;
  uint64_t rate_;
  uint64_t tick_ns_;
  uint64_t max_burst_;
  uint64_t taken_ = 0;
  uint64_t skipped_ = 0;
};

}  // namespace bulkhead::nic_traffic

#endif  // BULKHEAD_CLIENTS_NIC_TRAFFIC_PACER_H_
