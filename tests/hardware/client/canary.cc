#include <cstdio>
#include <cstring>
#include <vector>

#include "base/clock.h"
#include "tests/hardware/client/client.h"

namespace bulkhead::hardware_tests {
namespace {

using packet_stream::RxPiece;
using packet_stream::Session;

constexpr int kWaitMs = 20;
// Frames of a generation after which its death is welcome: every buffer that
// the NIC has may be written to at any moment.
constexpr uint64_t kFlowing = 2000;
constexpr uint64_t kGenerationDeadlineNs = 300'000'000'000;

// One piece is always kept. As long as it is, the session stays in its epoch:
// the client's library cannot give a new driver anything.
class Watch {
 public:
  explicit Watch(Session& session) : session_(session) {}
  ~Watch() {
    if (kept_.data != nullptr) session_.Release({&kept_, 1});
  }

  // Receives until the platform raises the epoch. False: it never did.
  bool AwaitDeath() {
    const uint64_t deadline_ns = MonotonicNs() + kGenerationDeadlineNs;
    const uint32_t epoch = session_.status().epoch;
    uint64_t received = 0;
    while (!ended && MonotonicNs() < deadline_ns) {
      if (received > 0 && session_.status().epoch != epoch) return true;
      RxPiece piece;
      if (session_.Receive({&piece, 1}) == 0) {
        session_.Flush();
        session_.Wait(kWaitMs);
        continue;
      }
      if (kept_.data != nullptr) session_.Release({&kept_, 1});
      kept_ = piece;
      if (++received % 16 == 0) session_.Flush();
      if (received == kFlowing) {
        std::printf("flowing\n");
        std::fflush(stdout);
      }
    }
    return false;
  }

  // The bytes that changed within `hold_ms` from now.
  uint64_t Changes(int hold_ms) {
    const size_t bytes = session_.geometry().RxDataBytes();
    const uint8_t* data =
        kept_.data - size_t{kept_.buffer} * session_.geometry().buffer_bytes;
    before_.assign(data, data + bytes);
    uint64_t changed = 0;
    const uint64_t end_ns =
        MonotonicNs() + static_cast<uint64_t>(hold_ms) * 1'000'000;
    do {
      if (std::memcmp(before_.data(), data, bytes) == 0) continue;
      for (size_t i = 0; i < bytes; ++i) {
        if (before_[i] == data[i]) continue;
        ++changed;
        before_[i] = data[i];
      }
    } while (MonotonicNs() < end_ns);
    return changed;
  }

  void Acknowledge() {
    session_.Release({&kept_, 1});
    kept_ = {};
    session_.Flush();
  }

 private:
  Session& session_;
  RxPiece kept_;
  std::vector<uint8_t> before_;
};

}  // namespace

int Canary(Session& session, int rounds, int hold_ms) {
  Watch watch(session);
  uint64_t changed = 0;
  int done = 0;
  for (; done < rounds && watch.AwaitDeath(); ++done) {
    changed += watch.Changes(hold_ms);
    watch.Acknowledge();
  }
  std::printf(
      "{\"deaths\": %d, \"watched_bytes\": %zu, "
      "\"changed_bytes\": %llu}\n",
      done, session.geometry().RxDataBytes(),
      static_cast<unsigned long long>(changed));
  return done == rounds && changed == 0 ? 0 : 1;
}

}  // namespace bulkhead::hardware_tests
