// A whole Bulkhead system, brought up by a benchmark or a test in a run
// directory of its own, watched and taken down by it.
#ifndef BULKHEAD_TESTS_BENCH_SYSTEM_UNDER_TEST_H_
#define BULKHEAD_TESTS_BENCH_SYSTEM_UNDER_TEST_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "platform_service/api/platform.pb.h"

namespace bulkhead::bench {

namespace v1 = ::bulkhead::platform::v1;

// One rule and its NICs in the scenarios that benchmarks and tests write.
struct NicGroup {
  std::string port = "port";  // NICs are port0, port1, …
  std::string instance = "nic{index}";
  std::string driver = "e1000e";
  int nics = 1;
  bool standby = false;
  std::string network = "{echo: {}}";
  std::string rule = "";  // Further lines of the rule, each "    key: value\n".
  std::string faults = "";  // E.g. "[garbage_replies]".
};
std::string MakeScenario(const std::vector<NicGroup>& groups,
                         absl::string_view more = "");

// Requires: used on one thread, the one that stays alive longest: children are
// told to die with it.
// Guarantees: when the object is gone, so is every process of the system, and
// the run directory.
class SystemUnderTest {
 public:
  struct Options {
    std::string scenario;  // YAML text.
    // With the folders of the programs in it, as bazel-bin has them. Empty:
    // FindBinaries().
    std::string bin_dir;
  };

  // Starts the supervisor; does not wait for anything.
  static absl::StatusOr<std::unique_ptr<SystemUnderTest>> Start(
      const Options& options);
  ~SystemUnderTest();

  // Returns once `links` instances report link up.
  absl::Status WaitForLinks(int links, int timeout_ms);
  // Returns once `condition` holds for the status; asks again after each
  // event. DeadlineExceeded carries the last status in words.
  absl::Status WaitForStatus(std::function<bool(const v1::Status&)> condition,
                             int timeout_ms);
  // The first kept or coming event with this process (empty: any), kind, and
  // `text_part` in its text, after `after_sequence`.
  absl::StatusOr<v1::Event> WaitForEvent(absl::string_view process,
                                         absl::string_view kind,
                                         absl::string_view text_part,
                                         int timeout_ms,
                                         uint64_t after_sequence = 0);

  absl::StatusOr<v1::Status> GetStatus();
  absl::StatusOr<v1::Instance> GetInstance(absl::string_view name);
  // Pid of the current generation of a driver, a model or the platform service.
  absl::StatusOr<int> PidOf(absl::string_view process);
  // Kept events after this sequence number.
  absl::StatusOr<std::vector<v1::Event>> Events(uint64_t after_sequence = 0);
  // Kept events as text, for messages.
  std::string EventText(uint64_t after_sequence = 0);
  absl::Status Restart(absl::string_view name);
  // Returns the actions.
  absl::StatusOr<std::vector<std::string>> Apply(const std::string& scenario);
  // What `name` wrote to its standard error.
  std::string LogOf(absl::string_view name) const;

  // kill(2) on the current generation of a driver, a model or the platform
  // service; returns its pid.
  absl::StatusOr<int> Kill(absl::string_view process, int signal);
  // kill -9 of every process at once, as a power cut would; the run directory
  // stays as it is. Start again with StartAgain.
  void KillEverything();
  absl::Status StartAgain();

  // Orderly: the Down call, then waits for the supervisor's end.
  absl::Status Down(int timeout_ms = 10000);

  int supervisor_pid() const { return supervisor_pid_; }
  uint64_t started_ns() const { return started_ns_; }
  const std::string& run_dir() const { return run_dir_; }
  std::string session_socket() const { return run_dir_ + "/session.sock"; }
  // Every process that descends from the supervisor, it included.
  std::vector<int> Processes() const;

 private:
  struct Api;

  SystemUnderTest(std::string run_dir, std::string parent_dir);
  // True once it has been reaped.
  bool ReapSupervisor(int timeout_ms);
  absl::Status Launch();

  std::string run_dir_;
  std::string parent_dir_;  // Of run_dir_ and the scenario's file.
  std::string bin_dir_;
  int supervisor_pid_ = 0;
  uint64_t started_ns_ = 0;
  std::unique_ptr<Api> api_;
};

// The folder that the system's programs were built into: $BULKHEAD_BIN_DIR, or
// the tree that this program runs from (a Bazel test's runfiles, bazel-bin).
std::string FindBinaries();

// Children of `pid` and theirs, from /proc; `pid` first.
std::vector<int> ProcessTree(int pid);
bool ProcessExists(int pid);
std::vector<int> Threads(int pid);

}  // namespace bulkhead::bench

#endif  // BULKHEAD_TESTS_BENCH_SYSTEM_UNDER_TEST_H_
