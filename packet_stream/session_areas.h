// Creating a session: the memory, the bells and the status page that the
// platform service (or the router, or a test) owns, and the descriptors that
// each end gets of them.
//
//   ASSIGN_OR_RETURN(SessionAreas areas, CreateSessionAreas(geometry));
//   areas.status().Write({.state = kRunning, .epoch = 1, …});
//   ASSIGN_OR_RETURN(ClientGrant client, areas.MakeClientGrant(id, epoch));
//   ASSIGN_OR_RETURN(ProviderGrant provider, areas.MakeProviderGrant(id,
//   epoch));
//
// After a provider's death: raise the epoch in the status page, WakeClient(),
// and give MakeProviderGrant of the new epoch to the next provider. The areas
// stay the same; no end believes what the other wrote in an older epoch.
#ifndef BULKHEAD_PACKET_STREAM_SESSION_AREAS_H_
#define BULKHEAD_PACKET_STREAM_SESSION_AREAS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "base/shared_memory.h"
#include "base/unique_fd.h"
#include "packet_stream/client_end.h"
#include "packet_stream/geometry.h"
#include "packet_stream/provider.h"
#include "packet_stream/status_page.h"

namespace bulkhead::packet_stream {

// Guarantees: each end's grant has its own read-only descriptors of what the
//   other end writes. The bells that the platform rings are in no grant, so
//   that neither end can make WakeClient block.
// Threading: one thread.
class SessionAreas {
 public:
  // The descriptors that Restore needs, in its order; they stay ours. For
  // parking them.
  static size_t FdCount(uint32_t lanes) { return 6 + 2 * size_t{lanes}; }
  std::vector<int> Fds() const;
  // From descriptors that were parked.
  static absl::StatusOr<SessionAreas> Restore(const SessionGeometry& geometry,
                                              std::vector<UniqueFd> fds);

  absl::StatusOr<ClientGrant> MakeClientGrant(uint64_t session_id,
                                              uint32_t epoch) const;
  // `nudge_bell`, an eventfd, wakes the provider in all lanes as the client's
  // bells do; -1: there is none.
  absl::StatusOr<ProviderGrant> MakeProviderGrant(uint64_t session_id,
                                                  uint32_t epoch,
                                                  int nudge_bell = -1) const;

  // Read-only descriptors of everything, for one who only looks on, in the
  // order of OpenReply.Observation.
  absl::StatusOr<std::vector<UniqueFd>> MakeObserverFds() const;

  // The status page. Write leaves the client asleep; WakeClient after it.
  StatusWriter& status() { return status_writer_; }
  const StatusWriter& status() const { return status_writer_; }
  void WakeClient() const { platform_bell_.Ring(); }

  const SessionGeometry& geometry() const { return geometry_; }
  // For mapping them for DMA: writable descriptors.
  int tx_data_fd() const { return tx_data_.get(); }
  int rx_data_fd() const { return rx_data_.get(); }
  int client_control_fd() const { return client_control_.get(); }
  int provider_control_fd() const { return provider_control_.get(); }
  // What the client of this lane wakes its provider with.
  int tx_bell_fd(uint32_t lane) const { return bells_[lane].tx_bell.get(); }

 private:
  friend absl::StatusOr<SessionAreas> CreateSessionAreas(
      const SessionGeometry& geometry);
  SessionAreas() = default;

  SessionGeometry geometry_;
  UniqueFd client_control_;
  UniqueFd provider_control_;
  UniqueFd tx_data_;
  UniqueFd rx_data_;
  UniqueFd status_;
  struct Bells {
    UniqueFd tx_bell;  // Rung by the client.
    UniqueFd rx_bell;  // Rung by the provider.
  };
  std::vector<Bells> bells_;  // Of each lane.
  UniqueFd wake_bell_;        // Rung by us; wakes the client in all lanes.
  DoorbellRinger platform_bell_;
  Mapping status_page_;
  StatusWriter status_writer_;
};

// Fresh, zeroed areas; the status page says epoch 0 until it is written.
absl::StatusOr<SessionAreas> CreateSessionAreas(
    const SessionGeometry& geometry);

// The descriptors of a grant in the order of OpenReply.Grant; they stay the
// grant's.
std::vector<int> FdsOf(const ClientGrant& grant);

}  // namespace bulkhead::packet_stream

#endif  // BULKHEAD_PACKET_STREAM_SESSION_AREAS_H_
