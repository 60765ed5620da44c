#include "nic_model/run_model.h"

#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "base/event_loop.h"
#include "base/log.h"
#include "base/shared_memory.h"
#include "nic_model/counters.h"
#include "nic_model/faults.h"
#include "nic_model/model.pb.h"
#include "nic_model/network/echo.h"
#include "nic_model/network/generator.h"
#include "nic_model/network/pcap_replay.h"
#include "nic_model/network/sink.h"
#include "nic_model/network/tap.h"
#include "nic_model/network/wire.h"
#include "nic_model/vfio_user/server.h"
#include "supervisor/child.h"

namespace bulkhead::nic_model {
namespace {

// The descriptors of a Start, each of which is taken once.
class Descriptors {
 public:
  explicit Descriptors(std::vector<UniqueFd> fds) : fds_(std::move(fds)) {}

  absl::StatusOr<UniqueFd> Take(uint32_t index, absl::string_view what) {
    if (index >= fds_.size() || !fds_[index].valid()) {
      return absl::InvalidArgumentError(
          absl::StrCat("take ", what, ": descriptor ", index, " of ",
                       fds_.size(), " is not there"));
    }
    return std::move(fds_[index]);
  }

 private:
  std::vector<UniqueFd> fds_;
};

// Members in dependency order: counters, device, network, server.
class ModelProcess {
 public:
  ModelProcess(EventLoop& loop, absl::string_view name, MakeModel make)
      : loop_(loop), name_(name), make_(make) {}

  absl::Status Start(const ModelSpec& spec, Descriptors fds);

  supervisor::Progress progress() const {
    return {device_ == nullptr ? 0 : device_->work_done(), false};
  }

 private:
  absl::StatusOr<std::unique_ptr<Network>> MakeNetwork(const ModelSpec& spec,
                                                       const Mac& mac,
                                                       Descriptors& fds);

  EventLoop& loop_;
  const absl::string_view name_;
  const MakeModel make_;
  Mapping counters_;
  std::unique_ptr<Model> device_;
  std::unique_ptr<Network> network_;
  std::unique_ptr<vfio_user::Server> server_;
};

absl::Status ModelProcess::Start(const ModelSpec& spec, Descriptors fds) {
  if (spec.model() != name_) {
    return absl::InvalidArgumentError(absl::StrCat(
        "simulate '", spec.model(), "': this program simulates ", name_));
  }
  Mac mac;
  if (spec.mac().size() != mac.size() || (spec.mac()[0] & 1) != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("simulate ", spec.name(),
                     ": its MAC is no unicast address of 6 bytes"));
  }
  std::memcpy(mac.data(), spec.mac().data(), mac.size());
  Faults faults;
  for (const std::string& name : spec.fault()) {
    RETURN_IF_ERROR(SetFault(name, &faults));
  }
  ASSIGN_OR_RETURN(const UniqueFd counters,
                   fds.Take(spec.counters_fd(), "the counters page"));
  ASSIGN_OR_RETURN(counters_, Mapping::MapSealed(counters.get(), kPageBytes,
                                                 Access::kReadWrite));
  ModelOptions options = {mac, spec.serial(), faults, UniqueFd()};
  if (spec.has_doorbells_fd()) {
    ASSIGN_OR_RETURN(options.doorbell_page,
                     fds.Take(spec.doorbells_fd(), "the doorbell page"));
  }
  ASSIGN_OR_RETURN(
      device_, make_(loop_, *counters_.As<PortCounters>(), std::move(options)));
  ASSIGN_OR_RETURN(network_, MakeNetwork(spec, mac, fds));
  device_->PlugIn(network_.get());
  server_ = std::make_unique<vfio_user::Server>(loop_, *device_);
  server_->set_garbage_replies(faults.garbage_replies);
  ASSIGN_OR_RETURN(UniqueFd owner,
                   fds.Take(spec.owner_socket_fd(), "the owner's socket"));
  RETURN_IF_ERROR(server_->Listen(std::move(owner), vfio_user::Role::kOwner));
  ASSIGN_OR_RETURN(UniqueFd driver,
                   fds.Take(spec.driver_socket_fd(), "the driver's socket"));
  return server_->Listen(std::move(driver), vfio_user::Role::kDriver);
}

absl::StatusOr<std::unique_ptr<Network>> ModelProcess::MakeNetwork(
    const ModelSpec& spec, const Mac& mac, Descriptors& fds) {
  switch (spec.network_case()) {
    case ModelSpec::kEcho:
      return std::make_unique<Echo>(loop_, *device_);
    case ModelSpec::kWire: {
      ASSIGN_OR_RETURN(UniqueFd socket,
                       fds.Take(spec.wire().socket_fd(), "the wire's socket"));
      return Wire::Create(loop_, *device_, std::move(socket));
    }
    case ModelSpec::kGenerator:
      return Generator::Create(
          loop_, *device_,
          {mac, spec.generator().frames_per_second(),
           spec.generator().frame_bytes(), spec.generator().count()});
    case ModelSpec::kTap: {
      ASSIGN_OR_RETURN(UniqueFd tap,
                       fds.Take(spec.tap().tap_fd(), "the tap's descriptor"));
      return Tap::Create(loop_, *device_, std::move(tap));
    }
    case ModelSpec::kPcap: {
      ASSIGN_OR_RETURN(UniqueFd file,
                       fds.Take(spec.pcap().file_fd(), "the capture"));
      return PcapReplay::Create(loop_, *device_, std::move(file),
                                spec.pcap().loop());
    }
    case ModelSpec::kSink:
    case ModelSpec::NETWORK_NOT_SET:
      return std::make_unique<Sink>();
  }
  return absl::InvalidArgumentError("plug in: unknown network");
}

}  // namespace

int RunModel(absl::string_view name, MakeModel make) {
  auto loop = EventLoop::Create();
  if (!loop.ok()) {
    LogError(loop.status().message());
    return EXIT_FAILURE;
  }
  ModelProcess model(**loop, name, make);
  std::unique_ptr<supervisor::Child> child;
  supervisor::Child::Handlers handlers;
  handlers.start = [&](supervisor::StartOrder order) {
    SetLogName(order.name);
    ModelSpec spec;
    if (!spec.ParseFromString(order.payload)) {
      child->Fail("parse the ModelSpec: it is malformed");
    }
    const absl::Status started =
        model.Start(spec, Descriptors(std::move(order.fds)));
    if (!started.ok()) child->Fail(started.message());
    child->SayStarted();
  };
  handlers.progress = [&] { return model.progress(); };
  auto created = supervisor::Child::Create(**loop, std::move(handlers));
  if (!created.ok()) {
    LogError(created.status().message());
    return EXIT_FAILURE;
  }
  child = *std::move(created);
  (*loop)->Run();
  return EXIT_SUCCESS;
}

}  // namespace bulkhead::nic_model
