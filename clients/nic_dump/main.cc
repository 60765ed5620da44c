// nic_dump: the frames that a session receives, as a pcapng file.
#include <poll.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <csignal>
#include <iostream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/errno_status.h"
#include "clients/arguments/arguments.h"
#include "clients/arguments/version.h"
#include "clients/capture/pcapng_file.h"
#include "packet_stream/client.h"

namespace bulkhead::nic_dump {
namespace {

constexpr int kFailure = 1;
constexpr uint64_t kSecondNs = 1'000'000'000;
constexpr uint64_t kMillisecondNs = 1'000'000;

struct Options {
  packet_stream::OpenOptions open;
  std::string file = "-";
  uint64_t count = 0;        // 0: no limit.
  uint64_t duration_ms = 0;  // 0: no limit.
  uint32_t snap_bytes = 65535;
};

volatile std::sig_atomic_t g_stop = 0;

// As in nic_traffic: signals are let in only while we wait.
sigset_t CatchStopSignals() {
  struct sigaction action = {};
  action.sa_handler = [](int) { g_stop = 1; };
  sigset_t stop_signals;
  sigset_t wait_mask;
  ::sigemptyset(&stop_signals);
  for (const int signal : {SIGINT, SIGTERM}) {
    ::sigaction(signal, &action, nullptr);
    ::sigaddset(&stop_signals, signal);
  }
  ::sigprocmask(SIG_BLOCK, &stop_signals, &wait_mask);
  for (const int signal : {SIGINT, SIGTERM}) ::sigdelset(&wait_mask, signal);
  ::signal(SIGPIPE, SIG_IGN);
  return wait_mask;
}

class Dump {
 public:
  Dump(const Options& options, packet_stream::Session* session,
       capture::PcapngFile* file, const sigset_t& wait_mask)
      : options_(options),
        session_(session),
        file_(file),
        wait_mask_(wait_mask),
        end_ns_(MonotonicNs() + options.duration_ms * kMillisecondNs) {}

  absl::Status Run() {
    while (g_stop == 0 && !Enough()) {
      const absl::Status health = session_->health();
      if (!health.ok() && !absl::IsDataLoss(health)) return health;
      const size_t taken = Take();
      session_->Flush();
      if (taken > 0) continue;
      RETURN_IF_ERROR(file_->Flush());
      Sleep();
    }
    return file_->Flush();
  }
  uint64_t frames() const { return frames_; }

 private:
  bool Enough() const {
    if (options_.count > 0 && frames_ >= options_.count) return true;
    return options_.duration_ms > 0 && MonotonicNs() >= end_ns_;
  }

  size_t Take() {
    std::array<packet_stream::RxPiece, 64> pieces;
    const size_t taken = session_->Receive(pieces);
    timespec now;
    ::clock_gettime(CLOCK_REALTIME, &now);
    for (size_t i = 0; i < taken && !Enough(); ++i) Add(pieces[i], now);
    session_->Release({pieces.data(), taken});
    return taken;
  }

  void Add(const packet_stream::RxPiece& piece, const timespec& now) {
    const bool more = (piece.flags & packet_stream::kMore) != 0;
    if (frame_.empty() && !more) {
      Write({piece.data, piece.length}, now);
      ++frames_;
      return;
    }
    frame_.insert(frame_.end(), piece.data, piece.data + piece.length);
    if (more) return;
    Write(frame_, now);
    frame_.clear();
    ++frames_;
  }

  void Write(std::span<const uint8_t> frame, const timespec& now) {
    const size_t kept = std::min<size_t>(frame.size(), options_.snap_bytes);
    file_->Write({.bytes = frame.first(kept),
                  .length = static_cast<uint32_t>(frame.size()),
                  .when = now,
                  .direction = capture::Direction::kInbound});
  }

  void Sleep() {
    if (!session_->ArmWait()) return;
    const uint64_t now_ns = MonotonicNs();
    uint64_t wait_ns = kSecondNs;
    if (options_.duration_ms > 0) {
      wait_ns = std::min(wait_ns, end_ns_ - std::min(end_ns_, now_ns));
    }
    const timespec timeout = {
        .tv_sec = static_cast<time_t>(wait_ns / kSecondNs),
        .tv_nsec = static_cast<long>(wait_ns % kSecondNs)};
    pollfd watched = {.fd = session_->fd(), .events = POLLIN, .revents = 0};
    ::ppoll(&watched, 1, &timeout, &wait_mask_);
    session_->DisarmWait();
  }

  const Options& options_;
  packet_stream::Session* session_;
  capture::PcapngFile* file_;
  sigset_t wait_mask_;
  uint64_t end_ns_;
  uint64_t frames_ = 0;
  std::vector<uint8_t> frame_;  // Of several pieces.
};

int Fail(const absl::Status& status) {
  std::cerr << "nic_dump: " << status.message() << "\n";
  return kFailure;
}

int Main(int argc, char** argv) {
  Options options;
  options.open.instance = "nic0";
  options.open.label = "nic_dump";
  std::string duration;
  std::string run_dir;
  CLI::App app{"Writes the frames that a session receives to a pcapng file.",
               "nic_dump"};
  app.footer(
      "Exit status: 0 done, 1 failure, 2 usage. An instance has one client at "
      "a "
      "time:\ndump where nobody else receives, or look on with `bulkhead "
      "capture`.\n"
      "Example: nic_dump -i nic0 -w - | tshark -r -");
  app.set_version_flag("--version", absl::StrCat("nic_dump ", kVersion));
  app.add_option("-i,--instance", options.open.instance, "The NIC's instance")
      ->capture_default_str();
  app.add_option("--label", options.open.label,
                 "Who asks; the scenario's `clients` say what it may open")
      ->capture_default_str();
  app.add_option("--run-dir,--run_dir", run_dir,
                 "Run directory of the system (default: $BULKHEAD_RUN_DIR)");
  app.add_option("-w,--write", options.file, "File; -: standard output")
      ->capture_default_str();
  app.add_option("-c,-n,--count", options.count, "Frames; 0: no limit")
      ->capture_default_str();
  app.add_option("-t,--duration", duration,
                 "Seconds, or 500ms, 5s, 2m (default: no limit)");
  app.add_option("-s,--snap-bytes", options.snap_bytes,
                 "Bytes kept of each frame")
      ->check(CLI::Range(1, 65535))
      ->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return arguments::SayWhatIsWrong(app, error);
  }
  const std::string problem =
      arguments::ParseDuration(duration, options.duration_ms);
  if (!problem.empty()) {
    std::cerr << "nic_dump: " << problem << "\n";
    return arguments::kUsage;
  }
  if (options.file == "-" && ::isatty(STDOUT_FILENO) == 1) {
    std::cerr << "nic_dump: a capture is nothing for a terminal; write it to "
                 "a file with -w FILE, or pipe it: nic_dump -w - | tshark -r "
                 "-\n";
    return arguments::kUsage;
  }
  if (!run_dir.empty()) {
    options.open.socket = absl::StrCat(run_dir, "/session.sock");
  }
  const sigset_t wait_mask = CatchStopSignals();
  const auto session = packet_stream::Session::Open(options.open);
  if (!session.ok()) return Fail(session.status());
  const auto file = capture::PcapngFile::Create(
      options.file, {.name = options.open.instance,
                     .description = "received by nic_dump",
                     .filter = "",
                     .snap_bytes = options.snap_bytes});
  if (!file.ok()) return Fail(file.status());

  Dump dump(options, session->get(), file->get(), wait_mask);
  const absl::Status status = dump.Run();
  std::cerr << "nic_dump: " << dump.frames() << " frames from "
            << options.open.instance << "\n";
  return status.ok() ? 0 : Fail(status);
}

}  // namespace
}  // namespace bulkhead::nic_dump

int main(int argc, char** argv) { return bulkhead::nic_dump::Main(argc, argv); }
