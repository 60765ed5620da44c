// Shows that a run's report agrees with what a provider is known to have done
// to its frames: echoed, dropped, doubled, altered, or died in their middle.
#include "clients/nic_traffic/traffic_run.h"

#include <gtest/gtest.h>

#include <csignal>

#include "clients/nic_traffic/echo_provider.h"

namespace bulkhead::nic_traffic {
namespace {

using packet_stream::OnRestart;

constexpr packet_stream::SessionGeometry kGeometry = {
    .tx_buffers = 64, .rx_buffers = 64, .buffer_bytes = 256};
constexpr uint64_t kCount = 5000;

TrafficOptions Options() {
  TrafficOptions options;
  options.instance = "nic0";
  options.count = kCount;
  options.window = 32;
  options.stream = 3;
  options.drain_ms = 1000;
  return options;
}

sigset_t NoSignals() {
  sigset_t mask;
  ::pthread_sigmask(SIG_BLOCK, nullptr, &mask);
  return mask;
}

TrafficReport RunWith(EchoSession& session, const TrafficOptions& options) {
  static const volatile std::sig_atomic_t stop = 0;
  return TrafficRun(session.client(), options, &stop, NoSignals()).Run();
}

TrafficReport RunWith(EchoSession::Judge judge) {
  EchoSession session(kGeometry, std::move(judge),
                      OnRestart::kCountIndeterminate);
  return RunWith(session, Options());
}

TEST(TrafficRun, AnHonestEchoLosesNothing) {
  const TrafficReport report = RunWith([](uint64_t) { return Fate::kEcho; });
  EXPECT_EQ(report.sent, kCount);
  EXPECT_EQ(report.received, kCount);
  EXPECT_TRUE(report.Lossless());
  EXPECT_EQ(report.reordered, 0u);
  EXPECT_EQ(report.foreign, 0u);
  EXPECT_EQ(report.in_flight, 0u);
  EXPECT_EQ(report.latency.count(), kCount);
  EXPECT_EQ(report.error, "");
}

TEST(TrafficRun, DroppedFramesAreLostAndNotExplainedByTheSession) {
  const TrafficReport report = RunWith(
      [](uint64_t i) { return i % 100 == 7 ? Fate::kDrop : Fate::kEcho; });
  EXPECT_EQ(report.sent, kCount);
  EXPECT_EQ(report.lost, kCount / 100);
  EXPECT_EQ(report.received, kCount - kCount / 100);
  EXPECT_EQ(report.Unexplained(), kCount / 100);
  EXPECT_FALSE(report.Lossless());
}

TEST(TrafficRun, DoubledAndAlteredFramesAreCountedAsSuch) {
  const TrafficReport report = RunWith([](uint64_t i) {
    if (i % 100 == 7) return Fate::kTwice;
    return i % 100 == 8 ? Fate::kCorrupt : Fate::kEcho;
  });
  EXPECT_EQ(report.duplicated, kCount / 100);
  EXPECT_EQ(report.corrupted, kCount / 100);
  EXPECT_EQ(report.lost, kCount / 100);  // An altered frame did not arrive.
  EXPECT_EQ(report.received, kCount);
}

// The provider dies holding frames; which of them went out, nobody can know.
TEST(TrafficRun, S8_FramesOfADeadProviderAreIndeterminateAndNothingElseIsLost) {
  EchoSession session(
      kGeometry,
      [](uint64_t i) {
        if (i == 1000) return Fate::kDieBefore;
        return i == 3000 ? Fate::kDieAfter : Fate::kEcho;
      },
      OnRestart::kCountIndeterminate);
  const TrafficReport report = RunWith(session, Options());
  EXPECT_EQ(report.sent, kCount);
  EXPECT_EQ(report.session.recoveries, 2u);
  EXPECT_EQ(report.epoch, 3u);
  ASSERT_EQ(report.recoveries.size(), 2u);
  EXPECT_GE(report.recoveries[0].first_frame_ns,
            report.recoveries[0].noticed_ns);
  // What it took and did not acknowledge, and what was published behind that.
  EXPECT_GE(report.session.tx_indeterminate, session.unacknowledged());
  EXPECT_EQ(report.session.tx_submitted,
            report.session.tx_done + report.session.tx_indeterminate);
  EXPECT_EQ(report.received, session.echoed());
  EXPECT_EQ(report.lost, kCount - session.echoed());
  EXPECT_LE(report.lost, report.session.tx_indeterminate);
  EXPECT_EQ(report.Unexplained(), 0u);
  EXPECT_EQ(report.duplicated, 0u);
}

TEST(TrafficRun, S8_ResubmittedFramesAreNotLostButMayComeTwice) {
  EchoSession session(
      kGeometry,
      [](uint64_t i) { return i == 1000 ? Fate::kDieAfter : Fate::kEcho; },
      OnRestart::kResubmit);
  const TrafficReport report = RunWith(session, Options());
  EXPECT_EQ(report.sent, kCount);
  EXPECT_EQ(report.lost, 0u);
  EXPECT_EQ(report.session.tx_indeterminate, 0u);
  EXPECT_GE(report.session.tx_resubmitted, 1u);
  EXPECT_EQ(report.duplicated, 1u);  // Echoed, then died before saying so.
}

TEST(TrafficRun, APacedRunSendsItsCount) {
  EchoSession session(
      kGeometry, [](uint64_t) { return Fate::kEcho; },
      OnRestart::kCountIndeterminate);
  TrafficOptions options = Options();
  options.rate = 100'000;
  options.window = 0;
  const TrafficReport report = RunWith(session, options);
  EXPECT_EQ(report.sent, kCount);
  EXPECT_TRUE(report.Lossless());
}

TEST(TrafficRun, APacedRunOfADurationSendsExactlyItsFrames) {
  EchoSession session(
      kGeometry, [](uint64_t) { return Fate::kEcho; },
      OnRestart::kCountIndeterminate);
  TrafficOptions options = Options();
  options.count = 0;
  options.rate = 500;
  options.duration_ms = 200;
  options.window = 0;
  const TrafficReport report = RunWith(session, options);
  EXPECT_EQ(report.sent + report.not_sent, 100u);
  EXPECT_TRUE(report.Lossless());
}

TEST(TrafficRun, AStoppedRunStillReports) {
  EchoSession session(
      kGeometry, [](uint64_t) { return Fate::kEcho; },
      OnRestart::kCountIndeterminate);
  static volatile std::sig_atomic_t stop = 0;
  TrafficOptions options = Options();
  options.count = 0;
  options.rate = 10'000;
  TrafficRun run(session.client(), options, &stop, NoSignals());
  run.OnProgress([](const TrafficProgress& progress) {
    if (progress.received > 100) stop = 1;
  });
  const TrafficReport report = run.Run();
  EXPECT_TRUE(report.interrupted);
  EXPECT_GT(report.sent, 100u);
  EXPECT_TRUE(report.Lossless());
}

TEST(TrafficReport, JsonIsOneLineAndHasEveryCount) {
  TrafficReport report;
  report.instance = "nic\"0\xff";  // Must not break the document.
  report.sent = ~uint64_t{0};
  const std::string json = ToJson(report);
  EXPECT_EQ(json.find('\n'), std::string::npos);
  EXPECT_NE(json.find("\"sent\":18446744073709551615"), std::string::npos);
  EXPECT_NE(json.find("\"instance\":\"nic\\\"0\xef\xbf\xbd\""),
            std::string::npos);
  EXPECT_FALSE(ToText(report).empty());
}

}  // namespace
}  // namespace bulkhead::nic_traffic
