// A supervisor in the test's own process, real children, and a platform service
// that is played by the test.
#ifndef BULKHEAD_SUPERVISOR_TESTING_FIXTURE_H_
#define BULKHEAD_SUPERVISOR_TESTING_FIXTURE_H_

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/event_loop.h"
#include "base/seqpacket.h"
#include "gtest/gtest.h"
#include "supervisor/api/supervisor.pb.h"
#include "supervisor/supervisor.h"

namespace bulkhead::supervisor {

// Where bazel put a program of this test.
std::string ProgramPath(const std::string& name);

// The whole file; empty when there is none.
std::string ReadFile(const std::string& path);

class SupervisorFixture : public ::testing::Test {
 protected:
  struct ParkedEntry {
    std::string state;
    std::vector<UniqueFd> fds;
  };

  SupervisorFixture();
  ~SupervisorFixture() override;

  // A spec for the test child.
  static ProcessSpec Spec(const std::string& name,
                          const std::vector<std::string>& arguments = {});

  // --- The platform service's side.
  void ConnectPlatform();
  void DisconnectPlatform() { platform_.Close(); }
  void Send(const ToSupervisor& message, const std::vector<int>& fds = {});
  void Define(const ProcessSpec& spec);
  void Begin(const std::string& name, const std::string& payload = "",
             const std::vector<int>& fds = {});
  void Restart(const std::string& name);
  void Remove(const std::string& name);
  void Park(const std::string& key, const std::string& state,
            const std::vector<int>& fds);
  // Define, Begin, and wait until it runs or has run.
  void Run(const ProcessSpec& spec, const std::string& payload = "",
           const std::vector<int>& fds = {});

  // --- What it was told.
  // Serves until `done`; fails the test after 20 s.
  [[nodiscard]] bool Until(const std::function<bool()>& done);
  [[nodiscard]] bool UntilPhase(const std::string& name,
                                ProcessState::Phase phase);
  [[nodiscard]] bool UntilDied(const std::string& name, size_t count = 1);
  [[nodiscard]] bool UntilLogHas(const std::string& name,
                                 const std::string& text);
  const ProcessState& State(const std::string& name) { return states_[name]; }
  pid_t Pid(const std::string& name) { return states_[name].pid(); }
  bool HasEvent(const std::string& process, const std::string& kind) const;
  std::string Log(const std::string& name) const {
    return ReadFile(directory_ + "/" + name + ".log");
  }

  std::string directory_;  // Of the logs.
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<Supervisor> supervisor_;
  SeqpacketChannel platform_;
  bool shut_down_asked_ = false;

  // In the order in which they came: "parked KEY", "state NAME", "event",
  // "restored N", "died NAME", …
  std::vector<std::string> heard_;
  std::map<std::string, ProcessState> states_;
  std::set<std::string> ran_;
  std::map<std::string, std::vector<FromSupervisor::Died>> died_;
  std::map<std::string, ParkedEntry> parked_;
  std::vector<Event> events_;
  std::vector<FromSupervisor::Refused> refused_;
  std::vector<std::string> removed_;
  uint32_t restored_ = 0;

 private:
  void Hear(const FromSupervisor& message, std::vector<UniqueFd> fds);
};

}  // namespace bulkhead::supervisor

#endif  // BULKHEAD_SUPERVISOR_TESTING_FIXTURE_H_
