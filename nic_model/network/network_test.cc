// Each network against a played NIC: frames go where they should, back-pressure
// holds instead of losing, and a dead neighbour holds nobody for good.
#include "nic_model/network/network.h"

#include <sys/socket.h>

#include <cstring>
#include <memory>

#include "gtest/gtest.h"
#include "nic_model/network/echo.h"
#include "nic_model/network/fake_port.h"
#include "nic_model/network/generator.h"
#include "nic_model/network/sink.h"
#include "nic_model/network/switch.h"
#include "nic_model/network/tap.h"
#include "nic_model/network/wire.h"

namespace bulkhead::nic_model {
namespace {

using Frame = std::vector<uint8_t>;

std::pair<UniqueFd, UniqueFd> SeqpacketPair() {
  int ends[2];
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

Frame Numbered(uint8_t to, uint8_t from, size_t bytes = 60) {
  Frame frame(bytes);
  frame[0] = frame[6] = 2;
  frame[5] = to;
  frame[11] = from;
  return frame;
}

class NetworkTest : public ::testing::Test {
 protected:
  // Turns the loop until `done`; fails when nothing happens for long.
  template <typename Done>
  void RunUntil(Done done) {
    for (int turns = 0; !done(); ++turns) {
      ASSERT_LT(turns, 100'000) << "never happened";
      loop_->RunOnce(100);
    }
  }

  std::unique_ptr<EventLoop> loop_ = *EventLoop::Create();
  FakePort port_;
};

using EchoTest = NetworkTest;
using GeneratorTest = NetworkTest;
using WireTest = NetworkTest;
using TapTest = NetworkTest;
using SwitchTest = NetworkTest;

TEST_F(EchoTest, SwapsAddresses) {
  Echo echo(*loop_, port_);
  Frame frame = Numbered(1, 2);
  EXPECT_EQ(echo.Send(frame), SendResult::kSent);
  ASSERT_EQ(port_.received.size(), 1u);
  EXPECT_EQ(port_.received[0], Numbered(2, 1));
}

TEST_F(EchoTest, HoldsWhileTheNicPauses) {
  Echo echo(*loop_, port_);
  port_.pauses = true;
  Frame frame = Numbered(1, 2);
  EXPECT_EQ(echo.Send(frame), SendResult::kBusy);
  echo.PortReady();
  EXPECT_EQ(port_.resumes, 0);
  port_.pauses = false;
  echo.PortReady();
  EXPECT_EQ(port_.resumes, 1);
  EXPECT_EQ(echo.Send(frame), SendResult::kSent);
}

TEST_F(EchoTest, DropsWhenTheNicDoesNotObey) {
  Echo echo(*loop_, port_);
  port_.pauses = true;
  port_.obeys = false;
  Frame frame = Numbered(1, 2);
  EXPECT_EQ(echo.Send(frame), SendResult::kDropped);
}

TEST_F(EchoTest, S5_PatienceEnds) {
  Echo echo(*loop_, port_);
  port_.pauses = true;
  Frame frame = Numbered(1, 2);
  EXPECT_EQ(echo.Send(frame), SendResult::kBusy);
  RunUntil([&] { return port_.resumes == 1; });
  EXPECT_EQ(echo.Send(frame), SendResult::kSent)
      << "the NIC's own receiver counts it as missed";
}

TEST_F(GeneratorTest, RefusesImpossibleFrames) {
  for (const uint32_t bytes : {0u, 59u, 9019u, ~0u}) {
    EXPECT_FALSE(Generator::Create(*loop_, port_, {{}, 0, bytes, 0}).ok());
  }
  EXPECT_FALSE(Generator::Create(*loop_, port_, {{}, UINT64_MAX, 60, 0}).ok());
}

TEST_F(GeneratorTest, FlatOutTakesWhatTheNicTakes) {
  port_.room = 0;
  auto generator =
      *Generator::Create(*loop_, port_, {{2, 0, 0, 0, 0, 1}, 0, 60, 1000});
  loop_->RunOnce(0);
  EXPECT_TRUE(port_.received.empty());
  port_.room = 300;
  generator->PortReady();
  RunUntil([&] { return port_.received.size() == 300; });
  loop_->RunOnce(0);
  EXPECT_EQ(port_.received.size(), 300u);
  port_.room = 10'000;
  generator->PortReady();
  RunUntil([&] { return port_.received.size() == 1000; });
  for (int i = 0; i < 10; ++i) loop_->RunOnce(0);
  EXPECT_EQ(port_.received.size(), 1000u) << "as many as were asked for";
  for (size_t i = 0; i < 1000; ++i) {
    uint64_t number;
    std::memcpy(&number, port_.received[i].data() + 14, 8);
    ASSERT_EQ(__builtin_bswap64(number), i);
  }
}

TEST_F(GeneratorTest, RateIsKeptWhateverTheNicTakes) {
  port_.room = 0;
  auto generator = *Generator::Create(*loop_, port_, {{}, 10'000, 60, 50});
  RunUntil([&] { return port_.received.size() == 50; });
}

TEST_F(WireTest, CarriesBothWays) {
  auto [left_end, right_end] = SeqpacketPair();
  FakePort right_port;
  auto left = *Wire::Create(*loop_, port_, std::move(left_end));
  auto right = *Wire::Create(*loop_, right_port, std::move(right_end));
  for (uint8_t i = 0; i < 100; ++i) {
    Frame frame = Numbered(1, i, 60 + i);
    ASSERT_EQ(left->Send(frame), SendResult::kSent);
  }
  left->EndSend();
  Frame back = Numbered(9, 9, kMaxFrameBytes);
  ASSERT_EQ(right->Send(back), SendResult::kSent);
  right->EndSend();
  RunUntil([&] {
    return right_port.received.size() == 100 && port_.received.size() == 1;
  });
  for (uint8_t i = 0; i < 100; ++i) {
    EXPECT_EQ(right_port.received[i], Numbered(1, i, 60 + i));
  }
  EXPECT_EQ(port_.received[0], back);
}

TEST_F(WireTest, FullSocketHoldsAndLosesNothing) {
  auto [left_end, right_end] = SeqpacketPair();
  auto left = *Wire::Create(*loop_, port_, std::move(left_end));
  uint32_t sent = 0;
  const auto send = [&] {
    Frame frame = Numbered(1, 2);
    std::memcpy(frame.data() + 14, &sent, 4);
    const SendResult result = left->Send(frame);
    if (result == SendResult::kSent) ++sent;
    return result;
  };
  while (send() == SendResult::kSent) ASSERT_LT(sent, 100'000u);
  left->EndSend();
  // The neighbour comes to life before patience ends.
  FakePort right_port;
  auto right = *Wire::Create(*loop_, right_port, std::move(right_end));
  RunUntil([&] { return port_.resumes == 1; });
  EXPECT_EQ(send(), SendResult::kSent);
  left->EndSend();
  RunUntil([&] { return right_port.received.size() == sent; });
  for (uint32_t i = 0; i < sent; ++i) {
    uint32_t number;
    std::memcpy(&number, right_port.received[i].data() + 14, 4);
    ASSERT_EQ(number, i) << "in order, once";
  }
}

TEST_F(WireTest, S5_DeadNeighbourHoldsNobodyForGood) {
  auto [left_end, right_end] = SeqpacketPair();
  auto left = *Wire::Create(*loop_, port_, std::move(left_end));
  Frame frame = Numbered(1, 2);
  while (left->Send(frame) == SendResult::kSent) {
  }
  RunUntil([&] { return port_.resumes == 1; });
  EXPECT_EQ(left->Send(frame), SendResult::kDropped);
  // And back again once somebody reads.
  FakePort right_port;
  auto right = *Wire::Create(*loop_, right_port, std::move(right_end));
  RunUntil([&] { return left->Send(frame) == SendResult::kSent; });
}

TEST_F(WireTest, ClosedNeighbourDrops) {
  auto [left_end, right_end] = SeqpacketPair();
  auto left = *Wire::Create(*loop_, port_, std::move(left_end));
  right_end.Reset();
  loop_->RunOnce(1000);
  Frame frame = Numbered(1, 2);
  EXPECT_EQ(left->Send(frame), SendResult::kDropped);
  left->EndSend();
}

TEST_F(WireTest, PausedNicIsNotReadFor) {
  auto [left_end, right_end] = SeqpacketPair();
  FakePort right_port;
  auto left = *Wire::Create(*loop_, port_, std::move(left_end));
  auto right = *Wire::Create(*loop_, right_port, std::move(right_end));
  right_port.pauses = true;
  const auto send = [&] {
    Frame frame = Numbered(1, 2);
    ASSERT_EQ(left->Send(frame), SendResult::kSent);
    left->EndSend();
  };
  send();
  RunUntil([&] { return right_port.received.size() == 1; });
  send();
  for (int i = 0; i < 10; ++i) loop_->RunOnce(0);
  EXPECT_EQ(right_port.received.size(), 1u);
  right_port.pauses = false;
  right->PortReady();
  RunUntil([&] { return right_port.received.size() == 2; });
}

TEST_F(WireTest, RefusesOtherDescriptors) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  UniqueFd second(ends[1]);
  EXPECT_FALSE(Wire::Create(*loop_, port_, UniqueFd(ends[0])).ok());
}

TEST_F(TapTest, CarriesBothWaysAndEnds) {
  auto [ours, theirs] = SeqpacketPair();
  auto tap = *Tap::Create(*loop_, port_, std::move(ours));
  Frame frame = Numbered(1, 2, 100);
  EXPECT_EQ(tap->Send(frame), SendResult::kSent);
  Frame got(2000);
  ASSERT_EQ(::recv(theirs.get(), got.data(), got.size(), 0), 100);
  ASSERT_EQ(::send(theirs.get(), frame.data(), frame.size(), 0), 100);
  RunUntil([&] { return port_.received.size() == 1; });
  EXPECT_EQ(port_.received[0], frame);
  theirs.Reset();
  loop_->RunOnce(1000);
  EXPECT_EQ(tap->Send(frame), SendResult::kDropped);
}

TEST_F(SwitchTest, FloodsThenLearns) {
  Switch ports(*loop_);
  std::vector<UniqueFd> far;
  for (int i = 0; i < 3; ++i) {
    auto [near_end, far_end] = SeqpacketPair();
    ASSERT_TRUE(ports.AddPort(std::move(near_end)).ok());
    far.push_back(std::move(far_end));
  }
  const auto send = [&](int from, const Frame& frame) {
    ASSERT_EQ(::send(far[from].get(), frame.data(), frame.size(), 0),
              static_cast<ssize_t>(frame.size()));
    loop_->RunOnce(1000);
  };
  const auto arrived = [&](int at) {
    uint8_t bytes[2000];
    int count = 0;
    while (::recv(far[at].get(), bytes, sizeof(bytes), MSG_DONTWAIT) > 0) {
      ++count;
    }
    return count;
  };
  send(0, Numbered(11, 10));  // 11 is unknown: flooded.
  EXPECT_EQ(arrived(0), 0);
  EXPECT_EQ(arrived(1), 1);
  EXPECT_EQ(arrived(2), 1);
  send(1, Numbered(10, 11));  // 10 was learnt at port 0.
  EXPECT_EQ(arrived(0), 1);
  EXPECT_EQ(arrived(2), 0);
  send(0, Numbered(11, 10));
  EXPECT_EQ(arrived(1), 1);
  EXPECT_EQ(arrived(2), 0);
  send(0, Numbered(10, 12));  // To its own port: nowhere.
  EXPECT_EQ(arrived(0) + arrived(1) + arrived(2), 0);
  Frame broadcast = Numbered(0, 10);
  std::memset(broadcast.data(), 0xff, 6);
  send(0, broadcast);
  EXPECT_EQ(arrived(1) + arrived(2), 2);
  send(0, Frame(5));  // No Ethernet frame.
  EXPECT_EQ(arrived(1) + arrived(2), 0);
  far[1].Reset();
  loop_->RunOnce(1000);
  send(0, Numbered(11, 10));  // Forgotten with its port: flooded.
  EXPECT_EQ(arrived(2), 1);
}

TEST_F(SwitchTest, FullPortDropsAndHoldsNobody) {
  Switch ports(*loop_);
  auto [near_a, far_a] = SeqpacketPair();
  auto [near_b, far_b] = SeqpacketPair();
  ASSERT_TRUE(ports.AddPort(std::move(near_a)).ok());
  ASSERT_TRUE(ports.AddPort(std::move(near_b)).ok());
  const Frame frame = Numbered(1, 2);
  uint64_t sent = 0;
  while (ports.dropped() == 0) {
    ASSERT_LT(sent, 100'000u);
    if (::send(far_a.get(), frame.data(), frame.size(), MSG_DONTWAIT) > 0) {
      ++sent;
    }
    loop_->RunOnce(0);
  }
  while (ports.forwarded() + ports.dropped() < sent) loop_->RunOnce(0);
  EXPECT_EQ(ports.forwarded() + ports.dropped(), sent);
}

TEST(AddressTableTest, IsBoundedAndNeverWrong) {
  AddressTable table;
  for (uint32_t i = 0; i < 100'000; ++i) {
    uint8_t address[6] = {2, 0};
    std::memcpy(address + 2, &i, 4);
    table.Learn(address, static_cast<int>(i % 8));
  }
  for (uint32_t i = 0; i < 100'000; ++i) {
    uint8_t address[6] = {2, 0};
    std::memcpy(address + 2, &i, 4);
    const int port = table.Find(address);
    ASSERT_TRUE(port == AddressTable::kUnknown ||
                port == static_cast<int>(i % 8));
  }
  table.Forget(3);
  uint8_t last[6] = {2, 0};
  const uint32_t number = 99'999;
  std::memcpy(last + 2, &number, 4);
  EXPECT_EQ(table.Find(last), static_cast<int>(number % 8));
}

}  // namespace
}  // namespace bulkhead::nic_model
