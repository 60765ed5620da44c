// So much per second, and no more than a burst at once.
#ifndef BULKHEAD_NIC_ROUTER_ENGINE_TOKEN_BUCKET_H_
#define BULKHEAD_NIC_ROUTER_ENGINE_TOKEN_BUCKET_H_

#include <algorithm>
#include <cstdint>

namespace bulkhead::nic_router {

// Spending may go below zero: what is spent beyond is waited for later.
class TokenBucket {
 public:
  TokenBucket() = default;  // Without limit.
  // Tokens a second, at least 1, and the most that gather.
  TokenBucket(uint64_t rate, uint64_t burst, uint64_t now_ns)
      : rate_(rate),
        burst_(static_cast<int64_t>(burst)),
        tokens_(burst_),
        filled_ns_(now_ns) {}

  bool limited() const { return rate_ != 0; }
  void Fill(uint64_t now_ns) {
    if (rate_ == 0 || now_ns <= filled_ns_) return;
    // Longer than this fills any bucket; keeps the product within 64 bits.
    const uint64_t elapsed =
        std::min<uint64_t>(now_ns - filled_ns_, 1'000'000'000);
    __extension__ using Wide = unsigned __int128;
    const auto gained =
        static_cast<uint64_t>(Wide{elapsed} * rate_ / 1'000'000'000);
    const auto missing = static_cast<uint64_t>(burst_ - tokens_);
    if (gained >= missing) {
      tokens_ = burst_;
      filled_ns_ = now_ns;
      return;
    }
    // The part of a token that is left over goes on gathering.
    tokens_ += static_cast<int64_t>(gained);
    filled_ns_ = now_ns - elapsed +
                 static_cast<uint64_t>(Wide{gained} * 1'000'000'000 / rate_);
  }
  bool any() const { return rate_ == 0 || tokens_ > 0; }
  void Spend(uint64_t tokens) {
    if (rate_ != 0) tokens_ -= static_cast<int64_t>(tokens);
  }
  void Return(uint64_t tokens) {
    if (rate_ != 0) tokens_ += static_cast<int64_t>(tokens);
  }
  // When there will be a token again.
  uint64_t NextNs() const {
    if (any()) return filled_ns_;
    __extension__ using Wide = unsigned __int128;
    const auto wait = static_cast<uint64_t>(
        Wide{static_cast<uint64_t>(1 - tokens_)} * 1'000'000'000 / rate_);
    return filled_ns_ + wait + 1;
  }

 private:
  uint64_t rate_ = 0;
  int64_t burst_ = 0;
  int64_t tokens_ = 0;
  uint64_t filled_ns_ = 0;
};

}  // namespace bulkhead::nic_router

#endif  // BULKHEAD_NIC_ROUTER_ENGINE_TOKEN_BUCKET_H_
