// One run: sends numbered frames on a session and checks what comes back.
#ifndef BULKHEAD_CLIENTS_NIC_TRAFFIC_TRAFFIC_RUN_H_
#define BULKHEAD_CLIENTS_NIC_TRAFFIC_TRAFFIC_RUN_H_

#include <csignal>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "clients/nic_traffic/arrivals.h"
#include "clients/nic_traffic/pacer.h"
#include "clients/nic_traffic/traffic_report.h"
#include "packet_stream/client.h"

namespace bulkhead::nic_traffic {

enum class Mode : uint8_t {
  kEcho,     // Send; what was sent is expected back.
  kSend,     // Send only; what arrives is released unread.
  kReceive,  // Receive what another nic_traffic sends.
};

struct TrafficOptions {
  Mode mode = Mode::kEcho;
  std::string instance;      // For the report.
  uint64_t rate = 0;         // Frames a second; 0: as fast as possible.
  uint64_t count = 0;        // Frames to send (or receive); 0: no limit.
  uint64_t duration_ms = 0;  // 0: no limit.
  uint64_t drain_ms = 200;   // Longest wait for the last frames.
  uint64_t link_ms = 5000;   // Longest wait for the link before the start.
  uint64_t tick_us = 1000;   // Frames of one tick go together, see Pacer.
  uint64_t window = 0;  // Most frames sent beyond the last one received; 0: as
                        // many as there are buffers.
  uint32_t batch = 32;
  uint32_t frame_bytes = kMinFrameBytes;
  uint32_t stream = 0;
  MacAddress destination = {};
};

// Requires: one thread; `session` outlives the run.
class TrafficRun {
 public:
  // `stop` may be set by a signal handler; signals must be blocked but during
  // the run's waits, for which `wait_mask` is the signal mask.
  TrafficRun(packet_stream::Session* session, const TrafficOptions& options,
             const volatile std::sig_atomic_t* stop, const sigset_t& wait_mask);

  // Called every 100 ms with the live counters.
  void OnProgress(std::function<void(const TrafficProgress&)> progress) {
    progress_ = std::move(progress);
  }

  TrafficReport Run();

 private:
  static constexpr size_t kMaxBatch = 256;

  bool Over() const;
  bool AwaitLink();
  bool Sending(uint64_t now_ns) const;
  uint64_t EndNs() const;
  bool Drained(uint64_t now_ns) const;
  size_t ReceiveSome();
  void Assemble(const packet_stream::RxPiece& piece, uint64_t now_ns);
  size_t SendDue(uint64_t now_ns);
  uint64_t WindowRoom(uint64_t now_ns) const;
  void NoteRecoveries();
  void Sleep(uint64_t until_ns);
  uint64_t NextWakeNs(uint64_t now_ns) const;
  void ReportProgress(uint64_t now_ns);
  uint64_t Lost() const;
  TrafficReport Finish(uint64_t ended_ns);

  packet_stream::Session* session_;
  TrafficOptions options_;
  const volatile std::sig_atomic_t* stop_;
  sigset_t wait_mask_;
  std::function<void(const TrafficProgress&)> progress_;

  Arrivals arrivals_;
  Pacer pacer_;
  std::vector<uint8_t> assembly_;  // Of a frame in several pieces.
  MacAddress source_ = {};
  uint64_t sent_ = 0;
  uint64_t started_ns_ = 0;
  uint64_t sending_ended_ns_ = 0;  // 0 while sending.
  uint64_t last_sent_ns_ = 0;
  uint64_t next_progress_ns_ = 0;
  uint64_t seen_recoveries_ = 0;
  uint64_t longest_oversleep_ns_ = 0;
};

}  // namespace bulkhead::nic_traffic

#endif  // BULKHEAD_CLIENTS_NIC_TRAFFIC_TRAFFIC_RUN_H_
