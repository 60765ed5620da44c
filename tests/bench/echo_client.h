// Numbered frames through one session whose NIC sends everything back: says
// what was lost, and when the first frame came after a driver's death.
#ifndef BULKHEAD_TESTS_BENCH_ECHO_CLIENT_H_
#define BULKHEAD_TESTS_BENCH_ECHO_CLIENT_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "packet_stream/client.h"

namespace bulkhead::bench {

// What one client saw. Frames.
struct EchoCounts {
  uint64_t sent = 0;
  uint64_t received = 0;
  // Never came back although no recovery excuses it.
  uint64_t lost = 0;
  uint64_t out_of_order = 0;  // Or twice.
  uint64_t corrupt = 0;
  // Were on their way when the driver died.
  uint64_t lost_in_recovery = 0;
  uint64_t longest_gap_ns = 0;  // Between two frames received.
  uint64_t recoveries = 0;
};

// Requires: one thread at a time, except recovery().
class EchoClient {
 public:
  struct Options {
    std::string socket;
    std::string label = "bench";
    std::string instance;
    uint32_t frame_bytes = 64;
    // Every tick, up to `burst` frames; never more than `window` under way, so
    // that an honest path has no reason to drop any.
    uint64_t tick_ns = 1'000'000;
    uint32_t burst = 8;
    uint32_t window = 64;
    packet_stream::SessionGeometry geometry = {256, 256, 2048};
  };
  // Clock of the last recovery's first new frame, and how many recoveries
  // there were; written by the client's thread, waited for by another.
  struct Recovery {
    std::atomic<uint64_t> first_frame_ns{0};
    std::atomic<uint64_t> acknowledged_ns{0};
    std::atomic<uint32_t> completed{0};
    std::atomic<uint64_t> received{0};  // As EchoCounts, but at any time.
  };

  static absl::StatusOr<std::unique_ptr<EchoClient>> Open(
      const Options& options);

  // Receives what is there and sends what is due; true if it did anything.
  bool Poll();
  // Time until the next frame is due.
  uint64_t NextTickNs() const { return next_tick_ns_; }
  // Stops sending; frames under way still arrive with Poll.
  void StopSending() { sending_ = false; }
  bool Settled() const { return expected_ == next_; }
  // What has not come back by now is lost. Call after StopSending and some
  // time of Poll.
  void CloseAccount();

  const EchoCounts& counts() const { return counts_; }
  Recovery& recovery() { return recovery_; }
  packet_stream::Session& session() { return *session_; }
  const Options& options() const { return options_; }

 private:
  EchoClient(const Options& options,
             std::unique_ptr<packet_stream::Session> session);
  bool ReceiveAll();
  bool SendDue(uint64_t now);
  void Count(const packet_stream::RxPiece& piece, uint64_t now, bool renewed);

  Options options_;
  std::unique_ptr<packet_stream::Session> session_;
  EchoCounts counts_;
  Recovery recovery_;
  uint64_t next_ = 0;      // Number of the next frame to send.
  uint64_t expected_ = 0;  // Number of the next frame to come back.
  uint64_t next_tick_ns_ = 0;
  uint64_t last_received_ns_ = 0;
  uint64_t recoveries_ = 0;
  bool awaiting_first_ = false;
  bool sending_ = true;
};

// A thread that runs clients until Stop, sleeping when none has anything to do.
class EchoThread {
 public:
  explicit EchoThread(std::vector<std::unique_ptr<EchoClient>> clients);
  ~EchoThread() { Stop(); }

  // Stops sending, waits up to `drain_ms` for what is under way, ends the
  // thread. Counts may be read afterwards.
  void Stop(int drain_ms = 1000);

  EchoClient& client(size_t index) { return *clients_[index]; }
  size_t size() const { return clients_.size(); }

 private:
  void Run();
  void Sleep();

  std::vector<std::unique_ptr<EchoClient>> clients_;
  std::atomic<bool> stop_{false};
  std::atomic<int> drain_ms_{1000};
  std::thread thread_;
};

// Opens a session to each of these instances and starts their thread.
absl::StatusOr<std::unique_ptr<EchoThread>> StartEcho(
    const std::vector<std::string>& instances, EchoClient::Options options);

}  // namespace bulkhead::bench

#endif  // BULKHEAD_TESTS_BENCH_ECHO_CLIENT_H_
