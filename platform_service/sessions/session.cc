#include "platform_service/sessions/session.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "packet_stream/geometry_message.h"
#include "packet_stream/session.pb.h"
#include "platform_service/parking/state.pb.h"

namespace bulkhead::platform {

using packet_stream::ControlHeader;
using packet_stream::SessionState;
using packet_stream::SessionStatus;

absl::StatusOr<std::unique_ptr<Session>> Session::Create(
    EventLoop& loop, SupervisorLink& link, SessionIdentity identity,
    SeqpacketChannel channel, QuotaCharge charge,
    std::function<void()> vanished) {
  ASSIGN_OR_RETURN(packet_stream::SessionAreas areas,
                   packet_stream::CreateSessionAreas(identity.geometry));
  std::unique_ptr<Session> session(new Session(
      loop, link, std::move(identity), std::move(channel), std::move(areas)));
  session->charge_ = std::move(charge);
  session->vanished_ = std::move(vanished);
  ASSIGN_OR_RETURN(session->nudge_bell_, packet_stream::CreateBell());
  RETURN_IF_ERROR(session->MapHeaders());
  SessionStatus status;
  status.epoch = session->epoch_;
  session->areas_.status().Write(status);
  RETURN_IF_ERROR(session->WatchClient());
  return session;
}

absl::StatusOr<std::unique_ptr<Session>> Session::Restore(EventLoop& loop,
                                                          SupervisorLink& link,
                                                          ParkedEntry entry) {
  parking::SessionState state;
  if (!state.ParseFromString(entry.state())) {
    return absl::DataLossError("restore a session: its state is garbled");
  }
  SessionIdentity identity;
  identity.id = state.id();
  identity.label = state.label();
  identity.instance = state.instance();
  identity.geometry = {state.tx_buffers(), state.rx_buffers(),
                       state.buffer_bytes(),
                       state.lanes() == 0 ? 1 : state.lanes()};
  identity.client_pid = state.client_pid();
  SeqpacketChannel channel(entry.Take(0));
  std::vector<UniqueFd> fds;
  // Behind them lies the nudge bell.
  const size_t nudge_at =
      1 + packet_stream::SessionAreas::FdCount(identity.geometry.lanes);
  for (size_t i = 1; i < nudge_at; ++i) fds.push_back(entry.Take(i));
  ASSIGN_OR_RETURN(
      packet_stream::SessionAreas areas,
      packet_stream::SessionAreas::Restore(identity.geometry, std::move(fds)));
  std::unique_ptr<Session> session(new Session(
      loop, link, std::move(identity), std::move(channel), std::move(areas)));
  session->nudge_bell_ = entry.Take(nudge_at);
  RETURN_IF_ERROR(session->MapHeaders());
  // The page is the newer one when the last platform service died between
  // raising the epoch and parking it. Never back: the client would take a
  // provider of this epoch for one of an older (S6).
  const uint32_t shown = session->areas_.status().Current().epoch;
  session->epoch_ =
      static_cast<int32_t>(shown - state.epoch()) > 0 ? shown : state.epoch();
  session->granted_ = state.granted();
  session->perhaps_granted_ = true;
  session->closed_ = state.closed();
  session->mapped_ = state.mapped();
  session->tx_iova_ = state.tx_iova();
  session->rx_iova_ = state.rx_iova();
  if (session->closed_) {
    session->channel_.Close();
  } else {
    RETURN_IF_ERROR(session->WatchClient());
  }
  return session;
}

Session::~Session() {
  StopWatching();
  link_.Unpark(Key());
}

std::string Session::Key() const {
  return absl::StrCat("session/", identity_.id);
}

absl::Status Session::WatchClient() {
  ASSIGN_OR_RETURN(watch_, loop_.Watch(channel_.fd(), EPOLLIN,
                                       [this](uint32_t) { HearClient(); }));
  return absl::OkStatus();
}

// A client with a session has one thing to say; anything else, its end of file
// too, ends the session.
void Session::HearClient() {
  packet_stream::ClientReport report;
  std::vector<UniqueFd> fds;
  const absl::StatusOr<bool> received = channel_.Receive(&report, &fds, 0);
  if (received.ok() && !*received) return;
  if (received.ok() && IsRepeated(report.epoch())) return;
  if (received.ok() && ++reports_ <= kMaxReports) {
    // Of an older epoch, its provider is gone already.
    if (report.epoch() == epoch_ && accused_) {
      constexpr size_t kMaxWords = 200;
      accused_(absl::string_view(report.breach()).substr(0, kMaxWords));
    }
    return;
  }
  StopWatching();
  // The handler destroys the session.
  const auto vanished = std::move(vanished_);
  if (vanished) vanished();
}

// Each lane of a client that finds itself lied to says so: of one epoch, they
// are one report.
bool Session::IsRepeated(uint32_t epoch) {
  if (reports_ > 0 && epoch == reported_epoch_ && ++repeats_ < lanes()) {
    return true;
  }
  reported_epoch_ = epoch;
  repeats_ = 0;
  return false;
}

void Session::StopWatching() {
  if (watch_ == 0) return;
  loop_.Unwatch(watch_);
  watch_ = 0;
}

absl::Status Session::MapHeaders() {
  UniqueFd copy = nudge_bell_.Duplicate();
  if (!copy.valid()) return ErrnoStatus("duplicate a session's descriptor");
  nudge_ = packet_stream::DoorbellRinger(std::move(copy));
  ASSIGN_OR_RETURN(client_control_,
                   Mapping::MapSealed(areas_.client_control_fd(),
                                      identity_.geometry.ClientControlBytes(),
                                      Access::kReadOnly));
  ASSIGN_OR_RETURN(provider_control_,
                   Mapping::MapSealed(areas_.provider_control_fd(),
                                      identity_.geometry.ProviderControlBytes(),
                                      Access::kReadOnly));
  return absl::OkStatus();
}

absl::Status Session::SendGrant() {
  ASSIGN_OR_RETURN(const packet_stream::ClientGrant client,
                   areas_.MakeClientGrant(identity_.id, epoch_));
  packet_stream::OpenReply reply;
  auto* grant = reply.mutable_grant();
  grant->set_session_id(identity_.id);
  WriteGeometry(identity_.geometry, grant->mutable_geometry());
  grant->set_epoch(epoch_);
  return channel_.Send(reply, packet_stream::FdsOf(client));
}

absl::Status Session::SendObservation(SeqpacketChannel& channel,
                                      const std::string& place) const {
  ASSIGN_OR_RETURN(const std::vector<UniqueFd> owned, areas_.MakeObserverFds());
  std::vector<int> fds;
  for (const UniqueFd& fd : owned) fds.push_back(fd.get());
  packet_stream::OpenReply reply;
  auto* observation = reply.mutable_observation();
  observation->set_session_id(identity_.id);
  WriteGeometry(identity_.geometry, observation->mutable_geometry());
  observation->set_label(identity_.label);
  observation->set_client_pid(static_cast<uint32_t>(identity_.client_pid));
  observation->set_place(place);
  return channel.Send(reply, fds);
}

absl::Status Session::PrepareGrant() {
  if (!next_grant_.bells.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(next_grant_, areas_.MakeProviderGrant(identity_.id, epoch_,
                                                         nudge_bell_.get()));
  return absl::OkStatus();
}

absl::Status Session::AppendGrant(DeviceOwner* device, SessionGrant* grant,
                                  FdList* fds) {
  RETURN_IF_ERROR(PrepareGrant());
  packet_stream::ProviderGrant provider = std::exchange(next_grant_, {});
  grant->set_session_id(identity_.id);
  grant->set_epoch(epoch_);
  grant->set_tx_buffers(identity_.geometry.tx_buffers);
  grant->set_rx_buffers(identity_.geometry.rx_buffers);
  grant->set_buffer_bytes(identity_.geometry.buffer_bytes);
  grant->set_tx_iova(tx_iova_);
  grant->set_rx_iova(rx_iova_);
  grant->set_client_control_fd(fds->Own(std::move(provider.client_control)));
  grant->set_provider_control_fd(
      fds->Own(std::move(provider.provider_control)));
  for (packet_stream::LaneBells& lane : provider.bells) {
    grant->add_tx_doorbell_fd(fds->Own(std::move(lane.tx_doorbell)));
    grant->add_rx_doorbell_fd(fds->Own(std::move(lane.rx_doorbell)));
  }
  // Whatever it brings: the provider of this epoch may have it.
  granted_ = true;
  if (device == nullptr) return absl::OkStatus();
  return device->AddToSession(memory(), grant, fds);
}

absl::StatusOr<FrameMemory> Session::ShareFrames() const {
  FrameMemory frames;
  ASSIGN_OR_RETURN(frames.tx_data, ReopenReadOnly(areas_.tx_data_fd()));
  frames.rx_data.Reset(::fcntl(areas_.rx_data_fd(), F_DUPFD_CLOEXEC, 0));
  if (!frames.rx_data.valid()) {
    return ErrnoStatus("duplicate a session's descriptor");
  }
  return frames;
}

absl::Status Session::MapFor(DeviceOwner& device) {
  if (mapped_) return absl::OkStatus();
  const auto& geometry = identity_.geometry;
  RETURN_IF_ERROR(device.CheckSession(geometry));
  ASSIGN_OR_RETURN(const UniqueFd tx_data, ReopenReadOnly(areas_.tx_data_fd()));
  ASSIGN_OR_RETURN(tx_iova_, device.Map(tx_data.get(), geometry.TxDataBytes(),
                                        DeviceAccess::kRead));
  const absl::StatusOr<uint64_t> rx_iova = device.Map(
      areas_.rx_data_fd(), geometry.RxDataBytes(), DeviceAccess::kWrite);
  if (!rx_iova.ok()) {
    device.Unmap(tx_iova_, geometry.TxDataBytes(), UniqueFd()).IgnoreError();
    return rx_iova.status();
  }
  rx_iova_ = *rx_iova;
  mapped_ = true;
  return absl::OkStatus();
}

absl::Status Session::UnmapFrom(DeviceOwner& device) {
  if (!mapped_) return absl::OkStatus();
  mapped_ = false;
  const auto reference = [](int fd) {
    return UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  };
  absl::Status status = device.Unmap(tx_iova_, identity_.geometry.TxDataBytes(),
                                     reference(areas_.tx_data_fd()));
  status.Update(device.Unmap(rx_iova_, identity_.geometry.RxDataBytes(),
                             reference(areas_.rx_data_fd())));
  return status;
}

absl::Status Session::AdoptMapping(DeviceOwner& device) {
  if (!mapped_) return absl::OkStatus();
  RETURN_IF_ERROR(
      device.AdoptMapping(tx_iova_, identity_.geometry.TxDataBytes()));
  return device.AdoptMapping(rx_iova_, identity_.geometry.RxDataBytes());
}

void Session::Recover() {
  if (granted_ || perhaps_granted_) ++epoch_;
  perhaps_granted_ = false;
  granted_ = false;
  SessionStatus status = areas_.status().Current();
  status.epoch = epoch_;
  status.state = SessionState::kRecovering;
  areas_.status().Write(status);
  areas_.WakeClient();
}

void Session::Show(SessionStatus status) {
  status.epoch = epoch_;
  if (status == areas_.status().Current()) return;
  areas_.status().Write(status);
  areas_.WakeClient();
}

void Session::Close(absl::string_view reason) {
  if (std::exchange(closed_, true)) return;
  SessionStatus status = areas_.status().Current();
  status.state = SessionState::kClosed;
  Show(status);
  packet_stream::Closed closed;
  closed.set_reason(std::string(reason));
  // A client that does not read its socket learns it from the status page.
  channel_.Send(closed).IgnoreError();
  StopWatching();
  channel_.Close();
}

bool Session::ClientIsGone() const {
  if (!channel_.valid()) return true;
  pollfd state = {channel_.fd(), POLLRDHUP, 0};
  return ::poll(&state, 1, 0) == 1;
}

Session::Positions Session::ReadPositions(uint32_t lane) const {
  const auto* client = client_control_.As<const ControlHeader>(
      lane * identity_.geometry.LaneClientControlBytes());
  const auto* provider = provider_control_.As<const ControlHeader>(
      lane * identity_.geometry.LaneProviderControlBytes());
  Positions positions;
  // Acquire: pairs with each side's release of its epoch, after which its tails
  // belong to that epoch.
  positions.in_step = client->epoch.load(std::memory_order_acquire) == epoch_ &&
                      provider->epoch.load(std::memory_order_acquire) == epoch_;
  positions.tx_submitted =
      client->submit_tail.value.load(std::memory_order_relaxed);
  positions.tx_acknowledged =
      provider->ack_tail.value.load(std::memory_order_relaxed);
  positions.rx_submitted =
      provider->submit_tail.value.load(std::memory_order_relaxed);
  positions.rx_acknowledged =
      client->ack_tail.value.load(std::memory_order_relaxed);
  positions.provider_sleeps =
      provider->sleeping.load(std::memory_order_relaxed) != 0;
  return positions;
}

void Session::NudgeProvider() const { nudge_.Ring(); }

int Session::client_bell(uint32_t lane) const {
  return areas_.tx_bell_fd(lane);
}

void Session::Park() {
  parking::SessionState state;
  state.set_id(identity_.id);
  state.set_label(identity_.label);
  state.set_instance(identity_.instance);
  state.set_tx_buffers(identity_.geometry.tx_buffers);
  state.set_rx_buffers(identity_.geometry.rx_buffers);
  state.set_buffer_bytes(identity_.geometry.buffer_bytes);
  state.set_lanes(identity_.geometry.lanes);
  state.set_epoch(epoch_);
  state.set_tx_iova(tx_iova_);
  state.set_rx_iova(rx_iova_);
  state.set_mapped(mapped_);
  state.set_client_pid(identity_.client_pid);
  state.set_granted(granted_);
  state.set_closed(closed_);
  FdList fds;
  // A closed one has no socket any more: anything keeps the others' places.
  fds.Add(closed_ ? nudge_bell_.get() : channel_.fd());
  for (const int fd : areas_.Fds()) fds.Add(fd);
  fds.Add(nudge_bell_);
  link_.Park(Key(), state.SerializeAsString(), fds.fds());
}

}  // namespace bulkhead::platform
