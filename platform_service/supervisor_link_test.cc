// Shows that orders reach a supervisor that is slow to read, in order and with
// their descriptors, and that events wait until orders are out.
#include "platform_service/supervisor_link.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include "platform_service/testing/fake_supervisor.h"

namespace bulkhead::platform {
namespace {

class SupervisorLinkTest : public testing::Test {
 protected:
  SupervisorLinkTest() : loop_(*EventLoop::Create()), supervisor_(*loop_) {
    SupervisorLink::Handlers handlers;
    handlers.lost = [this] { lost_ = true; };
    handlers.event = [this](const supervisor::Event& event) {
      heard_.push_back(event.sequence());
    };
    link_ = *SupervisorLink::Create(*loop_, supervisor_.TakeChannel(),
                                    std::move(handlers));
  }

  std::unique_ptr<EventLoop> loop_;
  FakeSupervisor supervisor_;
  std::unique_ptr<SupervisorLink> link_;
  std::vector<uint64_t> heard_;
  bool lost_ = false;
};

TEST_F(SupervisorLinkTest, NothingIsLostWhileTheSupervisorDoesNotRead) {
  const UniqueFd event(::eventfd(0, EFD_CLOEXEC));
  const int fd = event.get();
  constexpr int kOrders = 2000;
  for (int i = 0; i < kOrders; ++i) {
    link_->Begin(absl::StrCat("nic", i), std::string(200, 'x'), {&fd, 1});
  }
  for (int i = 0; i < 10000 && supervisor_.orders.size() < kOrders; ++i) {
    loop_->RunOnce(1);
    supervisor_.Receive();
  }
  ASSERT_EQ(supervisor_.orders.size(), static_cast<size_t>(kOrders));
  for (int i = 0; i < kOrders; ++i) {
    ASSERT_EQ(supervisor_.orders[i].message.begin().name(),
              absl::StrCat("nic", i));
    ASSERT_EQ(supervisor_.orders[i].fds.size(), 1u);
  }
}

TEST_F(SupervisorLinkTest, EventsLeaveAfterTheOrdersWithTheirOwnTime) {
  link_->Record("nic0", 1, "reset", "text");
  link_->Restart("nic0");
  supervisor_.Receive();
  EXPECT_EQ(supervisor_.orders.size(), 1u);
  EXPECT_TRUE(supervisor_.events.empty());
  for (int i = 0; i < 1000 && supervisor_.events.empty(); ++i) {
    loop_->RunOnce(1);
    supervisor_.Receive();
  }
  ASSERT_EQ(supervisor_.events.size(), 1u);
  EXPECT_GT(supervisor_.events[0].time_ns(), 0u);
}

TEST_F(SupervisorLinkTest, ReplayOfAllEventsIsTakenInPieces) {
  supervisor::FromSupervisor message;
  uint64_t sent = 0;
  for (int turn = 0; turn < 10000 && heard_.size() < 4096; ++turn) {
    while (sent < 4096) {
      message.mutable_event()->set_sequence(sent + 1);
      if (!supervisor_.channel().Send(message).ok()) break;
      ++sent;
    }
    loop_->RunOnce(0);
  }
  ASSERT_EQ(heard_.size(), 4096u);
  EXPECT_EQ(heard_.back(), 4096u);
}

TEST_F(SupervisorLinkTest, S5_EndOfTheSupervisorIsNoticed) {
  supervisor_.channel().Close();
  supervisor_.Turn();
  EXPECT_TRUE(lost_);
  link_->Restart("nic0");  // Harmless.
}

}  // namespace
}  // namespace bulkhead::platform
