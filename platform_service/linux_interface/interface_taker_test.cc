// Shows that an interface is as it was after it was given back, whoever gives
// it back and whatever happened to it meanwhile, on veth pairs of the test's
// own.
#include "platform_service/linux_interface/interface_taker.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "base/testing/scratch_dir.h"
#include "platform_service/linux_interface/enumerate.h"
#include "platform_service/linux_interface/network_namespace.h"
#include "platform_service/linux_interface/testing/veth_lab.h"

namespace bulkhead::platform {
namespace {

TEST(InterfaceRecord, SaysWhatItWas) {
  const InterfaceRecord record{
      "lab", 7, "eth0", true, false, true, {.combined = 4, .rx = 0}};
  const auto read = ParseInterfaceRecord(RecordText(record));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, record);
  EXPECT_TRUE(absl::IsDataLoss(ParseInterfaceRecord("index=1\n").status()));
  EXPECT_TRUE(absl::IsDataLoss(
      ParseInterfaceRecord(RecordText(record) + "more=1\n").status()));
}

class InterfaceTakerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!lab_.usable()) GTEST_SKIP() << "needs root and `ip netns`";
    ASSERT_TRUE(lab_.Pair(0, "left", 1, "right", kQueues));
    ASSERT_TRUE(lab_.In(0, "ethtool -K left gro on"));
    const auto devices = EnumerateInterfaces(lab_.name(0));
    ASSERT_TRUE(devices.ok()) << devices.status();
    ASSERT_EQ(devices->size(), 1u);
    index_ = devices->front().interface_index;
  }

  bool Gro() {
    bool on = false;
    EXPECT_TRUE(InNamespace(lab_.name(0), [&] {
                  auto ethtool = Ethtool::Open();
                  on = ethtool->Gro("left");
                  return ethtool.status();
                }).ok());
    return on;
  }
  uint32_t RxQueues() {
    uint32_t queues = 0;
    EXPECT_TRUE(InNamespace(lab_.name(0), [&] {
                  auto ethtool = Ethtool::Open();
                  queues = ethtool->ChannelsOf("left").rx;
                  return ethtool.status();
                }).ok());
    return queues;
  }
  bool Up() { return lab_.In(0, "sh -c 'ip link show left | grep -q UP'"); }
  absl::Status Take() {
    return taker_.Take(lab_.name(0), index_, "left", 1).status();
  }

  static constexpr uint32_t kQueues = 4;
  ScratchDir directory_;
  testing::VethLab lab_{2};
  InterfaceTaker taker_{directory_.path() + "/taken"};
  int index_ = 0;
};

TEST_F(InterfaceTakerTest, S10_SettingsAreAsTheyWere) {
  ASSERT_FALSE(Up());
  ASSERT_TRUE(Take().ok());
  EXPECT_TRUE(Up());
  EXPECT_FALSE(Gro());
  EXPECT_EQ(RxQueues(), 1u);
  ASSERT_TRUE(taker_.GiveBack(lab_.name(0), index_).ok());
  EXPECT_FALSE(Up());
  EXPECT_TRUE(Gro());
  EXPECT_EQ(RxQueues(), kQueues);
  EXPECT_TRUE(taker_.Taken().empty());
}

// As many queues as its driver serves, never more than it had, and the next
// driver may have more than this one.
TEST_F(InterfaceTakerTest, S10_QueuesFollowTheDriverUpToWhatThereWas) {
  for (const auto& [most, taken] :
       {std::pair{2u, 2u}, {3u, 3u}, {8u, kQueues}, {1u, 1u}, {0u, kQueues}}) {
    const auto queues = taker_.Take(lab_.name(0), index_, "left", most);
    ASSERT_TRUE(queues.ok()) << queues.status();
    EXPECT_EQ(*queues, taken) << most;
    EXPECT_EQ(RxQueues(), taken) << most;
  }
  ASSERT_TRUE(Take().ok());
  ASSERT_TRUE(taker_.GiveBack(lab_.name(0), index_).ok());
  EXPECT_EQ(RxQueues(), kQueues);
}

// A queue that cannot send is of no use to a driver that serves it alone.
TEST_F(InterfaceTakerTest, S10_OnlyQueuesThatAlsoSendAreCounted) {
  ASSERT_TRUE(lab_.In(0, "ethtool -L left tx 2"));
  const auto queues = taker_.Take(lab_.name(0), index_, "left", 3);
  ASSERT_TRUE(queues.ok()) << queues.status();
  EXPECT_EQ(*queues, 2u);
  EXPECT_EQ(RxQueues(), 2u);
}

TEST_F(InterfaceTakerTest, S10_AnotherProcessGivesBackWhatOneThatDiedTook) {
  ASSERT_TRUE(Take().ok());
  // Taken again after the death: the record tells of the time before.
  const InterfaceTaker next(directory_.path() + "/taken");
  ASSERT_TRUE(next.Take(lab_.name(0), index_, "left", 1).ok());
  ASSERT_EQ(next.Taken().size(), 1u);
  ASSERT_TRUE(next.GiveBackAll().ok());
  EXPECT_FALSE(Up());
  EXPECT_TRUE(Gro());
}

TEST_F(InterfaceTakerTest, S10_WhatIsGoneNeedsNothing) {
  ASSERT_TRUE(Take().ok());
  ASSERT_TRUE(lab_.Ip(0, "link del left"));
  EXPECT_TRUE(taker_.GiveBackAll().ok());
  EXPECT_TRUE(taker_.Taken().empty());
}

TEST_F(InterfaceTakerTest, AnotherNameDoesNotHideIt) {
  ASSERT_TRUE(Take().ok());
  ASSERT_TRUE(lab_.Ip(0, "link set left down"));
  ASSERT_TRUE(lab_.Ip(0, "link set left name other"));
  ASSERT_TRUE(taker_.GiveBackAll().ok());
  EXPECT_TRUE(lab_.In(0,
                      "sh -c 'ethtool -k other | grep -q "
                      "\"generic-receive-offload: on\"'"));
}

}  // namespace
}  // namespace bulkhead::platform
