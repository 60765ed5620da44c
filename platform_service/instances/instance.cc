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

using supervisor::ProcessState;

// Rings of 4096 descriptors of 16 bytes, both ways, eight times over.
constexpr uint64_t kRingQuotaBytes = 1 << 20;

// After Attached, the driver fills its rings and the first frames go through;
// what the next generation needs is made once that is over.
constexpr auto kPrepareDelay = std::chrono::milliseconds(5);
// At the first start there are many others yet to be started, which come first.
constexpr auto kFirstPrepareDelay = std::chrono::milliseconds(100);

}  // namespace

const char* PhaseName(Instance::Phase phase) {
  switch (phase) {
    case Instance::Phase::kWaiting:
      return "waiting";
    case Instance::Phase::kGranting:
      return "granting";
    case Instance::Phase::kAttached:
      return "attached";
    case Instance::Phase::kRecovering:
      return "recovering";
    case Instance::Phase::kParked:
      return "parked";
  }
  return "";
}

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
  loop_.Cancel(attach_timer_);
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

void Instance::Record(absl::string_view kind, absl::string_view text) {
  link_.Record(spec_.name, begun_ ? begun_generation_ : generation_, kind,
               text);
}

void Instance::Breach(const std::string& reason) {
  LogWarning(absl::StrCat(spec_.name, ": breach: ", reason));
  link_.Breach(spec_.name, begun_generation_, reason);
}

void Instance::Define() {
  link_.Define(MakeProcessSpec());
  defined_ = true;
  TryBegin();
}

void Instance::Remove() {
  removing_ = true;
  if (session_ != nullptr) {
    CloseSession(absl::StrCat("instance ", spec_.name, " is being removed"));
  }
  link_.Remove(spec_.name);
}

void Instance::Redefine(InstanceSpec spec) {
  spec_ = std::move(spec);
  rings_.ForgetSizes();
  removing_ = true;
  redefining_ = true;
  link_.Remove(spec_.name);
}

void Instance::OnDeviceUp(const pci::PciDeviceInfo& device) {
  spec_.device = device;
  if (device_ready_) return;
  if (FailDevice(SetUpDevice(*nic_.device()))) return;
  TryBegin();
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
  if (phase_ != Phase::kParked) reason_.clear();
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
  reason_ = reason;
  device_ready_ = false;
  next_.bus.reset();
  rings_.Forget();
  if (session_ != nullptr) session_->ForgetMapping();
  for (const Closing& closing : closing_) closing.session->ForgetMapping();
  FreeClosing();
  facts_.link_up = false;
  if (phase_ != Phase::kParked) phase_ = Phase::kRecovering;
  ShowStatus();
  if (process_phase_ == ProcessState::WAITING ||
      process_phase_ == ProcessState::BACKING_OFF) {
    // The grant that waits there is for a device that is no more; the next one
    // replaces it.
    begun_ = false;
    DropChannel();
  } else if (begun_ && !removing_) {
    link_.Restart(spec_.name);
  }
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

void Instance::OnState(const ProcessState& state) {
  process_phase_ = state.phase();
  const bool restoring = std::exchange(restoring_, false);
  // Whether one has died while there was no platform service. It need not be
  // the one that we know of: the last platform service may have died between
  // its Begin and its Park.
  const bool died_unseen = restoring && state.generation() > dead_generation_;
  switch (state.phase()) {
    case ProcessState::STARTING:
    case ProcessState::RUNNING:
      generation_ = state.generation();
      if (begun_ && begun_generation_ == state.generation()) {
        if (state.phase() == ProcessState::RUNNING) ExpectAttached();
        return;
      }
      // Its channel was lost with the last platform service, or its device has
      // gone since.
      if (!removing_) link_.Restart(spec_.name);
      return;
    case ProcessState::WAITING:
    case ProcessState::BACKING_OFF:
      if (phase_ == Phase::kParked) phase_ = Phase::kWaiting;
      if (died_unseen) return HandleDeath(state.generation(), state.reason());
      if (restoring) {
        // The supervisor forgot the Begin of a platform service that died.
        begun_ = false;
        DropChannel();
        session_offered_ = false;
      }
      return TryBegin();
    case ProcessState::PARKED:
      phase_ = Phase::kParked;  // No Begin.
      if (died_unseen) HandleDeath(state.generation(), state.reason());
      return EnterParked(state.reason());
    default:
      return;
  }
}

void Instance::OnDied(const supervisor::FromSupervisor::Died& died) {
  if (died.parked()) phase_ = Phase::kParked;  // No Begin.
  HandleDeath(died.generation(), died.cause());
  if (died.parked()) EnterParked(died.reason());
}

void Instance::OnRefused(const std::string& reason) {
  // What follows a refused definition is refused as well, and says less.
  if (phase_ == Phase::kParked) return;
  reason_ = reason;
  if (process_phase_ != ProcessState::PHASE_UNSPECIFIED) return;
  defined_ = false;
  EndGeneration();
  EnterParked(reason);
}

bool Instance::DefineAgain() {
  if (defined_ || removing_) return false;
  phase_ = Phase::kWaiting;
  reason_.clear();
  Define();
  return true;
}

void Instance::HandleDeath(uint32_t generation, const std::string& cause) {
  if (generation <= dead_generation_) return;
  dead_generation_ = generation;
  generation_ = generation;
  EndGeneration();
  // Without a device it waits for one, whatever its driver died of.
  if (device_ready_) reason_ = cause;
  if (phase_ != Phase::kParked) phase_ = Phase::kRecovering;
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
  TryBegin();
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

// What belongs to the generation that is dead.
void Instance::EndGeneration() {
  begun_ = false;
  DropChannel();
  session_offered_ = false;
  StopProgress();
  first_frame_seen_ = false;
  dma_on_ns_ = 0;
  adopted_generation_ = 0;
  facts_ = {};
  counters_.Fold();
  loop_.Cancel(prepare_timer_);
  loop_.Cancel(std::exchange(attach_timer_, 0));
}

// Not destroyed before the next turn: the caller may be a handler of it, by way
// of a device that failed what the driver asked for.
void Instance::DropChannel() {
  if (channel_ == nullptr) return;
  channel_->Silence();
  loop_.Post([dead = std::shared_ptr<DriverChannel>(std::move(channel_))] {});
}

// A driver that is alive, and does nothing for anybody.
void Instance::ExpectAttached() {
  if (phase_ != Phase::kGranting || attach_timer_ != 0) return;
  attach_timer_ = loop_.After(std::chrono::seconds(kAttachSeconds), [this] {
    attach_timer_ = 0;
    if (phase_ != Phase::kGranting || !device_ready_) return;
    Breach(absl::StrCat("said that it has started, and not Attached within ",
                        kAttachSeconds, " s"));
  });
}

void Instance::RecoverSession() {
  if (session_ == nullptr) return;
  session_->Recover();
  Record("epoch", absl::StrCat("session ", session_->id(), " at epoch ",
                               session_->epoch()));
}

void Instance::EnterParked(const std::string& reason) {
  phase_ = Phase::kParked;
  reason_ = reason;
  ShowStatus();
  ParkLater();
}

void Instance::TryBegin() {
  if (!defined_ || begun_ || removing_ || !device_ready_ ||
      phase_ == Phase::kParked) {
    return;
  }
  FailDevice(Begin(*nic_.device()));
}

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
  begun_ = true;
  begun_generation_ = generation_ + 1;
  begin_ns_ = MonotonicNs();
  told_config_ = spec_.rule.config;
  link_.Begin(spec_.name, grant.SerializeAsString(), fds.fds());
  phase_ = Phase::kGranting;
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
  if (!device_ready_ || phase_ != Phase::kAttached) return;
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
  HandleDeath(begun_ ? begun_generation_ : generation_ + 1, "removed");
  defined_ = false;
  removing_ = false;
  generation_ = dead_generation_ = begun_generation_ = 0;
  process_phase_ = ProcessState::PHASE_UNSPECIFIED;
  if (!redefining_) {
    FreeClosing();
    loop_.Cancel(park_timer_);
    park_timer_ = 0;
    link_.Unpark(absl::StrCat("instance/", spec_.name));
    return true;
  }
  redefining_ = false;
  phase_ = Phase::kWaiting;
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
  if (phase_ != Phase::kAttached || channel_ == nullptr) return;
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
  if (facts_.attached || phase_ != Phase::kGranting) {
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
  phase_ = Phase::kAttached;
  loop_.Cancel(std::exchange(attach_timer_, 0));
  reason_.clear();
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
  prepare_timer_ =
      loop_.After(begun_generation_ == 1 ? kFirstPrepareDelay : kPrepareDelay,
                  [this] { PrepareNext(); });
  ParkLater();
}

}  // namespace bulkhead::platform
