// Automatic receive steering: a flow's frames come to the queue pair on which
// the driver sent the flow's last frame. Virtio 1.2, section 5.1.6.5.6.1.
#ifndef BULKHEAD_NIC_MODEL_VIRTIO_NET_STEERING_H_
#define BULKHEAD_NIC_MODEL_VIRTIO_NET_STEERING_H_

#include <array>
#include <cstdint>
#include <optional>
#include <span>

namespace bulkhead::nic_model::virtio_net {

// A flow is what has the same IP addresses and ports of TCP or UDP, in either
// direction. One that was never sent to goes to a queue of its hash; what is no
// IP, to the first.
class Steering {
 public:
  // How many queue pairs are in use. Forgets the flows.
  void set_pairs(uint32_t pairs);
  uint32_t pairs() const { return pairs_; }

  // The driver sent `frame` on a pair.
  void Learn(std::span<const uint8_t> frame, uint32_t pair);
  // Less than pairs().
  uint32_t PairFor(std::span<const uint8_t> frame) const;

 private:
  // The oldest of a bucket makes room: the table is bounded whatever comes.
  static constexpr size_t kBuckets = 256;
  static constexpr size_t kWays = 4;
  struct Flow {
    uint32_t hash = 0;
    uint32_t pair = 0;
    bool known = false;
  };
  using Bucket = std::array<Flow, kWays>;

  static std::optional<uint32_t> Hash(std::span<const uint8_t> frame);

  uint32_t pairs_ = 1;
  std::array<Bucket, kBuckets> buckets_;
  size_t next_way_ = 0;
};

}  // namespace bulkhead::nic_model::virtio_net

#endif  // BULKHEAD_NIC_MODEL_VIRTIO_NET_STEERING_H_
