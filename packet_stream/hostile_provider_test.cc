// Shows that whatever a provider writes into its control area, the client's end
// either hands out checked pieces or stops believing it with a reason (S7),
// that no buffer gets two owners (S2), and that the session lives on with the
// next provider (S6). A test plays the provider by writing to the area.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "packet_stream/local_session.h"

namespace bulkhead::packet_stream {
namespace {

constexpr SessionGeometry kGeometry = {
    .tx_buffers = 8, .rx_buffers = 64, .buffer_bytes = 256};

class HostileProvider : public testing::Test {
 protected:
  HostileProvider() { provider_->epoch = 1; }

  void Publish(const std::vector<Descriptor>& pieces) {
    uint32_t tail = provider_->submit_tail.value;
    for (const Descriptor& piece : pieces) {
      session_.rx_ring()[tail++ % kGeometry.rx_buffers] = piece;
    }
    provider_->submit_tail.value = tail;
  }
  static Descriptor Piece(uint32_t buffer, uint16_t flags = 0) {
    return {.offset = buffer * 256, .length = 60, .flags = flags};
  }
  std::vector<RxPiece> Receive(size_t most = 64) {
    std::vector<RxPiece> out(most);
    out.resize(client_->Receive(out));
    return out;
  }
  uint32_t Send() {
    TxBuffer buffer;
    EXPECT_EQ(client_->AllocTx({&buffer, 1}), 1u);
    const Descriptor piece = {.offset = buffer.offset, .length = 60};
    client_->SubmitTx({&piece, 1});
    client_->Flush();
    return buffer.offset / 256;
  }
  void AckTx(Ack ack) {
    const uint32_t tail = provider_->ack_tail.value;
    session_.tx_acks()[tail % kGeometry.tx_buffers] = ack;
    provider_->ack_tail.value = tail + 1;
    client_->Flush();
  }
  void ExpectBroken(const std::string& why) {
    EXPECT_FALSE(client_->health().ok());
    EXPECT_NE(client_->health().ToString().find(why), std::string::npos)
        << client_->health();
    EXPECT_TRUE(Receive().empty());
    const uint32_t tail = session_.client_control()->submit_tail.value;
    client_->Flush();
    EXPECT_EQ(session_.client_control()->submit_tail.value, tail);
    // S6: a new provider, and the session goes on. What the application still
    // held from before must come back first.
    client_->Release(held_);
    const SessionCounters before = client_->counters();
    provider_->submit_tail.value = 0xdead;
    session_.RaiseEpoch();
    client_->Flush();
    EXPECT_EQ(client_->counters().recoveries, before.recoveries + 1);
    auto next = session_.MakeProvider();
    ASSERT_TRUE(next->Ready());
    EXPECT_TRUE(client_->health().ok());
    EXPECT_TRUE(Receive().empty());
    uint32_t buffers[64];
    ASSERT_EQ(next->TakeFreeRx(buffers), 64u);
    const Descriptor piece = {.offset = buffers[0] * 256, .length = 60};
    next->SubmitRx({&piece, 1});
    next->Flush();
    EXPECT_EQ(Receive().size(), 1u);
    Send();
    Descriptor taken[8];
    EXPECT_GE(next->TakeTx(taken), 1u);
    // S8: each piece is in one place.
    const SessionCounters& c = client_->counters();
    EXPECT_EQ(c.tx_submitted, c.tx_done + c.tx_dropped_invalid +
                                  c.tx_dropped_no_link + c.tx_dropped_device +
                                  c.tx_indeterminate + client_->tx_in_flight());
  }

  LocalSession session_{kGeometry};
  ControlHeader* provider_ = session_.provider_control();
  std::unique_ptr<ClientEnd> client_ = session_.MakeClient();
  std::vector<RxPiece> held_;
};

TEST_F(HostileProvider, S7_TailJumpsAhead) {
  provider_->submit_tail.value = 65;
  EXPECT_TRUE(Receive().empty());
  ExpectBroken("rx submit tail says 65");
}

TEST_F(HostileProvider, S7_TailGoesBack) {
  Publish({Piece(0), Piece(1)});
  held_ = Receive();
  ASSERT_EQ(held_.size(), 2u);
  provider_->submit_tail.value = 1;
  EXPECT_TRUE(Receive().empty());
  ExpectBroken("rx submit tail says 1");
}

TEST_F(HostileProvider, S7_TailOscillates) {
  Publish({Piece(0), Piece(1), Piece(2)});
  held_ = Receive(1);
  provider_->submit_tail.value = 2;
  EXPECT_TRUE(Receive().empty());
  ExpectBroken("rx submit tail says 2");
}

TEST_F(HostileProvider, S7_AckTailJumpsAhead) {
  Send();
  provider_->ack_tail.value = 9;
  client_->Flush();
  ExpectBroken("tx ack tail says 9");
}

TEST_F(HostileProvider, S7_AckTailGoesBack) {
  AckTx(Send());
  EXPECT_TRUE(client_->health().ok());
  provider_->ack_tail.value = 0;
  client_->Flush();
  ExpectBroken("tx ack tail says 0");
}

TEST_F(HostileProvider, S7_EachBadDescriptorBreaksTheSession) {
  struct Case {
    const char* name;
    Descriptor piece;
  };
  const Case cases[] = {
      {"offset beyond the area", {.offset = 64 * 256, .length = 1}},
      {"greatest offset", {.offset = 0xffffffff, .length = 1}},
      {"offset plus length wraps", {.offset = 0xffffff00, .length = 0xffff}},
      {"zero length", {.offset = 0, .length = 0}},
      {"one byte into the next buffer", {.offset = 1, .length = 256}},
      {"longest length", {.offset = 0, .length = 0xffff}},
      {"beyond the last buffer", {.offset = 64 * 256 - 1, .length = 2}},
      {"a tx flag", {.offset = 0, .length = 60, .flags = kChecksumNeeded}},
      {"unknown flags", {.offset = 0, .length = 60, .flags = 0x8000}},
      {"reserved bits", {.offset = 0, .length = 60, .segments = 1}},
  };
  for (const Case& c : cases) {
    for (const size_t before : {0, 1, 5}) {
      SCOPED_TRACE(c.name);
      LocalSession session(kGeometry);
      session.provider_control()->epoch = 1;
      auto client = session.MakeClient();
      for (size_t i = 0; i < before; ++i) session.rx_ring()[i] = Piece(8 + i);
      session.rx_ring()[before] = c.piece;
      session.provider_control()->submit_tail.value = before + 1;
      RxPiece out[32];
      EXPECT_EQ(client->Receive(out), 0u);
      EXPECT_NE(client->health().ToString().find("an rx descriptor of offset"),
                std::string::npos);
    }
  }
}

TEST_F(HostileProvider, S2_TheSameBufferTwiceInOneBatch) {
  Publish({Piece(3), Piece(4), Piece(3)});
  EXPECT_TRUE(Receive().empty());
  ExpectBroken("submitted that buffer before");
}

TEST_F(HostileProvider, S2_ABufferThatTheApplicationHolds) {
  Publish({Piece(3)});
  held_ = Receive();
  ASSERT_EQ(held_.size(), 1u);
  Publish({{.offset = 3 * 256 + 100, .length = 1}});
  EXPECT_TRUE(Receive().empty());
  ExpectBroken("submitted that buffer before");
}

TEST_F(HostileProvider, S7_AChainWithoutEnd) {
  std::vector<Descriptor> chain;
  for (uint32_t i = 0; i < 64; ++i) chain.push_back(Piece(i, kMore));
  Publish(chain);
  EXPECT_TRUE(Receive().empty());
  ExpectBroken("more than 32 pieces");
}

TEST_F(HostileProvider, S7_AChainWithoutEndInSmallBites) {
  std::vector<Descriptor> chain;
  for (uint32_t i = 0; i < 64; ++i) chain.push_back(Piece(i, kMore));
  Publish(chain);
  for (;;) {
    const std::vector<RxPiece> pieces = Receive(5);
    if (pieces.empty()) break;
    held_.insert(held_.end(), pieces.begin(), pieces.end());
    ASSERT_LT(held_.size(), kMaxFramePieces);
  }
  ExpectBroken("more than 32 pieces");
}

TEST_F(HostileProvider, S7_AChainThatIsNotPublishedWhole) {
  Publish({Piece(0, kMore)});
  EXPECT_TRUE(Receive().empty());
  ExpectBroken("a part of an rx frame");
}

TEST_F(HostileProvider, AFrameThatDoesNotFitWaitsOrComesInParts) {
  Publish({Piece(0), Piece(1, kMore), Piece(2, kMore), Piece(3)});
  EXPECT_EQ(Receive(3).size(), 1u);
  EXPECT_EQ(Receive(2).size(), 2u);
  const std::vector<RxPiece> last = Receive(2);
  ASSERT_EQ(last.size(), 1u);
  EXPECT_EQ(last[0].flags, 0);
  EXPECT_TRUE(client_->health().ok());
}

TEST_F(HostileProvider, S7_AnAckOfABufferItDoesNotHold) {
  const uint32_t sent = Send();
  AckTx(sent ^ 1);
  ExpectBroken("acknowledged tx buffer");
}

TEST_F(HostileProvider, S7_AnAckOfABufferThatTheApplicationHolds) {
  TxBuffer buffer;
  ASSERT_EQ(client_->AllocTx({&buffer, 1}), 1u);
  AckTx(buffer.offset / 256);
  ExpectBroken("acknowledged tx buffer");
}

// Believed, it would free a buffer whose descriptor is still queued (S2).
TEST_F(HostileProvider, S2_AnAckOfAPieceThatIsNotYetPublished) {
  TxBuffer buffers[8];
  ASSERT_EQ(client_->AllocTx(buffers), 8u);
  const Descriptor piece = {.offset = buffers[0].offset, .length = 60};
  client_->SubmitTx({&piece, 1});
  session_.tx_acks()[0] = buffers[0].offset / 256;
  provider_->ack_tail.value = 1;
  TxBuffer more;
  EXPECT_EQ(client_->AllocTx({&more, 1}), 0u);
  client_->ReturnTx({buffers + 1, 7});
  ExpectBroken("acknowledged tx buffer");
}

TEST_F(HostileProvider, S7_AnAckTwice) {
  const uint32_t sent = Send();
  AckTx(sent);
  EXPECT_TRUE(client_->health().ok());
  AckTx(sent);
  ExpectBroken("acknowledged tx buffer");
}

TEST_F(HostileProvider, S7_AnAckOutsideTheArea) {
  Send();
  AckTx(8);
  ExpectBroken("acknowledged tx buffer 8 of 8");
}

TEST_F(HostileProvider, S7_AnAckWithAnUnknownStatus) {
  AckTx(Send() | 4u << 24);
  ExpectBroken("with status 4");
}

TEST_F(HostileProvider, S8_GoodAcksBeforeABadOneCount) {
  const uint32_t first = Send();
  Send();
  session_.tx_acks()[0] = first;
  session_.tx_acks()[1] = first;
  provider_->ack_tail.value = 2;
  client_->Flush();
  EXPECT_EQ(client_->counters().tx_done, 1u);
  EXPECT_EQ(client_->tx_in_flight(), 1u);
  ExpectBroken("acknowledged tx buffer");
}

TEST_F(HostileProvider, S7_AWrongEpochIsNotBelieved) {
  for (const uint32_t epoch : {0u, 2u, 0xffffffffu}) {
    LocalSession session(kGeometry);
    auto client = session.MakeClient();
    session.provider_control()->epoch = epoch;
    session.provider_control()->submit_tail.value = 0xffff;
    session.provider_control()->ack_tail.value = 0xffff;
    RxPiece out[1];
    EXPECT_EQ(client->Receive(out), 0u);
    client->Flush();
    EXPECT_TRUE(client->health().ok());
  }
}

TEST_F(HostileProvider, S7_SleepingWithABrokenProviderEnds) {
  provider_->submit_tail.value = 65;
  // News: the breach. After that there is nothing to wait for but the platform.
  EXPECT_FALSE(client_->ArmWait());
  EXPECT_TRUE(client_->ArmWait());
  client_->DisarmWait();
  ExpectBroken("rx submit tail says 65");
}

}  // namespace
}  // namespace bulkhead::packet_stream
