// The status page of a session: the platform service writes it, the client
// reads it. A sequence lock over atomics.
#ifndef BULKHEAD_PACKET_STREAM_STATUS_PAGE_H_
#define BULKHEAD_PACKET_STREAM_STATUS_PAGE_H_

#include <array>
#include <atomic>
#include <cstdint>

#include "packet_stream/layout.h"

namespace bulkhead::packet_stream {

struct SessionStatus {
  SessionState state = SessionState::kRecovering;
  uint32_t epoch = 0;
  uint32_t generation = 0;
  bool link_up = false;
  uint32_t speed_mbps = 0;
  uint32_t mtu = 0;
  uint32_t offloads = 0;
  std::array<uint8_t, 6> mac = {};

  friend bool operator==(const SessionStatus&, const SessionStatus&) = default;
};

// The platform's side. The page itself is the only state, so that a platform
// service that was killed in the middle of a write goes on where it stopped.
// Threading: one writer at a time, over all processes.
class StatusWriter {
 public:
  StatusWriter() = default;
  explicit StatusWriter(StatusPage* page) : page_(page) {}

  // Makes the page say `status`. What is raised together (epoch, state,
  // generation) is seen together by readers of the whole page.
  void Write(const SessionStatus& status);
  // The page as it is: read, change a field, write.
  SessionStatus Current() const;

 private:
  StatusPage* page_ = nullptr;
};

// The client's side: one consistent copy. False: there was no quiet moment,
// because the writer was interrupted or killed in the middle of a write; then
// *status may mix two states.
[[nodiscard]] bool ReadStatus(const StatusPage& page, SessionStatus* status);

}  // namespace bulkhead::packet_stream

#endif  // BULKHEAD_PACKET_STREAM_STATUS_PAGE_H_
