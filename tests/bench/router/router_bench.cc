// The router's forwarding with NAT beside Linux's, in one run; the two take
// turns, so that both see the same noise. run.sh makes Linux's namespaces.
//
// Figures are frames per second of CPU time (Mframes/cpu_s): the router's whole
// work on a frame, and of Linux's what is left when the cost of sending the
// frame into its interface is taken off (linux_forwarding.h).
#include <cstdio>
#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "base/log.h"
#include "tests/bench/options.h"
#include "tests/bench/report.h"
#include "tests/bench/router/linux_forwarding.h"
#include "tests/bench/router/router_forwarding.h"

namespace bulkhead::bench {
namespace {

LinuxNetwork MakeNetwork() {
  LinuxNetwork network;
  network.client_mac = {2, 0, 0, 0, 1, 2};
  network.router_mac = {2, 0, 0, 0, 1, 1};
  return network;
}

// Million frames for a second of CPU time.
double PerCpu(double frames, double cpu_ns) {
  return cpu_ns <= 0 ? 0 : frames * 1e3 / cpu_ns;
}

class Bench {
 public:
  Bench(const Options& options, LinuxNetwork network,
        std::unique_ptr<RouterUnderTest> router)
      : options_(options),
        network_(std::move(network)),
        router_(std::move(router)),
        report_("router", options.json) {}

  absl::Status Run() {
    for (const Mix mix : {Mix::k64, Mix::kImix}) {
      for (const uint32_t flows : {1u, 1'000u, 100'000u}) {
        RETURN_IF_ERROR(Established(mix, flows));
      }
    }
    RETURN_IF_ERROR(NewFlows());
    return Hop();
  }

 private:
  uint32_t milliseconds() const {
    return static_cast<uint32_t>(options_["milliseconds"]);
  }

  // What Linux's sender costs for a frame.
  absl::StatusOr<double> SendingNs(uint32_t flows, Mix mix) {
    ASSIGN_OR_RETURN(const Forwarded alone,
                     SendToNobody(network_, flows, mix, milliseconds()));
    return static_cast<double>(alone.cpu_ns) /
           static_cast<double>(alone.frames);
  }

  absl::Status Established(Mix mix, uint32_t flows) {
    // Every flow exists before it is measured.
    RETURN_IF_ERROR(router_->Forward(0, flows, Mix::k64, 0).status());
    RETURN_IF_ERROR(ForwardByLinux(network_, 0, flows, Mix::k64, 0).status());
    Samples router, linux_forwarding, linux_whole;
    for (int i = 0; i < options_["repetitions"]; ++i) {
      ASSIGN_OR_RETURN(const Forwarded ours,
                       router_->Forward(0, flows, mix, milliseconds()));
      router.Add(PerCpu(static_cast<double>(ours.frames),
                        static_cast<double>(ours.cpu_ns)));
      ASSIGN_OR_RETURN(const double sending_ns, SendingNs(flows, mix));
      ASSIGN_OR_RETURN(const Forwarded theirs,
                       ForwardByLinux(network_, 0, flows, mix, milliseconds()));
      const auto frames = static_cast<double>(theirs.frames);
      const auto cpu_ns = static_cast<double>(theirs.cpu_ns);
      linux_whole.Add(PerCpu(frames, cpu_ns));
      linux_forwarding.Add(PerCpu(frames, cpu_ns - sending_ns * frames));
    }
    const std::string name =
        absl::StrCat(mix == Mix::k64 ? "64B" : "imix", "_flows", flows);
    report_.AddMedian(name, router, "Mframes/cpu_s", "linux",
                      linux_forwarding.Median());
    report_.AddMedian(name + "_linux", linux_forwarding, "Mframes/cpu_s");
    report_.AddMedian(name + "_linux_with_sending", linux_whole,
                      "Mframes/cpu_s");
    return absl::OkStatus();
  }

  // Frames of flows that neither has seen before. There are as many as Linux's
  // table has room for beside those of the established ones.
  absl::Status NewFlows() {
    constexpr uint32_t kFlows = 20'000;
    Samples router, linux_forwarding;
    for (int i = 0; i < options_["repetitions"]; ++i) {
      const uint32_t first = 100'000 + static_cast<uint32_t>(i) * kFlows;
      ASSIGN_OR_RETURN(const Forwarded ours,
                       router_->Forward(first, kFlows, Mix::k64, 0));
      router.Add(PerCpu(static_cast<double>(ours.frames),
                        static_cast<double>(ours.cpu_ns)));
      ASSIGN_OR_RETURN(const double sending_ns, SendingNs(kFlows, Mix::k64));
      ASSIGN_OR_RETURN(const Forwarded theirs,
                       ForwardByLinux(network_, first, kFlows, Mix::k64, 0));
      const auto frames = static_cast<double>(theirs.frames);
      linux_forwarding.Add(PerCpu(
          frames, static_cast<double>(theirs.cpu_ns) - sending_ns * frames));
    }
    report_.AddMedian("new_flows", router, "Mflows/cpu_s", "linux",
                      linux_forwarding.Median());
    report_.AddMedian("new_flows_linux", linux_forwarding, "Mflows/cpu_s");
    return absl::OkStatus();
  }

  // The same client, through the router and without it.
  absl::Status Hop() {
    for (const Mix mix : {Mix::k64, Mix::k1518}) {
      Samples routed, direct;
      for (int i = 0; i < options_["repetitions"]; ++i) {
        ASSIGN_OR_RETURN(const Forwarded one,
                         router_->Forward(0, 1, mix, milliseconds()));
        routed.Add(PerCpu(static_cast<double>(one.frames),
                          static_cast<double>(one.wall_ns)));
        ASSIGN_OR_RETURN(const Forwarded other,
                         SendDirectly(mix, milliseconds()));
        direct.Add(PerCpu(static_cast<double>(other.frames),
                          static_cast<double>(other.wall_ns)));
      }
      const std::string name =
          absl::StrCat("hop_", mix == Mix::k64 ? "64B" : "1518B");
      report_.AddMedian(name, routed, "Mframes/s", "direct session",
                        direct.Median());
      report_.AddMedian(name + "_direct", direct, "Mframes/s");
    }
    return absl::OkStatus();
  }

  const Options& options_;
  LinuxNetwork network_;
  std::unique_ptr<RouterUnderTest> router_;
  Report report_;
};

const char* Environment(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

int Main(int argc, char** argv) {
  const Options options =
      Options::Parse(argc, argv, {{"repetitions", 5}, {"milliseconds", 300}});
  SetLogName("router_bench");
  LinuxNetwork network = MakeNetwork();
  network.interface = Environment("LINUX_INTERFACE");
  network.outside_namespace = Environment("LINUX_OUTSIDE_NAMESPACE");
  network.outside_interface = Environment("LINUX_OUTSIDE_INTERFACE");
  auto router = RouterUnderTest::Start();
  if (!router.ok()) {
    LogError(router.status().message());
    return 1;
  }
  Bench bench(options, network, *std::move(router));
  const absl::Status status = bench.Run();
  if (!status.ok()) LogError(status.message());
  return status.ok() ? 0 : 1;
}

}  // namespace
}  // namespace bulkhead::bench

int main(int argc, char** argv) { return bulkhead::bench::Main(argc, argv); }
