// The links that must not notice: traffic on them while something else breaks.
#ifndef BULKHEAD_TESTS_RECOVERY_BYSTANDERS_H_
#define BULKHEAD_TESTS_RECOVERY_BYSTANDERS_H_

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/bench/echo_client.h"
#include "tests/bench/system_under_test.h"

namespace bulkhead::recovery {

// Polls `condition` until it holds.
template <typename Condition>
bool WaitUntil(Condition condition, int timeout_ms = 5000) {
  for (int i = 0; i < timeout_ms; ++i) {
    if (condition()) return true;
    ::usleep(1000);
  }
  return condition();
}

// Requires: the instances' NICs echo.
class Bystanders {
 public:
  // Starts traffic on each and waits until it flows.
  Bystanders(bench::SystemUnderTest& system,
             const std::vector<std::string>& instances)
      : system_(system), instances_(instances) {
    bench::EchoClient::Options options;
    options.socket = system.session_socket();
    options.label = "bystander";
    auto traffic = bench::StartEcho(instances, options);
    EXPECT_TRUE(traffic.ok()) << traffic.status();
    if (traffic.ok()) traffic_ = *std::move(traffic);
    for (const std::string& instance : instances_) {
      if (const auto pid = system_.PidOf(instance); pid.ok()) {
        pids_[instance] = *pid;
      }
    }
  }

  // Ends the traffic; every frame came back, once and in order, no driver was
  // replaced, no session recovered (S5).
  void ExpectUndisturbed() {
    ASSERT_NE(traffic_, nullptr);
    traffic_->Stop();
    for (size_t i = 0; i < traffic_->size(); ++i) {
      const bench::EchoCounts& counts = traffic_->client(i).counts();
      const std::string& name = instances_[i];
      EXPECT_GT(counts.received, 0u) << name;
      EXPECT_EQ(counts.sent, counts.received) << name;
      EXPECT_EQ(counts.lost, 0u) << name;
      EXPECT_EQ(counts.out_of_order, 0u) << name;
      EXPECT_EQ(counts.corrupt, 0u) << name;
      EXPECT_EQ(counts.recoveries, 0u) << name;
      EXPECT_TRUE(traffic_->client(i).session().health().ok())
          << name << ": " << traffic_->client(i).session().health();
      const auto pid = system_.PidOf(name);
      EXPECT_TRUE(pid.ok()) << pid.status();
      EXPECT_EQ(pid.value_or(0), pids_[name])
          << name << " was replaced:" << EventsOf(name);
    }
  }

  // Returns when each has received this many frames more: the measure of how
  // long something else goes on.
  void AwaitFrames(uint64_t more) {
    ASSERT_NE(traffic_, nullptr);
    for (size_t i = 0; i < traffic_->size(); ++i) {
      const auto& received = traffic_->client(i).recovery().received;
      const uint64_t wanted = received + more;
      EXPECT_TRUE(WaitUntil([&] { return received >= wanted; }, 20000))
          << instances_[i] << " stands still" << EventsOf(instances_[i]);
    }
  }

  bench::EchoThread& traffic() { return *traffic_; }

 private:
  // What happened to it, for people.
  std::string EventsOf(const std::string& name) {
    std::string text;
    for (const auto& event :
         system_.Events().value_or(std::vector<bench::v1::Event>())) {
      if (event.process() != name) continue;
      absl::StrAppend(&text, "\n  ", event.time_ns(), " ", event.generation(),
                      " ", event.kind(), " ", event.text());
    }
    return text;
  }

  bench::SystemUnderTest& system_;
  std::vector<std::string> instances_;
  std::unique_ptr<bench::EchoThread> traffic_;
  std::map<std::string, int> pids_;
};

}  // namespace bulkhead::recovery

#endif  // BULKHEAD_TESTS_RECOVERY_BYSTANDERS_H_
