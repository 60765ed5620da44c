// The life of the process: definition, grants, deaths, removal. What the driver
// says is in instance_driver.cc, its session in instance_session.cc.
#include "platform_service/instances/instance.h"

#include <sys/eventfd.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/errno_status.h"
#include "base/log.h"
#include "platform_service/instances/device_grant.h"
#include "platform_service/instances/recovery.h"

namespace bulkhead::platform {
namespace {

// Rings of 4096 descriptors of 16 bytes, both ways, eight times over.
constexpr uint64_t kRingQuotaBytes = 1 << 20;

// After Attached, the driver fills its rings and the first frames go through;
// what the next generation needs is made once that is over.
constexpr auto kPrepareDelay = std::chrono::milliseconds(5);
// At the first start there are many others yet to be started, which come first.
constexpr auto kFirstPrepareDelay = std::chrono::milliseconds(100);

}  // namespace

Instance::Instance(EventLoop& loop, SupervisorLink& link, InstanceSpec spec,
                   Nic& nic, CounterTotals counters)
    : loop_(loop),
      link_(link),
      spec_(std::move(spec)),
      nic_(nic),
      counters_(std::move(counters)),
      rings_(absl::StrCat("rings-", spec_.name), kRingQuotaBytes) {}

Instance::~Instance() {
  loop_.Cancel(offer_timer_);
  loop_.Cancel(prepare_timer_);
  loop_.Cancel(park_timer_);
  loop_.Cancel(progress_timer_);
  for (const Closing& closing : closing_) loop_.Cancel(closing.deadline);
}

absl::StatusOr<std::unique_ptr<Instance>> Instance::Create(EventLoop& loop,
                                                           SupervisorLink& link,
                                                           InstanceSpec spec,
                                                           Nic& nic) {
  ASSIGN_OR_RETURN(CounterTotals counters, CounterTotals::Create());
  return std::unique_ptr<Instance>(
      new Instance(loop, link, std::move(spec), nic, std::move(counters)));
}

supervisor::ProcessSpec Instance::MakeProcessSpec() const {
  const policy::DriverRule& rule = spec_.rule;
  supervisor::ProcessSpec spec;
  spec.set_name(spec_.name);
  spec.set_program(spec_.program);
  spec.set_needs_payload(true);
  spec.set_warm_spare(rule.standby);
  spec.set_memory_bytes(rule.limits.memory_bytes);
  spec.mutable_cpus()->Assign(rule.limits.cpus.begin(), rule.limits.cpus.end());
  spec.set_max_fds(rule.limits.max_fds);
  spec.set_threads(rule.limits.queues > 1);
  auto* restart = spec.mutable_restart();
  restart->set_backoff_first_ms(rule.restart.backoff_first_ms);
  restart->set_backoff_max_ms(rule.restart.backoff_max_ms);
  restart->set_park_after(rule.restart.park_after);
  restart->set_stable_after_ms(rule.restart.stable_after_ms);
  spec.mutable_heartbeat()->set_interval_ms(rule.heartbeat.interval_ms);
  spec.mutable_heartbeat()->set_misses(rule.heartbeat.misses);
  return spec;
}

void Instance::Define() {
  life_.Define(MakeProcessSpec());
  life_.TryBegin();
}

void Instance::Remove() {
  life_.Leave();
  if (session_ != nullptr) {
    CloseSession(absl::StrCat("instance ", spec_.name, " is being removed"));
  }
  link_.Remove(spec_.name);
}

void Instance::Redefine(InstanceSpec spec) {
  spec_ = std::move(spec);
  rings_.ForgetSizes();
  life_.Leave();
  redefining_ = true;
  link_.Remove(spec_.name);
}

void Instance::OnDeviceUp(const pci::PciDeviceInfo& device) {
  spec_.device = device;
  if (device_ready_) return;
  if (FailDevice(SetUpDevice(*nic_.device()))) return;
  life_.TryBegin();
}

absl::Status Instance::SetUpDevice(DeviceOwner& device) {
  RETURN_IF_ERROR(device.ClearBusMaster());
  RETURN_IF_ERROR(device.ResetAndVerify({}));
  RETURN_IF_ERROR(MakeIrqs(device));
  RETURN_IF_ERROR(rings_.Renew(device));
  if (session_ != nullptr) {
    const absl::Status mapped = session_->MapFor(device);
    // The session's fault: it was opened while there was no device to ask.
    if (absl::IsInvalidArgument(mapped)) {
      CloseSession(std::string(mapped.message()));
    } else {
      RETURN_IF_ERROR(mapped);
    }
  }
  device_ready_ = true;
  if (phase() != Phase::kParked) life_.set_reason("");
  return absl::OkStatus();
}

absl::Status Instance::MakeIrqs(DeviceOwner& device) {
  irqs_.resize(device.irq_count());
  std::vector<int> events;
  for (UniqueFd& irq : irqs_) {
    if (!irq.valid()) irq.Reset(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    if (!irq.valid()) return ErrnoStatus("make an interrupt's eventfd");
    events.push_back(irq.get());
  }
  return events.empty() ? absl::OkStatus() : device.ArmIrqs(events);
}

// The device is gone, and with it every mapping that it had. The driver sees
// its own connection close; it is restarted as soon as there is a device.
void Instance::OnDeviceDown(const std::string& reason) {
  Record("device_gone", reason);
  device_ready_ = false;
  next_.bus.reset();
  rings_.Forget();
  if (session_ != nullptr) session_->ForgetMapping();
  for (const Closing& closing : closing_) closing.session->ForgetMapping();
  FreeClosing();
  facts_.link_up = false;
  life_.SetBack(reason);
  ShowStatus();
  life_.Revoke();
  ParkLater();
}

// What the driver is about to be granted has the new state already.
void Instance::OnInterfaceChanged() {
  const InterfaceState* state = nic_.interface_state();
  if (state == nullptr || channel_ == nullptr) return;
  ToDriver message;
  *message.mutable_interface_state() = *state;
  channel_->Send(message);
  if (!facts_.attached) return;
  facts_.max_mtu = state->mtu();
  facts_.mtu = std::min(spec_.rule.config.mtu, facts_.max_mtu);
  ShowStatus();
  ParkLater();
}

bool Instance::FailDevice(const absl::Status& status) {
  if (status.ok()) return false;
  nic_.Fail(status);
  return true;
}

bool Instance::DefineAgain() {
  if (!life_.refused() || life_.leaving()) return false;
  life_.set_reason("");
  Define();
  return true;
}

void Instance::Recover() {
  if (device_ready_) {
    const absl::Status safe =
        MakeDeviceSafe(*nic_.device(), rings_,
                       [this](absl::string_view kind, absl::string_view text) {
                         Record(kind, text);
                       });
    // On failure the device is gone, which is safe as well.
    FailDevice(safe);
  }
  RecoverSession();
  life_.TryBegin();
  // Before the next generation can ask for bus mastering.
  UnmapOldRings();
  FreeClosing();
  ParkLater();
}

void Instance::UnmapOldRings() {
  if (!device_ready_) return;
  const absl::StatusOr<size_t> unmapped = rings_.UnmapOld(*nic_.device());
  if (FailDevice(unmapped.status()) || *unmapped == 0) return;
  Record("rings", absl::StrCat(*unmapped, " old ring areas unmapped"));
}

void Instance::EndGeneration() {
  DropChannel();
  StopProgress();
  first_frame_seen_ = false;
  dma_on_ns_ = 0;
  adopted_generation_ = 0;
  facts_ = {};
  counters_.Fold();
  loop_.Cancel(prepare_timer_);
}

// Not destroyed before the next turn: the caller may be a handler of it, by way
// of a device that failed what the driver asked for.
void Instance::DropChannel() {
  session_offered_ = false;
  if (channel_ == nullptr) return;
  channel_->Silence();
  loop_.Post([dead = std::shared_ptr<DriverChannel>(std::move(channel_))] {});
}

void Instance::RecoverSession() {
  if (session_ == nullptr) return;
  session_->Recover();
  Record("epoch", absl::StrCat("session ", session_->id(), " at epoch ",
                               session_->epoch()));
}

void Instance::ShowParked() {
  ShowStatus();
  ParkLater();
}

void Instance::BeginGeneration() { FailDevice(Begin(*nic_.device())); }

absl::Status Instance::Begin(DeviceOwner& device) {
  // The session's sockets are opened as it says.
  nic_.Configure(MakeNicConfig(spec_.rule.config));
  if (session_ != nullptr) {
    RETURN_IF_ERROR(session_->MapFor(device));
    const absl::Status ready = nic_.PrepareSession(session_->memory());
    if (absl::IsUnavailable(ready)) {
      OfferLater();
      return absl::OkStatus();
    }
    RETURN_IF_ERROR(ready);
  }
  RETURN_IF_ERROR(MakeNext());
  channel_ = std::move(next_.channel);
  DrainIrqs(irqs_);
  FdList fds;
  DeviceGrant grant = MakeDeviceGrant(
      {spec_.device, spec_.rule.config, spec_.rule.limits.queues, *next_.bus,
       std::move(next_.driver_end), counters_.page(), irqs_, rings_.current()},
      &fds);
  next_.bus.reset();
  if (session_ != nullptr) {
    RETURN_IF_ERROR(session_->AppendGrant(&device, grant.add_session(), &fds));
    session_offered_ = true;
  }
  begin_ns_ = MonotonicNs();
  told_config_ = spec_.rule.config;
  life_.Begin(grant.SerializeAsString(), fds.fds());
  Record("granted", spec_.device.address);
  ParkLater();
  return absl::OkStatus();
}

// What a generation needs besides memory, unless it is there.
absl::Status Instance::MakeNext() {
  if (next_.bus == nullptr) {
    ASSIGN_OR_RETURN(next_.bus, nic_.MakeDriverBus());
  }
  if (next_.channel == nullptr) {
    auto pair = SeqpacketChannel::CreatePair();
    if (!pair.ok()) return pair.status();
    ASSIGN_OR_RETURN(
        next_.channel,
        DriverChannel::Create(
            loop_, pair->first.ReleaseFd(),
            {[this](const FromDriver& message) { HandleMessage(message); },
             [this](const std::string& reason) { Breach(reason); }}));
    next_.driver_end = pair->second.ReleaseFd();
  }
  return session_ == nullptr ? absl::OkStatus() : session_->PrepareGrant();
}

// Done while the driver runs, so that its successor need not wait for it.
void Instance::PrepareNext() {
  prepare_timer_ = 0;
  if (!device_ready_ || phase() != Phase::kAttached) return;
  if (FailDevice(rings_.Prepare(*nic_.device()))) return;
  absl::Status made = MakeNext();
  if (made.ok()) {
    made = next_.bus->Prepare();
    if (!made.ok()) next_.bus.reset();
  }
  if (!made.ok()) LogWarning(absl::StrCat(spec_.name, ": ", made.message()));
  Park();
}

bool Instance::OnRemoved() {
  life_.OnRemoved();
  if (!redefining_) {
    FreeClosing();
    loop_.Cancel(park_timer_);
    park_timer_ = 0;
    link_.Unpark(absl::StrCat("instance/", spec_.name));
    return true;
  }
  redefining_ = false;
  Define();
  return false;
}

void Instance::Reconfigure(const policy::DriverRule& rule) {
  spec_.rule = rule;
  TellConfig();
  ShowStatus();
}

// Does nothing for a generation that has the wanted configuration, or is not
// attached yet.
void Instance::TellConfig() {
  if (phase() != Phase::kAttached || channel_ == nullptr) return;
  facts_.mtu = std::min(spec_.rule.config.mtu, facts_.max_mtu);
  if (told_config_ == spec_.rule.config) return;
  told_config_ = spec_.rule.config;
  ToDriver message;
  *message.mutable_configure()->mutable_config() = MakeNicConfig(told_config_);
  nic_.Configure(message.configure().config());
  channel_->Send(message);
}

void Instance::ParkLater() {
  if (park_timer_ != 0) return;
  park_timer_ = loop_.After(std::chrono::nanoseconds(0), [this] {
    park_timer_ = 0;
    Park();
  });
}

void Instance::HandleAttached(const FromDriver::Attached& attached) {
  if (facts_.attached || phase() != Phase::kGranting) {
    return Breach("said Attached twice");
  }
  if (attached.mac().size() != facts_.mac.size() ||
      (attached.mac()[0] & 1) != 0) {
    return Breach("said Attached with a MAC address that is none");
  }
  constexpr uint32_t kLeastMtu = 68;  // RFC 791.
  if (attached.max_mtu() < kLeastMtu || attached.max_mtu() > UINT16_MAX) {
    return Breach(
        absl::StrCat("said Attached with an MTU of ", attached.max_mtu()));
  }
  const uint32_t queues = std::max(attached.queues(), 1u);
  if (queues > std::max(spec_.rule.limits.queues, 1u)) {
    return Breach(absl::StrCat("said Attached with ", queues,
                               " queues, more than it was granted"));
  }
  queues_ = queues;
  facts_.attached = true;
  std::copy(attached.mac().begin(), attached.mac().end(), facts_.mac.begin());
  facts_.max_mtu = attached.max_mtu();
  facts_.offloads = attached.offloads();
  life_.Attached();
  TellConfig();  // It may have changed since the grant.
  Record("attached", "the NIC is driven");
  ShowStatus();
  // Not of the driver's own accord, but another one than before it can be, or
  // an operator's choice.
  if (session_ != nullptr && session_->lanes() > queues_) {
    CloseSession(absl::StrCat("it has ", session_->lanes(), " lanes, and ",
                              spec_.name, " serves ", queues_,
                              " now; open it again"));
  }
  OfferSession();
  loop_.Cancel(prepare_timer_);
  prepare_timer_ = loop_.After(
      life_.begun_generation() == 1 ? kFirstPrepareDelay : kPrepareDelay,
      [this] { PrepareNext(); });
  ParkLater();
}

}  // namespace bulkhead::platform
