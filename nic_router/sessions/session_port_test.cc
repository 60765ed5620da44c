// Shows what the engine sees of a session, from either end: frames are lent and
// given back, sent ones arrive, a broken or closed peer moves nothing.
#include <gtest/gtest.h>
#include <poll.h>

#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "nic_router/sessions/client_port.h"
#include "nic_router/sessions/uplink_port.h"
#include "packet_stream/client_end.h"
#include "packet_stream/session_areas.h"

namespace bulkhead::nic_router {
namespace {

using packet_stream::ClientEnd;
using packet_stream::Descriptor;
using packet_stream::OnRestart;
using packet_stream::SessionAreas;
using packet_stream::SessionState;

constexpr packet_stream::SessionGeometry kGeometry = {16, 16, 2048};
constexpr MacAddress kMac = {2, 0, 0, 0, 0, 7};

class SessionPortTest : public testing::Test {
 protected:
  SessionPortTest() : areas_(*packet_stream::CreateSessionAreas(kGeometry)) {
    Show(SessionState::kRunning);
    client_ = *ClientEnd::Create(*areas_.MakeClientGrant(1, 1),
                                 OnRestart::kCountIndeterminate, UniqueFd());
  }

  void Show(SessionState state) {
    packet_stream::SessionStatus status;
    status.state = state;
    status.epoch = 1;
    status.link_up = true;
    status.mac = kMac;
    status.mtu = 9000;
    areas_.status().Write(status);
  }

  std::unique_ptr<ClientPort> MakeClientPort() {
    ClientGrant grant;
    grant.provider = *areas_.MakeProviderGrant(1, 1);
    grant.tx_data = *ReopenReadOnly(areas_.tx_data_fd());
    grant.rx_data.Reset(::dup(areas_.rx_data_fd()));
    grant.label = "vm-1";
    grant.mac = kMac;
    auto port = ClientPort::Create(std::move(grant));
    EXPECT_TRUE(port.ok()) << port.status();
    return *std::move(port);
  }

  // The client sends a frame in so many pieces of four bytes.
  void SendPieces(int pieces, uint16_t flags = 0) {
    for (int i = 0; i < pieces; ++i) {
      packet_stream::TxBuffer buffer;
      ASSERT_EQ(client_->AllocTx({&buffer, 1}), 1u);
      std::memcpy(buffer.data, "abcd", 4);
      Descriptor piece = {.offset = buffer.offset, .length = 4};
      if (i == 0) piece.flags = flags;
      if (i + 1 < pieces) piece.flags |= packet_stream::kMore;
      if (flags != 0) piece.checksum_offset = 2;
      client_->SubmitTx({&piece, 1});
    }
    client_->Flush();
  }

  SessionAreas areas_;
  std::unique_ptr<ClientEnd> client_;
};

TEST_F(SessionPortTest, AClientsFramesAreLentWholeAndGivenBack) {
  const auto port = MakeClientPort();
  SendPieces(3);
  RxPiece pieces[32];
  ASSERT_EQ(port->Receive(pieces), 3u);
  EXPECT_TRUE(port->link_up());
  EXPECT_TRUE(pieces[0].more);
  EXPECT_FALSE(pieces[2].more);
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(pieces[1].data), 4),
            "abcd");
  port->Release({pieces, 3});
  port->Flush();
  client_->Flush();
  EXPECT_EQ(client_->counters().tx_done, 3u);
  EXPECT_EQ(client_->tx_in_flight(), 0u);
}

TEST_F(SessionPortTest, FramesForAClientArrive) {
  const auto port = MakeClientPort();
  RxPiece none[32];
  ASSERT_EQ(port->Receive(none), 0u);  // It has to be ready.
  TxBuffer buffers[2];
  ASSERT_EQ(port->Alloc(buffers), 2u);
  EXPECT_EQ(buffers[0].capacity, 2048u);
  std::memcpy(buffers[0].data, "hello", 5);
  const TxPiece piece = {buffers[0].buffer, 5, false};
  port->Send({&piece, 1});
  port->Return({buffers + 1, 1});
  port->Flush();
  packet_stream::RxPiece got[4];
  ASSERT_EQ(client_->Receive(got), 1u);
  EXPECT_EQ(got[0].length, 5);
  EXPECT_EQ(std::memcmp(got[0].data, "hello", 5), 0);
}

// Shows that a request that we do not offer goes back as invalid, and that the
// frames around it do not suffer (S8).
TEST_F(SessionPortTest, S8_OffloadsAreRefusedFrameByFrame) {
  const auto port = MakeClientPort();
  SendPieces(2, packet_stream::kChecksumNeeded);
  SendPieces(1);
  RxPiece pieces[32];
  ASSERT_EQ(port->Receive(pieces), 1u);
  port->Release({pieces, 1});
  port->Flush();
  client_->Flush();
  EXPECT_EQ(port->refused_frames(), 1u);
  EXPECT_EQ(client_->counters().tx_dropped_invalid, 2u);
  EXPECT_EQ(client_->counters().tx_done, 1u);
}

TEST_F(SessionPortTest, S7_ABrokenClientMovesNothing) {
  const auto port = MakeClientPort();
  SendPieces(1);
  auto control = *Mapping::MapSealed(
      areas_.Fds()[0], kGeometry.ClientControlBytes(), Access::kReadWrite);
  control.As<packet_stream::ControlHeader>()->submit_tail.value = 1000;
  RxPiece pieces[32];
  EXPECT_EQ(port->Receive(pieces), 0u);
  EXPECT_TRUE(port->broken());
  EXPECT_FALSE(port->breach().empty());
  EXPECT_FALSE(port->link_up());
  TxBuffer buffer;
  EXPECT_EQ(port->Alloc({&buffer, 1}), 0u);
  EXPECT_TRUE(port->Arm());
}

TEST_F(SessionPortTest, SleepsUntilTheClientRings) {
  const auto port = MakeClientPort();
  RxPiece pieces[32];
  ASSERT_EQ(port->Receive(pieces), 0u);
  ASSERT_TRUE(port->Arm());
  EXPECT_FALSE(port->moved());
  SendPieces(1);
  EXPECT_EQ(port->Receive(pieces), 1u);
  EXPECT_TRUE(port->moved());
  port->Disarm();
  SendPieces(1);
  EXPECT_FALSE(port->Arm());
}

// A ring that nobody waited for is over once it was heard: the router's loop
// would turn for ever otherwise.
TEST_F(SessionPortTest, S7_RingsAtAPausedPortAreSilenced) {
  const auto port = MakeClientPort();
  RxPiece pieces[32];
  ASSERT_EQ(port->Receive(pieces), 0u);
  ASSERT_TRUE(port->Arm());
  SendPieces(1);
  pollfd rung = {.fd = port->fd(), .events = POLLIN, .revents = 0};
  ASSERT_EQ(::poll(&rung, 1, 0), 1);
  port->Disarm();
  EXPECT_EQ(::poll(&rung, 1, 0), 0);
  port->Pause(true);
  EXPECT_TRUE(port->Arm());
  EXPECT_FALSE(port->armed());
  packet_stream::DoorbellRinger(
      std::move(areas_.MakeClientGrant(1, 1)->bells[0].tx_doorbell))
      .Ring();
  ASSERT_EQ(::poll(&rung, 1, 0), 1);
  port->Disarm();
  EXPECT_EQ(::poll(&rung, 1, 0), 0);
}

TEST_F(SessionPortTest, AnUplinkIsASessionOfOurs) {
  auto provider =
      *packet_stream::ProviderEnd::Create(*areas_.MakeProviderGrant(1, 1));
  ASSERT_TRUE(provider->Ready());
  UplinkPort port("nic0", std::move(client_));
  EXPECT_TRUE(port.link_up());
  EXPECT_EQ(port.mac(), kMac);
  EXPECT_EQ(port.mtu(), 9000u);
  TxBuffer buffers[2];
  ASSERT_EQ(port.Alloc(buffers), 2u);
  std::memcpy(buffers[0].data, "hello", 5);
  const TxPiece piece = {buffers[0].buffer, 5, false};
  port.Send({&piece, 1});
  port.Return({buffers + 1, 1});
  port.Flush();
  Descriptor taken[32];
  ASSERT_EQ(provider->TakeTx(taken), 1u);
  EXPECT_EQ(taken[0].length, 5);

  uint32_t number = 0;
  ASSERT_EQ(provider->TakeFreeRx({&number, 1}), 1u);
  const Descriptor filled = {.offset = number * 2048,
                             .length = 60,
                             .flags = packet_stream::kChecksumGood};
  provider->SubmitRx({&filled, 1});
  provider->Flush();
  RxPiece pieces[32];
  ASSERT_EQ(port.Receive(pieces), 1u);
  EXPECT_TRUE(pieces[0].checksum_good);
  EXPECT_EQ(pieces[0].length, 60);
  port.Release({pieces, 1});
  port.Flush();
}

TEST_F(SessionPortTest, AnUplinkSaysWhenItsSessionIsOver) {
  UplinkPort port("nic0", std::move(client_));
  Show(SessionState::kRecovering);
  EXPECT_FALSE(port.link_up());
  EXPECT_TRUE(port.closed().ok());
  Show(SessionState::kClosed);
  EXPECT_FALSE(port.closed().ok());
}

}  // namespace
}  // namespace bulkhead::nic_router
