#include "packet_stream/observer_socket.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "packet_stream/control_area.h"
#include "packet_stream/geometry_message.h"
#include "packet_stream/status_page.h"

namespace bulkhead::packet_stream {
namespace {

// The descriptors of an Observation.
enum : size_t { kStatus, kClient, kProvider, kTxData, kRxData, kFds };

absl::Status RefusalStatus(const OpenReply::Refusal& refusal) {
  const std::string text = absl::StrCat("look on: refused: ", refusal.text());
  switch (refusal.code()) {
    case OpenReply::Refusal::NO_SUCH_INSTANCE:
      return absl::NotFoundError(text);
    case OpenReply::Refusal::QUOTA:
      return absl::ResourceExhaustedError(text);
    case OpenReply::Refusal::NOT_ALLOWED:
      return absl::PermissionDeniedError(text);
    default:
      return absl::InvalidArgumentError(text);
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<ObservedSession>> ObservedSession::Create(
    const OpenReply::Observation& observation, std::vector<UniqueFd> fds,
    uint32_t snap_bytes) {
  if (fds.size() != kFds) {
    return absl::InternalError(absl::StrCat(
        "look on: ", fds.size(), " descriptors came, not ", size_t{kFds}));
  }
  const SessionGeometry geometry = ReadGeometry(observation.geometry());
  RETURN_IF_ERROR(CheckGeometry(geometry));
  std::unique_ptr<ObservedSession> session(new ObservedSession);
  session->id_ = observation.session_id();
  session->place_ = observation.place();
  ASSIGN_OR_RETURN(session->status_,
                   Mapping::MapSealed(fds[kStatus].get(), kStatusPageBytes,
                                      Access::kReadOnly));
  const size_t bytes[] = {geometry.ClientControlBytes(),
                          geometry.ProviderControlBytes(),
                          geometry.TxDataBytes(), geometry.RxDataBytes()};
  for (size_t i = 0; i < 4; ++i) {
    ASSIGN_OR_RETURN(session->areas_[i],
                     Mapping::MapSealed(fds[kClient + i].get(), bytes[i],
                                        Access::kReadOnly));
  }
  for (uint32_t lane = 0; lane < geometry.lanes; ++lane) {
    session->FollowLane(geometry, lane, snap_bytes);
  }
  for (const auto& direction : session->directions_) {
    direction->FollowFromHere();
  }
  return session;
}

void ObservedSession::FollowLane(const SessionGeometry& geometry, uint32_t lane,
                                 uint32_t snap_bytes) {
  const auto* client = areas_[0].As<const ControlHeader>(
      lane * geometry.LaneClientControlBytes());
  const auto* provider = areas_[1].As<const ControlHeader>(
      lane * geometry.LaneProviderControlBytes());
  const uint8_t* tx_data = areas_[2].data() + lane * geometry.LaneTxDataBytes();
  const uint8_t* rx_data = areas_[3].data() + lane * geometry.LaneRxDataBytes();
  directions_.push_back(std::make_unique<DirectionObserver>(
      DirectionObserver::Memory{provider, SubmitEntries(provider), client,
                                AckEntries(client, geometry.tx_buffers),
                                rx_data},
      geometry.rx_buffers, geometry.buffer_bytes, /*sent=*/false, snap_bytes));
  directions_.push_back(std::make_unique<DirectionObserver>(
      DirectionObserver::Memory{client, SubmitEntries(client), provider,
                                AckEntries(provider, geometry.rx_buffers),
                                tx_data},
      geometry.tx_buffers, geometry.buffer_bytes, /*sent=*/true, snap_bytes));
}

uint32_t ObservedSession::epoch() const {
  return status_.As<const StatusPage>()->epoch.load(std::memory_order_acquire);
}

bool ObservedSession::closed() const {
  return status_.As<const StatusPage>()->state.load(
             std::memory_order_acquire) ==
         static_cast<uint32_t>(SessionState::kClosed);
}

absl::StatusOr<ObserverSocket> ObserverSocket::Connect(
    const std::string& socket, const std::string& instance,
    const std::string& domain) {
  absl::StatusOr<SeqpacketChannel> channel = SeqpacketChannel::Connect(socket);
  if (!channel.ok()) {
    return absl::UnavailableError(
        absl::StrCat("look on: ", channel.status().message(),
                     "; start the system with `bulkhead up`"));
  }
  OpenRequest request;
  request.set_label("capture");
  request.set_instance(instance);
  request.set_domain(domain);
  request.set_observe(true);
  RETURN_IF_ERROR(channel->Send(request));
  return ObserverSocket(*std::move(channel));
}

absl::StatusOr<std::unique_ptr<ObservedSession>> ObserverSocket::Take(
    uint32_t snap_bytes) {
  OpenReply reply;
  std::vector<UniqueFd> fds;
  ASSIGN_OR_RETURN(const bool came, channel_.Receive(&reply, &fds, kFds));
  if (!came) return nullptr;
  if (reply.has_refusal()) return RefusalStatus(reply.refusal());
  if (!reply.has_observation()) {
    return absl::InternalError("look on: the reply is no observation");
  }
  return ObservedSession::Create(reply.observation(), std::move(fds),
                                 snap_bytes);
}

}  // namespace bulkhead::packet_stream
