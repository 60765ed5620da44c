// Clients that misbehave (hostile_client.cc), in a whole system with traffic on
// another link: their session ends with a reason, the driver lives, the next
// client is served, and nothing else is disturbed.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"
#include "tests/bench/echo_client.h"
#include "tests/bench/system_under_test.h"
#include "tests/recovery/bystanders.h"

namespace bulkhead::security {
namespace {

using bench::MakeScenario;
using bench::SystemUnderTest;
namespace v1 = bench::v1;

// The hostile client as a process of its own, with its words in a pipe.
class HostileClient {
 public:
  HostileClient(const SystemUnderTest& system, const std::string& instance,
                const std::string& way) {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    words_.Reset(ends[0]);
    UniqueFd far(ends[1]);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, far.get(), STDOUT_FILENO);
    const std::string program =
        bench::FindBinaries() + "/tests/security/hostile_client";
    const std::string socket = system.session_socket();
    const char* argv[] = {program.c_str(), socket.c_str(), instance.c_str(),
                          way.c_str(), nullptr};
    EXPECT_EQ(::posix_spawn(&pid_, program.c_str(), &actions, nullptr,
                            const_cast<char**>(argv), environ),
              0)
        << program;
    ::posix_spawn_file_actions_destroy(&actions);
  }
  ~HostileClient() { Kill(); }

  // Its first line; empty when it ended without one.
  std::string Line() {
    std::string line;
    char c;
    while (::read(words_.get(), &c, 1) == 1 && c != '\n') line += c;
    return line;
  }
  void Kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }
  int pid() const { return pid_; }

 private:
  UniqueFd words_;
  pid_t pid_ = 0;
};

class ClientTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto system = SystemUnderTest::Start(
        {.scenario =
             MakeScenario({{.port = "aport", .instance = "attacked{index}"},
                           {.port = "oport", .instance = "other{index}"}}),
         .bin_dir = ""});
    ASSERT_TRUE(system.ok()) << system.status();
    system_ = *std::move(system);
    const absl::Status up = system_->WaitForLinks(2, 20000);
    ASSERT_TRUE(up.ok()) << up.message();
    bystanders_ = std::make_unique<recovery::Bystanders>(
        *system_, std::vector<std::string>{"other0"});
    const auto pid = system_->PidOf("attacked0");
    ASSERT_TRUE(pid.ok()) << pid.status();
    driver_pid_ = *pid;
  }

  // The driver is the one that was there before, and serves an honest client.
  void ExpectNextClientIsServed() {
    const auto pid = system_->PidOf("attacked0");
    ASSERT_TRUE(pid.ok()) << pid.status();
    EXPECT_EQ(*pid, driver_pid_) << "the driver did not live\n"
                                 << system_->EventText();
    bench::EchoClient::Options options;
    options.socket = system_->session_socket();
    std::unique_ptr<bench::EchoThread> honest;
    absl::Status last;
    ASSERT_TRUE(recovery::WaitUntil([&] {
      auto opened = bench::StartEcho({"attacked0"}, options);
      last = opened.status();
      if (opened.ok()) honest = *std::move(opened);
      return opened.ok();
    })) << last;
    EXPECT_TRUE(recovery::WaitUntil(
        [&] { return honest->client(0).recovery().received > 100; }));
    honest->Stop();
    EXPECT_EQ(honest->client(0).counts().lost, 0u);
    EXPECT_EQ(honest->client(0).counts().corrupt, 0u)
        << "frames of the client before (S8)";
  }

  std::unique_ptr<SystemUnderTest> system_;
  std::unique_ptr<recovery::Bystanders> bystanders_;
  int driver_pid_ = 0;
};

class RingAttack : public ClientTest,
                   public ::testing::WithParamInterface<const char*> {};

// Shows that a client that lies in its ring area loses its session with a
// reason, in its socket and in the events, and costs nobody else anything.
TEST_P(RingAttack, S7_EndsTheSessionWithAReason) {
  HostileClient client(*system_, "attacked0", GetParam());
  const std::string words = client.Line();
  EXPECT_TRUE(absl::StartsWith(words, "closed: ")) << words;
  EXPECT_TRUE(absl::StrContains(words, "broke the session's protocol"))
      << words;
  const auto event = system_->WaitForEvent(
      "attacked0", "", "broke the session's protocol", 5000);
  EXPECT_TRUE(event.ok()) << event.status().message();
  ASSERT_NO_FATAL_FAILURE(ExpectNextClientIsServed());
  bystanders_->ExpectUndisturbed();
}

INSTANTIATE_TEST_SUITE_P(
    Client, RingAttack,
    ::testing::Values("tail_jump", "tail_backwards", "offset_outside",
                      "offset_wraps", "length_zero", "length_beyond_buffer",
                      "unknown_flags", "same_buffer_twice", "endless_frame",
                      "ack_not_held", "ack_outside", "ring_bytes_at_random"),
    [](const auto& info) { return info.param; });

// Shows that a client that vanishes in a burst leaves nothing behind: kill -9
// while it sends flat out; its session is closed and the next client sees none
// of its frames.
TEST_F(ClientTest, S5_KilledInABurstLeavesNothing) {
  for (int i = 0; i < 3; ++i) {
    HostileClient client(*system_, "attacked0", "burst");
    ASSERT_EQ(client.Line(), "bursting");
    bystanders_->AwaitFrames(50);
    client.Kill();
    ASSERT_NO_FATAL_FAILURE(ExpectNextClientIsServed());
  }
  bystanders_->ExpectUndisturbed();
}

// Shows that a client that keeps every rx buffer stops only its own frames, and
// that they are counted as missed, not lost without a trace (S8).
TEST_F(ClientTest, S8_HoldingAllRxBuffersCostsOnlyItself) {
  HostileClient client(*system_, "attacked0", "hold_all");
  const std::string words = client.Line();
  EXPECT_TRUE(absl::StartsWith(words, "holding ")) << words;
  const auto pid = system_->PidOf("attacked0");
  ASSERT_TRUE(pid.ok());
  EXPECT_EQ(*pid, driver_pid_);
  // Some heartbeats go by: holding buffers is not a hang.
  bystanders_->AwaitFrames(4000);
  client.Kill();
  ASSERT_NO_FATAL_FAILURE(ExpectNextClientIsServed());
  bystanders_->ExpectUndisturbed();
}

// Shows that a flood of wake-ups from a client makes the driver work, not fail.
TEST_F(ClientTest, S5_DoorbellFloodDisturbsNobodyElse) {
  {
    HostileClient client(*system_, "attacked0", "flood_doorbell");
    EXPECT_TRUE(absl::StartsWith(client.Line(), "rang "));
  }
  ASSERT_NO_FATAL_FAILURE(ExpectNextClientIsServed());
  bystanders_->ExpectUndisturbed();
}

// Shows that requests which make no sense are answered or dropped one by one.
TEST_F(ClientTest, S7_NonsenseOnTheSessionSocketIsRefused) {
  {
    HostileClient client(*system_, "attacked0", "nonsense");
    EXPECT_EQ(client.Line(), "sent nonsense");
  }
  ASSERT_NO_FATAL_FAILURE(ExpectNextClientIsServed());
  bystanders_->ExpectUndisturbed();
}

// Shows that five hundred connections that never say anything do not keep an
// honest client out.
TEST_F(ClientTest, S5_HalfOpenConnectionsDoNotKeepOthersOut) {
  HostileClient client(*system_, "attacked0", "half_open");
  EXPECT_TRUE(absl::StartsWith(client.Line(), "half open "));
  ASSERT_NO_FATAL_FAILURE(ExpectNextClientIsServed());
  bystanders_->ExpectUndisturbed();
}

}  // namespace
}  // namespace bulkhead::security
