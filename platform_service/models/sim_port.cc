#include "platform_service/models/sim_port.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "base/log.h"
#include "platform_service/devices/vfio_user_bus.h"
#include "platform_service/models/model_spec.h"
#include "platform_service/parking/state.pb.h"

namespace bulkhead::platform {
namespace {

using supervisor::ProcessState;

absl::StatusOr<sockaddr_un> UnixAddress(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "use socket path ", path, ": longer than ",
        sizeof(address.sun_path) - 1, " bytes; choose a shorter --run_dir"));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

absl::StatusOr<UniqueFd> ListenStream(const std::string& path) {
  ASSIGN_OR_RETURN(const sockaddr_un address, UnixAddress(path));
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return ErrnoStatus("create a stream socket");
  // The run directory is ours alone: a socket there is of an earlier run.
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
    return ErrnoStatus(absl::StrCat("remove stale ", path));
  }
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address),
             sizeof(address)) != 0 ||
      ::chmod(path.c_str(), 0600) != 0 || ::listen(fd.get(), 16) != 0) {
    return ErrnoStatus(absl::StrCat("listen on ", path));
  }
  return fd;
}

// The listening socket is ours, so that this never waits for the model.
absl::StatusOr<UniqueFd> ConnectStream(const std::string& path) {
  ASSIGN_OR_RETURN(const sockaddr_un address, UnixAddress(path));
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return ErrnoStatus("create a stream socket");
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address),
                sizeof(address)) != 0) {
    return ErrnoStatus(absl::StrCat("connect to ", path));
  }
  const int flags = ::fcntl(fd.get(), F_GETFL);
  if (::fcntl(fd.get(), F_SETFL, flags & ~O_NONBLOCK) != 0) {
    return ErrnoStatus("make a socket blocking");
  }
  return fd;
}

}  // namespace

absl::StatusOr<std::unique_ptr<SimPort>> SimPort::Create(
    EventLoop& loop, SupervisorLink& link, policy::SimulatedNic nic,
    int wire_fd, const ModelPlace& place, Handlers handlers) {
  std::unique_ptr<SimPort> port(new SimPort(loop, link, std::move(nic), wire_fd,
                                            place, std::move(handlers)));
  RETURN_IF_ERROR(port->MakeSockets());
  RETURN_IF_ERROR(port->MapCounters());
  return port;
}

absl::StatusOr<std::unique_ptr<SimPort>> SimPort::Restore(
    EventLoop& loop, SupervisorLink& link, policy::SimulatedNic nic,
    int wire_fd, const ModelPlace& place, Handlers handlers,
    ParkedEntry entry) {
  std::unique_ptr<SimPort> port(new SimPort(loop, link, std::move(nic), wire_fd,
                                            place, std::move(handlers)));
  parking::PortState state;
  if (!state.ParseFromString(entry.state())) {
    return absl::DataLossError("restore a port: its parked state is garbled");
  }
  port->owner_socket_ = entry.Take(state.owner_socket_fd());
  port->driver_socket_ = entry.Take(state.driver_socket_fd());
  port->counters_fd_ = entry.Take(state.counters_fd());
  port->generation_ = state.generation();
  port->begun_ = true;
  port->restoring_ = true;
  RETURN_IF_ERROR(port->MapCounters());
  if (!state.connected()) return port;
  auto client = vfio_user::Client::Adopt(entry.Take(state.connection_fd()),
                                         kOwnerTimeoutMs, kOwnerPatienceMs);
  const absl::Status adopted =
      client.ok() ? port->TakeDevice(*std::move(client)) : client.status();
  if (!adopted.ok()) port->down_reason_ = std::string(adopted.message());
  return port;
}

SimPort::~SimPort() {
  if (watch_ != 0) loop_.Unwatch(watch_);
}

std::string SimPort::SocketPath(absl::string_view role) const {
  return absl::StrCat(place_.run_dir, "/models/", nic_.name, ".", role,
                      ".sock");
}

absl::Status SimPort::MakeSockets() {
  ASSIGN_OR_RETURN(owner_socket_, ListenStream(SocketPath("owner")));
  ASSIGN_OR_RETURN(driver_socket_, ListenStream(SocketPath("driver")));
  ASSIGN_OR_RETURN(counters_fd_,
                   CreateSealedMemory(
                       absl::StrCat("model-counters-", nic_.name), kPageBytes));
  return absl::OkStatus();
}

absl::Status SimPort::MapCounters() {
  ASSIGN_OR_RETURN(counters_, Mapping::MapSealed(counters_fd_.get(), kPageBytes,
                                                 Access::kReadOnly));
  return absl::OkStatus();
}

void SimPort::Launch() {
  supervisor::ProcessSpec spec;
  spec.set_name(nic_.name);
  spec.set_program(
      absl::StrCat(place_.bin_dir, "/nic_model/", nic_.model, "/", nic_.model));
  spec.set_needs_payload(true);
  // A model maps the memory of every session: no limit of its data here.
  undefined_ = false;
  failure_.clear();
  link_.Define(spec);
  BeginOrDrop();
  Park();
}

void SimPort::BeginOrDrop() {
  failure_.clear();
  const absl::Status begun = Begin();
  if (begun.ok()) return;
  failure_ = std::string(begun.message());
  Drop(failure_);
}

bool SimPort::DefineAgain() {
  if (!undefined_ || redefining_) return false;
  Launch();
  return true;
}

absl::Status SimPort::Begin() {
  ASSIGN_OR_RETURN(ModelOrder order, MakeModelOrder(nic_, wire_fd_));
  order.spec.set_owner_socket_fd(order.fds.Add(owner_socket_));
  order.spec.set_driver_socket_fd(order.fds.Add(driver_socket_));
  order.spec.set_counters_fd(order.fds.Add(counters_fd_));
  // Each generation has a page of its own: a driver of the last one may still
  // have that one mapped.
  ASSIGN_OR_RETURN(
      UniqueFd doorbells,
      CreateSealedMemory(absl::StrCat("doorbells-", nic_.name), kPageBytes));
  order.spec.set_doorbells_fd(order.fds.Own(std::move(doorbells)));
  link_.Begin(nic_.name, order.spec.SerializeAsString(), order.fds.fds());
  begun_ = true;
  return absl::OkStatus();
}

void SimPort::Remove() {
  if (!std::exchange(redefining_, false)) link_.Remove(nic_.name);
}

void SimPort::Redefine(policy::SimulatedNic nic, int wire_fd) {
  nic_ = std::move(nic);
  wire_fd_ = wire_fd;
  // A second change before Removed came is carried out by the same Removed.
  if (!std::exchange(redefining_, true)) link_.Remove(nic_.name);
}

bool SimPort::OnRemoved() {
  Drop("its model was removed");
  begun_ = false;
  generation_ = dead_generation_ = 0;
  if (std::exchange(redefining_, false)) {
    Launch();
    return false;
  }
  ::unlink(SocketPath("owner").c_str());
  ::unlink(SocketPath("driver").c_str());
  link_.Unpark(absl::StrCat("port/", nic_.name));
  return true;
}

void SimPort::OnState(const ProcessState& state) {
  const bool restoring = std::exchange(restoring_, false);
  switch (state.phase()) {
    case ProcessState::RUNNING:
      if (device_ != nullptr && generation_ == state.generation()) return;
      generation_ = state.generation();
      if (const absl::Status status = ConnectOwner(); !status.ok()) {
        Fail(status);
      }
      return;
    case ProcessState::WAITING:
    case ProcessState::BACKING_OFF:
      // The supervisor forgot the Begin of a platform service that died.
      if (begun_ && !restoring) return;
      return BeginOrDrop();
    case ProcessState::PARKED:
      Drop(absl::StrCat("its model ", nic_.name, " is parked: ", state.reason(),
                        "; see `bulkhead logs ", nic_.name,
                        "`, then `bulkhead restart ", nic_.name, "`"));
      begun_ = false;
      return;
    default:
      return;
  }
}

void SimPort::OnDied(const supervisor::FromSupervisor::Died& died) {
  if (died.generation() <= dead_generation_) return;
  dead_generation_ = died.generation();
  Drop(absl::StrCat("its model ", nic_.name, " died: ", died.cause()));
  begun_ = false;
  if (died.parked()) return;
  BeginOrDrop();
  Park();
}

absl::Status SimPort::ConnectOwner() {
  ASSIGN_OR_RETURN(UniqueFd socket, ConnectStream(SocketPath("owner")));
  ASSIGN_OR_RETURN(std::unique_ptr<vfio_user::Client> client,
                   vfio_user::Client::Create(std::move(socket), kOwnerTimeoutMs,
                                             kOwnerPatienceMs));
  RETURN_IF_ERROR(TakeDevice(std::move(client)));
  Park();
  handlers_.up();
  return absl::OkStatus();
}

absl::Status SimPort::TakeDevice(std::unique_ptr<vfio_user::Client> client) {
  ASSIGN_OR_RETURN(const std::vector<vfio_user::RegionInfo> bars,
                   client->GetRegionInfos(bar_bytes_.size()));
  for (size_t bar = 0; bar < bars.size(); ++bar) {
    bar_bytes_[bar] = bars[bar].bytes;
  }
  ASSIGN_OR_RETURN(std::unique_ptr<VfioUserOwner> device,
                   VfioUserOwner::Create(std::move(client)));
  config_space_ = device->first_config_space();
  // The server never speaks unasked: whatever becomes readable between our
  // calls is the end of the connection, or nonsense.
  ASSIGN_OR_RETURN(watch_,
                   loop_.Watch(device->connection_fd(), EPOLLIN | EPOLLRDHUP,
                               [this](uint32_t events) {
                                 if ((events & (EPOLLRDHUP | EPOLLHUP)) != 0) {
                                   Drop("its model closed the connection");
                                   return;
                                 }
                                 Fail(absl::DataLossError(
                                     "the model spoke without being asked"));
                               }));
  device_ = std::move(device);
  down_reason_.clear();
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<DriverBus>> SimPort::MakeDriverBus() {
  ASSIGN_OR_RETURN(UniqueFd socket, ConnectStream(SocketPath("driver")));
  return std::make_unique<VfioUserBus>(std::move(socket));
}

void SimPort::Fail(const absl::Status& why) {
  const std::string reason =
      absl::StrCat("model ", nic_.name, ": ", why.message());
  LogError(reason);
  link_.Record(nic_.name, generation_, "device_error", reason);
  link_.Breach(nic_.name, generation_, reason);
  Drop(reason);
}

void SimPort::Drop(const std::string& reason) {
  if (watch_ != 0) {
    loop_.Unwatch(watch_);
    watch_ = 0;
  }
  const bool was_up = device_ != nullptr;
  down_reason_ = reason;
  if (!was_up) return;
  // Closing the connection ends every DMA map of it (S4).
  device_.reset();
  Park();
  handlers_.down(reason);
}

void SimPort::OnUndefined(const std::string& reason) {
  // What follows a refused definition is refused as well, and says less.
  if (std::exchange(undefined_, true)) return;
  failure_ = reason;
  Drop(reason);
}

void SimPort::Park() {
  parking::PortState state;
  FdList fds;
  state.set_owner_socket_fd(fds.Add(owner_socket_));
  state.set_driver_socket_fd(fds.Add(driver_socket_));
  state.set_counters_fd(fds.Add(counters_fd_));
  state.set_generation(generation_);
  if (device_ != nullptr) {
    state.set_connected(true);
    state.set_connection_fd(fds.Add(device_->connection_fd()));
  }
  link_.Park(absl::StrCat("port/", nic_.name), state.SerializeAsString(),
             fds.fds());
}

}  // namespace bulkhead::platform
