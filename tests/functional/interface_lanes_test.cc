// Sessions of several lanes on a Linux interface of several queues, through a
// whole system: flows that a peer at the other end of a veth pair sends stay on
// their lanes, whoever dies, and the interface is as it was in the end.
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>

#include <array>
#include <csignal>
#include <map>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"
#include "nic_driver/conformance/testing/flow_segment.h"
#include "platform_service/linux_interface/ethtool.h"
#include "platform_service/linux_interface/network_namespace.h"
#include "platform_service/linux_interface/testing/veth_lab.h"
#include "tests/functional/fixture.h"
#include "tests/recovery/bystanders.h"

namespace bulkhead::functional {
namespace {

constexpr uint32_t kQueues = 4;  // Of the interface.
constexpr uint32_t kLanes = 2;
constexpr uint32_t kFlows = 32;
constexpr std::array<uint8_t, 6> kPeer = {2};

class InterfaceLanes : public SystemTest {
 protected:
  void SetUp() override {
    if (!lab_.usable()) GTEST_SKIP() << "needs root and `ip netns`";
  }

  // A veth pair whose ends have so many queues, one of them driven.
  void StartOn(uint32_t interface_queues, uint32_t driver_queues) {
    for (int space = 0; space < 2; ++space) {
      // So that Linux says nothing there.
      lab_.In(space, "sysctl -w net.ipv6.conf.default.disable_ipv6=1");
    }
    ASSERT_TRUE(lab_.Pair(0, "west", 1, "peer", interface_queues));
    ASSERT_TRUE(lab_.In(1, "ethtool -K peer tx off"));
    ASSERT_TRUE(lab_.Ip(1, "link set peer up"));
    peer_ = OpenPeer();
    ASSERT_TRUE(peer_.valid());
    ASSERT_NO_FATAL_FAILURE(
        Start(absl::StrCat("apiVersion: bulkhead/v1\n"
                           "devices: {namespaces: [",
                           lab_.name(0),
                           "]}\n"
                           "drivers:\n"
                           "  - match: {interface: west, namespace: ",
                           lab_.name(0),
                           "}\n"
                           "    driver: af_xdp\n"
                           "    instance: nic0\n"
                           "    standby: true\n"
                           "    limits: {queues: ",
                           driver_queues, "}\n"),
              1));
  }
  UniqueFd OpenPeer() {
    UniqueFd fd;
    EXPECT_TRUE(
        platform::InNamespace(lab_.name(1), [&] {
          fd.Reset(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
          // What it sends itself would fill its buffer.
          const int on = 1;
          ::setsockopt(fd.get(), SOL_PACKET, PACKET_IGNORE_OUTGOING, &on,
                       sizeof(on));
          sockaddr_ll address = {};
          address.sll_family = AF_PACKET;
          address.sll_protocol = htons(ETH_P_ALL);
          address.sll_ifindex = static_cast<int>(::if_nametoindex("peer"));
          return ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address),
                        sizeof(address)) == 0
                     ? absl::OkStatus()
                     : absl::InternalError("bind the peer");
        }).ok());
    return fd;
  }
  uint32_t RxQueues() {
    uint32_t queues = 0;
    EXPECT_TRUE(platform::InNamespace(lab_.name(0), [&] {
                  auto ethtool = platform::Ethtool::Open();
                  if (ethtool.ok()) queues = ethtool->ChannelsOf("west").rx;
                  return ethtool.status();
                }).ok());
    return queues;
  }

  // The peer sends one frame of each flow; how many have come, on whichever
  // lane, once none is left or nothing more comes within `patience_ms`.
  uint32_t SendRound(packet_stream::Session& session, int patience_ms) {
    const uint32_t number = ++number_;
    for (uint32_t flow = 0; flow < kFlows; ++flow) {
      const auto frame =
          nic_driver::testing::MakeSegment(kBroadcast, kPeer, {flow, number});
      EXPECT_EQ(::send(peer_.get(), frame.data(), frame.size(), 0),
                static_cast<ssize_t>(frame.size()));
    }
    uint32_t came = 0;
    recovery::WaitUntil(
        [&] {
          for (uint32_t i = 0; i < session.geometry().lanes; ++i) {
            came += Take(session.lane(i), i, number);
          }
          return came == kFlows;
        },
        patience_ms);
    return came;
  }
  // Frames of this number that the lane has.
  uint32_t Take(packet_stream::Lane& lane, uint32_t index, uint32_t number) {
    uint32_t came = 0;
    packet_stream::RxPiece piece;
    while (lane.Receive({&piece, 1}) == 1) {
      const auto [flow, its_number] =
          nic_driver::testing::ReadSegment({piece.data, piece.length});
      lane.Release({&piece, 1});
      if (flow >= kFlows || its_number != number) continue;
      const auto [seen, fresh] = lane_of_.emplace(flow, index);
      EXPECT_EQ(seen->second, index) << "flow " << flow << " changed its lane";
      ++came;
    }
    lane.Flush();
    return came;
  }
  // Until a whole round comes: every lane has its buffers at the interface.
  // From there on, none may be lost.
  void ExpectFlows(packet_stream::Session& session) {
    ASSERT_TRUE(recovery::WaitUntil(
        [&] { return SendRound(session, 50) == kFlows; }, 200));
    for (int round = 0; round < 10; ++round) {
      ASSERT_EQ(SendRound(session, 5000), kFlows) << round;
    }
  }
  size_t LanesSeen() const {
    std::set<uint32_t> lanes;
    for (const auto& [flow, lane] : lane_of_) lanes.insert(lane);
    return lanes.size();
  }
  // What each lane sends, the peer gets.
  void ExpectSends(packet_stream::Session& session, uint8_t mark) {
    for (uint32_t i = 0; i < session.geometry().lanes; ++i) {
      const auto sent = static_cast<uint8_t>(mark + i);
      Send(session.lane(i), kBroadcast, sent);
      bool came = false;
      ASSERT_TRUE(recovery::WaitUntil([&] {
        std::array<uint8_t, 2048> frame;
        const ssize_t got =
            ::recv(peer_.get(), frame.data(), frame.size(), MSG_DONTWAIT);
        came |= got == 64 && frame[63] == sent;
        return came;
      })) << "lane "
          << i;
    }
  }

  platform::testing::VethLab lab_{2};
  UniqueFd peer_;
  uint32_t number_ = 0;
  std::map<uint32_t, uint32_t> lane_of_;
};

TEST_F(InterfaceLanes, S6_FlowsStayOnTheirLanesWhoeverDies) {
  ASSERT_NO_FATAL_FAILURE(StartOn(kQueues, kLanes));
  EXPECT_EQ(RxQueues(), kLanes);
  auto session = Open("nic0", "test", {64, 64, 2048, kLanes});
  ASSERT_TRUE(session.ok()) << session.status();
  ASSERT_EQ((*session)->geometry().lanes, kLanes);
  ASSERT_TRUE(WaitForLink(**session));
  ASSERT_NO_FATAL_FAILURE(ExpectFlows(**session));
  EXPECT_EQ(LanesSeen(), kLanes) << "all flows came to one lane";
  ASSERT_NO_FATAL_FAILURE(ExpectSends(**session, 1));
  for (uint8_t death = 1; death <= 3; ++death) {
    ASSERT_TRUE(system_->Kill("nic0", SIGKILL).ok());
    ASSERT_NO_FATAL_FAILURE(ExpectFlows(**session));
    ASSERT_NO_FATAL_FAILURE(
        ExpectSends(**session, static_cast<uint8_t>(10 * death)));
  }
  // The platform service: no frame is lost; its successor has what it had.
  ASSERT_TRUE(system_->Kill("platform_service", SIGKILL).ok());
  ASSERT_EQ(SendRound(**session, 5000), kFlows);
  ASSERT_TRUE(recovery::WaitUntil([&] { return api_->ListSessions().ok(); }));
  ASSERT_TRUE(system_->Kill("nic0", SIGKILL).ok());
  ASSERT_NO_FATAL_FAILURE(ExpectFlows(**session));
  EXPECT_EQ(api_->ListSessions()->at(0).lanes(), kLanes);
}

// A session of one lane gets what comes to all queues; afterwards the interface
// has as many as before (S10).
TEST_F(InterfaceLanes, S10_OneLaneIsFedByAllQueuesWhichAreGivenBack) {
  ASSERT_NO_FATAL_FAILURE(StartOn(kQueues, 3));
  EXPECT_EQ(RxQueues(), 3u);
  // The queues share its buffers.
  auto session = Open("nic0", "test", {64, 256, 2048, 1});
  ASSERT_TRUE(session.ok()) << session.status();
  ASSERT_TRUE(WaitForLink(**session));
  ASSERT_NO_FATAL_FAILURE(ExpectFlows(**session));
  EXPECT_EQ(LanesSeen(), 1u);
  ASSERT_NO_FATAL_FAILURE(ExpectSends(**session, 1));
  session->reset();
  ASSERT_OK(system_->Down());
  EXPECT_EQ(RxQueues(), kQueues);
}

// Fewer queues than the driver may have: fewer lanes, and an event that names
// the command which gives it more.
TEST_F(InterfaceLanes, FewerQueuesThanAskedForAreSaid) {
  ASSERT_NO_FATAL_FAILURE(StartOn(kLanes, 4));
  EXPECT_TRUE(
      system_->WaitForEvent("nic0", "fewer_queues", "ethtool -L west", 5000)
          .ok());
  auto session = Open("nic0", "test", {64, 64, 2048, 4});
  ASSERT_TRUE(session.ok()) << session.status();
  EXPECT_EQ((*session)->geometry().lanes, kLanes);
}

}  // namespace
}  // namespace bulkhead::functional
