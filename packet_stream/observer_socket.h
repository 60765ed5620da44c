// How a program comes to look on: it asks the platform service for an instance
// or a router, and is told of each session there.
#ifndef BULKHEAD_PACKET_STREAM_OBSERVER_SOCKET_H_
#define BULKHEAD_PACKET_STREAM_OBSERVER_SOCKET_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/seqpacket.h"
#include "base/shared_memory.h"
#include "base/unique_fd.h"
#include "packet_stream/observer.h"
#include "packet_stream/session.pb.h"

namespace bulkhead::packet_stream {

// A session that is looked on at.
// Threading: one thread.
class ObservedSession {
 public:
  // What the platform said and gave. Nothing of it is taken on trust (S7).
  static absl::StatusOr<std::unique_ptr<ObservedSession>> Create(
      const OpenReply::Observation& observation, std::vector<UniqueFd> fds,
      uint32_t snap_bytes);
  ObservedSession(const ObservedSession&) = delete;
  ObservedSession& operator=(const ObservedSession&) = delete;

  // Both directions of all lanes, as DirectionObserver.
  size_t Look(const DirectionObserver::Sink& sink) {
    size_t count = 0;
    for (const auto& direction : directions_) count += direction->Look(sink);
    return count;
  }
  uint64_t id() const { return id_; }
  // "nic0", or "router/LABEL".
  const std::string& place() const { return place_; }
  uint64_t seen() const {
    uint64_t sum = 0;
    for (const auto& direction : directions_) sum += direction->seen();
    return sum;
  }
  uint64_t lost() const {
    uint64_t sum = 0;
    for (const auto& direction : directions_) sum += direction->lost();
    return sum;
  }
  // Grows with each replacement of the driver.
  uint32_t epoch() const;
  bool closed() const;

 private:
  ObservedSession() = default;
  void FollowLane(const SessionGeometry& geometry, uint32_t lane,
                  uint32_t snap_bytes);

  uint64_t id_ = 0;
  std::string place_;
  Mapping status_;
  Mapping areas_[4];
  // Of each lane, what is received and what is sent.
  std::vector<std::unique_ptr<DirectionObserver>> directions_;
};

// Threading: one thread.
class ObserverSocket {
 public:
  // `instance`: "nic0", a router, "router/LABEL". `domain`: of a router; empty:
  // any. Does not wait for an answer. Unavailable: nothing runs there.
  static absl::StatusOr<ObserverSocket> Connect(const std::string& socket,
                                                const std::string& instance,
                                                const std::string& domain = "");

  // Readable when there is something to Take.
  int fd() const { return channel_.fd(); }
  // The next session there; nullptr: nothing new. NotFound,
  // ResourceExhausted, PermissionDenied: refused, in the platform's words.
  // Unavailable: the platform service is gone; a new Connect may find the next.
  absl::StatusOr<std::unique_ptr<ObservedSession>> Take(uint32_t snap_bytes);

 private:
  explicit ObserverSocket(SeqpacketChannel channel)
      : channel_(std::move(channel)) {}

  SeqpacketChannel channel_;
};

}  // namespace bulkhead::packet_stream

#endif  // BULKHEAD_PACKET_STREAM_OBSERVER_SOCKET_H_
