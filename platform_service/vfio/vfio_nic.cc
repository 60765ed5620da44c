#include "platform_service/vfio/vfio_nic.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/clock.h"
#include "base/errno_status.h"
#include "base/log.h"
#include "platform_service/parking/state.pb.h"
#include "platform_service/vfio/helper.h"
#include "platform_service/vfio/vfio_bus.h"

namespace bulkhead::platform {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kFirstRetry{250};
constexpr milliseconds kLastRetry{30'000};
// After so many, the card is taken off the bus and looked for anew.
constexpr int kFailuresToRescan = 2;
// One that worked for so long has not failed again and again.
constexpr uint64_t kStableNs = 60'000'000'000;
// How often one that was pulled out is looked for.
constexpr milliseconds kLookInterval{500};

void Drain(const UniqueFd& event) {
  uint64_t count;
  [[maybe_unused]] const ssize_t got =
      ::read(event.get(), &count, sizeof(count));
}

}  // namespace

VfioNic::VfioNic(const Shared& shared, std::string instance,
                 pci::PciDeviceInfo info, FunctionTaker::InUse in_use,
                 policy::ResetDescription reset, Handlers handlers)
    : shared_(shared),
      instance_(std::move(instance)),
      info_(std::move(info)),
      in_use_(in_use),
      reset_(std::move(reset)),
      handlers_(std::move(handlers)),
      retry_delay_(kFirstRetry) {}

VfioNic::~VfioNic() {
  shared_.loop.Cancel(retry_timer_);
  for (const EventLoop::WatchId watch :
       {error_watch_, request_watch_, helper_watch_}) {
    if (watch != 0) shared_.loop.Unwatch(watch);
  }
}

std::string VfioNic::Key() const { return "vfio/" + info_.address; }

void VfioNic::Record(absl::string_view kind, absl::string_view text) {
  shared_.link.Record(instance_, 0, kind,
                      absl::StrCat(info_.address, ": ", text));
}

// --- Taking ---------------------------------------------------------------

absl::Status VfioNic::Take() {
  if (::geteuid() != 0) {
    return absl::PermissionDeniedError(absl::StrCat(
        "take ", info_.address,
        ": only root may take a real card; run `sudo bulkhead up …`, or "
        "describe a card under `simulated:`"));
  }
  const std::vector<std::string> lost = shared_.taker.StandsOn(info_.address);
  ASSIGN_OR_RETURN(const int group, shared_.taker.Take(info_.address, in_use_));
  if (!lost.empty()) {
    const std::string text =
        absl::StrCat("lost, and not made anew when it is given back: ",
                     absl::StrJoin(lost, ", "), " on its interface");
    LogWarning(absl::StrCat(info_.address, ": ", text));
    Record("taken", text);
  }
  const absl::Status opened = OpenTaken(group);
  if (opened.ok()) return opened;
  // Nobody but this process has had its descriptors.
  const absl::Status undone = shared_.taker.GiveBack(info_.address);
  if (!undone.ok()) LogError(undone.message());
  return opened;
}

absl::Status VfioNic::OpenTaken(int group) {
  RETURN_IF_ERROR(EnsureGuard(shared_.run_dir));
  RETURN_IF_ERROR(Open(group));
  const std::string owner = shared_.taker.OwnerOf(info_.address);
  Record("taken", absl::StrCat("from ", owner.empty() ? "no driver" : owner));
  Park();
  return absl::OkStatus();
}

absl::Status VfioNic::Open(int group) {
  ASSIGN_OR_RETURN(VfioContainer container, VfioContainer::Open(group));
  ASSIGN_OR_RETURN(UniqueFd device, container.OpenDevice(info_.address));
  error_.Reset(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  request_.Reset(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!error_.valid() || !request_.valid()) return ErrnoStatus("eventfd");
  RETURN_IF_ERROR(
      TakeDevice(std::move(container), VfioDeviceFd(std::move(device))));
  return device_->ArmEvents(error_.get(), request_.get());
}

absl::Status VfioNic::TakeDevice(VfioContainer container, VfioDeviceFd device) {
  ASSIGN_OR_RETURN(
      std::unique_ptr<VfioOwner> owner,
      VfioOwner::Create(std::move(container), std::move(device),
                        {info_.address, info_.vendor, info_.device}, reset_,
                        shared_.taker.sysfs(), shared_.resets));
  owner->set_recorder([this](absl::string_view kind, absl::string_view text) {
    Record(kind, text);
  });
  ASSIGN_OR_RETURN(const std::vector<uint8_t> config, owner->ReadConfigSpace());
  config_space_.assign(config.begin(), config.end());
  RETURN_IF_ERROR(WatchEvents());
  device_ = std::move(owner);
  down_reason_.clear();
  up_since_ns_ = MonotonicNs();
  wanted_back_ = pulled_out_ = false;
  return absl::OkStatus();
}

absl::Status VfioNic::WatchEvents() {
  ASSIGN_OR_RETURN(error_watch_,
                   shared_.loop.Watch(error_.get(), EPOLLIN,
                                      [this](uint32_t) { OnError(); }));
  ASSIGN_OR_RETURN(request_watch_,
                   shared_.loop.Watch(request_.get(), EPOLLIN,
                                      [this](uint32_t) { OnRequest(); }));
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<DriverBus>> VfioNic::MakeDriverBus() {
  if (device_ == nullptr) return absl::UnavailableError(down_reason_);
  UniqueFd copy(::fcntl(device_->device().fd(), F_DUPFD_CLOEXEC, 0));
  if (!copy.valid()) return ErrnoStatus("copy a device descriptor");
  return std::make_unique<VfioBus>(std::move(copy), device_->bars(),
                                   config_space_);
}

// --- Parked and restored --------------------------------------------------

void VfioNic::Park() {
  parking::VfioState state;
  FdList fds;
  state.set_container_fd(fds.Add(device_->container().container_fd()));
  state.set_group_fd(fds.Add(device_->container().group_fd()));
  state.set_device_fd(fds.Add(device_->device().fd()));
  state.set_error_fd(fds.Add(error_));
  state.set_request_fd(fds.Add(request_));
  shared_.link.Park(Key(), state.SerializeAsString(), fds.fds());
}

absl::Status VfioNic::Restore(std::optional<ParkedEntry> entry) {
  absl::Status status = absl::UnavailableError("it was down, and is tried");
  if (entry.has_value()) status = Adopt(*std::move(entry));
  if (!status.ok()) {
    Drop(std::string(status.message()));
    Retry(retry_delay_);
    return status;
  }
  return EnsureGuard(shared_.run_dir);
}

absl::Status VfioNic::Adopt(ParkedEntry entry) {
  parking::VfioState state;
  if (!state.ParseFromString(entry.state())) {
    return absl::DataLossError("restore a card: its parked state is garbled");
  }
  error_ = entry.Take(state.error_fd());
  request_ = entry.Take(state.request_fd());
  VfioContainer container(entry.Take(state.container_fd()),
                          entry.Take(state.group_fd()));
  return TakeDevice(std::move(container),
                    VfioDeviceFd(entry.Take(state.device_fd())));
}

// --- Failing --------------------------------------------------------------

void VfioNic::OnError() {
  Drain(error_);
  Record("aer", "uncorrectable PCIe error; see the kernel's log for its kind");
  Fail(absl::UnavailableError("the function reported an uncorrectable error"));
}

// The kernel waits for us, for as long as it takes.
void VfioNic::OnRequest() {
  Drain(request_);
  Record("removal", "the kernel asks for the function back");
  wanted_back_ = true;
  Drop(absl::StrCat("the kernel asked for ", info_.address,
                    " back: it is being pulled out or unbound; once it is "
                    "back, `bulkhead apply` takes it again"));
  Retry(kLookInterval);
}

void VfioNic::Fail(const absl::Status& why) {
  LogError(absl::StrCat(info_.address, ": ", why.message()));
  Record("device_error", why.message());
  const bool was_stable =
      device_ != nullptr && MonotonicNs() - up_since_ns_ > kStableNs;
  if (was_stable) {
    retry_delay_ = kFirstRetry;
    failures_ = 0;
  }
  ++failures_;
  Drop(std::string(why.message()));
  if (given_back_ == nullptr) Retry(retry_delay_);
  retry_delay_ = std::min(2 * retry_delay_, kLastRetry);
}

void VfioNic::Drop(const std::string& reason) {
  for (EventLoop::WatchId* watch : {&error_watch_, &request_watch_}) {
    if (*watch != 0) shared_.loop.Unwatch(std::exchange(*watch, 0));
  }
  const bool was_up = device_ != nullptr;
  down_reason_ = reason;
  // Ends its DMA and every DMA map of it (S4).
  device_.reset();
  shared_.link.Unpark(Key());
  if (was_up) handlers_.down(reason);
}

void VfioNic::Retry(milliseconds delay) {
  if (retry_timer_ != 0) return;
  retry_timer_ = shared_.loop.After(delay, [this] {
    retry_timer_ = 0;
    TryAgain();
  });
}

void VfioNic::TryAgain() {
  if (device_ != nullptr || given_back_ != nullptr) return;
  const bool there =
      shared_.taker.sysfs().Exists("bus/pci/devices/" + info_.address);
  pulled_out_ |= !there;
  // One that was unbound by hand is left to that hand.
  if (!there || (wanted_back_ && !pulled_out_)) return Retry(kLookInterval);
  if (failures_ >= kFailuresToRescan && there) return Rescan();
  // A failure gives nothing back: the supervisor may hold descriptors of the
  // time before still, and giving back would wait for it.
  const absl::StatusOr<int> group = shared_.taker.Take(info_.address, in_use_);
  const absl::Status taken = group.ok() ? OpenTaken(*group) : group.status();
  if (taken.ok()) {
    Record("back", "the function is there again");
    return handlers_.up();
  }
  // Not taken, or not any more: told once for each reason.
  if (absl::IsFailedPrecondition(taken) && down_reason_ != taken.message()) {
    Record("refused", taken.message());
  }
  down_reason_ = std::string(taken.message());
  LogWarning(down_reason_);
  retry_delay_ = std::min(2 * retry_delay_, kLastRetry);
  Retry(retry_delay_);
}

// The last rung: off the bus and on it again. What is there then is taken as if
// it had been put in anew.
void VfioNic::Rescan() {
  failures_ = 0;
  AwaitHelper(
      StartRescan(shared_.run_dir, info_.address), [this](absl::Status status) {
        Record("rescan",
               status.ok() ? "off the bus and found again" : status.message());
        Retry(retry_delay_);
      });
}

// --- Giving back ----------------------------------------------------------

void VfioNic::Release() {
  shared_.loop.Cancel(std::exchange(retry_timer_, 0));
  Drop("it is given back");
}

// In a process of its own: the kernel waits there until the supervisor has let
// go of the parked descriptors, and its driver may take its time.
void VfioNic::GiveBack(std::function<void(absl::Status)> done) {
  given_back_ = std::move(done);
  Release();
  const auto finish = [this](absl::Status status) {
    Record(status.ok() ? "given_back" : "device_error",
           status.ok() ? "to whom it belonged" : status.message());
    // Not by `this` any more: the call may end it.
    shared_.loop.Post([done = given_back_, status] { done(status); });
  };
  AwaitHelper(StartGiveBack(shared_.run_dir, info_.address), finish);
}

void VfioNic::AwaitHelper(absl::StatusOr<UniqueFd> helper,
                          std::function<void(absl::Status)> done) {
  if (!helper.ok()) return done(helper.status());
  // One that rescans goes on by itself when the card is to be given back.
  if (helper_watch_ != 0) shared_.loop.Unwatch(helper_watch_);
  helper_ = *std::move(helper);
  const auto watch =
      shared_.loop.Watch(helper_.get(), EPOLLIN, [this, done](uint32_t) {
        shared_.loop.Unwatch(std::exchange(helper_watch_, 0));
        done(ReapHelper(helper_));
      });
  if (!watch.ok()) return done(watch.status());
  helper_watch_ = *watch;
}

}  // namespace bulkhead::platform
