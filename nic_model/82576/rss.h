// Receive-side scaling: which queue a frame goes to. Datasheet 7.1.2.8 and
// 8.10.17 to 8.10.19.
#ifndef BULKHEAD_NIC_MODEL_82576_RSS_H_
#define BULKHEAD_NIC_MODEL_82576_RSS_H_

#include <array>
#include <cstdint>
#include <span>

#include "nic_model/intel/register_file.h"

namespace bulkhead::nic_model::i82576 {

// What a descriptor says of a frame.
struct RssResult {
  uint32_t queue = 0;
  uint32_t type = 0;  // Which fields were hashed; 0: none.
  uint32_t hash = 0;
};

// Frames of one flow have one hash, and so one queue. What is not IP, or is of
// a kind that MRQC does not name, goes to queue 0, as everything does without
// RSS. VMDq is not modelled: it counts as none.
class Rss {
 public:
  static constexpr uint32_t kKeyBytes = 40;

  explicit Rss(const intel::RegisterFile& regs) : regs_(regs) {}

  // MRQC, RETA or RSSRK.
  static bool Holds(uint32_t offset);
  // Any of them changed.
  void Update();

  RssResult Classify(std::span<const uint8_t> frame) const;
  // Bit n: frames may go to queue n.
  uint32_t used_queues() const { return used_queues_; }

 private:
  uint32_t Hash(std::span<const uint8_t> input) const;
  RssResult ClassifyIpv4(std::span<const uint8_t> packet) const;
  RssResult ClassifyIpv6(std::span<const uint8_t> packet) const;
  bool Enabled(uint32_t fields) const;

  const intel::RegisterFile& regs_;
  bool on_ = false;
  uint32_t used_queues_ = 1;
  std::array<uint8_t, kKeyBytes> key_ = {};
};

}  // namespace bulkhead::nic_model::i82576

#endif  // BULKHEAD_NIC_MODEL_82576_RSS_H_
