// One client's session with one instance: the platform service's part of it.
//
// The session belongs to neither end. It outlives the provider (S6): a new
// generation of the driver gets the same memory at a higher epoch.
#ifndef BULKHEAD_PLATFORM_SERVICE_SESSIONS_SESSION_H_
#define BULKHEAD_PLATFORM_SERVICE_SESSIONS_SESSION_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/event_loop.h"
#include "base/seqpacket.h"
#include "base/shared_memory.h"
#include "base/unique_fd.h"
#include "packet_stream/doorbell.h"
#include "packet_stream/geometry.h"
#include "packet_stream/session_areas.h"
#include "packet_stream/status_page.h"
#include "platform_service/api/driver.pb.h"
#include "platform_service/devices/device_owner.h"
#include "platform_service/parking/parking_lot.h"
#include "platform_service/sessions/quota_ledger.h"
#include "platform_service/supervisor_link.h"

namespace bulkhead::platform {

struct SessionIdentity {
  uint64_t id = 0;
  std::string label;
  std::string instance;
  packet_stream::SessionGeometry geometry;
  int client_pid = 0;
};

// Descriptors of a session's frames, for a provider that copies.
struct FrameMemory {
  UniqueFd tx_data;  // Read-only.
  UniqueFd rx_data;  // Writable.
};

// Guarantees:
//   - The data areas are mapped for one NIC alone: tx for reading, rx for
//     writing (S3).
//   - Destroying it gives everything back: memory, quota, the parked entry
//     (S10). Requires that its areas are unmapped by then, or the device gone.
// Threading: the loop's thread.
class Session {
 public:
  // `channel` is the client's socket; `vanished` is called once when the client
  // closes it or speaks out of turn. The charge comes with the session.
  static absl::StatusOr<std::unique_ptr<Session>> Create(
      EventLoop& loop, SupervisorLink& link, SessionIdentity identity,
      SeqpacketChannel channel, QuotaCharge charge,
      std::function<void()> vanished);
  // From a parked "session/ID". The charge is made anew.
  static absl::StatusOr<std::unique_ptr<Session>> Restore(EventLoop& loop,
                                                          SupervisorLink& link,
                                                          ParkedEntry entry);
  ~Session();

  // The first and only answer to the client's request.
  absl::Status SendGrant();
  // Lets the one at the other end of `channel` look on; `place` is what the
  // session is called there.
  absl::Status SendObservation(SeqpacketChannel& channel,
                               const std::string& place) const;
  // Makes ahead the descriptors that the next AppendGrant takes.
  absl::Status PrepareGrant();
  // What a generation of the driver gets of this session. It has this epoch
  // from now on. Without a device it is a repetition, for a driver that has the
  // session: what a device adds is had once.
  absl::Status AppendGrant(DeviceOwner* device, SessionGrant* grant,
                           FdList* fds);

  // What a device is told of it. Requires: MapFor.
  SessionMemory memory() const {
    return {areas_.tx_data_fd(), areas_.rx_data_fd(), identity_.geometry,
            tx_iova_};
  }
  // What a provider without a device gets besides.
  absl::StatusOr<FrameMemory> ShareFrames() const;

  absl::Status MapFor(DeviceOwner& device);
  // When it returns ok, the NIC cannot reach the session any more.
  absl::Status UnmapFrom(DeviceOwner& device);
  // After a restart of the platform service: the device has the mapping still.
  absl::Status AdoptMapping(DeviceOwner& device);
  // The device is gone, its mappings with it.
  void ForgetMapping() { mapped_ = false; }
  bool mapped() const { return mapped_; }
  // The provider of this epoch has the session.
  bool granted() const { return granted_; }
  // Close was called, perhaps by an earlier platform service.
  bool closed() const { return closed_; }

  // The provider was replaced: raises the epoch, says kRecovering, wakes the
  // client. A session that no provider had yet keeps its epoch.
  void Recover();
  // The status page as it shall be; wakes the client when it differs.
  void Show(packet_stream::SessionStatus status);
  packet_stream::SessionStatus status() const {
    return areas_.status().Current();
  }
  // Ends the session and tells the client why.
  void Close(absl::string_view reason);

  // Whether the client has hung up without our having noticed it yet.
  bool ClientIsGone() const;

  // Of one lane, for the progress check. Hostile memory: to be compared,
  // nothing else (S7).
  struct Positions {
    bool in_step = false;  // Both sides are at the session's epoch.
    uint32_t tx_submitted = 0;
    uint32_t tx_acknowledged = 0;
    uint32_t rx_submitted = 0;
    uint32_t rx_acknowledged = 0;
    bool provider_sleeps = false;  // It asks to be woken.

    bool operator==(const Positions&) const = default;
  };
  Positions ReadPositions(uint32_t lane) const;
  // Wakes the provider in all lanes, in case the client forgot to.
  void NudgeProvider() const;
  // What the client wakes the provider with; to be watched, not read.
  int client_bell(uint32_t lane) const;

  void Park();
  void set_vanished(std::function<void()> vanished) {
    vanished_ = std::move(vanished);
  }
  // Called with the client's words when it reports that the provider of this
  // epoch broke the protocol; once, however many of its lanes say so. At most
  // kMaxReports times in a session: a client that goes on accusing has
  // vanished, so that it cannot keep its NIC's driver restarting (S7).
  void set_accused(std::function<void(absl::string_view)> accused) {
    accused_ = std::move(accused);
  }
  static constexpr uint32_t kMaxReports = 3;
  void set_charge(QuotaCharge charge) { charge_ = std::move(charge); }

  const SessionIdentity& identity() const { return identity_; }
  uint64_t id() const { return identity_.id; }
  uint32_t epoch() const { return epoch_; }
  uint32_t lanes() const { return identity_.geometry.lanes; }

 private:
  Session(EventLoop& loop, SupervisorLink& link, SessionIdentity identity,
          SeqpacketChannel channel, packet_stream::SessionAreas areas)
      : loop_(loop),
        link_(link),
        identity_(std::move(identity)),
        channel_(std::move(channel)),
        areas_(std::move(areas)) {}

  absl::Status MapHeaders();
  absl::Status WatchClient();
  void HearClient();
  bool IsRepeated(uint32_t epoch);
  void StopWatching();
  std::string Key() const;

  EventLoop& loop_;
  SupervisorLink& link_;
  SessionIdentity identity_;
  SeqpacketChannel channel_;
  QuotaCharge charge_;
  std::function<void()> vanished_;
  std::function<void(absl::string_view)> accused_;
  uint32_t reports_ = 0;
  uint32_t reported_epoch_ = 0;  // By the last one.
  uint32_t repeats_ = 0;         // Of it.
  EventLoop::WatchId watch_ = 0;
  packet_stream::SessionAreas areas_;
  // Rung by us alone; wakes the provider as the client's bell does.
  UniqueFd nudge_bell_;
  packet_stream::DoorbellRinger nudge_;
  // Our own view of the two control areas, for the headers of each lane.
  Mapping client_control_;
  Mapping provider_control_;
  packet_stream::ProviderGrant next_grant_;  // From PrepareGrant.
  uint32_t epoch_ = 1;
  bool granted_ = false;  // Some provider had this epoch.
  // What was parked is older than what was granted, if the last platform
  // service died between the two.
  bool perhaps_granted_ = false;
  bool closed_ = false;
  bool mapped_ = false;
  uint64_t tx_iova_ = 0;
  uint64_t rx_iova_ = 0;
};

}  // namespace bulkhead::platform

#endif  // BULKHEAD_PLATFORM_SERVICE_SESSIONS_SESSION_H_
