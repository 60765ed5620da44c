// One capture: the sessions of an instance, one after the other, into a file.
#ifndef BULKHEAD_CLIENTS_CAPTURE_CAPTURE_RUN_H_
#define BULKHEAD_CLIENTS_CAPTURE_CAPTURE_RUN_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "clients/capture/frame_filter.h"
#include "clients/capture/pcapng_file.h"
#include "packet_stream/observer_socket.h"

namespace bulkhead::capture {

struct CaptureOptions {
  std::string socket;  // session.sock of the system.
  std::string instance;
  std::string filter;
  std::string file = "-";
  uint64_t count = 0;        // Frames; 0: no limit.
  uint64_t duration_ms = 0;  // 0: no limit.
  uint32_t snap_bytes = 65535;
};

struct CaptureTotals {
  uint64_t written = 0;
  uint64_t filtered = 0;  // The filter did not want them.
  uint64_t lost = 0;
};

// Threading: one thread.
class CaptureRun {
 public:
  // Until `stop_fd` is readable, or a limit is reached. The platform service
  // may die and come back, and so may drivers and clients; only the end of the
  // system ends the capture.
  static absl::Status Run(const CaptureOptions& options, int stop_fd,
                          CaptureTotals* totals);

 private:
  CaptureRun(const CaptureOptions& options, FrameFilter filter,
             std::unique_ptr<PcapngFile> file)
      : options_(options), filter_(std::move(filter)), file_(std::move(file)) {}

  absl::Status Loop(int stop_fd);
  absl::Status TakeSessions();
  void Reconnect(uint64_t now_ns);
  size_t Look();
  void Frame(const packet_stream::ObservedFrame& frame);
  void NoteEpoch();
  bool Enough(uint64_t now_ns) const;
  void LeaveSession();

  const CaptureOptions& options_;
  FrameFilter filter_;
  std::unique_ptr<PcapngFile> file_;
  std::optional<packet_stream::ObserverSocket> socket_;
  uint64_t reconnect_ns_ = 0;  // When to try next, without a socket.
  uint64_t give_up_ns_ = 0;
  std::unique_ptr<packet_stream::ObservedSession> session_;
  uint32_t epoch_ = 0;
  std::string comment_;  // For the next frame.
  uint64_t end_ns_ = 0;
  CaptureTotals totals_;
  uint64_t lost_earlier_ = 0;  // In sessions before this one.
};

}  // namespace bulkhead::capture

#endif  // BULKHEAD_CLIENTS_CAPTURE_CAPTURE_RUN_H_
