#include "nic_model/network/generator.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/clock.h"

namespace bulkhead::nic_model {
namespace {

constexpr uint32_t kMaxGeneratedBytes = 9018;
constexpr uint64_t kBurst = 64;
constexpr uint64_t kSecondNs = 1'000'000'000;
// Timers closer together than this cost more than they smooth.
constexpr uint64_t kMinTickNs = 50'000;
// Further behind than this, a rate starts anew instead of catching up.
constexpr uint64_t kMaxArrears = 4096;

void Store64(uint8_t* at, uint64_t value) {
  value = __builtin_bswap64(value);
  std::memcpy(at, &value, sizeof(value));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Generator>> Generator::Create(
    EventLoop& loop, Port& port, const Options& options) {
  if (options.frame_bytes < kMinFrameBytes ||
      options.frame_bytes > kMaxGeneratedBytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        "generate frames of ", options.frame_bytes, " bytes: choose ",
        kMinFrameBytes, " to ", kMaxGeneratedBytes, ", without FCS"));
  }
  if (options.frames_per_second > kSecondNs) {
    return absl::InvalidArgumentError(
        "generate more than 1,000,000,000 frames a second: choose a lower "
        "rate, or 0 for as fast as the NIC takes them");
  }
  return std::unique_ptr<Generator>(new Generator(loop, port, options));
}

Generator::Generator(EventLoop& loop, Port& port, const Options& options)
    : loop_(loop), port_(port), options_(options) {
  constexpr uint8_t kSourceAndType[] = {0x02, 0, 0, 0, 0, 0x01, 0x88, 0xb5};
  for (size_t i = 0; i < frame_.size(); ++i) frame_[i] = uint8_t(i - 30);
  std::memcpy(frame_.data(), options_.destination.data(), 6);
  std::memcpy(frame_.data() + 6, kSourceAndType, sizeof(kSourceAndType));
  if (options_.frames_per_second == 0) {
    poller_ = loop_.AddPoller([this] { return bursting_ && Burst(); });
    return;
  }
  base_ns_ = MonotonicNs();
  timer_ = loop_.After(std::chrono::nanoseconds(0), [this] { Tick(); });
}

Generator::~Generator() {
  loop_.RemovePoller(poller_);
  loop_.Cancel(timer_);
}

void Generator::SendOne() {
  Store64(frame_.data() + 14, sent_++);
  Store64(frame_.data() + 22, MonotonicNs());
  port_.Receive(std::span(frame_).first(options_.frame_bytes));
}

bool Generator::Burst() {
  uint64_t left = kBurst;
  while (left-- != 0 && !finished() && port_.CanReceive()) SendOne();
  port_.EndReceive();
  bursting_ = !finished() && port_.CanReceive();
  return bursting_;
}

void Generator::PortReady() {
  // The next turn of the loop bursts; PortReady may come from within a burst's
  // consequences.
  if (options_.frames_per_second == 0 && !finished()) bursting_ = true;
}

void Generator::Tick() {
  const uint64_t rate = options_.frames_per_second;
  const uint64_t elapsed_ns = MonotonicNs() - base_ns_;
  uint64_t due =
      static_cast<uint64_t>(static_cast<unsigned __int128>(elapsed_ns) * rate /
                            kSecondNs) +
      1 - (sent_ - base_sent_);
  if (due > kMaxArrears) {
    due = 1;
    base_ns_ += elapsed_ns;
    base_sent_ = sent_;
  }
  while (due-- != 0 && !finished()) SendOne();
  port_.EndReceive();
  if (finished()) return;
  const uint64_t period_ns = std::max(kSecondNs / rate, kMinTickNs);
  timer_ = loop_.After(std::chrono::nanoseconds(period_ns), [this] { Tick(); });
}

}  // namespace bulkhead::nic_model
