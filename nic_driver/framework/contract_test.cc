// Shows that the contract accepts every legal life of a driver, and that each
// illegal step is blamed on the side that took it.
#include "nic_driver/framework/contract.h"

#include <gtest/gtest.h>

#include <vector>

namespace bulkhead::nic_driver {
namespace {

using Event = Contract::Event;
using Side = Contract::Side;
using State = Contract::State;

const std::vector<Event> kBringUp = {
    Event::kProbe,     Event::kProbed, Event::kAttach,  Event::kAttached,
    Event::kConfigure, Event::kStart,  Event::kStarted,
};

Contract After(const std::vector<Event>& events) {
  Contract contract;
  for (const Event event : events) contract.Observe(event);
  return contract;
}

TEST(Contract, AcceptsAWholeLife) {
  std::vector<Event> life = kBringUp;
  for (int i = 0; i < 3; ++i) {
    for (const Event event : {Event::kDataPath, Event::kIrq, Event::kConfigure,
                              Event::kStop, Event::kIrq, Event::kStopped,
                              Event::kIrq, Event::kStart, Event::kStarted}) {
      life.push_back(event);
    }
  }
  for (const Event event :
       {Event::kStop, Event::kStopped, Event::kDetach, Event::kDetached}) {
    life.push_back(event);
  }
  const Contract contract = After(life);
  EXPECT_FALSE(contract.breach().has_value()) << contract.Text();
  EXPECT_EQ(contract.state(), State::kGone);
}

TEST(Contract, BlamesTheSideThatTookTheStep) {
  struct Case {
    std::vector<Event> before;
    Event step;
    Side side;
  };
  const std::vector<Case> cases = {
      {{}, Event::kAttach, Side::kRuntime},
      {{}, Event::kDataPath, Side::kRuntime},
      {{Event::kProbe}, Event::kAttached, Side::kDriver},
      {{Event::kProbe, Event::kProbed}, Event::kStart, Side::kRuntime},
      {{Event::kProbe, Event::kProbed, Event::kAttach},
       Event::kIrq,
       Side::kRuntime},
      {kBringUp, Event::kStart, Side::kRuntime},
      {kBringUp, Event::kDetach, Side::kRuntime},
      {kBringUp, Event::kStopped, Side::kDriver},
      {kBringUp, Event::kFailed, Side::kDriver},
  };
  for (const Case& c : cases) {
    Contract contract = After(c.before);
    ASSERT_FALSE(contract.breach().has_value()) << contract.Text();
    const State state = contract.state();
    contract.Observe(c.step);
    ASSERT_TRUE(contract.breach().has_value())
        << NameOf(c.step) << " in " << NameOf(state);
    EXPECT_EQ(contract.breach()->side, c.side) << contract.Text();
  }
}

TEST(Contract, NothingFollowsTheEnd) {
  for (int event = 0; event <= static_cast<int>(Event::kFailed); ++event) {
    if (static_cast<Event>(event) == Event::kShutdown) continue;
    Contract contract;
    contract.Observe(Event::kShutdown);
    contract.Observe(static_cast<Event>(event));
    EXPECT_TRUE(contract.breach().has_value())
        << NameOf(static_cast<Event>(event));
  }
}

TEST(Contract, S2_BuffersAreConserved) {
  Contract contract = After(kBringUp);
  contract.RxGiven(10, 16);
  contract.RxTaken(4, 64);
  EXPECT_EQ(contract.rx_held(), 6u);
  contract.TxGiven(3, 8);
  contract.TxTaken(3, 64);
  EXPECT_EQ(contract.tx_held(), 0u);
  EXPECT_FALSE(contract.breach().has_value()) << contract.Text();

  contract.TxTaken(1, 64);
  ASSERT_TRUE(contract.breach().has_value());
  EXPECT_EQ(contract.breach()->side, Side::kDriver);
  EXPECT_EQ(contract.Text(),
            "driver broke the contract: TxReap of 1 pieces when it held 0 and "
            "was asked for 64");
}

TEST(Contract, S2_MoreThanTheRoomIsTheRuntimesFault) {
  Contract contract = After(kBringUp);
  contract.RxGiven(17, 16);
  ASSERT_TRUE(contract.breach().has_value());
  EXPECT_EQ(contract.breach()->side, Side::kRuntime);
}

TEST(Contract, StopForgetsTheBuffers) {
  Contract contract = After(kBringUp);
  contract.RxGiven(5, 16);
  contract.TxGiven(5, 16);
  contract.Observe(Event::kStop);
  contract.Observe(Event::kStopped);
  EXPECT_EQ(contract.rx_held(), 0u);
  EXPECT_EQ(contract.tx_held(), 0u);
  EXPECT_FALSE(contract.breach().has_value()) << contract.Text();
}

TEST(Contract, KeepsTheFirstBreach) {
  Contract contract;
  contract.Observe(Event::kStart);
  contract.Observe(Event::kStopped);
  EXPECT_EQ(contract.Text(), "runtime broke the contract: Start in state new");
}

}  // namespace
}  // namespace bulkhead::nic_driver
