// How long the supervisor's part of a recovery takes: SIGKILL → Died told →
// (Begin at once) → Started, with a warm spare and without, and how long one
// spawn takes.
//
//   spawn_bench TEST_CHILD [ROUNDS]
//
// One JSON object a line, microseconds.
#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/event_loop.h"
#include "supervisor/spawn.h"
#include "supervisor/supervisor.h"

namespace bulkhead::supervisor {
namespace {

void Report(const char* name, std::vector<double> values_us) {
  std::sort(values_us.begin(), values_us.end());
  const auto at = [&](double share) {
    return values_us[static_cast<size_t>(share * (values_us.size() - 1))];
  };
  std::printf(
      "{\"bench\":\"spawn\",\"case\":\"%s\",\"unit\":\"us\",\"p50\":%.0f,"
      "\"p99\":%.0f,\"max\":%.0f}\n",
      name, at(0.5), at(0.99), at(1));
}

class SpawnBench {
 public:
  SpawnBench(std::string child, std::string logs)
      : child_(std::move(child)),
        loop_(*EventLoop::Create()),
        supervisor_(*loop_, {logs, {}, {}, {}}) {
    auto ends = *SeqpacketChannel::CreatePair();
    platform_ = std::move(ends.first);
    (void)supervisor_.AttachPlatform(std::move(ends.second));
  }

  void Recoveries(const char* name, bool warm, int rounds) {
    name_ = name;
    state_.Clear();
    ToSupervisor define;
    ProcessSpec* spec = define.mutable_define()->mutable_spec();
    spec->set_name(name);
    spec->set_program(child_);
    spec->set_needs_payload(true);
    spec->set_warm_spare(warm);
    spec->mutable_restart()->set_stable_after_ms(1);
    (void)platform_.Send(define);
    Begin(name);
    std::vector<double> died_us;
    std::vector<double> started_us;
    for (int i = 0; i < rounds; ++i) {
      Until([&] {
        return state_.phase() == ProcessState::RUNNING &&
               (!warm || state_.spare_ready());
      });
      // Past stable_after, so that no back-off is measured.
      const uint64_t rested_ns = MonotonicNs() + 5'000'000;
      Until([&] { return MonotonicNs() > rested_ns; });
      died_ = false;
      const uint64_t killed_ns = MonotonicNs();
      ::kill(state_.pid(), SIGKILL);
      Until([&] { return died_; });
      died_us.push_back((MonotonicNs() - killed_ns) / 1e3);
      Begin(name);
      Until([&] { return state_.phase() == ProcessState::RUNNING; });
      started_us.push_back((MonotonicNs() - killed_ns) / 1e3);
    }
    Report(warm ? "kill to died, warm" : "kill to died, cold", died_us);
    Report(warm ? "kill to started, warm" : "kill to started, cold",
           started_us);
  }

  void Spawns(int rounds) {
    const auto program = Program::Open(child_);
    if (!program.ok()) return;
    Sandbox sandbox;
    SpawnRequest request;
    request.program = &*program;
    std::vector<double> spawn_us;
    for (int i = 0; i < rounds; ++i) {
      const uint64_t start_ns = MonotonicNs();
      const auto spawned = Spawn(request, sandbox);
      spawn_us.push_back((MonotonicNs() - start_ns) / 1e3);
      if (!spawned.ok()) return;
      ::kill(spawned->pid, SIGKILL);
      ::waitpid(spawned->pid, nullptr, 0);
    }
    Report("spawn call", spawn_us);
  }

 private:
  void Begin(const char* name) {
    ToSupervisor begin;
    begin.mutable_begin()->set_name(name);
    (void)platform_.Send(begin);
  }
  template <typename Done>
  void Until(Done done) {
    while (!done()) {
      loop_->RunOnce(1);
      FromSupervisor message;
      std::vector<UniqueFd> fds;
      while (true) {
        const auto received = platform_.Receive(&message, &fds);
        if (!received.ok() || !*received) break;
        if (message.has_died() && message.died().name() == name_) {
          died_ = true;
        }
        if (message.has_state() && message.state().name() == name_) {
          state_ = message.state();
        }
      }
    }
  }

  std::string child_;
  std::unique_ptr<EventLoop> loop_;
  Supervisor supervisor_;
  SeqpacketChannel platform_;
  std::string name_;
  ProcessState state_;
  bool died_ = false;
};

}  // namespace
}  // namespace bulkhead::supervisor

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: spawn_bench TEST_CHILD [ROUNDS]\n");
    return 2;
  }
  const std::string child = std::filesystem::absolute(argv[1]).string();
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 200;
  std::string logs = "/tmp/spawn_bench.XXXXXX";
  if (::mkdtemp(logs.data()) == nullptr) return 1;
  {
    bulkhead::supervisor::SpawnBench bench(child, logs);
    bench.Spawns(rounds);
    bench.Recoveries("warm", true, rounds);
    bench.Recoveries("cold", false, rounds);
  }
  std::filesystem::remove_all(logs);
}
