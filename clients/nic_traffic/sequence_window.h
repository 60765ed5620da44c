// Which numbers of a stream have arrived, in bounded memory.
#ifndef BULKHEAD_CLIENTS_NIC_TRAFFIC_SEQUENCE_WINDOW_H_
#define BULKHEAD_CLIENTS_NIC_TRAFFIC_SEQUENCE_WINDOW_H_

#include <cstdint>
#include <vector>

namespace bulkhead::nic_traffic {

enum class Arrival : uint8_t {
  kInOrder,     // Higher than all before.
  kReordered,   // First time, but a higher one came earlier.
  kDuplicated,  // Came before.
  kStale,       // So far behind that it is no longer known whether it came.
};

// Remembers the last `bits` numbers up to the highest; older ones are final.
// Requires: `bits` is a power of two, at least 64.
// Guarantees: Add is O(1) amortised over the numbers passed, without
// allocation. in_order + reordered = different numbers that arrived.
class SequenceWindow {
 public:
  static constexpr uint32_t kDefaultBits = 1 << 20;  // 128 KiB

  explicit SequenceWindow(uint32_t bits = kDefaultBits);

  Arrival Add(uint64_t sequence);

  // One more than the highest number seen; 0 before the first.
  uint64_t end() const { return end_; }
  uint64_t unique() const { return in_order_ + reordered_; }
  uint64_t reordered() const { return reordered_; }
  uint64_t duplicated() const { return duplicated_; }
  uint64_t stale() const { return stale_; }

 private:
  bool Test(uint64_t sequence) const;
  void Set(uint64_t sequence);
  void ClearRange(uint64_t from, uint64_t to);

  uint32_t bits_;
  std::vector<uint64_t> words_;
  uint64_t end_ = 0;
  uint64_t in_order_ = 0;
  uint64_t reordered_ = 0;
  uint64_t duplicated_ = 0;
  uint64_t stale_ = 0;
};

}  // namespace bulkhead::nic_traffic

#endif  // BULKHEAD_CLIENTS_NIC_TRAFFIC_SEQUENCE_WINDOW_H_
