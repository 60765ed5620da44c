// One capture: the sessions of an instance, or of a router's domain, into a
// file.
#ifndef BULKHEAD_CLIENTS_CAPTURE_CAPTURE_RUN_H_
#define BULKHEAD_CLIENTS_CAPTURE_CAPTURE_RUN_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "clients/capture/frame_filter.h"
#include "clients/capture/pcapng_file.h"
#include "packet_stream/observer_socket.h"

namespace bulkhead::capture {

struct CaptureOptions {
  std::string socket;       // session.sock of the system.
  std::string instance;     // "nic0", "router", "router/LABEL".
  std::string domain = {};  // Of a router; empty: any.
  std::string filter = {};
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
  // A session; as an interface of the file it is the place where it is.
  struct Source {
    std::unique_ptr<packet_stream::ObservedSession> session;
    uint32_t interface = 0;
    uint32_t epoch = 0;
    std::string comment;          // For its next frame.
    uint64_t lost_until_now = 0;  // Counted already.
  };
  struct Interface {
    explicit Interface(std::string its_name) : name(std::move(its_name)) {}
    std::string name;
    CaptureCount count;
  };

  CaptureRun(const CaptureOptions& options, FrameFilter filter)
      : options_(options), filter_(std::move(filter)) {}

  absl::Status OpenFile();
  absl::Status Loop(int stop_fd);
  absl::Status TakeSessions();
  absl::Status Connect();
  void Reconnect(uint64_t now_ns);
  uint32_t InterfaceOf(const std::string& place);
  size_t Look();
  size_t LookAt(Source& source);
  void LookForTheLastTime(Source& source);
  void Frame(Source& source, const packet_stream::ObservedFrame& frame);
  bool Enough(uint64_t now_ns) const;
  void LeaveClosed();
  CaptureTotals Finish();

  const CaptureOptions& options_;
  FrameFilter filter_;
  std::unique_ptr<PcapngFile> file_;
  std::optional<packet_stream::ObserverSocket> socket_;
  uint64_t reconnect_ns_ = 0;  // When to try next, without a socket.
  uint64_t give_up_ns_ = 0;
  std::vector<Source> sources_;
  std::vector<Interface> interfaces_;  // By their numbers in the file.
  uint64_t end_ns_ = 0;
  uint64_t written_ = 0;
  uint64_t filtered_ = 0;
};

}  // namespace bulkhead::capture

#endif  // BULKHEAD_CLIENTS_CAPTURE_CAPTURE_RUN_H_
