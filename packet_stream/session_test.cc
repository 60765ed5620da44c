// Shows that a whole session, both ends on real areas, moves frames both ways
// and survives the replacement of its provider.
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "packet_stream/client_end.h"
#include "packet_stream/provider.h"
#include "packet_stream/session_areas.h"

namespace bulkhead::packet_stream {
namespace {

constexpr SessionGeometry kSmall = {
    .tx_buffers = 8, .rx_buffers = 8, .buffer_bytes = 256};

class SessionTest : public testing::Test {
 protected:
  void Start(OnRestart on_restart = OnRestart::kCountIndeterminate) {
    auto areas = CreateSessionAreas(kSmall);
    ASSERT_TRUE(areas.ok()) << areas.status();
    areas_ = std::make_unique<SessionAreas>(*std::move(areas));
    SetEpoch(1);
    auto grant = areas_->MakeClientGrant(1, 1);
    ASSERT_TRUE(grant.ok()) << grant.status();
    auto client = ClientEnd::Create(*std::move(grant), on_restart, UniqueFd());
    ASSERT_TRUE(client.ok()) << client.status();
    client_ = *std::move(client);
    StartProvider(1);
  }

  void SetEpoch(uint32_t epoch) {
    SessionStatus status = areas_->status().Current();
    status.epoch = epoch;
    status.state = SessionState::kRunning;
    areas_->status().Write(status);
    areas_->WakeClient();
  }

  void StartProvider(uint32_t epoch) {
    auto grant = areas_->MakeProviderGrant(1, epoch);
    ASSERT_TRUE(grant.ok()) << grant.status();
    auto provider = ProviderEnd::Create(*std::move(grant));
    ASSERT_TRUE(provider.ok()) << provider.status();
    provider_ = *std::move(provider);
  }

  // Submits a frame of one piece that starts with `byte`.
  void Send(uint8_t byte) {
    TxBuffer buffer;
    ASSERT_EQ(client_->AllocTx({&buffer, 1}), 1u);
    std::memset(buffer.data, byte, 60);
    const Descriptor piece = {.offset = buffer.offset, .length = 60};
    client_->SubmitTx({&piece, 1});
    client_->Flush();
  }

  std::vector<Descriptor> Take() {
    std::vector<Descriptor> out(8);
    out.resize(provider_->TakeTx(out));
    return out;
  }

  void Acknowledge(const Descriptor& piece,
                   AckStatus status = AckStatus::kDone) {
    const Ack ack = MakeAck(piece.offset / kSmall.buffer_bytes, status);
    provider_->AckTx({&ack, 1});
    provider_->Flush();
  }

  std::unique_ptr<SessionAreas> areas_;
  std::unique_ptr<ClientEnd> client_;
  std::unique_ptr<ProviderEnd> provider_;
};

TEST_F(SessionTest, TxFrameReachesProviderAndBufferComesBack) {
  Start();
  ASSERT_TRUE(provider_->Ready());
  Send(7);
  EXPECT_EQ(client_->tx_in_flight(), 1u);
  const std::vector<Descriptor> taken = Take();
  ASSERT_EQ(taken.size(), 1u);
  EXPECT_EQ(taken[0].length, 60);
  EXPECT_EQ(provider_->tx_held(), 1u);
  Acknowledge(taken[0]);
  client_->Flush();
  EXPECT_EQ(client_->tx_in_flight(), 0u);
  EXPECT_EQ(client_->counters().tx_done, 1u);
  EXPECT_EQ(provider_->tx_held(), 0u);
}

TEST_F(SessionTest, RxFrameReachesClientAndBufferComesBack) {
  Start();
  ASSERT_TRUE(provider_->Ready());
  for (int round = 0; round < 3; ++round) {
    uint32_t buffers[8];
    ASSERT_EQ(provider_->TakeFreeRx(buffers), 8u);
    for (const uint32_t buffer : buffers) {
      const Descriptor piece = {.offset = buffer * 256, .length = 100};
      provider_->SubmitRx({&piece, 1});
    }
    provider_->Flush();
    RxPiece pieces[16];
    ASSERT_EQ(client_->Receive(pieces), 8u);
    EXPECT_EQ(pieces[0].length, 100);
    client_->Release({pieces, 8});
    client_->Flush();
  }
  EXPECT_EQ(client_->counters().rx_received, 24u);
}

TEST_F(SessionTest, NothingMovesBeforeTheProviderAttaches) {
  Start();
  Send(1);
  EXPECT_TRUE(Take().empty());
  ASSERT_TRUE(provider_->Ready());
  EXPECT_EQ(Take().size(), 1u);
}

TEST_F(SessionTest, S6_S8_ProviderReplacedCountsIndeterminate) {
  Start();
  ASSERT_TRUE(provider_->Ready());
  for (int i = 0; i < 4; ++i) Send(1);
  const std::vector<Descriptor> taken = Take();
  ASSERT_EQ(taken.size(), 4u);
  Acknowledge(taken[0]);
  Acknowledge(taken[1], AckStatus::kNoLink);
  provider_.reset();
  SetEpoch(2);
  StartProvider(2);
  EXPECT_FALSE(provider_->Ready());
  client_->Flush();
  EXPECT_TRUE(provider_->Ready());
  EXPECT_EQ(client_->counters().tx_done, 1u);
  EXPECT_EQ(client_->counters().tx_dropped_no_link, 1u);
  EXPECT_EQ(client_->counters().tx_indeterminate, 2u);
  EXPECT_EQ(client_->tx_in_flight(), 0u);
  EXPECT_EQ(client_->counters().recoveries, 1u);
  Send(9);
  EXPECT_EQ(Take().size(), 1u);
  EXPECT_TRUE(client_->health().ok());
}

TEST_F(SessionTest, S6_S8_ProviderReplacedResubmitsInOrder) {
  Start(OnRestart::kResubmit);
  ASSERT_TRUE(provider_->Ready());
  for (int i = 0; i < 4; ++i) Send(static_cast<uint8_t>(i));
  const std::vector<Descriptor> taken = Take();
  ASSERT_EQ(taken.size(), 4u);
  Acknowledge(taken[1]);
  provider_.reset();
  SetEpoch(2);
  StartProvider(2);
  client_->Flush();
  ASSERT_TRUE(provider_->Ready());
  const std::vector<Descriptor> again = Take();
  ASSERT_EQ(again.size(), 3u);
  EXPECT_EQ(again[0].offset, taken[0].offset);
  EXPECT_EQ(again[1].offset, taken[2].offset);
  EXPECT_EQ(again[2].offset, taken[3].offset);
  EXPECT_EQ(client_->counters().tx_resubmitted, 3u);
  EXPECT_EQ(client_->counters().tx_indeterminate, 0u);
  EXPECT_EQ(client_->tx_in_flight(), 3u);
}

TEST_F(SessionTest, S6_PublishedFramesAreReceivedBeforeRecovery) {
  Start();
  ASSERT_TRUE(provider_->Ready());
  uint32_t buffers[2];
  ASSERT_EQ(provider_->TakeFreeRx(buffers), 2u);
  for (const uint32_t buffer : buffers) {
    const Descriptor piece = {.offset = buffer * 256, .length = 100};
    provider_->SubmitRx({&piece, 1});
  }
  provider_->Flush();
  provider_.reset();
  SetEpoch(2);
  StartProvider(2);
  RxPiece piece;
  RxPiece held[2];
  ASSERT_EQ(client_->Receive({held, 2}), 2u);
  EXPECT_EQ(client_->Receive({&piece, 1}), 0u);
  EXPECT_FALSE(provider_->Ready());
  client_->Release(held);
  EXPECT_EQ(client_->Receive({&piece, 1}), 0u);
  EXPECT_TRUE(provider_->Ready());
}

TEST_F(SessionTest, SleepersAreWoken) {
  Start();
  ASSERT_TRUE(provider_->Ready());
  provider_->DisarmDoorbell();
  ASSERT_TRUE(provider_->ArmDoorbell());
  const uint64_t before = client_->counters().doorbells;
  Send(1);
  EXPECT_EQ(client_->counters().doorbells, before + 1);
  EXPECT_FALSE(provider_->ArmDoorbell());
  provider_->DisarmDoorbell();
  Send(1);
  EXPECT_EQ(client_->counters().doorbells, before + 1);
  const std::vector<Descriptor> taken = Take();
  ASSERT_EQ(taken.size(), 2u);
  ASSERT_TRUE(client_->ArmWait());
  Acknowledge(taken[0]);
  // Would block for ever if the bell had not been rung.
  client_->DisarmWait();
  client_->Wait(-1);
  EXPECT_EQ(client_->counters().tx_done, 1u);
}

TEST_F(SessionTest, WakeClientWakesASleeper) {
  Start();
  client_->DisarmWait();
  SetEpoch(1);
  client_->Wait(-1);
  EXPECT_EQ(client_->status().epoch, 1u);
  EXPECT_EQ(client_->status().state, SessionState::kRunning);
}

TEST_F(SessionTest, S7_AProviderRefusesMemoryThatIsNotSealedOrTooShort) {
  Start();
  const auto refused = [&](auto place, UniqueFd memory, const char* why) {
    auto grant = areas_->MakeProviderGrant(1, 1);
    ASSERT_TRUE(grant.ok());
    place(*grant) = std::move(memory);
    const absl::Status status = ProviderEnd::Create(*std::move(grant)).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    EXPECT_NE(status.message().find(why), std::string::npos) << status;
  };
  for (const auto area :
       {&ProviderGrant::client_control, &ProviderGrant::provider_control}) {
    UniqueFd unsealed(::memfd_create("unsealed", MFD_ALLOW_SEALING));
    ASSERT_EQ(::ftruncate(unsealed.get(), 8192), 0);
    const auto place = [area](ProviderGrant& g) -> UniqueFd& {
      return g.*area;
    };
    refused(place, std::move(unsealed), "not sealed");
    auto small = CreateSealedMemory("short", 4096);
    ASSERT_TRUE(small.ok());
    refused(place, *std::move(small), "bytes, not");
  }
  refused([](ProviderGrant& g) -> UniqueFd& { return g.bells[0].tx_doorbell; },
          UniqueFd(::eventfd(0, 0)), "doorbell");
}

TEST_F(SessionTest, RestoredAreasAreTheSameSession) {
  Start();
  std::vector<UniqueFd> parked;
  for (const int fd : areas_->Fds()) parked.emplace_back(::dup(fd));
  auto restored = SessionAreas::Restore(kSmall, std::move(parked));
  ASSERT_TRUE(restored.ok()) << restored.status();
  restored->status().Write({.state = SessionState::kParked, .epoch = 1});
  EXPECT_EQ(client_->status().state, SessionState::kParked);
}

}  // namespace
}  // namespace bulkhead::packet_stream
