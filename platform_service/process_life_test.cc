// Says each of the supervisor's words in each state of a process, and shows
// what the owner is asked for, what the supervisor is ordered, and the state
// that follows.
#include "platform_service/process_life.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "platform_service/testing/fake_supervisor.h"

namespace bulkhead::platform {
namespace {

using supervisor::ProcessState;

// A process, its owner and its supervisor.
class Played : public ProcessLife::Owner {
 public:
  bool IsReady() const override { return ready; }
  void BeginGeneration() override {
    asked_.push_back("grant");
    life.Begin("what it is granted", {});
  }
  void MeetGeneration() override { asked_.push_back("meet"); }
  void DropChannel() override { asked_.push_back("drop"); }
  void EndGeneration() override { asked_.push_back("end"); }
  void Recover() override {
    asked_.push_back("recover");
    life.TryBegin();
  }
  void ShowParked() override { asked_.push_back("show"); }

  void State(ProcessState::Phase phase, uint32_t generation) {
    ProcessState state;
    state.set_phase(phase);
    state.set_generation(generation);
    state.set_reason("as the state says");
    life.OnState(state);
  }
  void Die(uint32_t generation, bool parked = false) {
    supervisor::FromSupervisor::Died died;
    died.set_generation(generation);
    died.set_cause("exit 3");
    died.set_parked(parked);
    if (parked) died.set_reason("too often");
    life.OnDied(died);
  }

  // What was asked and ordered since the last call, and the phase.
  std::string Outcome() {
    supervisor_.Turn();
    for (const FakeSupervisor::Order& order : supervisor_.orders) {
      const auto& message = order.message;
      if (message.has_restart()) asked_.push_back("+restart");
      if (message.has_begin()) asked_.push_back("+begin");
      if (message.has_define()) asked_.push_back("+define");
      if (message.has_breach()) asked_.push_back("+breach");
    }
    supervisor_.orders.clear();
    asked_.push_back(PhaseName(life.phase()));
    return absl::StrJoin(std::exchange(asked_, {}), " ");
  }

  void Define() {
    supervisor::ProcessSpec spec;
    spec.set_name(name_);
    life.Define(spec);
    life.TryBegin();
  }

 private:
  std::unique_ptr<EventLoop> loop_ = *EventLoop::Create();
  FakeSupervisor supervisor_{*loop_};
  std::unique_ptr<SupervisorLink> link_ =
      *SupervisorLink::Create(*loop_, supervisor_.TakeChannel(), {});
  const std::string name_ = "nic0";
  std::vector<std::string> asked_;

 public:
  bool ready = true;
  ProcessLife life{*loop_, *link_, name_, *this};
};

// A state is what was said and done on the way to it.
struct Step {
  std::string name;
  std::function<void(Played&)> take;
};

void Attach(Played& p) {
  p.Define();
  p.State(ProcessState::RUNNING, 1);
  p.life.Attached();
}

const std::vector<Step> kStates = {
    {"waiting",
     [](Played& p) {
       p.ready = false;
       p.Define();
     }},
    {"granting", [](Played& p) { p.Define(); }},
    {"attached", Attach},
    {"recovering",
     [](Played& p) {
       Attach(p);
       p.ready = false;
       p.Die(1);
     }},
    {"granted again",
     [](Played& p) {
       Attach(p);
       p.Die(1);
     }},
    {"parked",
     [](Played& p) {
       Attach(p);
       p.Die(1, true);
     }},
    {"leaving",
     [](Played& p) {
       Attach(p);
       p.life.Leave();
     }},
    {"refused",
     [](Played& p) {
       p.Define();
       p.life.OnRefused("no such program");
     }},
    {"restored", [](Played& p) { p.life.Restore(1, true, true); }},
    {"restored, dead", [](Played& p) { p.life.Restore(1, false, false); }},
};

// Of the first generation, unless they say otherwise.
const std::vector<Step> kWords = {
    {"starting", [](Played& p) { p.State(ProcessState::STARTING, 1); }},
    {"running", [](Played& p) { p.State(ProcessState::RUNNING, 1); }},
    {"running 2", [](Played& p) { p.State(ProcessState::RUNNING, 2); }},
    {"waiting 0", [](Played& p) { p.State(ProcessState::WAITING, 0); }},
    {"backing off", [](Played& p) { p.State(ProcessState::BACKING_OFF, 1); }},
    {"parked", [](Played& p) { p.State(ProcessState::PARKED, 1); }},
    {"stopping", [](Played& p) { p.State(ProcessState::STOPPING, 1); }},
    {"died", [](Played& p) { p.Die(1); }},
    {"died for good", [](Played& p) { p.Die(1, true); }},
    {"refused", [](Played& p) { p.life.OnRefused("why"); }},
    {"removed", [](Played& p) { p.life.OnRemoved(); }},
};

// For each state and word: what the owner is asked for, what the supervisor is
// ordered (+), and the phase that follows. Where there is no supervisor that
// says the word in that state, it shows that nothing worse comes of it.
constexpr char kOutcomes[] = R"(
waiting
  starting:       +restart waiting
  running:        +restart waiting
  running 2:      +restart waiting
  waiting 0:      waiting
  backing off:    waiting
  parked:         show parked
  stopping:       waiting
  died:           end recover recovering
  died for good:  end recover show parked
  refused:        end show parked
  removed:        end recover recovering
granting
  starting:       meet granting
  running:        meet granting
  running 2:      +restart granting
  waiting 0:      granting
  backing off:    granting
  parked:         show parked
  stopping:       granting
  died:           end recover grant +begin granting
  died for good:  end recover show parked
  refused:        end show parked
  removed:        end recover grant +begin granting
attached
  starting:       meet attached
  running:        meet attached
  running 2:      +restart attached
  waiting 0:      attached
  backing off:    attached
  parked:         show parked
  stopping:       attached
  died:           end recover grant +begin granting
  died for good:  end recover show parked
  refused:        attached
  removed:        end recover grant +begin granting
recovering
  starting:       +restart recovering
  running:        +restart recovering
  running 2:      +restart recovering
  waiting 0:      recovering
  backing off:    recovering
  parked:         show parked
  stopping:       recovering
  died:           recovering
  died for good:  show parked
  refused:        recovering
  removed:        end recover recovering
granted again
  starting:       +restart granting
  running:        +restart granting
  running 2:      meet granting
  waiting 0:      granting
  backing off:    granting
  parked:         show parked
  stopping:       granting
  died:           granting
  died for good:  show parked
  refused:        granting
  removed:        end recover grant +begin granting
parked
  starting:       +restart parked
  running:        +restart parked
  running 2:      +restart parked
  waiting 0:      grant +begin granting
  backing off:    grant +begin granting
  parked:         show parked
  stopping:       parked
  died:           parked
  died for good:  show parked
  refused:        parked
  removed:        end recover parked
leaving
  starting:       meet attached
  running:        meet attached
  running 2:      attached
  waiting 0:      attached
  backing off:    attached
  parked:         show parked
  stopping:       attached
  died:           end recover recovering
  died for good:  end recover show parked
  refused:        attached
  removed:        end recover recovering
refused
  starting:       +restart parked
  running:        +restart parked
  running 2:      +restart parked
  waiting 0:      waiting
  backing off:    waiting
  parked:         show parked
  stopping:       parked
  died:           end recover parked
  died for good:  end recover show parked
  refused:        parked
  removed:        end recover parked
restored
  starting:       meet attached
  running:        meet attached
  running 2:      +restart attached
  waiting 0:      drop grant +begin granting
  backing off:    end recover grant +begin granting
  parked:         end recover show parked
  stopping:       attached
  died:           end recover grant +begin granting
  died for good:  end recover show parked
  refused:        end show parked
  removed:        end recover grant +begin granting
restored, dead
  starting:       +restart waiting
  running:        +restart waiting
  running 2:      +restart waiting
  waiting 0:      drop grant +begin granting
  backing off:    drop grant +begin granting
  parked:         show parked
  stopping:       waiting
  died:           waiting
  died for good:  show parked
  refused:        end show parked
  removed:        end recover grant +begin granting
)";

TEST(ProcessLifeTest, EachWordInEachState) {
  std::string outcomes = "\n";
  for (const Step& state : kStates) {
    absl::StrAppend(&outcomes, state.name, "\n");
    for (const Step& word : kWords) {
      Played played;
      state.take(played);
      (void)played.Outcome();
      word.take(played);
      absl::StrAppendFormat(&outcomes, "  %-15s %s\n", word.name + ":",
                            played.Outcome());
    }
  }
  EXPECT_EQ(outcomes, kOutcomes);
}

// What the process works with may go at any time: a grant that waits for its
// start is dropped, a process that has it is restarted, and one that is about
// to end is left to that.
TEST(ProcessLifeTest, S5_AGrantOfWhatIsGoneIsVoid) {
  const auto lose = [](Played& p) {
    (void)p.Outcome();
    p.ready = false;
    p.life.SetBack("unplugged");
    p.life.Revoke();
    EXPECT_EQ(p.life.reason(), "unplugged");
    return p.Outcome();
  };
  Played waits;
  Attach(waits);
  waits.Die(1);
  waits.State(ProcessState::BACKING_OFF, 1);
  EXPECT_EQ(lose(waits), "drop recovering");
  waits.State(ProcessState::RUNNING, 2);  // It crossed the loss.
  EXPECT_EQ(waits.Outcome(), "+restart recovering");
  Played runs;
  Attach(runs);
  EXPECT_EQ(lose(runs), "+restart recovering");
  Played leaves;
  Attach(leaves);
  leaves.life.Leave();
  EXPECT_EQ(lose(leaves), "recovering");
}

// The last platform service died while its Begin waited for the end of the
// back-off, so that the supervisor has forgotten it: the next one's is for the
// same generation.
TEST(ProcessLifeTest, S5_AForgottenBeginIsRepeated) {
  Played played;
  played.life.Restore(2, true, false);
  played.State(ProcessState::BACKING_OFF, 1);
  EXPECT_EQ(played.Outcome(), "drop grant +begin granting");
  played.State(ProcessState::STARTING, 2);
  EXPECT_EQ(played.Outcome(), "meet granting");
}

// Shows that the reason is the death's, unless there is a better one.
TEST(ProcessLifeTest, TheReasonIsWhyItDoesNotRun) {
  Played played;
  Attach(played);
  EXPECT_EQ(played.life.reason(), "");
  played.Die(1);
  EXPECT_EQ(played.life.reason(), "exit 3");
  played.ready = false;
  played.life.SetBack("unplugged");
  played.Die(2);
  EXPECT_EQ(played.life.reason(), "unplugged");
  played.Die(3, true);
  EXPECT_EQ(played.life.reason(), "too often");
}

// What follows a refused definition says less than its refusal.
TEST(ProcessLifeTest, ARefusedDefinitionCanBeRepeated) {
  Played played;
  played.Define();
  played.life.OnRefused("define nic0: no such program");
  played.life.OnRefused("begin nic0: no such process is defined");
  EXPECT_EQ(played.life.reason(), "define nic0: no such program");
  EXPECT_TRUE(played.life.refused());
  (void)played.Outcome();
  played.Define();
  EXPECT_EQ(played.Outcome(), "grant +define +begin granting");
  EXPECT_FALSE(played.life.refused());
}

// Shows that generations are counted from one again after a removal.
TEST(ProcessLifeTest, ARemovedProcessIsForgotten) {
  Played played;
  Attach(played);
  played.Die(1);
  played.life.Leave();
  played.life.OnRemoved();
  (void)played.Outcome();
  EXPECT_FALSE(played.life.defined());
  Attach(played);
  EXPECT_EQ(played.Outcome(), "grant meet +define +begin attached");
  EXPECT_EQ(played.life.newest_generation(), 1u);
}

}  // namespace
}  // namespace bulkhead::platform
