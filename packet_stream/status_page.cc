#include "packet_stream/status_page.h"

namespace bulkhead::packet_stream {
namespace {

// A reader gives up hope of a quiet moment after so many tries: the writer is
// dead, or writes far more often than any platform service does.
constexpr int kReadTries = 1000;

uint64_t PackMac(const std::array<uint8_t, 6>& mac) {
  uint64_t packed = 0;
  for (size_t i = 0; i < mac.size(); ++i) packed |= uint64_t{mac[i]} << (8 * i);
  return packed;
}

// Each load is an acquire: it pairs with the release store of the same field in
// Write, so that a copy with a new value in it also sees the version that was
// made odd before.
SessionStatus CopyFields(const StatusPage& page) {
  constexpr auto kAcquire = std::memory_order_acquire;
  SessionStatus status;
  status.state = static_cast<SessionState>(page.state.load(kAcquire));
  status.epoch = page.epoch.load(kAcquire);
  status.generation = page.generation.load(kAcquire);
  status.link_up =
      page.link.load(kAcquire) == static_cast<uint32_t>(LinkState::kUp);
  status.speed_mbps = page.speed_mbps.load(kAcquire);
  status.mtu = page.mtu.load(kAcquire);
  status.offloads = page.offloads.load(kAcquire);
  const uint64_t mac = page.mac.load(kAcquire);
  for (size_t i = 0; i < status.mac.size(); ++i) {
    status.mac[i] = static_cast<uint8_t>(mac >> (8 * i));
  }
  return status;
}

}  // namespace

void StatusWriter::Write(const SessionStatus& status) {
  constexpr auto kRelease = std::memory_order_release;
  // Odd already if a predecessor was killed inside: it stays odd.
  const uint32_t inside = page_->version.load(std::memory_order_relaxed) | 1;
  page_->version.store(inside, std::memory_order_relaxed);
  page_->state.store(static_cast<uint32_t>(status.state), kRelease);
  page_->generation.store(status.generation, kRelease);
  page_->link.store(
      static_cast<uint32_t>(status.link_up ? LinkState::kUp : LinkState::kDown),
      kRelease);
  page_->speed_mbps.store(status.speed_mbps, kRelease);
  page_->mtu.store(status.mtu, kRelease);
  page_->offloads.store(status.offloads, kRelease);
  page_->mac.store(PackMac(status.mac), kRelease);
  // The epoch alone is also looked at outside the sequence lock: pairs with
  // ClientEnd's acquire. Sequentially consistent for the sleep protocol.
  page_->epoch.store(status.epoch, std::memory_order_seq_cst);
  page_->version.store(inside + 1, kRelease);
}

SessionStatus StatusWriter::Current() const { return CopyFields(*page_); }

bool ReadStatus(const StatusPage& page, SessionStatus* status) {
  for (int i = 0; i < kReadTries; ++i) {
    const uint32_t before = page.version.load(std::memory_order_acquire);
    *status = CopyFields(page);
    const uint32_t after = page.version.load(std::memory_order_relaxed);
    if (before == after && (before & 1) == 0) return true;
  }
  return false;
}

}  // namespace bulkhead::packet_stream
