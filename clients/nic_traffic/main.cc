// nic_traffic: the load and the judge of every scenario and benchmark.
#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>
#include <iostream>
#include <string>

#include "base/log.h"
#include "clients/nic_traffic/options.h"
#include "clients/nic_traffic/traffic_report.h"
#include "clients/nic_traffic/traffic_run.h"
#include "packet_stream/client.h"

namespace {

using bulkhead::nic_traffic::Options;
using bulkhead::nic_traffic::TrafficProgress;
using bulkhead::nic_traffic::TrafficReport;
using bulkhead::nic_traffic::TrafficRun;

volatile std::sig_atomic_t g_stop = 0;

// Ends the run early; the report is printed all the same. Signals stay blocked
// outside the run's waits, so that none falls between check and wait.
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

// The reader may go away at any time: then there is nobody to tell.
void WriteProgress(int& fd, const TrafficProgress& progress) {
  if (fd < 0) return;
  const std::string line = ToJson(progress) + "\n";
  if (::write(fd, line.data(), line.size()) < 0) fd = -1;
}

int ExitCode(const Options& options, const TrafficReport& report) {
  if (!report.error.empty() || !std::cout.good()) return 1;
  return options.expect_lossless && !report.Lossless() ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  int exit_code = 0;
  std::optional<Options> options =
      bulkhead::nic_traffic::ParseOptions(argc, argv, exit_code);
  if (!options.has_value()) return exit_code;
  bulkhead::SetLogName("nic_traffic");
  const sigset_t wait_mask = CatchStopSignals();
  // Timers as exact as the kernel can: the default slack is 50 µs.
  ::prctl(PR_SET_TIMERSLACK, 1);

  auto session = bulkhead::packet_stream::Session::Open(options->open);
  if (!session.ok()) {
    std::cerr << "nic_traffic: " << session.status().message() << "\n";
    return 1;
  }
  TrafficRun run(session->get(), options->traffic, &g_stop, wait_mask);
  if (options->progress_fd >= 0) {
    run.OnProgress(
        [fd = options->progress_fd](const TrafficProgress& progress) mutable {
          WriteProgress(fd, progress);
        });
  }
  const TrafficReport report = run.Run();
  std::cout << (options->json ? ToJson(report) + "\n" : ToText(report))
            << std::flush;
  if (!report.error.empty()) {
    std::cerr << "nic_traffic: " << report.error << "\n";
  }
  return ExitCode(*options, report);
}
