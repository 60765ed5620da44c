// Jitter and transaction numbers that replay from a seed. Not for secrets: the
// seed is what has to be unpredictable.
#ifndef BULKHEAD_NIC_ROUTER_SEEDED_RANDOM_H_
#define BULKHEAD_NIC_ROUTER_SEEDED_RANDOM_H_

#include <cstdint>

namespace bulkhead::nic_router {

// SplitMix64 (Steele, Lea, Flood 2014).
class SeededRandom {
 public:
  explicit SeededRandom(uint64_t seed) : state_(seed) {}

  uint64_t Next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
  }
  uint64_t Below(uint64_t bound) { return Next() % bound; }

 private:
  uint64_t state_;
};

}  // namespace bulkhead::nic_router

#endif  // BULKHEAD_NIC_ROUTER_SEEDED_RANDOM_H_
