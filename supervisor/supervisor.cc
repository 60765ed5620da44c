#include "supervisor/supervisor.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "base/log.h"

namespace bulkhead::supervisor {

Supervisor::Supervisor(EventLoop& loop, Options options)
    : loop_(loop),
      options_(std::move(options)),
      store_(options_.quota),
      link_(loop, {[this](ToSupervisor message, std::vector<UniqueFd> fds) {
                     HandleMessage(std::move(message), std::move(fds));
                   },
                   [this](const std::string& reason) {
                     HandlePlatformGone(reason);
                   }}) {}

// --- The platform service -------------------------------------------------

absl::Status Supervisor::AttachPlatform(SeqpacketChannel channel) {
  // The death of the one before may be seen earlier than its last words.
  link_.Drain();
  ForgetBegins();
  RETURN_IF_ERROR(link_.Attach(std::move(channel)));
  ++platform_generation_;
  for (const auto& [key, entry] : store_.entries()) {
    FromSupervisor message;
    message.mutable_parked()->set_key(key);
    message.mutable_parked()->set_state(entry->state);
    link_.Send(std::move(message), entry);
  }
  for (const auto& [name, process] : processes_) SendState(*process);
  for (const Event& event : events_.events()) {
    FromSupervisor message;
    *message.mutable_event() = event;
    link_.Send(std::move(message));
  }
  FromSupervisor restored;
  restored.mutable_restored()->set_platform_generation(platform_generation_);
  link_.Send(std::move(restored));

  // The one before may have died between a death and its answer.
  for (const auto& [name, process] : processes_) {
    if (process->unanswered_death().has_value()) {
      untold_deaths_[name] = *process->unanswered_death();
    }
  }
  for (auto& [name, died] : std::exchange(untold_deaths_, {})) {
    FromSupervisor message;
    *message.mutable_died() = std::move(died);
    link_.Send(std::move(message));
  }
  return absl::OkStatus();
}

void Supervisor::HandlePlatformGone(const std::string& reason) {
  ForgetBegins();
  if (options_.platform_lost) options_.platform_lost(reason);
}

void Supervisor::ForgetBegins() {
  for (const auto& [name, process] : processes_) process->ForgetBegin();
}

void Supervisor::HandleMessage(ToSupervisor message,
                               std::vector<UniqueFd> fds) {
  switch (message.message_case()) {
    case ToSupervisor::kDefine:
      return Define(message.define().spec());
    case ToSupervisor::kRemove:
      if (Process* p = Find(message.remove().name(), "remove")) p->Remove();
      return;
    case ToSupervisor::kBegin:
      if (Process* p = Find(message.begin().name(), "begin")) {
        p->Begin(std::move(*message.mutable_begin()->mutable_payload()),
                 std::move(fds));
      }
      return;
    case ToSupervisor::kSignal:
      if (Process* p = Find(message.signal().name(), "signal")) {
        p->Signal(message.signal().number());
      }
      return;
    case ToSupervisor::kRestart:
      if (Process* p = Find(message.restart().name(), "restart")) p->Restart();
      return;
    case ToSupervisor::kBreach:
      if (Process* p = Find(message.breach().name(), "accuse")) {
        p->Breach(message.breach().generation(), message.breach().reason());
      }
      return;
    case ToSupervisor::kAttend:
      // It may be on its way out: no refusal.
      if (const auto it = processes_.find(message.attend().name());
          it != processes_.end()) {
        it->second->Attend();
      }
      return;
    case ToSupervisor::kPark:
      return Park(std::move(*message.mutable_park()), std::move(fds));
    case ToSupervisor::kUnpark:
      return store_.Unpark(message.unpark().key());
    case ToSupervisor::kRecord:
      return AddEvent(std::move(*message.mutable_record()->mutable_event()));
    case ToSupervisor::kShutDown:
      if (options_.shut_down) options_.shut_down();
      return;
    case ToSupervisor::MESSAGE_NOT_SET:
      return Refuse("",
                    "an empty message: the platform service is of another "
                    "version");
  }
}

// --- Orders ---------------------------------------------------------------

void Supervisor::Define(const ProcessSpec& spec) {
  const std::string& name = spec.name();
  if (all_stopped_) {
    return Refuse(
        name, absl::StrCat("define ", name, ": the system is shutting down"));
  }
  if (const auto it = processes_.find(name); it != processes_.end()) {
    // A restarted platform service may say again what it said before.
    if (it->second->spec().SerializeAsString() == spec.SerializeAsString()) {
      return SendState(*it->second);
    }
    return Refuse(name,
                  absl::StrCat("define ", name,
                               ": it is defined already, and otherwise; remove "
                               "it first and wait for Removed"));
  }
  auto process = Process::Create(loop_, sandbox_, spec, options_.log_directory,
                                 CallbacksFor(name));
  if (!process.ok()) return Refuse(name, process.status().message());
  SendState(*(processes_[name] = *std::move(process)));
}

void Supervisor::Park(ToSupervisor::Park park, std::vector<UniqueFd> fds) {
  const absl::Status status = store_.Park(
      park.key(), {std::move(*park.mutable_state()), std::move(fds)});
  if (!status.ok()) Refuse(park.key(), status.message());
}

void Supervisor::Refuse(const std::string& name, absl::string_view reason) {
  LogWarning(absl::StrCat("refused: ", reason));
  FromSupervisor message;
  message.mutable_refused()->set_name(name);
  message.mutable_refused()->set_reason(std::string(reason));
  link_.Send(std::move(message));
}

Process* Supervisor::Find(const std::string& name, absl::string_view verb) {
  const auto it = processes_.find(name);
  if (it != processes_.end()) return it->second.get();
  Refuse(name, absl::StrCat(verb, " ", name, ": no such process is defined"));
  return nullptr;
}

void Supervisor::StopAll(std::function<void()> done) {
  if (all_stopped_) return;
  all_stopped_ = std::move(done);
  if (processes_.empty()) {
    loop_.Post(all_stopped_);
    return;
  }
  // Remove may take a process out of the map at once.
  std::vector<Process*> all;
  for (const auto& [name, process] : processes_) all.push_back(process.get());
  for (Process* process : all) process->Remove();
}

// --- What happens to the processes ----------------------------------------

Process::Callbacks Supervisor::CallbacksFor(const std::string& name) {
  Process::Callbacks callbacks;
  callbacks.died = [this](const FromSupervisor::Died& died) {
    HandleDied(died);
  };
  callbacks.changed = [this, name] {
    const auto it = processes_.find(name);
    if (it != processes_.end()) SendState(*it->second);
  };
  callbacks.removed = [this, name] { HandleRemoved(name); };
  callbacks.event = [this, name](uint32_t generation, absl::string_view kind,
                                 absl::string_view text, uint64_t time_ns) {
    Record(name, generation, kind, text, time_ns);
  };
  callbacks.refused = [this, name](absl::string_view reason) {
    Refuse(name, reason);
  };
  return callbacks;
}

void Supervisor::HandleDied(const FromSupervisor::Died& died) {
  if (!link_.attached()) {
    untold_deaths_[died.name()] = died;
    return;
  }
  FromSupervisor message;
  *message.mutable_died() = died;
  link_.Send(std::move(message));
}

void Supervisor::HandleRemoved(const std::string& name) {
  auto node = processes_.extract(name);
  if (node.empty()) return;
  removed_.push_back(std::move(node.mapped()));
  untold_deaths_.erase(name);
  FromSupervisor message;
  message.mutable_removed()->set_name(name);
  link_.Send(std::move(message));
  loop_.Post([this] { removed_.clear(); });
  if (all_stopped_ && processes_.empty()) loop_.Post(all_stopped_);
}

void Supervisor::SendState(const Process& process) {
  FromSupervisor message;
  *message.mutable_state() = process.State();
  link_.Send(std::move(message));
}

void Supervisor::Record(absl::string_view process, uint32_t generation,
                        absl::string_view kind, absl::string_view text,
                        uint64_t time_ns) {
  Event event;
  event.set_time_ns(time_ns);
  event.set_process(std::string(process));
  event.set_generation(generation);
  event.set_kind(std::string(kind));
  event.set_text(std::string(text));
  AddEvent(std::move(event));
}

void Supervisor::AddEvent(Event event) {
  FromSupervisor message;
  *message.mutable_event() = events_.Add(std::move(event));
  link_.Send(std::move(message));
}

}  // namespace bulkhead::supervisor
