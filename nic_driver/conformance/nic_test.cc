// What the NIC is wanted to do: MTU, checksums, segments, link; and a
// transmitter without room.
#include <algorithm>
#include <cstring>

#include "nic_driver/conformance/conformance_suite.h"

namespace bulkhead::nic_driver {
namespace {

using packet_stream::kChecksumGood;
using packet_stream::kChecksumNeeded;

// Frames of more than the MTU are refused, those of the MTU are not; a
// Configure moves the border while frames flow.
TEST_F(Conformance, ConfiguresTheMtuUnderTraffic) {
  if (TheDevice().max_mtu == 1500) GTEST_SKIP() << "it has no larger frames";
  ASSERT_NO_FATAL_FAILURE(Up());
  const size_t jumbo_bytes = 14 + TheDevice().max_mtu;
  ASSERT_TRUE(
      testing::SendFrame(*session_, testing::MakeFrame(0, jumbo_bytes)));
  session_->Flush();
  ASSERT_TRUE(Pump([this] { return session_->tx_in_flight() == 0; }));
  EXPECT_EQ(platform_->counters().tx_dropped_invalid, 1u);

  platform::NicConfig config;
  config.set_mtu(TheDevice().max_mtu);
  ASSERT_OK(platform_->Configure(config));
  // Frames go on while it happens.
  Echo(0, 2000);
  ASSERT_OK(platform_->Ping());
  Echo(2000, 100, jumbo_bytes);
  for (const testing::ReceivedFrame& frame : received_) {
    EXPECT_EQ(frame.pieces, (jumbo_bytes + 2047) / 2048);
  }
  EXPECT_EQ(platform_->port().rx_oversize, 0u);

  config.set_mtu(1500);
  ASSERT_OK(platform_->Configure(config));
  Echo(3000, 2000);
  ASSERT_TRUE(
      testing::SendFrame(*session_, testing::MakeFrame(1, jumbo_bytes)));
  session_->Flush();
  ASSERT_TRUE(Pump([this] { return session_->tx_in_flight() == 0; }));
  EXPECT_EQ(platform_->counters().tx_dropped_invalid, 2u);
  EXPECT_EQ(platform_->counters().rx_missed_errors, 0u);
  ExpectCountersAddUp();
}

// An IPv4 UDP frame whose checksum field holds the pseudo header's sum.
std::vector<uint8_t> UdpFrame() {
  std::vector<uint8_t> frame(14 + 20 + 8 + 40);
  const auto to_nic = testing::MakeFrame(0, 60);
  std::copy_n(to_nic.begin(), 12, frame.begin());
  frame[12] = 0x08;
  uint8_t* ip = &frame[14];
  ip[0] = 0x45;
  ip[3] = 20 + 8 + 40;
  ip[8] = 64;
  ip[9] = 17;
  const uint8_t addresses[] = {10, 0, 0, 1, 10, 0, 0, 2};
  std::copy_n(addresses, 8, ip + 12);
  uint32_t sum = 0;
  for (int i = 0; i < 20; i += 2) sum += ip[i] << 8 | ip[i + 1];
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  ip[10] = static_cast<uint8_t>(~sum >> 8);
  ip[11] = static_cast<uint8_t>(~sum);
  uint8_t* udp = ip + 20;
  udp[1] = 7;
  udp[3] = 7;
  udp[5] = 8 + 40;
  for (int i = 0; i < 40; ++i) udp[8 + i] = static_cast<uint8_t>(i * 3);
  sum = 17 + 8 + 40;
  for (int i = 12; i < 20; i += 2) sum += ip[i] << 8 | ip[i + 1];
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  udp[6] = static_cast<uint8_t>(sum >> 8);
  udp[7] = static_cast<uint8_t>(sum);
  return frame;
}

// The NIC fills in the checksum that the session asks for, and says of what it
// receives that the checksum is right, if it offers that; only when it is
// configured to.
TEST_F(Conformance, OffloadsChecksums) {
  ASSERT_NO_FATAL_FAILURE(Create());
  ASSERT_OK(platform_->StartDriver());
  const uint32_t offloads = platform_->news().attached->offloads();
  if ((offloads & packet_stream::kOffloadTxChecksum) == 0) {
    GTEST_SKIP() << "this driver offers none";
  }
  const bool checks = (offloads & packet_stream::kOffloadRxChecksum) != 0;
  ASSERT_NO_FATAL_FAILURE(Open());
  const std::vector<uint8_t> frame = UdpFrame();
  ASSERT_TRUE(testing::SendFrame(*session_, frame, 0, kChecksumNeeded, 34, 6));
  session_->Flush();
  ASSERT_TRUE(Pump([this] { return session_->tx_in_flight() == 0; }));
  EXPECT_EQ(session_->counters().tx_dropped_invalid, 1u) << "not configured";

  platform::NicConfig config;
  config.set_tx_checksum(true);
  config.set_rx_checksum(true);
  ASSERT_OK(platform_->Configure(config));
  ASSERT_OK(platform_->Ping());
  for (const size_t piece_bytes : {0, 30}) {
    received_.clear();
    ASSERT_TRUE(testing::SendFrame(*session_, frame, piece_bytes,
                                   kChecksumNeeded, 34, 6));
    session_->Flush();
    ASSERT_TRUE(Pump([this] { return !received_.empty(); }));
    EXPECT_EQ((received_[0].flags & kChecksumGood) != 0, checks);
    // The sum over pseudo header and datagram is all ones.
    const std::vector<uint8_t>& bytes = received_[0].bytes;
    uint32_t sum = 17 + 8 + 40;
    for (int i = 26; i < 14 + 20 + 8 + 40; i += 2) {
      sum += bytes[i] << 8 | bytes[i + 1];
    }
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    EXPECT_EQ(sum, 0xffffu);
  }
  // A wrong checksum arrives without the flag.
  received_.clear();
  ASSERT_TRUE(testing::SendFrame(*session_, frame));
  session_->Flush();
  ASSERT_TRUE(Pump([this] { return !received_.empty(); }));
  EXPECT_EQ(received_[0].flags & kChecksumGood, 0);
}

// Ethernet, IPv4, TCP with the sum of the pseudo header, and `payload` bytes
// that tell their place. `whole`: with lengths, as NICs with
// kOffloadTxWholeSegments want them.
std::vector<uint8_t> TcpFrame(size_t payload, bool whole) {
  std::vector<uint8_t> frame(54 + payload);
  const auto from_nic = testing::MakeFrame(0, 60);
  std::copy_n(from_nic.begin(), 12, frame.begin());
  frame[12] = 0x08;
  const uint8_t ip[] = {0x45, 0, 0,  0, 0, 7, 0,  0, 64, 6,
                        0,    0, 10, 0, 0, 1, 10, 0, 0,  2};
  std::copy_n(ip, sizeof(ip), &frame[14]);
  uint8_t* tcp = &frame[34];
  tcp[6] = 0xff;  // Sequence number 0xff00.
  tcp[12] = 0x50;
  tcp[13] = 0x18;  // ACK and PSH.
  uint32_t sum = 6;
  for (int i = 12; i < 20; i += 2) sum += ip[i] << 8 | ip[i + 1];
  if (whole) {
    frame[16] = static_cast<uint8_t>((40 + payload) >> 8);
    frame[17] = static_cast<uint8_t>(40 + payload);
    sum += static_cast<uint32_t>(20 + payload);
    sum = (sum & 0xffff) + (sum >> 16);
  }
  tcp[16] = static_cast<uint8_t>(sum >> 8);
  tcp[17] = static_cast<uint8_t>(sum);
  for (size_t i = 0; i < payload; ++i) {
    frame[54 + i] = static_cast<uint8_t>(i ^ i >> 8);
  }
  return frame;
}

// Ones' complement sum of 16-bit words, the last one padded.
uint32_t Sum(const std::vector<uint8_t>& bytes, size_t from, size_t to,
             size_t sum = 0) {
  for (size_t i = from; i < to; ++i)
    sum += bytes[i] << ((i - from) % 2 ? 0 : 8);
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint32_t>(sum);
}

// One large TCP segment becomes frames of the wire's size, each with headers
// and checksums of its own; the client gets its buffers back once.
TEST_F(Conformance, SegmentsTcp) {
  ASSERT_NO_FATAL_FAILURE(Create());
  ASSERT_OK(platform_->StartDriver());
  const uint32_t offloads = platform_->news().attached->offloads();
  if ((offloads & packet_stream::kOffloadTxTcpSegmentation) == 0) {
    GTEST_SKIP() << "this driver offers none";
  }
  ASSERT_NO_FATAL_FAILURE(Open());
  // The session is served. Otherwise it could be before the configuration is.
  Echo(0, 1);
  platform::NicConfig config;
  config.set_tx_checksum(true);
  config.set_rx_checksum(true);
  ASSERT_OK(platform_->Configure(config));
  ASSERT_OK(platform_->Ping());
  // The echo comes back as one burst, faster than a wire: it must fit into the
  // smallest device's receive FIFO.
  constexpr size_t kPayload = 10'000, kSegment = 1448;
  const std::vector<uint8_t> frame = TcpFrame(
      kPayload, (offloads & packet_stream::kOffloadTxWholeSegments) != 0);
  for (const size_t piece_bytes : {0, 1000}) {
    received_.clear();
    ASSERT_TRUE(
        testing::SendFrame(*session_, frame, piece_bytes,
                           packet_stream::kSegmentTcp4 | kChecksumNeeded, 34,
                           16, packet_stream::MakeSegments(54, kSegment)));
    session_->Flush();
    constexpr size_t kFrames = (kPayload + kSegment - 1) / kSegment;
    ASSERT_TRUE(Pump([this] {
      return received_.size() >= kFrames && session_->tx_in_flight() == 0;
    }));
    ASSERT_EQ(received_.size(), kFrames);
    size_t at = 0;
    for (const testing::ReceivedFrame& received : received_) {
      const std::vector<uint8_t>& bytes = received.bytes;
      ASSERT_EQ(bytes.size(), 54 + std::min(kSegment, kPayload - at));
      // TCP's, and the pseudo header's: addresses, protocol, length.
      EXPECT_EQ(Sum(bytes, 26, bytes.size(), 6 + bytes.size() - 34), 0xffffu);
      EXPECT_EQ(bytes[16] << 8 | bytes[17], int(bytes.size()) - 14);
      EXPECT_EQ(bytes[18] << 8 | bytes[19], int(7 + at / kSegment));
      EXPECT_EQ(Sum(bytes, 14, 34), 0xffffu) << "IPv4's own";
      EXPECT_EQ(bytes[40] << 8 | bytes[41], 0xffff & (0xff00 + at));
      EXPECT_TRUE(
          std::equal(bytes.begin() + 54, bytes.end(), frame.begin() + 54 + at));
      at += bytes.size() - 54;
    }
  }
  EXPECT_EQ(session_->counters().tx_dropped_invalid, 0u);
}

// The link goes down and up: both are told; frames meanwhile are refused with
// the reason; afterwards all is as before.
TEST_F(Conformance, S8_FollowsTheLink) {
  ASSERT_NO_FATAL_FAILURE(Up());
  Echo(0, 100);
  for (int round = 0; round < 3; ++round) {
    ASSERT_OK(platform_->SetLink(false));
    ASSERT_OK(platform_->ServeUntil(
        [this] { return !platform_->news().link->up(); }));
    const uint64_t before = session_->counters().tx_dropped_no_link;
    for (uint32_t i = 0; i < 10; ++i) {
      ASSERT_TRUE(testing::SendFrame(*session_, testing::MakeFrame(i, 60)));
    }
    session_->Flush();
    ASSERT_TRUE(Pump([this] { return session_->tx_in_flight() == 0; }));
    EXPECT_EQ(session_->counters().tx_dropped_no_link, before + 10);
    EXPECT_EQ(platform_->counters().tx_dropped_link,
              session_->counters().tx_dropped_no_link);
    ASSERT_OK(platform_->SetLink(true));
    ASSERT_OK(
        platform_->ServeUntil([this] { return platform_->news().link->up(); }));
    Echo(1000, 100);
  }
  ExpectCountersAddUp();
}

// A client that fills every tx buffer at once: the driver takes what the device
// takes, and all of it arrives, in order.
TEST_F(Conformance, TransmitterBackpressureLosesNothing) {
  ASSERT_NO_FATAL_FAILURE(
      Up(Options(), {.tx_buffers = 4096,
                     .rx_buffers = 8192,
                     .buffer_bytes = TheDevice().least_buffer_bytes}));
  Echo(0, 1);  // The receiver has its buffers.
  received_.clear();
  uint32_t sent = 0;
  while (testing::SendFrame(*session_, testing::MakeFrame(sent, 60))) ++sent;
  EXPECT_EQ(sent, 4096u);
  session_->Flush();
  ASSERT_TRUE(Pump([&] { return session_->tx_in_flight() == 0; }));
  // The other end of a wire takes its time.
  ASSERT_TRUE(Pump([&] { return platform_->port().tx_frames == sent + 1; }));
  // The receiver's ring may be outrun; the transmitter loses none.
  ASSERT_TRUE(Pump(
      [&] { return received_.size() + platform_->port().rx_missed == sent; }));
  const bool ordered = Shows(TheDevice().limits.no_order);
  uint32_t last = 0;
  for (size_t i = 0; i < received_.size(); ++i) {
    const auto number = testing::CheckFrame(received_[i].bytes);
    ASSERT_TRUE(number.has_value());
    if (ordered) {
      EXPECT_TRUE(i == 0 || *number > last) << *number << " after " << last;
    }
    last = *number;
  }
}

}  // namespace
}  // namespace bulkhead::nic_driver
