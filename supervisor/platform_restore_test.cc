// A platform service that goes away and comes back.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "absl/strings/match.h"
#include "base/shared_memory.h"
#include "supervisor/testing/fixture.h"

namespace bulkhead::supervisor {
namespace {

using PlatformRestoreTest = SupervisorFixture;

// Shows that parked state and the very same descriptors come back to the next
// platform service, while the driver runs on undisturbed.
TEST_F(PlatformRestoreTest, S5_ParkedDescriptorsComeBack) {
  Run(Spec("nic0"));
  const pid_t driver = Pid("nic0");
  UniqueFd memory = *CreateSealedMemory("test", kPageBytes);
  {
    Mapping mapping =
        *Mapping::MapSealed(memory.get(), kPageBytes, Access::kReadWrite);
    *mapping.As<uint32_t>() = 4711;
  }
  Park("session/1", "state of session 1", {memory.get()});
  Park("session/2", "old", {memory.get(), memory.get()});
  Park("session/2", "new", {memory.get()});
  Park("session/3", "gone", {memory.get()});
  ToSupervisor unpark;
  unpark.mutable_unpark()->set_key("session/3");
  Send(unpark);
  memory.Reset();
  // A platform service that is killed leaves what it sent.
  DisconnectPlatform();
  heard_.clear();
  states_.clear();
  ConnectPlatform();
  ASSERT_TRUE(Until([&] { return restored_ != 0; }));
  EXPECT_EQ(restored_, 2u);
  ASSERT_EQ(parked_.size(), 2u);
  EXPECT_EQ(parked_["session/1"].state, "state of session 1");
  EXPECT_EQ(parked_["session/2"].state, "new");
  EXPECT_EQ(parked_["session/2"].fds.size(), 1u);
  ASSERT_EQ(parked_["session/1"].fds.size(), 1u);
  const Mapping back = *Mapping::MapSealed(parked_["session/1"].fds[0].get(),
                                           kPageBytes, Access::kReadOnly);
  EXPECT_EQ(*back.As<uint32_t>(), 4711u);
  EXPECT_EQ(Pid("nic0"), driver);
  EXPECT_EQ(State("nic0").phase(), ProcessState::RUNNING);
  EXPECT_EQ(State("nic0").generation(), 1u);
}

// Shows the order in which the next platform service is told: parked entries,
// states, events, Restored, deaths.
TEST_F(PlatformRestoreTest, DeathsMeanwhileAreToldAfterRestored) {
  Run(Spec("nic0"));
  Run(Spec("nic1"));
  Park("key", "state", {});
  ASSERT_TRUE(Until([&] { return HasEvent("nic1", "started"); }));
  DisconnectPlatform();
  const pid_t victim = Pid("nic0");
  ::kill(victim, SIGKILL);
  ASSERT_TRUE(Until([&] { return ::kill(victim, 0) != 0; }));
  EXPECT_TRUE(died_["nic0"].empty());

  heard_.clear();
  const size_t events_before = events_.size();
  events_.clear();
  ConnectPlatform();
  ASSERT_TRUE(UntilDied("nic0"));
  const auto at = [&](const std::string& what) {
    return std::find(heard_.begin(), heard_.end(), what) - heard_.begin();
  };
  EXPECT_LT(at("parked key"), at("state nic0"));
  EXPECT_LT(at("state nic1"), at("event"));
  EXPECT_LT(at("event"), at("restored 2"));
  EXPECT_LT(at("restored 2"), at("died nic0"));
  EXPECT_EQ(State("nic0").phase(), ProcessState::WAITING);
  // Every event from the first on, and the death.
  EXPECT_GT(events_.size(), events_before);
  EXPECT_EQ(events_[0].sequence(), 1u);
  Begin("nic0");
  ASSERT_TRUE(UntilPhase("nic0", ProcessState::RUNNING));
  EXPECT_EQ(State("nic0").generation(), 2u);
}

// Shows that a platform service that died between a death and its Begin leaves
// nothing undone: the next one is told of the death again.
TEST_F(PlatformRestoreTest, UnansweredDeathIsToldAgain) {
  Run(Spec("nic0"));
  ::kill(Pid("nic0"), SIGKILL);
  ASSERT_TRUE(UntilDied("nic0"));
  DisconnectPlatform();
  ConnectPlatform();
  ASSERT_TRUE(UntilDied("nic0", 2));
  EXPECT_EQ(died_["nic0"][1].generation(), 1u);
  Begin("nic0");
  ASSERT_TRUE(UntilPhase("nic0", ProcessState::RUNNING));
  // Answered: not told a third time.
  DisconnectPlatform();
  ConnectPlatform();
  ASSERT_TRUE(Until([&] { return restored_ == 3; }));
  EXPECT_EQ(died_["nic0"].size(), 2u);
}

// Shows that hundreds of entries with their descriptors pass the queue of one
// socket: none is lost or mixed up.
TEST_F(PlatformRestoreTest, ManyEntriesComeBack) {
  constexpr int kEntries = 300;
  UniqueFd memory = *CreateSealedMemory("test", kPageBytes);
  const std::vector<int> fds(10, memory.get());
  for (int i = 0; i < kEntries; ++i) {
    Park(std::to_string(i), std::string(2000, 'x'), fds);
    loop_->RunOnce(0);
  }
  DisconnectPlatform();
  ConnectPlatform();
  ASSERT_TRUE(Until([&] { return restored_ == 2; }));
  EXPECT_EQ(parked_.size(), static_cast<size_t>(kEntries));
  for (const auto& [key, entry] : parked_) EXPECT_EQ(entry.fds.size(), 10u);
}

// Shows that the platform's own events are numbered among the others and come
// back.
TEST_F(PlatformRestoreTest, RecordedEventsAreNumbered) {
  ToSupervisor message;
  Event* event = message.mutable_record()->mutable_event();
  event->set_process("nic0");
  event->set_kind("dma_off");
  event->set_time_ns(12);
  event->set_sequence(99);
  Send(message);
  ASSERT_TRUE(Until([&] { return events_.size() == 1; }));
  EXPECT_EQ(events_[0].sequence(), 1u);
  EXPECT_EQ(events_[0].time_ns(), 12u);
  EXPECT_EQ(events_[0].kind(), "dma_off");
}

// Shows that nonsense on the channel costs the platform service its connection
// and nobody else anything.
TEST_F(PlatformRestoreTest, S5_NonsenseIsSurvived) {
  Run(Spec("nic0"));
  ASSERT_EQ(::write(platform_.fd(), "Bnonsense", 9), 9);
  platform_.Close();
  loop_->RunOnce(5);
  ConnectPlatform();
  ASSERT_TRUE(Until([&] { return restored_ == 2; }));
  EXPECT_TRUE(died_["nic0"].empty());
}

// Shows that ShutDown is passed on, and that StopAll ends every process.
TEST_F(PlatformRestoreTest, StopAllEndsEverything) {
  Run(Spec("nic0"));
  ProcessSpec spec = Spec("nic1");
  spec.set_warm_spare(true);
  Run(spec);
  ToSupervisor message;
  message.mutable_shut_down();
  Send(message);
  ASSERT_TRUE(Until([&] { return shut_down_asked_; }));
  const pid_t first = Pid("nic0");
  const pid_t second = Pid("nic1");
  bool done = false;
  supervisor_->StopAll([&] { done = true; });
  ASSERT_TRUE(Until([&] { return done; }));
  EXPECT_EQ(::kill(first, 0), -1);
  EXPECT_EQ(::kill(second, 0), -1);
  // Nothing new after that.
  Define(Spec("nic2"));
  ASSERT_TRUE(Until([&] { return !refused_.empty(); }));
  EXPECT_TRUE(absl::StrContains(refused_[0].reason(), "shutting down"));
}

}  // namespace
}  // namespace bulkhead::supervisor
