#include "supervisor/testing/fixture.h"

#include <stdlib.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace bulkhead::supervisor {
namespace {

constexpr std::chrono::seconds kPatience(20);

}  // namespace

std::string ProgramPath(const std::string& name) {
  return std::filesystem::current_path().string() + "/" + name;
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

SupervisorFixture::SupervisorFixture() {
  std::string pattern = ::testing::TempDir() + "/supervisor.XXXXXX";
  directory_ = ::mkdtemp(pattern.data());
  loop_ = *EventLoop::Create();
  Supervisor::Options options;
  options.log_directory = directory_;
  options.shut_down = [this] { shut_down_asked_ = true; };
  supervisor_ = std::make_unique<Supervisor>(*loop_, std::move(options));
  ConnectPlatform();
}

SupervisorFixture::~SupervisorFixture() {
  supervisor_.reset();
  std::filesystem::remove_all(directory_);
}

ProcessSpec SupervisorFixture::Spec(const std::string& name,
                                    const std::vector<std::string>& arguments) {
  ProcessSpec spec;
  spec.set_name(name);
  spec.set_program(ProgramPath("supervisor/testing/test_child"));
  for (const std::string& argument : arguments) spec.add_arguments(argument);
  spec.set_needs_payload(true);
  // Only tests of hangs are about them: a loaded machine must not add any.
  spec.mutable_heartbeat()->set_misses(200);
  return spec;
}

void SupervisorFixture::ConnectPlatform() {
  auto ends = *SeqpacketChannel::CreatePair();
  platform_ = std::move(ends.first);
  restored_ = 0;
  ASSERT_TRUE(supervisor_->AttachPlatform(std::move(ends.second)).ok());
}

void SupervisorFixture::Send(const ToSupervisor& message,
                             const std::vector<int>& fds) {
  const absl::Status status = platform_.Send(message, fds);
  ASSERT_TRUE(status.ok()) << status;
}

void SupervisorFixture::Define(const ProcessSpec& spec) {
  ToSupervisor message;
  *message.mutable_define()->mutable_spec() = spec;
  Send(message);
}

void SupervisorFixture::Begin(const std::string& name,
                              const std::string& payload,
                              const std::vector<int>& fds) {
  ToSupervisor message;
  message.mutable_begin()->set_name(name);
  message.mutable_begin()->set_payload(payload);
  Send(message, fds);
}

void SupervisorFixture::Restart(const std::string& name) {
  ToSupervisor message;
  message.mutable_restart()->set_name(name);
  Send(message);
}

void SupervisorFixture::Remove(const std::string& name) {
  ToSupervisor message;
  message.mutable_remove()->set_name(name);
  Send(message);
}

void SupervisorFixture::Park(const std::string& key, const std::string& state,
                             const std::vector<int>& fds) {
  ToSupervisor message;
  message.mutable_park()->set_key(key);
  message.mutable_park()->set_state(state);
  Send(message, fds);
}

void SupervisorFixture::Run(const ProcessSpec& spec, const std::string& payload,
                            const std::vector<int>& fds) {
  ran_.erase(spec.name());
  Define(spec);
  Begin(spec.name(), payload, fds);
  ASSERT_TRUE(Until([&] { return ran_.contains(spec.name()); }));
}

bool SupervisorFixture::Until(const std::function<bool()>& done) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!done()) {
    if (std::chrono::steady_clock::now() > deadline) {
      ADD_FAILURE() << "waited in vain; heard: "
                    << ::testing::PrintToString(heard_);
      return false;
    }
    loop_->RunOnce(5);
    FromSupervisor message;
    std::vector<UniqueFd> fds;
    while (platform_.valid()) {
      const absl::StatusOr<bool> received = platform_.Receive(&message, &fds);
      if (!received.ok()) {
        ADD_FAILURE() << received.status();
        platform_.Close();
      } else if (!*received) {
        break;
      } else {
        Hear(message, std::move(fds));
      }
    }
  }
  return true;
}

void SupervisorFixture::Hear(const FromSupervisor& message,
                             std::vector<UniqueFd> fds) {
  switch (message.message_case()) {
    case FromSupervisor::kDied:
      heard_.push_back("died " + message.died().name());
      died_[message.died().name()].push_back(message.died());
      return;
    case FromSupervisor::kState:
      heard_.push_back("state " + message.state().name());
      states_[message.state().name()] = message.state();
      if (message.state().phase() == ProcessState::RUNNING) {
        ran_.insert(message.state().name());
      }
      return;
    case FromSupervisor::kRemoved:
      heard_.push_back("removed " + message.removed().name());
      removed_.push_back(message.removed().name());
      return;
    case FromSupervisor::kEvent:
      heard_.push_back("event");
      events_.push_back(message.event());
      return;
    case FromSupervisor::kParked:
      heard_.push_back("parked " + message.parked().key());
      parked_[message.parked().key()] = {message.parked().state(),
                                         std::move(fds)};
      return;
    case FromSupervisor::kRestored:
      restored_ = message.restored().platform_generation();
      heard_.push_back(absl::StrCat("restored ", restored_));
      return;
    case FromSupervisor::kRefused:
      heard_.push_back("refused " + message.refused().reason());
      refused_.push_back(message.refused());
      return;
    case FromSupervisor::MESSAGE_NOT_SET:
      ADD_FAILURE() << "an empty message";
      return;
  }
}

bool SupervisorFixture::UntilPhase(const std::string& name,
                                   ProcessState::Phase phase) {
  return Until([&] { return states_[name].phase() == phase; });
}

bool SupervisorFixture::UntilDied(const std::string& name, size_t count) {
  return Until([&] { return died_[name].size() >= count; });
}

bool SupervisorFixture::UntilLogHas(const std::string& name,
                                    const std::string& text) {
  return Until([&] { return absl::StrContains(Log(name), text); });
}

bool SupervisorFixture::HasEvent(const std::string& process,
                                 const std::string& kind) const {
  for (const Event& event : events_) {
    if (event.process() == process && event.kind() == kind) return true;
  }
  return false;
}

}  // namespace bulkhead::supervisor
