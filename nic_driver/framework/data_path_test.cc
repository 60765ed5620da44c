// Shows that frames pass between a real session and a fake driver as they are
// meant to, and that each refused one is in exactly one counter (S8).
#include "nic_driver/framework/data_path.h"

#include <gtest/gtest.h>

#include <memory>
#include <span>
#include <vector>

#include "nic_driver/framework/fake_driver.h"
#include "packet_stream/session_areas.h"

namespace bulkhead::nic_driver {
namespace {

using packet_stream::Descriptor;
using packet_stream::kChecksumNeeded;
using packet_stream::kMore;

constexpr packet_stream::SessionGeometry kGeometry = {
    .tx_buffers = 128, .rx_buffers = 64, .buffer_bytes = 2048};
constexpr uint64_t kTxIova = 0x7'0000'0000;
constexpr uint64_t kRxIova = 0x8'0000'0000;

class DataPathTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto areas = packet_stream::CreateSessionAreas(kGeometry);
    ASSERT_TRUE(areas.ok()) << areas.status();
    areas_ = std::make_unique<packet_stream::SessionAreas>(*std::move(areas));
    packet_stream::SessionStatus status;
    status.epoch = 1;
    status.state = packet_stream::SessionState::kRunning;
    areas_->status().Write(status);
    auto client = areas_->MakeClientGrant(1, 1);
    ASSERT_TRUE(client.ok());
    auto end = packet_stream::ClientEnd::Create(
        *std::move(client), packet_stream::OnRestart::kCountIndeterminate,
        UniqueFd());
    ASSERT_TRUE(end.ok()) << end.status();
    client_ = *std::move(end);
    auto provider = areas_->MakeProviderGrant(1, 1);
    ASSERT_TRUE(provider.ok());
    auto session = packet_stream::ProviderEnd::Create(*std::move(provider));
    ASSERT_TRUE(session.ok()) << session.status();
    path_.Open(*std::move(session), kTxIova, kRxIova);
    path_.SetLimits({.min_frame_bytes = 17,
                     .max_frame_bytes = 1518,
                     .max_checksum_position = 255,
                     .checksum = true,
                     .link_up = true});
  }

  // One frame of these pieces.
  std::vector<Descriptor> Send(const std::vector<uint16_t>& lengths,
                               uint16_t flags = 0, uint16_t start = 0,
                               uint16_t offset = 0, uint32_t segments = 0) {
    std::vector<Descriptor> pieces;
    for (size_t i = 0; i < lengths.size(); ++i) {
      packet_stream::TxBuffer buffer;
      EXPECT_EQ(client_->AllocTx({&buffer, 1}), 1u);
      const bool first = i == 0, last = i + 1 == lengths.size();
      pieces.push_back({.offset = buffer.offset,
                        .length = lengths[i],
                        .flags = static_cast<uint16_t>((first ? flags : 0) |
                                                       (last ? 0 : kMore)),
                        .checksum_start = first ? start : uint16_t{0},
                        .checksum_offset = first ? offset : uint16_t{0},
                        .segments = first ? segments : 0});
    }
    client_->SubmitTx(pieces);
    client_->Flush();
    return pieces;
  }

  void PollAll() {
    while (path_.Poll()) {
    }
  }

  const packet_stream::SessionCounters& Acknowledged() {
    PollAll();
    packet_stream::RxPiece none[1];
    (void)client_->Receive({none, 0});
    client_->Flush();
    return client_->counters();
  }

  FakeDriver driver_;
  DriverCounters counters_ = {};
  DataPath path_{driver_, counters_};
  std::unique_ptr<packet_stream::SessionAreas> areas_;
  std::unique_ptr<packet_stream::ClientEnd> client_;
};

TEST_F(DataPathTest, S3_ComputesAddressesAndNothingElse) {
  const std::vector<Descriptor> sent = Send({100, 60});
  PollAll();
  ASSERT_EQ(driver_.submitted.size(), 2u);
  EXPECT_EQ(driver_.submitted[0].iova, kTxIova + sent[0].offset);
  EXPECT_EQ(driver_.submitted[0].buffer, sent[0].offset / 2048);
  EXPECT_TRUE(driver_.submitted[0].more);
  EXPECT_EQ(driver_.submitted[1].length, 60u);
  EXPECT_FALSE(driver_.submitted[1].more);
  ASSERT_EQ(driver_.empty.size(), kGeometry.rx_buffers);
  for (const RxBuffer& buffer : driver_.empty) {
    EXPECT_EQ(buffer.iova, kRxIova + uint64_t{buffer.buffer} * 2048);
  }
}

TEST_F(DataPathTest, S8_CountsSentFrames) {
  Send({100, 60});
  Send({60});
  PollAll();
  EXPECT_TRUE(path_.tx_pending());
  driver_.Complete();
  EXPECT_EQ(Acknowledged().tx_done, 3u) << "pieces";
  EXPECT_EQ(counters_.tx_packets, 2u);
  EXPECT_EQ(counters_.tx_bytes, 220u);
  EXPECT_FALSE(path_.tx_pending());
}

TEST_F(DataPathTest, S8_CountsWhatTheDeviceRefused) {
  Send({100, 60});
  PollAll();
  driver_.Complete(/*good=*/false);
  EXPECT_EQ(Acknowledged().tx_dropped_device, 2u);
  EXPECT_EQ(counters_.tx_device_errors, 1u);
  EXPECT_EQ(counters_.tx_packets, 0u);
}

// Frames out of the limits are refused one by one, those between are sent.
TEST_F(DataPathTest, S8_RefusesWhatIsOutOfLimits) {
  Send({16});
  Send({17});
  Send({1518});
  Send({1518, 1});
  Send({300}, kChecksumNeeded, 14, 241);  // At 255.
  Send({300}, kChecksumNeeded, 14, 242);  // At 256.
  Send({100}, kChecksumNeeded, 14, 90);   // Beyond the frame.
  PollAll();
  EXPECT_EQ(driver_.submitted.size(), 3u);
  driver_.Complete();
  const auto& client = Acknowledged();
  EXPECT_EQ(client.tx_done, 3u);
  EXPECT_EQ(client.tx_dropped_invalid, 5u) << "pieces";
  EXPECT_EQ(counters_.tx_packets, 3u);
  EXPECT_EQ(counters_.tx_dropped_invalid, 4u) << "frames";
}

TEST_F(DataPathTest, ChecksumsAreRefusedUnlessConfigured) {
  Send({100}, kChecksumNeeded, 34, 6);
  PollAll();
  ASSERT_EQ(driver_.submitted.size(), 1u);
  EXPECT_TRUE(driver_.submitted[0].checksum);
  EXPECT_EQ(driver_.submitted[0].checksum_start, 34u);
  EXPECT_EQ(driver_.submitted[0].checksum_position, 40u);
  path_.SetLimits({.max_checksum_position = 255, .link_up = true});
  Send({100}, kChecksumNeeded, 34, 6);
  PollAll();
  EXPECT_EQ(driver_.submitted.size(), 1u);
  EXPECT_EQ(counters_.tx_dropped_invalid, 1u);
}

TEST_F(DataPathTest, ChecksumsThatTheNicDoesNotKnowAreRefused) {
  path_.SetLimits({.max_checksum_position = 255,
                   .only_tcp_udp_checksums = true,
                   .checksum = true,
                   .link_up = true});
  for (const uint16_t offset : {6, 16}) {
    Send({100}, kChecksumNeeded, 34, offset);
  }
  PollAll();
  EXPECT_EQ(driver_.submitted.size(), 2u);
  for (const uint16_t offset : {0, 2, 8, 17}) {
    Send({100}, kChecksumNeeded, 34, offset);
  }
  PollAll();
  EXPECT_EQ(driver_.submitted.size(), 2u);
  EXPECT_EQ(counters_.tx_dropped_invalid, 4u);
}

TEST_F(DataPathTest, SegmentsAreMeasuredByWhatGoesOnTheWire) {
  using packet_stream::kSegmentTcp4;
  using packet_stream::MakeSegments;
  const uint16_t flags = kSegmentTcp4 | kChecksumNeeded;
  path_.SetLimits({.max_frame_bytes = 1518,
                   .max_checksum_position = 255,
                   .max_segment_header_bytes = 255,
                   .checksum = true,
                   .link_up = true});
  Send({256, 256, 256}, flags, 34, 16, MakeSegments(54, 200));
  PollAll();
  ASSERT_EQ(driver_.submitted.size(), 3u);
  for (const TxPiece& piece : driver_.submitted) {
    EXPECT_EQ(piece.segment_bytes, 200u);
    EXPECT_EQ(piece.header_bytes, 54u);
    EXPECT_EQ(piece.frame_bytes, 768u);
  }
  Send({256, 256}, flags, 34, 16, MakeSegments(54, 1465));
  PollAll();
  EXPECT_EQ(counters_.tx_dropped_invalid, 1u) << "too long for the wire";
  path_.SetLimits(
      {.max_checksum_position = 255, .checksum = true, .link_up = true});
  Send({256, 256}, flags, 34, 16, MakeSegments(54, 200));
  PollAll();
  EXPECT_EQ(counters_.tx_dropped_invalid, 2u) << "not offered";
  EXPECT_EQ(driver_.submitted.size(), 3u);
}

TEST_F(DataPathTest, S8_RefusesFramesWithoutALink) {
  path_.SetLimits({.link_up = false});
  Send({100, 60});
  EXPECT_EQ(Acknowledged().tx_dropped_no_link, 2u);
  EXPECT_EQ(counters_.tx_dropped_link, 1u);
  EXPECT_TRUE(driver_.submitted.empty());
}

// Without room for the longest frame nothing is taken, so that nothing has to
// be put back.
TEST_F(DataPathTest, TakesNothingWithoutRoom) {
  driver_.tx_room = kBatchPieces - 1;
  Send({60});
  PollAll();
  EXPECT_TRUE(driver_.submitted.empty());
  EXPECT_TRUE(path_.tx_blocked());
  EXPECT_EQ(path_.session()->tx_held(), 0u);
  driver_.tx_room = kBatchPieces;
  PollAll();
  EXPECT_FALSE(path_.tx_blocked());
  EXPECT_EQ(driver_.submitted.size(), 1u);
}

TEST_F(DataPathTest, DeliversFramesOfSeveralPieces) {
  PollAll();
  driver_.Fill(2048, true);
  driver_.Fill(100);
  driver_.Fill(60);
  PollAll();
  packet_stream::RxPiece pieces[8];
  ASSERT_EQ(client_->Receive(pieces), 3u);
  EXPECT_EQ(pieces[0].length, 2048u);
  EXPECT_NE(pieces[0].flags & kMore, 0);
  EXPECT_EQ(pieces[1].flags & kMore, 0);
  EXPECT_EQ(counters_.rx_packets, 2u);
  EXPECT_EQ(counters_.rx_bytes, 2208u);
}

// Bad frames go no further; their buffers are used again.
TEST_F(DataPathTest, S8_CountsBadFramesOnce) {
  PollAll();
  const size_t buffers = driver_.empty.size();
  driver_.Fill(2048, true, RxStatus::kDeviceError);
  driver_.Fill(100, false, RxStatus::kDeviceError);
  driver_.Fill(2048, true, RxStatus::kTooLong);
  driver_.Fill(2048, true, RxStatus::kTooLong);
  driver_.Fill(1, false, RxStatus::kTooLong);
  driver_.Fill(60);
  driver_.rx_room += 6;
  PollAll();
  EXPECT_EQ(counters_.rx_errors, 1u);
  EXPECT_EQ(counters_.rx_too_long, 1u);
  EXPECT_EQ(counters_.rx_packets, 1u);
  EXPECT_EQ(driver_.empty.size(), buffers - 1);
  packet_stream::RxPiece pieces[8];
  EXPECT_EQ(client_->Receive(pieces), 1u);
}

TEST_F(DataPathTest, S8_CloseCountsWhatWasLeft) {
  Send({60});
  PollAll();
  path_.Close({.tx_sent_frames = 2,
               .tx_sent_bytes = 200,
               .tx_unsent_frames = 3,
               .rx_unclaimed_frames = 4,
               .statistics = {.rx_missed = 5}});
  EXPECT_EQ(counters_.tx_packets, 2u);
  EXPECT_EQ(counters_.tx_bytes, 200u);
  EXPECT_EQ(counters_.tx_device_errors, 3u);
  EXPECT_EQ(counters_.rx_no_session, 4u);
  EXPECT_EQ(counters_.rx_missed_errors, 5u);
  EXPECT_EQ(path_.session(), nullptr);
  EXPECT_FALSE(path_.tx_pending());
  EXPECT_FALSE(path_.Poll());
}

// Nothing moves before the client has acknowledged the epoch.
TEST_F(DataPathTest, WaitsForTheClientsEpoch) {
  auto provider = areas_->MakeProviderGrant(1, 2);
  ASSERT_TRUE(provider.ok());
  auto session = packet_stream::ProviderEnd::Create(*std::move(provider));
  ASSERT_TRUE(session.ok());
  path_.Open(*std::move(session), kTxIova, kRxIova);
  Send({60});
  EXPECT_FALSE(path_.Poll());
  EXPECT_TRUE(driver_.submitted.empty());
  EXPECT_TRUE(driver_.empty.empty());
}

}  // namespace
}  // namespace bulkhead::nic_driver
