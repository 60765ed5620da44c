#include "tests/bench/session/memif_pair.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/errno_status.h"
#include "base/unique_fd.h"
#include "tests/bench/session/processes.h"

namespace bulkhead::bench {
namespace {

constexpr char kTestpmd[] = "/usr/bin/dpdk-testpmd";
constexpr uint64_t kDeadlineNs = 30'000'000'000;
// The first second in which frames arrive is not a whole one.
constexpr int kSkippedSeconds = 1;
constexpr int kMeasuredSeconds = 2;

// A directory of our own for testpmd's sockets and run-time files.
class ScratchDirectory {
 public:
  ScratchDirectory() {
    char path[] = "/tmp/bulkhead-memif-XXXXXX";
    if (::mkdtemp(path) != nullptr) path_ = path;
  }
  ~ScratchDirectory() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// A testpmd process on one processor; its output comes through a pipe.
class Testpmd {
 public:
  Testpmd(const std::string& scratch, const std::string& role, int cpu,
          const Flow& flow) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return;
    output_ = UniqueFd(ends[0]);
    const UniqueFd write_end(ends[1]);
    const bool sends = role == "client";
    std::vector<std::string> words = {
        "/usr/bin/stdbuf",
        "-oL",  // A pipe would hold lines back.
        kTestpmd,
        "--no-huge",
        "--no-pci",
        "-m",
        "256",
        absl::StrCat("--file-prefix=bulkhead-", role),
        absl::StrCat("--lcores=(0,1)@", cpu),
        "--main-lcore=0",
        absl::StrCat("--vdev=net_memif0,id=0,role=", role, ",socket=", scratch,
                     "/memif.sock,socket-abstract=no"),
        "--",
        sends ? "--forward-mode=txonly" : "--forward-mode=rxonly",
        "--auto-start",
        "--stats-period=1",
        "--total-num-mbufs=8192",
        absl::StrCat("--burst=", flow.batch),
        absl::StrCat("--txpkts=", flow.frame_bytes)};
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    const std::string runtime = absl::StrCat("RUNTIME_DIRECTORY=", scratch);
    std::vector<char*> environment = {const_cast<char*>(runtime.c_str()),
                                      const_cast<char*>("PATH=/usr/bin:/bin"),
                                      nullptr};
    pid_ = ::fork();
    if (pid_ != 0) return;
    const int null = ::open("/dev/null", O_RDONLY);
    ::dup2(null, STDIN_FILENO);
    ::dup2(write_end.get(), STDOUT_FILENO);
    ::dup2(write_end.get(), STDERR_FILENO);
    ::execve(arguments[0], arguments.data(), environment.data());
    ::_exit(127);
  }
  Testpmd(const Testpmd&) = delete;
  Testpmd& operator=(const Testpmd&) = delete;
  // Asks it to end, insists after two seconds.
  ~Testpmd() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGINT);
    for (int i = 0; i < 200; ++i) {
      if (::waitpid(pid_, nullptr, WNOHANG) == pid_) return;
      ::usleep(10'000);
    }
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

  // The next line of its output; NotFound at its end, DeadlineExceeded.
  absl::StatusOr<std::string> ReadLine(uint64_t deadline_ns) {
    for (;;) {
      const size_t end = text_.find('\n');
      if (end != std::string::npos) {
        std::string line = text_.substr(0, end);
        text_.erase(0, end + 1);
        return line;
      }
      const uint64_t now = MonotonicNs();
      pollfd waiting = {output_.get(), POLLIN, 0};
      if (now >= deadline_ns ||
          ::poll(&waiting, 1,
                 static_cast<int>((deadline_ns - now) / 1'000'000 + 1)) == 0) {
        return absl::DeadlineExceededError(
            "measure memif: testpmd reports no frames; run it by hand to see "
            "why");
      }
      char bytes[4096];
      const ssize_t count = ::read(output_.get(), bytes, sizeof(bytes));
      if (count <= 0) {
        return absl::NotFoundError(
            absl::StrCat("measure memif: testpmd ended early: ", text_));
      }
      text_.append(bytes, static_cast<size_t>(count));
    }
  }

 private:
  pid_t pid_ = -1;
  UniqueFd output_;
  std::string text_;
};

// "  Rx-pps:     22911034          Rx-bps:  11730448256"
bool ParseRxPps(const std::string& line, double* pps) {
  const size_t at = line.find("Rx-pps:");
  if (at == std::string::npos) return false;
  const char* number = line.c_str() + at + 7;
  *pps = std::strtod(number, nullptr);
  return true;
}

}  // namespace

bool HaveTestpmd() { return ::access(kTestpmd, X_OK) == 0; }

absl::StatusOr<double> MeasureMemif(const Flow& flow) {
  const ScratchDirectory scratch;
  if (scratch.path().empty()) return ErrnoStatus("create a directory in /tmp");
  const uint64_t deadline_ns = MonotonicNs() + kDeadlineNs;
  Testpmd receiver(scratch.path(), "server", kReceiverCpu, flow);
  // The sender tries to connect only once, when it starts.
  const std::string socket = absl::StrCat(scratch.path(), "/memif.sock");
  while (::access(socket.c_str(), F_OK) != 0 && MonotonicNs() < deadline_ns) {
    ::usleep(10'000);
  }
  Testpmd sender(scratch.path(), "client", kSenderCpu, flow);
  double sum = 0;
  for (int seconds = 0; seconds < kSkippedSeconds + kMeasuredSeconds;) {
    ASSIGN_OR_RETURN(const std::string line, receiver.ReadLine(deadline_ns));
    double pps = 0;
    if (!ParseRxPps(line, &pps) || pps == 0) continue;
    if (seconds++ >= kSkippedSeconds) sum += pps;
  }
  return sum / kMeasuredSeconds / 1e6;
}

}  // namespace bulkhead::bench
