#include "packet_stream/session_areas.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "packet_stream/doorbell.h"

namespace bulkhead::packet_stream {
namespace {

absl::StatusOr<UniqueFd> Duplicate(const UniqueFd& fd) {
  UniqueFd copy = fd.Duplicate();
  if (!copy.valid()) return ErrnoStatus("duplicate a session's descriptor");
  return copy;
}

}  // namespace

absl::StatusOr<SessionAreas> CreateSessionAreas(
    const SessionGeometry& geometry) {
  RETURN_IF_ERROR(CheckGeometry(geometry));
  std::vector<UniqueFd> fds;
  const std::pair<const char*, size_t> memories[] = {
      {"session_client_control", geometry.ClientControlBytes()},
      {"session_provider_control", geometry.ProviderControlBytes()},
      {"session_tx_data", geometry.TxDataBytes()},
      {"session_rx_data", geometry.RxDataBytes()},
      {"session_status", kStatusPageBytes},
  };
  for (const auto& [name, bytes] : memories) {
    ASSIGN_OR_RETURN(UniqueFd memory, CreateSealedMemory(name, bytes));
    fds.push_back(std::move(memory));
  }
  while (fds.size() < SessionAreas::FdCount(geometry.lanes)) {
    ASSIGN_OR_RETURN(UniqueFd bell, CreateBell());
    fds.push_back(std::move(bell));
  }
  return SessionAreas::Restore(geometry, std::move(fds));
}

absl::StatusOr<SessionAreas> SessionAreas::Restore(
    const SessionGeometry& geometry, std::vector<UniqueFd> fds) {
  RETURN_IF_ERROR(CheckGeometry(geometry));
  const size_t wanted = FdCount(geometry.lanes);
  if (fds.size() != wanted) {
    return absl::InvalidArgumentError(absl::StrCat(
        "restore a session: ", fds.size(), " descriptors, not ", wanted));
  }
  SessionAreas areas;
  areas.geometry_ = geometry;
  areas.client_control_ = std::move(fds[0]);
  areas.provider_control_ = std::move(fds[1]);
  areas.tx_data_ = std::move(fds[2]);
  areas.rx_data_ = std::move(fds[3]);
  areas.status_ = std::move(fds[4]);
  for (size_t i = 5; i + 1 < wanted; i += 2) {
    areas.bells_.push_back({std::move(fds[i]), std::move(fds[i + 1])});
  }
  areas.wake_bell_ = std::move(fds[wanted - 1]);
  ASSIGN_OR_RETURN(UniqueFd bell, Duplicate(areas.wake_bell_));
  areas.platform_bell_ = DoorbellRinger(std::move(bell));
  ASSIGN_OR_RETURN(areas.status_page_,
                   Mapping::MapSealed(areas.status_.get(), kStatusPageBytes,
                                      Access::kReadWrite));
  areas.status_writer_ = StatusWriter(areas.status_page_.As<StatusPage>());
  return areas;
}

std::vector<int> SessionAreas::Fds() const {
  std::vector<int> fds = {client_control_.get(), provider_control_.get(),
                          tx_data_.get(), rx_data_.get(), status_.get()};
  for (const Bells& bells : bells_) {
    fds.push_back(bells.tx_bell.get());
    fds.push_back(bells.rx_bell.get());
  }
  fds.push_back(wake_bell_.get());
  return fds;
}

absl::StatusOr<ClientGrant> SessionAreas::MakeClientGrant(
    uint64_t session_id, uint32_t epoch) const {
  ClientGrant grant;
  grant.session_id = session_id;
  grant.epoch = epoch;
  grant.geometry = geometry_;
  ASSIGN_OR_RETURN(grant.client_control, Duplicate(client_control_));
  ASSIGN_OR_RETURN(grant.provider_control,
                   ReopenReadOnly(provider_control_.get()));
  ASSIGN_OR_RETURN(grant.tx_data, Duplicate(tx_data_));
  ASSIGN_OR_RETURN(grant.rx_data, ReopenReadOnly(rx_data_.get()));
  ASSIGN_OR_RETURN(grant.status, ReopenReadOnly(status_.get()));
  for (const Bells& bells : bells_) {
    LaneBells lane;
    ASSIGN_OR_RETURN(lane.tx_doorbell, Duplicate(bells.tx_bell));
    ASSIGN_OR_RETURN(lane.rx_doorbell,
                     CreateBellWaiter({bells.rx_bell.get(), wake_bell_.get()}));
    grant.bells.push_back(std::move(lane));
  }
  return grant;
}

absl::StatusOr<ProviderGrant> SessionAreas::MakeProviderGrant(
    uint64_t session_id, uint32_t epoch, int nudge_bell) const {
  ProviderGrant grant;
  grant.session_id = session_id;
  grant.epoch = epoch;
  grant.geometry = geometry_;
  ASSIGN_OR_RETURN(grant.client_control, ReopenReadOnly(client_control_.get()));
  ASSIGN_OR_RETURN(grant.provider_control, Duplicate(provider_control_));
  for (const Bells& bells : bells_) {
    LaneBells lane;
    ASSIGN_OR_RETURN(lane.tx_doorbell,
                     nudge_bell < 0
                         ? CreateBellWaiter({bells.tx_bell.get()})
                         : CreateBellWaiter({bells.tx_bell.get(), nudge_bell}));
    ASSIGN_OR_RETURN(lane.rx_doorbell, Duplicate(bells.rx_bell));
    grant.bells.push_back(std::move(lane));
  }
  return grant;
}

absl::StatusOr<std::vector<UniqueFd>> SessionAreas::MakeObserverFds() const {
  std::vector<UniqueFd> fds;
  for (const UniqueFd* area :
       {&status_, &client_control_, &provider_control_, &tx_data_, &rx_data_}) {
    ASSIGN_OR_RETURN(UniqueFd fd, ReopenReadOnly(area->get()));
    fds.push_back(std::move(fd));
  }
  return fds;
}

std::vector<int> FdsOf(const ClientGrant& grant) {
  std::vector<int> fds = {grant.client_control.get(),
                          grant.provider_control.get(), grant.tx_data.get(),
                          grant.rx_data.get(), grant.status.get()};
  for (const LaneBells& lane : grant.bells) {
    fds.push_back(lane.tx_doorbell.get());
    fds.push_back(lane.rx_doorbell.get());
  }
  return fds;
}

}  // namespace bulkhead::packet_stream
