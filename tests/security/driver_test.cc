// Drivers that misbehave (hostile_driver.cc), in a whole system with traffic on
// another link: each is named, contained, and disturbs nothing else.
#include <gtest/gtest.h>
#include <signal.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "packet_stream/client.h"
#include "tests/bench/system_under_test.h"
#include "tests/recovery/bystanders.h"
#include "tests/security/bin_tree.h"

namespace bulkhead::security {
namespace {

using bench::MakeScenario;
using bench::SystemUnderTest;
using packet_stream::Session;
namespace v1 = bench::v1;

class Containment : public ::testing::Test {
 protected:
  // An instance called `way` of the driver `driver`, and a bystander.
  void Start(const std::string& way, const std::string& driver = "hostile",
             const std::string& rule = "") {
    auto system = SystemUnderTest::Start(
        {.scenario =
             MakeScenario({{.port = "hport",
                            .instance = way,
                            .driver = driver,
                            .rule = rule},
                           {.port = "oport", .instance = "other{index}"}}),
         .bin_dir = tree_.path()});
    ASSERT_TRUE(system.ok()) << system.status();
    system_ = *std::move(system);
    const absl::Status up = system_->WaitForStatus(
        [](const v1::Status& status) {
          for (const v1::Instance& instance : status.instance()) {
            if (instance.name() == "other0" && instance.link_up()) return true;
          }
          return false;
        },
        20000);
    ASSERT_TRUE(up.ok()) << up.message();
    bystanders_ = std::make_unique<recovery::Bystanders>(
        *system_, std::vector<std::string>{"other0"});
  }

  void ExpectEvent(const std::string& process, const std::string& kind,
                   const std::string& text, int timeout_ms = 10000) {
    const auto event = system_->WaitForEvent(process, kind, text, timeout_ms);
    EXPECT_TRUE(event.ok()) << event.status().message();
  }

  absl::StatusOr<std::unique_ptr<Session>> OpenSession(const std::string& way) {
    packet_stream::OpenOptions options;
    options.socket = system_->session_socket();
    options.label = "test";
    options.instance = way;
    absl::StatusOr<std::unique_ptr<Session>> session;
    recovery::WaitUntil([&] {
      session = Session::Open(options);
      return session.ok();
    });
    return session;
  }

  BinTree tree_;
  std::unique_ptr<SystemUnderTest> system_;
  std::unique_ptr<recovery::Bystanders> bystanders_;
};

// What a driver does by itself, and the event that names it.
struct Misdeed {
  const char* way;
  const char* kind;
  const char* text;
};
std::string WayOf(const ::testing::TestParamInfo<Misdeed>& info) {
  return info.param.way;
}

class Misbehaving : public Containment,
                    public ::testing::WithParamInterface<Misdeed> {
 protected:
  void SetUp() override {
    tree_.AddDriver("hostile", "tests/security/hostile_driver");
  }
};

// Shows that each way of going wrong ends in an event that names the cause,
// that the instance is parked after the configured number of failures, and that
// the other link loses nothing.
TEST_P(Misbehaving, S5_IsNamedAndParkedAlone) {
  const Misdeed& misdeed = GetParam();
  ASSERT_NO_FATAL_FAILURE(
      Start(misdeed.way, "hostile",
            "    restart: {park_after: 2, backoff_first: 1ms}\n"
            "    limits: {memory: 16MiB}\n"));
  ExpectEvent(misdeed.way, misdeed.kind, misdeed.text);
  ExpectEvent(misdeed.way, "parked", misdeed.text, 15000);
  const auto instance = system_->GetInstance(misdeed.way);
  ASSERT_TRUE(instance.ok()) << instance.status();
  EXPECT_EQ(instance->phase(), "parked");
  EXPECT_TRUE(absl::StrContains(instance->reason(), misdeed.text))
      << instance->reason();
  bystanders_->ExpectUndisturbed();
}

INSTANTIATE_TEST_SUITE_P(
    Driver, Misbehaving,
    ::testing::Values(Misdeed{"exits", "died", "status 0"},
                      Misdeed{"fails", "died", "it does not like this NIC"},
                      Misdeed{"aborts", "died", "signal 6"},
                      Misdeed{"crashes", "died", "signal 11"},
                      Misdeed{"hangs", "hung", "hung"},
                      Misdeed{"spins", "hung", "hung"},
                      Misdeed{"idles_on_work", "hung", "hung"},
                      Misdeed{"opens_files", "died", "signal 31"},
                      Misdeed{"opens_sockets", "died", "signal 31"},
                      Misdeed{"forks", "died", "signal 31"},
                      Misdeed{"kills", "died", "signal 31"},
                      Misdeed{"eats_memory", "died", "signal 6"},
                      Misdeed{"sends_nonsense", "breach", ""},
                      Misdeed{"sends_descriptors", "breach", ""},
                      Misdeed{"eats_dma", "breach", ""},
                      Misdeed{"wrong_session", "breach", ""},
                      Misdeed{"short_mac", "breach", ""}),
    WayOf);

// Shows that a driver that never says Started is ended with that reason.
TEST_F(Containment, DriverThatNeverStartsIsNamed) {
  tree_.AddDriver("hostile", "tests/security/hostile_driver");
  ASSERT_NO_FATAL_FAILURE(Start("never_starts"));
  ExpectEvent("never_starts", "died", "start", 15000);
  bystanders_->ExpectUndisturbed();
}

// Shows that a flood of log lines is bounded, and that none of it reaches a
// terminal raw or can pass for another's line.
TEST_F(Containment, LogFloodIsBoundedAndHarmless) {
  tree_.AddDriver("hostile", "tests/security/hostile_driver");
  ASSERT_NO_FATAL_FAILURE(Start("floods_log"));
  std::string log;
  EXPECT_TRUE(recovery::WaitUntil([&] {
    log = system_->LogOf("floods_log");
    return absl::StrContains(log, "bytes dropped: the process writes more");
  })) << log.size()
      << " bytes of log";
  EXPECT_LT(log.size(), 1u << 20);
  EXPECT_EQ(log.find('\x1b'), std::string::npos);
  EXPECT_EQ(log.find('\r'), std::string::npos);
  bystanders_->ExpectUndisturbed();
}

// Attacks on the session's shared memory.
class Corrupting : public Containment,
                   public ::testing::WithParamInterface<const char*> {
 protected:
  void SetUp() override {
    tree_.AddDriver("hostile", "tests/security/hostile_driver");
  }
};

// Shows that a client believes no lie in the driver's ring area: the session
// says what was wrong, the client neither crashes nor blocks, and the other
// link goes on.
TEST_P(Corrupting, S7_RingAreaIsNotBelieved) {
  const std::string way = GetParam();
  ASSERT_NO_FATAL_FAILURE(Start(way));
  const auto session = OpenSession(way);
  ASSERT_TRUE(session.ok()) << session.status();
  absl::Status health;
  EXPECT_TRUE(recovery::WaitUntil([&] {
    packet_stream::RxPiece pieces[32];
    const size_t count = (*session)->Receive(pieces);
    if (count > 0) (*session)->Release({pieces, count});
    (*session)->Flush();
    health = (*session)->health();
    return !health.ok();
  })) << "the lie was believed";
  EXPECT_FALSE(health.message().empty());
  bystanders_->ExpectUndisturbed();
}

INSTANTIATE_TEST_SUITE_P(Driver, Corrupting,
                         ::testing::Values("rx_tail_jumps", "ack_tail_jumps",
                                           "rx_offset_outside",
                                           "rx_length_beyond",
                                           "rx_same_buffer_twice",
                                           "acks_unsent"),
                         [](const auto& info) { return info.param; });

// Shows that the page tables and seals hold what the protocol promises: a
// driver can neither shrink an area nor write the client's.
TEST_F(Containment, S7_AreasCannotBeShrunkOrWrittenByTheOtherSide) {
  tree_.AddDriver("hostile", "tests/security/hostile_driver");
  for (const auto& [way, text] :
       {std::pair<std::string, std::string>{"tries_to_shrink",
                                            "no area could be shrunk"},
        {"tries_to_write_client_area",
         "the client's area cannot be written"}}) {
    ASSERT_NO_FATAL_FAILURE(Start(way));
    const auto session = OpenSession(way);
    ASSERT_TRUE(session.ok()) << session.status();
    ExpectEvent(way, "died", text);
    bystanders_->ExpectUndisturbed();
  }
}

// Shows that a flood of wake-ups costs its own client time, and nobody a frame.
TEST_F(Containment, S5_WakeupFloodDisturbsNobodyElse) {
  tree_.AddDriver("hostile", "tests/security/hostile_driver");
  ASSERT_NO_FATAL_FAILURE(Start("floods_wakeups"));
  const auto session = OpenSession("floods_wakeups");
  ASSERT_TRUE(session.ok()) << session.status();
  for (int i = 0; i < 1000; ++i) {
    (*session)->Wait(10);
    packet_stream::RxPiece pieces[32];
    EXPECT_EQ((*session)->Receive(pieces), 0u);
    (*session)->Flush();
  }
  bystanders_->ExpectUndisturbed();
}

// A driver program that is none.
struct WrongProgram {
  const char* name;
  void (*install)(BinTree&);
  const char* text;  // In the reason.
  // It was refused when it was named: a restart looks at the file again. What
  // could be started once is run by descriptor, whatever lies there later.
  bool looked_at_again;
};

class NoDriver : public Containment,
                 public ::testing::WithParamInterface<WrongProgram> {};

// Shows that a missing or wrong program is refused or parked with a reason that
// names the file or the cause, while the other NIC gets its driver.
TEST_P(NoDriver, S5_IsNamedWhileOthersRun) {
  GetParam().install(tree_);
  ASSERT_NO_FATAL_FAILURE(Start(
      "broken", "wrong", "    restart: {park_after: 2, backoff_first: 1ms}\n"));
  std::string reason;
  EXPECT_TRUE(recovery::WaitUntil(
      [&] {
        const auto status = system_->GetStatus();
        if (!status.ok()) return false;
        for (const v1::Instance& instance : status->instance()) {
          if (instance.name() == "broken") reason = instance.reason();
        }
        return absl::StrContains(reason, GetParam().text);
      },
      10000))
      << "the reason is: " << reason << "\n"
      << system_->EventText();
  EXPECT_TRUE(recovery::WaitUntil([&] {
    const auto broken = system_->GetInstance("broken");
    return broken.ok() && broken->phase() == "parked";
  }));
  if (GetParam().looked_at_again) {
    tree_.Remove("wrong");
    tree_.AddDriver("wrong", "nic_driver/e1000e/e1000e");
    ASSERT_TRUE(system_->Restart("broken").ok());
    EXPECT_TRUE(system_->WaitForLinks(2, 5000).ok()) << system_->EventText();
  }
  bystanders_->ExpectUndisturbed();
}

INSTANTIATE_TEST_SUITE_P(
    Program, NoDriver,
    ::testing::Values(
        WrongProgram{"text",
                     [](BinTree& tree) {
                       tree.AddFile("wrong", "this is no program\n");
                     },
                     "not an ELF program", true},
        WrongProgram{
            "script",
            [](BinTree& tree) { tree.AddFile("wrong", "#!/bin/sh\nexit 0\n"); },
            "not an ELF program", true},
        WrongProgram{"another_program",
                     [](BinTree& tree) {
                       tree.AddDriver("wrong", "tests/security/hostile_client");
                     },
                     "exit", false}),
    [](const auto& info) { return info.param.name; });

// Shows that a program that is missing, or may not be executed, is refused by
// name and place before anything is touched: a running system stays as it is.
TEST_F(Containment, MissingDriverIsRefusedBeforeAnythingChanges) {
  tree_.AddFile("forbidden",
                "\x7f"
                "ELF",
                false);
  ASSERT_NO_FATAL_FAILURE(Start("first", "e1000e"));
  for (const char* driver : {"missing", "forbidden"}) {
    const auto applied = system_->Apply(
        MakeScenario({{.port = "hport", .instance = "first", .driver = driver},
                      {.port = "oport", .instance = "other{index}"}}));
    ASSERT_FALSE(applied.ok());
    EXPECT_TRUE(absl::StrContains(applied.status().message(),
                                  absl::StrCat("unknown driver `", driver)))
        << applied.status();
    EXPECT_TRUE(
        absl::StrContains(applied.status().message(), "applied.yaml:11:"))
        << applied.status();
  }
  const auto first = system_->GetInstance("first");
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(first->generation(), 1u);
  bystanders_->ExpectUndisturbed();
}

}  // namespace
}  // namespace bulkhead::security
