// What simulated NICs are plugged into: frames go where the wire goes, and the
// wire outlives the models at its ends.
#include <signal.h>

#include "tests/functional/fixture.h"

namespace bulkhead::functional {
namespace {

using bench::MakeScenario;

class Networks : public SystemTest {
 protected:
  // The mark that `to` hears, which `from` repeats until then: what is sent
  // before the other end's driver has taken its session up finds no receiver.
  static int Exchange(packet_stream::Session& from, packet_stream::Session& to,
                      uint8_t mark) {
    int heard = -1;
    for (int i = 0; i < 50 && heard != mark; ++i) {
      Send(from, kBroadcast, mark);
      heard = Receive(to, 100);
    }
    return heard;
  }
};

TEST_F(Networks, CableJoinsTwoNics) {
  Start(MakeScenario({{.nics = 2, .network = "{cable: lab}"}}), 2);
  auto left = Open("nic0");
  auto right = Open("nic1");
  ASSERT_TRUE(left.ok() && right.ok());
  ASSERT_TRUE(WaitForLink(**left) && WaitForLink(**right));
  EXPECT_EQ(Exchange(**left, **right, 11), 11);
  EXPECT_EQ(Exchange(**right, **left, 12), 12);
}

// The cable is plugged into the next generation of a model that was killed.
TEST_F(Networks, S5_CableOutlivesTheModelAtItsEnd) {
  Start(MakeScenario({{.nics = 2, .network = "{cable: lab}"}}), 2);
  auto left = Open("nic0");
  auto right = Open("nic1");
  ASSERT_TRUE(left.ok() && right.ok());
  ASSERT_TRUE(WaitForLink(**left) && WaitForLink(**right));
  ASSERT_TRUE(system_->Kill("port0", SIGKILL).ok());
  ASSERT_TRUE(
      system_
          ->WaitForEvent("nic0", "attached", "", 10000,
                         system_->WaitForEvent("port0", "died", "", 5000)
                             .value()
                             .sequence())
          .ok())
      << system_->EventText();
  ASSERT_TRUE(WaitForLink(**left));
  EXPECT_EQ(Exchange(**left, **right, 21), 21);
  EXPECT_TRUE((*left)->health().ok());
}

TEST_F(Networks, SwitchJoinsManyAndComesBackWhenKilled) {
  Start(MakeScenario({{.nics = 3, .network = "{switch: lab}"}}), 3);
  std::vector<std::unique_ptr<packet_stream::Session>> sessions;
  for (const char* name : {"nic0", "nic1", "nic2"}) {
    auto session = Open(name);
    ASSERT_TRUE(session.ok()) << session.status();
    ASSERT_TRUE(WaitForLink(**session));
    sessions.push_back(*std::move(session));
  }
  EXPECT_EQ(Exchange(*sessions[0], *sessions[1], 31), 31);
  EXPECT_EQ(Exchange(*sessions[0], *sessions[2], 31), 31);
  ASSERT_TRUE(api_->Kill("switch-lab", SIGKILL).ok());
  EXPECT_EQ(Exchange(*sessions[0], *sessions[1], 32), 32);
}

}  // namespace
}  // namespace bulkhead::functional
