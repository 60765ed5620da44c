// Shows that the lanes of a session are what a session of one lane is, each by
// itself: areas, doorbells, epochs, threads and breaches.
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "base/shared_memory.h"
#include "packet_stream/client_end.h"
#include "packet_stream/control_area.h"
#include "packet_stream/geometry_message.h"
#include "packet_stream/open_reply.h"
#include "packet_stream/provider.h"
#include "packet_stream/session_areas.h"

namespace bulkhead::packet_stream {
namespace {

constexpr uint32_t kLanes = 4;
constexpr SessionGeometry kGeometry = {
    .tx_buffers = 16, .rx_buffers = 16, .buffer_bytes = 2048, .lanes = kLanes};

class Lanes : public ::testing::Test {
 protected:
  void SetUp() override {
    auto areas = CreateSessionAreas(kGeometry);
    ASSERT_TRUE(areas.ok()) << areas.status();
    areas_ = std::make_unique<SessionAreas>(*std::move(areas));
    SetEpoch(1);
    auto tx = Mapping::MapSealed(areas_->tx_data_fd(), kGeometry.TxDataBytes(),
                                 Access::kReadOnly);
    auto rx = Mapping::MapSealed(areas_->rx_data_fd(), kGeometry.RxDataBytes(),
                                 Access::kReadWrite);
    ASSERT_TRUE(tx.ok() && rx.ok());
    tx_ = *std::move(tx);
    rx_ = *std::move(rx);
    auto grant = areas_->MakeClientGrant(1, 1);
    ASSERT_TRUE(grant.ok()) << grant.status();
    auto client = ClientEnd::Create(*std::move(grant),
                                    OnRestart::kCountIndeterminate, UniqueFd());
    ASSERT_TRUE(client.ok()) << client.status();
    client_ = *std::move(client);
    Provide(1);
  }

  void SetEpoch(uint32_t epoch) {
    areas_->status().Write({.state = SessionState::kRunning, .epoch = epoch});
    areas_->WakeClient();
  }
  void Provide(uint32_t epoch) {
    auto grant = areas_->MakeProviderGrant(1, epoch);
    ASSERT_TRUE(grant.ok()) << grant.status();
    auto lanes = ProviderEnd::CreateLanes(*std::move(grant));
    ASSERT_TRUE(lanes.ok()) << lanes.status();
    providers_ = *std::move(lanes);
    ASSERT_EQ(providers_.size(), kLanes);
  }

  // A frame that begins with this number. False: no buffer is free.
  static bool Send(Lane& lane, uint32_t number) {
    TxBuffer buffer;
    if (lane.AllocTx({&buffer, 1}) == 0) return false;
    std::memcpy(buffer.data, &number, sizeof(number));
    const Descriptor piece = {.offset = buffer.offset, .length = 60};
    lane.SubmitTx({&piece, 1});
    return true;
  }
  // Gives what was sent on the lane back on it; returns how many frames.
  size_t Echo(uint32_t lane) {
    ProviderEnd& end = *providers_[lane];
    if (!end.Ready()) return 0;
    size_t count = 0;
    uint32_t buffer;
    Descriptor piece;
    while (end.TakeFreeRx({&buffer, 1}) == 1) {
      if (end.TakeTx({&piece, 1}) == 0) {
        end.ReturnFreeRx({&buffer, 1});
        break;
      }
      const uint32_t offset = buffer * kGeometry.buffer_bytes;
      std::memcpy(
          rx_.data() + lane * kGeometry.LaneRxDataBytes() + offset,
          tx_.data() + lane * kGeometry.LaneTxDataBytes() + piece.offset,
          piece.length);
      const Ack ack =
          MakeAck(piece.offset / kGeometry.buffer_bytes, AckStatus::kDone);
      end.AckTx({&ack, 1});
      const Descriptor back = {.offset = offset, .length = piece.length};
      end.SubmitRx({&back, 1});
      ++count;
    }
    end.Flush();
    return count;
  }
  // The numbers of the frames that have come.
  static std::vector<uint32_t> Receive(Lane& lane) {
    std::vector<uint32_t> numbers;
    RxPiece pieces[8];
    while (const size_t count = lane.Receive(pieces)) {
      for (size_t i = 0; i < count; ++i) {
        uint32_t number;
        std::memcpy(&number, pieces[i].data, sizeof(number));
        numbers.push_back(number);
      }
      lane.Release({pieces, count});
    }
    lane.Flush();
    return numbers;
  }

  std::unique_ptr<SessionAreas> areas_;
  std::unique_ptr<ClientEnd> client_;
  std::vector<std::unique_ptr<ProviderEnd>> providers_;
  Mapping tx_;
  Mapping rx_;
};

// The sizes of one lane are what they were before there were lanes, and whole
// areas are their multiples, in whole pages.
TEST(LaneGeometry, AreasAreMultiples) {
  constexpr SessionGeometry one = {
      .tx_buffers = 16, .rx_buffers = 16, .buffer_bytes = 2048};
  EXPECT_EQ(one.lanes, 1u);
  EXPECT_EQ(one.ClientControlBytes(), one.LaneClientControlBytes());
  EXPECT_EQ(kGeometry.ClientControlBytes(), kLanes * one.ClientControlBytes());
  EXPECT_EQ(kGeometry.ProviderControlBytes(),
            kLanes * one.ProviderControlBytes());
  EXPECT_EQ(kGeometry.TxDataBytes(), kLanes * one.TxDataBytes());
  EXPECT_EQ(kGeometry.RxDataBytes(), kLanes * one.RxDataBytes());
  EXPECT_EQ(kGeometry.LaneTxDataBytes() % kPageBytes, 0u);
  // What the quota is charged: everything of all lanes, and one status page.
  EXPECT_EQ(kGeometry.TotalBytes() - kStatusPageBytes,
            kLanes * (one.TotalBytes() - kStatusPageBytes));
}

TEST(LaneGeometry, S7_ACountOutsideTheLimitsIsRefused) {
  for (const uint32_t lanes : {0u, kMaxLanes + 1, ~0u}) {
    SessionGeometry geometry = kGeometry;
    geometry.lanes = lanes;
    EXPECT_FALSE(CheckGeometry(geometry).ok()) << lanes;
    EXPECT_FALSE(CreateSessionAreas(geometry).ok()) << lanes;
  }
  SessionGeometry most = kGeometry;
  most.lanes = kMaxLanes;
  EXPECT_TRUE(CreateSessionAreas(most).ok());
}

// A program that knows nothing of lanes asks for one.
TEST(LaneGeometry, NoCountInAMessageIsOne) {
  Geometry message;
  WriteGeometry(kGeometry, &message);
  EXPECT_EQ(ReadGeometry(message).lanes, kLanes);
  message.clear_lanes();
  EXPECT_EQ(ReadGeometry(message).lanes, 1u);
}

// A grant whose descriptors do not fit its lanes is none.
TEST(LaneGeometry, S7_AReplyWithTheDescriptorsOfOtherLanesIsRefused) {
  OpenReply reply;
  reply.mutable_grant()->set_epoch(1);
  WriteGeometry(kGeometry, reply.mutable_grant()->mutable_geometry());
  std::vector<UniqueFd> fds(ClientGrant::FdCount(1));
  EXPECT_EQ(ParseOpenReply(reply, std::move(fds)).status().code(),
            absl::StatusCode::kInternal);
}

TEST_F(Lanes, FramesComeBackOnTheLaneThatSentThemInOrder) {
  for (uint32_t lane = 0; lane < kLanes; ++lane) {
    for (uint32_t i = 0; i < 5; ++i) {
      ASSERT_TRUE(Send(client_->lane(lane), 100 * lane + i));
    }
    client_->lane(lane).Flush();
  }
  for (uint32_t lane = 0; lane < kLanes; ++lane) {
    EXPECT_EQ(Echo(lane), 5u);
    const uint32_t first = 100 * lane;
    EXPECT_EQ(Receive(client_->lane(lane)),
              (std::vector{first, first + 1, first + 2, first + 3, first + 4}));
  }
  EXPECT_EQ(&client_->lane(0), client_.get());
}

// A lane that sleeps is woken by its own bell, and no other is.
TEST_F(Lanes, EachHasItsOwnBells) {
  for (const auto& end : providers_) ASSERT_TRUE(end->Ready());
  ASSERT_TRUE(Send(client_->lane(2), 7));
  client_->lane(2).Flush();
  ASSERT_EQ(Echo(2), 1u);
  ASSERT_TRUE(client_->lane(1).ArmWait());
  EXPECT_FALSE(client_->lane(2).ArmWait()) << "it has a frame";
  EXPECT_EQ(Receive(client_->lane(2)), std::vector<uint32_t>{7});
  ASSERT_TRUE(providers_[1]->ArmDoorbell());
  ASSERT_TRUE(providers_[3]->ArmDoorbell());
  providers_[1]->DisarmDoorbell();
  ASSERT_TRUE(providers_[1]->ArmDoorbell());
  ASSERT_TRUE(Send(client_->lane(3), 8));
  client_->lane(3).Flush();
  EXPECT_TRUE(providers_[1]->ArmDoorbell()) << "nothing is there for lane 1";
  EXPECT_FALSE(providers_[3]->ArmDoorbell());
}

// S6: each lane lives through the change of provider by itself. One that is
// slow to see it does not hold the others up.
TEST_F(Lanes, S6_S8_EachAcknowledgesTheEpochOnItsOwn) {
  for (uint32_t lane = 0; lane < kLanes; ++lane) {
    ASSERT_TRUE(Send(client_->lane(lane), lane));
    client_->lane(lane).Flush();
  }
  ASSERT_EQ(Echo(0), 1u);  // The others' frames are with the dead provider.
  for (const auto& end : providers_) ASSERT_TRUE(end->Ready());
  Descriptor taken;
  for (uint32_t lane = 1; lane < kLanes; ++lane) {
    ASSERT_EQ(providers_[lane]->TakeTx({&taken, 1}), 1u);
  }
  SetEpoch(2);
  Provide(2);
  for (const uint32_t lane : {0u, 2u, 3u}) {
    EXPECT_EQ(Receive(client_->lane(lane)).size(), lane == 0 ? 1u : 0u);
    ASSERT_TRUE(Send(client_->lane(lane), 50 + lane));
    client_->lane(lane).Flush();
    ASSERT_TRUE(providers_[lane]->Ready()) << lane;
    EXPECT_EQ(Echo(lane), 1u) << lane;
    EXPECT_EQ(Receive(client_->lane(lane)), std::vector<uint32_t>{50 + lane});
    EXPECT_EQ(client_->lane(lane).counters().tx_indeterminate,
              lane == 0 ? 0u : 1u);
  }
  EXPECT_FALSE(providers_[1]->Ready());
  EXPECT_TRUE(Receive(client_->lane(1)).empty());
  EXPECT_TRUE(providers_[1]->Ready());
  EXPECT_EQ(client_->lane(1).counters().tx_indeterminate, 1u);
}

// What a hostile client writes into one lane breaks that lane's end, which ends
// the session; the memory of the others is as it was.
TEST_F(Lanes, S7_AClientThatLiesInOneLaneBreaksThatEnd) {
  auto grant = areas_->MakeClientGrant(1, 1);
  ASSERT_TRUE(grant.ok());
  auto area =
      Mapping::MapSealed(grant->client_control.get(),
                         kGeometry.ClientControlBytes(), Access::kReadWrite);
  ASSERT_TRUE(area.ok());
  auto* header =
      area->As<ControlHeader>(2 * kGeometry.LaneClientControlBytes());
  for (const auto& end : providers_) ASSERT_TRUE(end->Ready());
  ASSERT_TRUE(Send(client_->lane(1), 9));
  client_->lane(1).Flush();
  header->submit_tail.value = 1000;
  EXPECT_EQ(Echo(2), 0u);
  EXPECT_TRUE(providers_[2]->broken());
  EXPECT_EQ(Echo(1), 1u);
  EXPECT_FALSE(providers_[1]->broken());
}

// A descriptor of one lane cannot name a buffer of the next, though it lies
// behind its own in the same area.
TEST_F(Lanes, S2_S7_AnOffsetIntoTheNextLaneIsABreach) {
  auto grant = areas_->MakeClientGrant(1, 1);
  ASSERT_TRUE(grant.ok());
  auto area =
      Mapping::MapSealed(grant->client_control.get(),
                         kGeometry.ClientControlBytes(), Access::kReadWrite);
  ASSERT_TRUE(area.ok());
  auto* header = area->As<ControlHeader>();
  ASSERT_TRUE(providers_[0]->Ready());
  SubmitEntries(header)[0] = {
      .offset = static_cast<uint32_t>(kGeometry.LaneTxDataBytes()),
      .length = 60};
  header->submit_tail.value = 1;
  Descriptor piece;
  EXPECT_EQ(providers_[0]->TakeTx({&piece, 1}), 0u);
  EXPECT_TRUE(providers_[0]->broken());
}

// A provider's lie in one lane is reported by that lane.
TEST_F(Lanes, S7_AProviderThatLiesInOneLaneIsReported) {
  auto ends = SeqpacketChannel::CreatePair();
  ASSERT_TRUE(ends.ok());
  auto grant = areas_->MakeClientGrant(1, 1);
  ASSERT_TRUE(grant.ok());
  auto client =
      ClientEnd::Create(*std::move(grant), OnRestart::kCountIndeterminate,
                        ends->second.ReleaseFd());
  ASSERT_TRUE(client.ok()) << client.status();
  auto provider = areas_->MakeProviderGrant(1, 1);
  ASSERT_TRUE(provider.ok());
  auto area =
      Mapping::MapSealed(provider->provider_control.get(),
                         kGeometry.ProviderControlBytes(), Access::kReadWrite);
  ASSERT_TRUE(area.ok());
  auto* header =
      area->As<ControlHeader>(3 * kGeometry.LaneProviderControlBytes());
  header->submit_tail.value = 1000;
  header->epoch = 1;
  EXPECT_TRUE(Receive((*client)->lane(3)).empty());
  EXPECT_FALSE((*client)->lane(3).health().ok());
  EXPECT_TRUE((*client)->lane(1).health().ok());
  ClientReport report;
  std::vector<UniqueFd> fds;
  ASSERT_TRUE(ends->first.WaitReceive(&report, &fds, 5'000).ok());
  EXPECT_NE(report.breach().find("tail says 1000"), std::string::npos);
  // All lanes learn that the platform is gone.
  ends->first.Close();
  for (uint32_t lane = 0; lane < kLanes; ++lane) {
    (*client)->lane(lane).Wait(5'000);
    EXPECT_EQ((*client)->lane(lane).health().code(),
              absl::StatusCode::kUnavailable)
        << lane;
  }
}

// Descriptors that were parked make the same session, with all its lanes.
TEST_F(Lanes, S6_RestoredAreasServeAllLanes) {
  std::vector<UniqueFd> parked;
  for (const int fd : areas_->Fds()) parked.emplace_back(::dup(fd));
  EXPECT_EQ(parked.size(), SessionAreas::FdCount(kLanes));
  auto restored = SessionAreas::Restore(kGeometry, std::move(parked));
  ASSERT_TRUE(restored.ok()) << restored.status();
  *areas_ = *std::move(restored);
  SetEpoch(2);
  Provide(2);
  for (uint32_t lane = 0; lane < kLanes; ++lane) {
    Lane& end = client_->lane(lane);
    EXPECT_TRUE(Receive(end).empty());
    ASSERT_TRUE(Send(end, lane));
    end.Flush();
    EXPECT_EQ(Echo(lane), 1u);
    EXPECT_EQ(Receive(end), std::vector<uint32_t>{lane});
  }
}

// Two threads for each lane, all at once: under ThreadSanitizer it shows that
// the lanes of a session share nothing that is written. Each sleeps when it has
// nothing to do, so that it shows their bells as well.
TEST_F(Lanes, S2_S8_ThreadsOfDifferentLanesDoNotMeet) {
  constexpr uint32_t kFrames = 2000;
  std::vector<std::thread> threads;
  std::array<std::vector<uint32_t>, kLanes> received;
  for (uint32_t lane = 0; lane < kLanes; ++lane) {
    threads.emplace_back([this, lane] {
      ProviderEnd& end = *providers_[lane];
      for (uint32_t echoed = 0; echoed < kFrames;) {
        const size_t count = Echo(lane);
        echoed += count;
        if (count != 0 || !end.ArmDoorbell()) continue;
        pollfd bell = {end.doorbell_fd(), POLLIN, 0};
        ::poll(&bell, 1, -1);
        end.DisarmDoorbell();
      }
    });
    threads.emplace_back([this, lane, &received] {
      Lane& end = client_->lane(lane);
      uint32_t sent = 0;
      while (received[lane].size() < kFrames) {
        bool moved = false;
        while (sent < kFrames && Send(end, lane << 24 | sent)) {
          ++sent;
          moved = true;
        }
        end.Flush();
        for (const uint32_t number : Receive(end)) {
          received[lane].push_back(number);
          moved = true;
        }
        if (!moved) end.Wait(-1);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (uint32_t lane = 0; lane < kLanes; ++lane) {
    for (uint32_t i = 0; i < kFrames; ++i) {
      ASSERT_EQ(received[lane][i], lane << 24 | i);
    }
    EXPECT_TRUE(client_->lane(lane).health().ok());
    EXPECT_FALSE(providers_[lane]->broken());
  }
}

}  // namespace
}  // namespace bulkhead::packet_stream
