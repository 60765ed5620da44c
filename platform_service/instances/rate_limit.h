// A token bucket: how often a peer may ask.
#ifndef BULKHEAD_PLATFORM_SERVICE_INSTANCES_RATE_LIMIT_H_
#define BULKHEAD_PLATFORM_SERVICE_INSTANCES_RATE_LIMIT_H_

#include <algorithm>
#include <cstdint>

namespace bulkhead::platform {

// `burst` at once, and `per_second` in the long run. Pure: the caller brings
// the time.
class RateLimit {
 public:
  RateLimit(uint32_t burst, uint32_t per_second)
      : burst_(burst), per_second_(per_second), tokens_(burst) {}

  // Takes a token if there is one.
  [[nodiscard]] bool Take(uint64_t now_ns) {
    if (last_ns_ != 0 && now_ns > last_ns_) {
      tokens_ = std::min<double>(
          burst_, tokens_ + (now_ns - last_ns_) * 1e-9 * per_second_);
    }
    last_ns_ = now_ns;
    if (tokens_ < 1) return false;
    tokens_ -= 1;
    return true;
  }

 private:
  double burst_;
  double per_second_;
  double tokens_;
  uint64_t last_ns_ = 0;
};

}  // namespace bulkhead::platform

#endif  // BULKHEAD_PLATFORM_SERVICE_INSTANCES_RATE_LIMIT_H_
