// Frames through the driver and back from an echo network.
#include "nic_driver/conformance/conformance_suite.h"

namespace bulkhead::nic_driver {
namespace {

// The driver attaches, tells the MAC of the NIC, an MTU it can do and a link.
TEST_F(Conformance, Attaches) {
  ASSERT_NO_FATAL_FAILURE(Create());
  ASSERT_OK(platform_->StartDriver());
  const testing::DriverNews& news = platform_->news();
  EXPECT_EQ(news.attached->mac(),
            std::string(testing::NicMac().begin(), testing::NicMac().end()));
  EXPECT_EQ(news.attached->max_mtu(), TheDevice().max_mtu);
  ASSERT_NO_FATAL_FAILURE(AwaitLink());
  EXPECT_GT(news.link->speed_mbps(), 0u);
  EXPECT_TRUE(news.link->full_duplex());
}

// One frame, then batches up to ten thousand, come back undamaged and in full.
TEST_F(Conformance, S8_EchoesOneToTenThousandFrames) {
  ASSERT_NO_FATAL_FAILURE(Up());
  uint32_t next = 0;
  for (const uint32_t count : {1u, 2u, 63u, 64u, 65u, 1000u, 10'000u}) {
    Echo(next, count);
    next += count;
  }
  ExpectCountersAddUp();
  EXPECT_EQ(platform_->counters().tx_packets, next);
  EXPECT_EQ(platform_->counters().rx_packets, next);
  EXPECT_GT(platform_->news().first_frame_ns, platform_->granted_ns());
}

// Every length of a standard frame comes back as it was.
TEST_F(Conformance, EchoesEveryLength) {
  ASSERT_NO_FATAL_FAILURE(Up());
  Echo(0, 1514 - 60 + 1, [](uint32_t number) { return 60 + number; });
  ExpectCountersAddUp();
}

// Frames in two to thirty-two pieces are sent as one frame each.
TEST_F(Conformance, GathersPieces) {
  if (TheDevice().max_tx_pieces < 2) {
    GTEST_SKIP() << "a frame in several buffers cannot be sent here: AF_XDP "
                    "takes one since Linux 6.6 (`uname -r`)";
  }
  ASSERT_NO_FATAL_FAILURE(Up());
  uint32_t next = 0;
  for (const size_t piece_bytes : {757u, 500u, 100u, 48u}) {
    if ((1514 + piece_bytes - 1) / piece_bytes > TheDevice().max_tx_pieces) {
      continue;
    }
    Echo(
        next, 200, [](uint32_t) { return 1514; }, piece_bytes);
    next += 200;
  }
  // An echo may be back before the driver has seen that its frame was sent.
  EXPECT_TRUE(Pump([&] { return platform_->counters().tx_packets == next; }));
  ExpectCountersAddUp();
}

// Small rx buffers: a frame is scattered over several and put together again.
TEST_F(Conformance, ScattersIntoSmallBuffers) {
  if (TheDevice().least_buffer_bytes > 256) {
    GTEST_SKIP() << "its buffers hold whole frames";
  }
  ASSERT_NO_FATAL_FAILURE(
      Up(Options(),
         {.tx_buffers = 1024, .rx_buffers = 1024, .buffer_bytes = 256}));
  Echo(0, 1000, [](uint32_t number) { return 60 + number; });
  for (const testing::ReceivedFrame& frame : received_) {
    EXPECT_EQ(frame.pieces, (frame.bytes.size() + 255) / 256);
  }
  ExpectCountersAddUp();
}

// The smallest session works: two buffers each way.
TEST_F(Conformance, ServesTheSmallestSession) {
  ASSERT_NO_FATAL_FAILURE(
      Up(Options(), {.tx_buffers = 2, .rx_buffers = 2, .buffer_bytes = 2048}));
  for (uint32_t i = 0; i < 50; ++i) Echo(i, 1, 1000);
  ExpectCountersAddUp();
}

// Frames that make no sense are refused one by one, and counted; the session
// goes on.
TEST_F(Conformance, S8_RefusesFramesOfImpossibleLength) {
  ASSERT_NO_FATAL_FAILURE(Up());
  const std::vector<uint8_t> giant = testing::MakeFrame(1, 1519);
  const std::vector<uint8_t> dwarf(13, 0xff);
  ASSERT_TRUE(testing::SendFrame(*session_, giant));
  ASSERT_TRUE(testing::SendFrame(*session_, dwarf));
  session_->Flush();
  ASSERT_TRUE(Pump([this] { return session_->tx_in_flight() == 0; }));
  EXPECT_EQ(session_->counters().tx_dropped_invalid, 2u);
  EXPECT_EQ(platform_->counters().tx_dropped_invalid, 2u);
  Echo(0, 10);
  ExpectCountersAddUp();
}

}  // namespace
}  // namespace bulkhead::nic_driver
