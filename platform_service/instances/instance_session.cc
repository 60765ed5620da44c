// The instance's session: taken in, offered to each generation, closed. And
// what of the instance is parked.
#include <chrono>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/errno_status.h"
#include "platform_service/instances/instance.h"
#include "platform_service/parking/state.pb.h"

namespace bulkhead::platform {

using packet_stream::SessionState;
using packet_stream::SessionStatus;

namespace {

// Little, beside the milliseconds that a device takes which is not ready.
constexpr auto kOfferDelay = std::chrono::microseconds(500);

}  // namespace

void Instance::HearClientOf(Session& session) {
  session.set_vanished([this] { CloseSession("the client closed it"); });
  session.set_accused([this](absl::string_view words) {
    // They were cut, perhaps within a character.
    Breach(absl::StrCat("the client reports: ", absl::CHexEscape(words)));
  });
}

absl::Status Instance::OpenSession(std::unique_ptr<Session> session) {
  if (device_ready_) {
    const absl::Status mapped = session->MapFor(*nic_.device());
    if (absl::IsInvalidArgument(mapped) || absl::IsResourceExhausted(mapped)) {
      return mapped;
    }
    // A device that does not answer is replaced; the session waits for the next
    // (S6).
    FailDevice(mapped);
  }
  HearClientOf(*session);
  session_ = std::move(session);
  session_offered_ = false;
  ShowStatus();
  OfferSession();
  if (session_ == nullptr) {
    return absl::ResourceExhaustedError(
        "open a session: it could not be given to the driver; the platform "
        "service is out of descriptors or memory");
  }
  if (!session_offered_) session_->Park();
  return absl::OkStatus();
}

// A driver that is closing a session gets the next one when that is done.
void Instance::OfferSession(bool again) {
  if (session_ == nullptr || session_offered_ || !closing_.empty() ||
      phase() != Phase::kAttached || !device_ready_) {
    return;
  }
  FdList fds;
  ToDriver message;
  absl::Status status = session_->MapFor(*nic_.device());
  if (FailDevice(status)) return;
  if (!again) status = nic_.PrepareSession(session_->memory());
  if (absl::IsUnavailable(status)) return OfferLater();
  // Not the device's fault (device_owner.h): descriptors, memory, or somebody
  // else's socket in the way.
  if (absl::IsResourceExhausted(status) || absl::IsInvalidArgument(status)) {
    return CloseSession(std::string(status.message()));
  }
  if (FailDevice(status)) return;
  status = session_->AppendGrant(
      again ? nullptr : nic_.device(),
      message.mutable_open_session()->mutable_session(), &fds);
  if (!status.ok()) {
    return CloseSession(absl::StrCat("internal error: ", status.message()));
  }
  // Parked first: a session that the driver has and nobody remembers would keep
  // its memory mapped. The other way about, the successor offers it again.
  session_->Park();
  channel_->Send(message, fds.fds());
  session_offered_ = true;
  ShowStatus();
}

// The loop goes on meanwhile: other instances' drivers die, too.
void Instance::OfferLater() {
  if (offer_timer_ != 0) return;
  offer_timer_ = loop_.After(kOfferDelay, [this] {
    offer_timer_ = 0;
    life_.TryBegin();
    OfferSession();
  });
}

void Instance::ShowStatus() {
  if (session_ == nullptr) return;
  SessionStatus status;
  status.state = SessionState::kRecovering;
  if (phase() == Phase::kParked) status.state = SessionState::kParked;
  if (phase() == Phase::kAttached && session_offered_) {
    status.state = SessionState::kRunning;
  }
  status.generation = life_.generation();
  status.link_up = facts_.link_up;
  status.speed_mbps = facts_.speed_mbps;
  status.mtu = facts_.mtu;
  status.offloads = facts_.offloads;
  status.mac = facts_.mac;
  if (!facts_.attached) {
    // What the last generation said of MAC and MTU holds until the next says
    // otherwise.
    const SessionStatus shown = session_->status();
    status.mtu = shown.mtu;
    status.mac = shown.mac;
    status.offloads = shown.offloads;
    status.generation = shown.generation;
  }
  session_->Show(status);
  if (status.state == SessionState::kRunning) WatchProgress();
}

void Instance::CloseSession(const std::string& reason) {
  if (session_ == nullptr) return;
  StopProgress();
  std::unique_ptr<Session> session = std::move(session_);
  session->Close(reason);
  Record("session_closed",
         absl::StrCat("session ", session->id(), " of ",
                      session->identity().label, ": ", reason));
  if (!std::exchange(session_offered_, false) || channel_ == nullptr) {
    return FreeSession(std::move(session));
  }
  // As closed: it is nobody's session any more, but still the NIC's memory.
  session->Park();
  AskToClose(std::move(session));
}

void Instance::AskToClose(std::unique_ptr<Session> session) {
  ToDriver message;
  message.mutable_close_session()->set_session_id(session->id());
  channel_->Send(message);
  const uint64_t id = session->id();
  const EventLoop::TimerId deadline =
      loop_.After(std::chrono::seconds(kCloseSeconds), [this, id] {
        Breach(absl::StrCat("did not close session ", id, " within ",
                            kCloseSeconds, " s"));
      });
  closing_.push_back({std::move(session), deadline});
}

void Instance::HandleSessionClosed(uint64_t session_id) {
  for (auto it = closing_.begin(); it != closing_.end(); ++it) {
    if (it->session->id() != session_id) continue;
    loop_.Cancel(it->deadline);
    std::unique_ptr<Session> session = std::move(it->session);
    closing_.erase(it);
    FreeSession(std::move(session));
    return OfferSession();
  }
  // An answer to a platform service that died.
  constexpr int kMostStrayAnswers = 8;
  if (adopted_generation_ != 0 &&
      adopted_generation_ == life_.begun_generation() &&
      stray_answers_ < kMostStrayAnswers) {
    ++stray_answers_;
    return;
  }
  Breach(absl::StrCat("said SessionClosed of session ", session_id,
                      ", which nobody asked it to close"));
}

void Instance::FreeClosing() {
  std::vector<Closing> closing = std::exchange(closing_, {});
  for (Closing& entry : closing) {
    loop_.Cancel(entry.deadline);
    FreeSession(std::move(entry.session));
  }
}

void Instance::FreeSession(std::unique_ptr<Session> session) {
  if (device_ready_) FailDevice(session->UnmapFrom(*nic_.device()));
}

void Instance::AdoptSession(std::unique_ptr<Session> session) {
  if (session->closed() || session_ != nullptr) {
    return AdoptClosed(std::move(session));
  }
  HearClientOf(*session);
  session_offered_ = life_.begun() && session->granted();
  session_ = std::move(session);
  if (!device_ready_) return session_->ForgetMapping();
  if (FailDevice(session_->AdoptMapping(*nic_.device()))) return;
  // Whether the last platform service came to send its offer is not known; a
  // driver takes one of an epoch that it serves for a repetition.
  if (phase() != Phase::kAttached) return;
  if (std::exchange(session_offered_, false)) return OfferSession(true);
  // It waited for the device, or for another one to be closed.
  OfferLater();
}

// One that the last platform service had closed and not yet freed. Whether the
// driver was asked is not known: it answers twice to two questions.
void Instance::AdoptClosed(std::unique_ptr<Session> session) {
  session->Close("the platform service was restarted");
  if (!device_ready_) {
    session->ForgetMapping();
  } else if (FailDevice(session->AdoptMapping(*nic_.device()))) {
    session->ForgetMapping();
  }
  if (life_.begun() && session->granted()) {
    return AskToClose(std::move(session));
  }
  FreeSession(std::move(session));
}

void Instance::Park() {
  parking::InstanceState state;
  FdList fds;
  state.set_device_key(spec_.device.name.empty() ? spec_.device.address
                                                 : spec_.device.name);
  state.set_generation(life_.newest_generation());
  state.set_begun(life_.begun());
  if (life_.begun()) state.set_channel_fd(fds.Add(channel_->fd()));
  state.set_counters_fd(fds.Add(counters_.page()));
  for (const UniqueFd& irq : irqs_) state.add_irq_fd(fds.Add(irq));
  const auto add = [&fds](const RingMemory::Area& area,
                          parking::DmaState* dma) {
    dma->set_iova(area.iova);
    dma->set_bytes(area.bytes);
    dma->set_memory_fd(fds.Add(area.memory));
  };
  for (const RingMemory::Area& area : rings_.current()) {
    add(area, state.add_ring());
  }
  for (const RingMemory::Area& area : rings_.spare()) {
    add(area, state.add_standby());
  }
  state.set_attached(facts_.attached);
  state.set_mac(facts_.mac.data(), facts_.mac.size());
  state.set_mtu(facts_.mtu);
  state.set_max_mtu(facts_.max_mtu);
  state.set_queues(queues_);
  state.set_offloads(facts_.offloads);
  state.set_link_up(facts_.link_up);
  state.set_speed_mbps(facts_.speed_mbps);
  state.set_full_duplex(facts_.full_duplex);
  for (const uint64_t total : counters_.totals()) {
    state.add_counter_total(total);
  }
  link_.Park(absl::StrCat("instance/", spec_.name), state.SerializeAsString(),
             fds.fds());
  if (session_ != nullptr) session_->Park();
}

absl::StatusOr<std::unique_ptr<Instance>> Instance::Restore(
    EventLoop& loop, SupervisorLink& link, InstanceSpec spec, Nic& nic,
    ParkedEntry entry) {
  parking::InstanceState state;
  if (!state.ParseFromString(entry.state())) {
    return absl::DataLossError("restore an instance: its state is garbled");
  }
  ASSIGN_OR_RETURN(CounterTotals counters,
                   CounterTotals::Restore(entry.Take(state.counters_fd()),
                                          {state.counter_total().begin(),
                                           state.counter_total().end()}));
  std::unique_ptr<Instance> instance(
      new Instance(loop, link, std::move(spec), nic, std::move(counters)));
  instance->life_.Restore(state.generation(), state.begun(), state.attached());
  if (state.begun()) {
    Instance* raw = instance.get();
    ASSIGN_OR_RETURN(
        instance->channel_,
        DriverChannel::Create(
            loop, entry.Take(state.channel_fd()),
            {[raw](const FromDriver& message) { raw->HandleMessage(message); },
             [raw](const std::string& reason) { raw->Breach(reason); }}));
    instance->adopted_generation_ = state.generation();
    instance->dma_on_ns_ = MonotonicNs();
  }
  for (const uint32_t irq : state.irq_fd()) {
    instance->irqs_.push_back(entry.Take(irq));
  }
  NicFacts& facts = instance->facts_;
  facts.attached = state.attached();
  std::copy_n(state.mac().begin(),
              std::min(state.mac().size(), facts.mac.size()),
              facts.mac.begin());
  facts.mtu = state.mtu();
  facts.max_mtu = state.max_mtu();
  instance->queues_ = std::clamp(state.queues(), 1u, packet_stream::kMaxLanes);
  instance->told_config_ = instance->spec_.rule.config;
  facts.offloads = state.offloads();
  facts.link_up = state.link_up();
  facts.speed_mbps = state.speed_mbps();
  facts.full_duplex = state.full_duplex();
  if (nic.device() == nullptr) return instance;
  const auto take = [&entry](const auto& parked) {
    std::vector<RingMemory::Area> areas;
    for (const parking::DmaState& dma : parked) {
      areas.push_back(
          {dma.iova(), dma.bytes(), entry.Take(dma.memory_fd()), Mapping()});
    }
    return areas;
  };
  RETURN_IF_ERROR(instance->rings_.Adopt(*nic.device(), take(state.ring()),
                                         take(state.standby())));
  instance->device_ready_ = true;
  return instance;
}

}  // namespace bulkhead::platform
