#include "platform_service/linux_interface/linux_nic.h"

#include <linux/if.h>
#include <linux/rtnetlink.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "base/log.h"
#include "platform_service/linux_interface/enumerate.h"
#include "platform_service/linux_interface/ethtool.h"
#include "platform_service/linux_interface/interface_socket.h"
#include "platform_service/linux_interface/network_namespace.h"
#include "platform_service/parking/state.pb.h"
#include "platform_service/vfio/helper.h"

namespace bulkhead::platform {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kFirstRetry{250};
constexpr milliseconds kLastRetry{30'000};
// XDP sockets that a program's map has room for.
constexpr uint32_t kQueues = 64;

std::string UpText(uint32_t flags) {
  return (flags & IFF_UP) != 0 ? "was set up" : "was set down";
}

}  // namespace

LinuxNic::LinuxNic(const Shared& shared, std::string instance,
                   pci::PciDeviceInfo info, const Use& use, Handlers handlers)
    : shared_(shared),
      instance_(std::move(instance)),
      info_(std::move(info)),
      wanted_name_(info_.interfaces.front()),
      use_(use),
      handlers_(std::move(handlers)),
      retry_delay_(kFirstRetry) {}

LinuxNic::~LinuxNic() {
  shared_.loop.Cancel(retry_timer_);
  if (watch_ != 0) shared_.loop.Unwatch(watch_);
}

std::string LinuxNic::Key() const { return "interface/" + info_.address; }

void LinuxNic::Record(absl::string_view kind, absl::string_view text) {
  shared_.link.Record(instance_, 0, kind,
                      absl::StrCat(info_.address, ": ", text));
}

// --- Taking ---------------------------------------------------------------

absl::Status LinuxNic::Take() {
  if (::geteuid() != 0) {
    return absl::PermissionDeniedError(absl::StrCat(
        "take ", info_.address,
        ": only root may take an interface; run `sudo bulkhead up …`, or "
        "describe a card under `simulated:`"));
  }
  RETURN_IF_ERROR(Watch());
  RETURN_IF_ERROR(Find());
  RETURN_IF_ERROR(EnsureGuard(shared_.run_dir));
  const bool xdp = use_.socket == policy::SocketKind::kXdp;
  ASSIGN_OR_RETURN(
      const uint32_t queues,
      shared_.taker.Take(info_.network_namespace, info_.interface_index,
                         wanted_name_, xdp ? use_.queues : 0));
  state_.set_queues(xdp ? queues : 1);
  std::optional<XdpProgram> program;
  absl::Status opened;
  if (xdp) {
    opened = InNamespace(info_.network_namespace, [&]() -> absl::Status {
      ASSIGN_OR_RETURN(program,
                       XdpProgram::Attach(info_.interface_index, kQueues));
      return absl::OkStatus();
    });
  }
  // It is up by now, perhaps; the kernel's word of it may not be here yet.
  if (opened.ok()) opened = Find();
  if (opened.ok()) opened = Open(std::move(program));
  if (!opened.ok()) {
    const absl::Status undone =
        shared_.taker.GiveBack(info_.network_namespace, info_.interface_index);
    if (!undone.ok()) LogError(undone.message());
    return absl::Status(opened.code(), absl::StrCat("take ", info_.address,
                                                    ": ", opened.message()));
  }
  Record("taken", absl::StrCat("from Linux; ", Mode()));
  if (xdp) TellQueues();
  Park();
  return absl::OkStatus();
}

void LinuxNic::TellQueues() {
  if (use_.queues <= state_.queues()) return;
  Record("fewer_queues",
         absl::StrCat("its driver may have ", use_.queues,
                      " queues, and of the interface's ", state_.queues(),
                      " receive and send; for more, before `bulkhead up`: "
                      "`ethtool -L ",
                      name_, " combined ", use_.queues, "`, or `rx ",
                      use_.queues, " tx ", use_.queues, "`"));
}

absl::Status LinuxNic::Watch() {
  if (watch_ != 0) return absl::OkStatus();
  RETURN_IF_ERROR(InNamespace(info_.network_namespace, [&]() -> absl::Status {
    ASSIGN_OR_RETURN(kernel_, NetlinkSocket::Open(RTMGRP_LINK));
    return absl::OkStatus();
  }));
  ASSIGN_OR_RETURN(watch_,
                   shared_.loop.Watch(kernel_->fd(), EPOLLIN,
                                      [this](uint32_t) { OnKernelEvents(); }));
  return absl::OkStatus();
}

absl::Status LinuxNic::Find() {
  return InNamespace(info_.network_namespace, [&]() -> absl::Status {
    // A socket of its own, which hears of nothing but its answer.
    ASSIGN_OR_RETURN(NetlinkSocket kernel, NetlinkSocket::Open());
    bool found = false;
    RETURN_IF_ERROR(
        kernel.Dump(RTM_GETLINK, [&](std::span<const uint8_t> message) {
          const auto link = ReadLink(message);
          if (!link || link->name != wanted_name_ || !link->ethernet) return;
          found = true;
          info_.interface_index = link->index;
          ReadState(*link);
        }));
    if (found) return absl::OkStatus();
    return absl::UnavailableError(absl::StrCat(
        "there is no interface ", wanted_name_, " in ",
        NamespaceText(info_.network_namespace), " network namespace"));
  });
}

void LinuxNic::ReadState(const LinkMessage& link) {
  name_ = link.name;
  flags_ = link.flags;
  mac_ = link.mac;
  info_.mac = MacText(mac_);
  state_.set_mtu(link.mtu);
  // Up, and with a carrier.
  state_.set_link_up((flags_ & IFF_UP) != 0 && (flags_ & IFF_LOWER_UP) != 0);
  absl::StatusOr<Ethtool> ethtool = absl::UnavailableError("");
  // Of speeds that cannot be read, nothing is said.
  InNamespace(info_.network_namespace, [&] {
    ethtool = Ethtool::Open();
    return ethtool.status();
  }).IgnoreError();
  const Ethtool::Speed speed =
      ethtool.ok() ? ethtool->SpeedOf(name_) : Ethtool::Speed();
  state_.set_speed_mbps(speed.mbps);
  state_.set_full_duplex(speed.full_duplex);
  if (device_ != nullptr) device_->set_mtu(link.mtu);
}

absl::Status LinuxNic::Open(std::optional<XdpProgram> program) {
  device_ = std::make_unique<LinuxOwner>(
      LinuxOwner::Place{info_.network_namespace, info_.interface_index},
      std::move(program), state_.queues());
  device_->set_mtu(state_.mtu());
  device_->set_busy_poll(busy_poll_);
  down_reason_.clear();
  retry_delay_ = kFirstRetry;
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<DriverBus>> LinuxNic::MakeDriverBus() {
  if (device_ == nullptr) return absl::UnavailableError(down_reason_);
  return std::make_unique<LinuxBus>(state_,
                                    std::string(mac_.begin(), mac_.end()));
}

std::string LinuxNic::Mode() const {
  return device_ == nullptr ? "" : device_->Mode();
}

void LinuxNic::Configure(const NicConfig& config) {
  const bool busy_poll = config.busy_poll();
  const Reception reception = {
      config.promiscuous(),
      config.all_multicast(),
      {config.multicast().begin(), config.multicast().end()}};
  if (reception == reception_ && busy_poll == busy_poll_) return;
  busy_poll_ = busy_poll;
  if (device_ != nullptr) device_->set_busy_poll(busy_poll);
  if (reception != reception_) Receive(reception);
  Park();
}

// The socket holds the interface's filters open; without it, they are as they
// were. The new one before the old one goes: what both let in is let in always.
void LinuxNic::Receive(const Reception& reception) {
  UniqueFd socket;
  const absl::Status status =
      InNamespace(info_.network_namespace, [&]() -> absl::Status {
        ASSIGN_OR_RETURN(socket,
                         OpenReception(info_.interface_index, reception));
        return absl::OkStatus();
      });
  // What is in force stays, and the next Configure tries again.
  if (!status.ok()) return Record("refused", status.message());
  reception_ = reception;
  reception_socket_ = std::move(socket);
}

// --- Parked and restored --------------------------------------------------

void LinuxNic::Park() {
  if (device_ == nullptr) return;
  parking::InterfaceState state;
  FdList fds;
  state.set_index(info_.interface_index);
  state.set_busy_poll(busy_poll_);
  state.set_queues(state_.queues());
  if (const auto& program = device_->program()) {
    state.set_has_program(true);
    state.set_native(program->native());
    state.set_link_fd(fds.Add(program->link_fd()));
    state.set_sockets_fd(fds.Add(program->sockets_fd()));
  }
  if (reception_socket_.valid()) {
    auto* reception = state.mutable_reception();
    reception->set_promiscuous(reception_.promiscuous);
    reception->set_all_multicast(reception_.all_multicast);
    *reception->mutable_multicast() = {reception_.multicast.begin(),
                                       reception_.multicast.end()};
    reception->set_socket_fd(fds.Add(reception_socket_));
  }
  shared_.link.Park(Key(), state.SerializeAsString(), fds.fds());
}

absl::Status LinuxNic::Restore(ParkedEntry entry) {
  parking::InterfaceState state;
  absl::Status status = Watch();
  if (!state.ParseFromString(entry.state())) {
    status.Update(absl::DataLossError("its parked state is garbled"));
  }
  if (status.ok()) status = Find();
  if (status.ok() && info_.interface_index != state.index()) {
    status = absl::UnavailableError("it is another interface by now");
  }
  if (!status.ok()) {
    Drop(std::string(status.message()));
    Retry();
    return status;
  }
  busy_poll_ = state.busy_poll();
  state_.set_queues(std::max(state.queues(), 1u));
  std::optional<XdpProgram> program;
  if (state.has_program()) {
    program = XdpProgram::Adopt(entry.Take(state.link_fd()),
                                entry.Take(state.sockets_fd()), state.native());
  }
  if (state.has_reception()) {
    const auto& parked = state.reception();
    reception_ = {parked.promiscuous(),
                  parked.all_multicast(),
                  {parked.multicast().begin(), parked.multicast().end()}};
    reception_socket_ = entry.Take(parked.socket_fd());
  }
  RETURN_IF_ERROR(Open(std::move(program)));
  return EnsureGuard(shared_.run_dir);
}

// --- What the kernel says -------------------------------------------------

void LinuxNic::OnKernelEvents() {
  const bool complete = kernel_->Receive([&](std::span<const uint8_t> message) {
    if (const auto link = ReadLink(message)) OnLink(*link);
  });
  if (!complete) LookAgain();
}

// Some of its words were lost: whatever they were, this is how it is.
void LinuxNic::LookAgain() {
  const int index = info_.interface_index;
  const absl::Status found = Find();
  if (device_ == nullptr) return Retry();
  if (!found.ok() || info_.interface_index != index) {
    Drop(absl::StrCat("the interface ", info_.address, " is gone"));
    return Retry();
  }
  handlers_.changed();
}

void LinuxNic::OnLink(const LinkMessage& link) {
  if (device_ == nullptr) {
    if (!link.removed && link.name == wanted_name_) Retry();
    return;
  }
  if (link.index == info_.interface_index) OnOwnLink(link);
}

void LinuxNic::OnOwnLink(const LinkMessage& link) {
  if (link.removed) {
    const std::string what =
        link.moved ? "was moved to another network namespace" : "was removed";
    Record(link.moved ? "interface_moved" : "interface_removed",
           absl::StrCat("it ", what));
    // What was written down of it is of no more use, unless it can come back
    // as the one that it was.
    if (!link.moved) {
      shared_.taker.GiveBack(info_.network_namespace, info_.interface_index)
          .IgnoreError();
    }
    return Drop(absl::StrCat("the interface ", info_.address, " ", what,
                             "; it is taken again once it is back"));
  }
  const InterfaceState before = state_;
  const uint32_t changed_flags = flags_ ^ link.flags;
  const std::string old_name = name_;
  ReadState(link);
  if (old_name != name_) {
    Record("interface_renamed", absl::StrCat("from ", old_name, " to ", name_,
                                             "; its instance goes on"));
  }
  if ((changed_flags & IFF_UP) != 0) {
    Record((flags_ & IFF_UP) != 0 ? "interface_up" : "interface_down",
           absl::StrCat("it ", UpText(flags_)));
  }
  if (before.mtu() != state_.mtu()) {
    Record("interface_mtu",
           absl::StrCat("from ", before.mtu(), " to ", state_.mtu()));
  }
  if (before.SerializeAsString() != state_.SerializeAsString()) {
    handlers_.changed();
  }
}

// --- Failing, and coming back ---------------------------------------------

void LinuxNic::Fail(const absl::Status& why) {
  LogError(absl::StrCat(info_.address, ": ", why.message()));
  Record("device_error", why.message());
  Drop(std::string(why.message()));
  Retry();
}

void LinuxNic::Drop(const std::string& reason) {
  const bool was_up = device_ != nullptr;
  down_reason_ = reason;
  // With it goes the program; a driver's socket is told by the kernel.
  device_.reset();
  reception_ = {};
  reception_socket_.Reset();
  shared_.link.Unpark(Key());
  if (was_up) handlers_.down(reason);
}

void LinuxNic::Retry() {
  if (retry_timer_ != 0) return;
  retry_timer_ = shared_.loop.After(retry_delay_, [this] {
    retry_timer_ = 0;
    TryAgain();
  });
  retry_delay_ = std::min(2 * retry_delay_, kLastRetry);
}

void LinuxNic::TryAgain() {
  if (device_ != nullptr) return;
  // The kernel says when there is one again.
  if (const absl::Status found = Find(); !found.ok()) {
    retry_delay_ = kFirstRetry;
    return;
  }
  // S9: what came back may be somebody's by now.
  const auto devices = EnumerateInterfaces(info_.network_namespace);
  std::string used_by;
  for (const pci::PciDeviceInfo& device :
       devices.value_or(std::vector<pci::PciDeviceInfo>())) {
    if (device.interface_index == info_.interface_index) {
      used_by = device.used_by;
    }
  }
  if (!used_by.empty() && used_by != info_.used_by) {
    const std::string reason =
        absl::StrCat("the machine itself uses it now: ", used_by,
                     "; it is taken once it is free again (S9)");
    if (down_reason_ != reason) Record("refused", reason);
    down_reason_ = reason;
    return Retry();
  }
  const absl::Status taken = Take();
  if (taken.ok()) {
    Record("back", "the interface is there again");
    return handlers_.up();
  }
  down_reason_ = std::string(taken.message());
  LogWarning(down_reason_);
  Retry();
}

void LinuxNic::SetUse(const Use& use) {
  if (use_ == use) return;
  use_ = use;
  if (device_ == nullptr) return;
  Drop("its next driver wants another kind of socket, or of other queues");
  if (const absl::Status taken = Take(); !taken.ok()) {
    down_reason_ = std::string(taken.message());
    return Retry();
  }
  handlers_.up();
}

absl::Status LinuxNic::GiveBack() {
  shared_.loop.Cancel(std::exchange(retry_timer_, 0));
  const std::string space = info_.network_namespace;
  Drop("it is given back");
  const absl::Status status =
      shared_.taker.GiveBack(space, info_.interface_index);
  // One that was removed has taken its settings along.
  const bool gone = absl::IsNotFound(status);
  Record(status.ok() || gone ? "given_back" : "device_error",
         status.ok() || gone ? "it is as it was" : status.message());
  return gone ? absl::OkStatus() : status;
}

}  // namespace bulkhead::platform
