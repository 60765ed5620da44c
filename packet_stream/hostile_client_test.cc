// Shows that whatever a client writes into its control area, the provider's end
// either hands out checked pieces or breaks the session with a reason (S7), and
// that no buffer gets two owners (S2). A test plays the client by writing to
// the area.
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "packet_stream/local_session.h"

namespace bulkhead::packet_stream {
namespace {

constexpr SessionGeometry kGeometry = {
    .tx_buffers = 64, .rx_buffers = 8, .buffer_bytes = 256};

class HostileClient : public testing::Test {
 protected:
  HostileClient() {
    client_->epoch = 1;
    EXPECT_TRUE(provider_->Ready());
  }

  // Puts descriptors into the ring and moves the tail, as one publish.
  void Publish(const std::vector<Descriptor>& pieces) {
    uint32_t tail = client_->submit_tail.value;
    for (const Descriptor& piece : pieces) {
      session_.tx_ring()[tail++ % kGeometry.tx_buffers] = piece;
    }
    client_->submit_tail.value = tail;
  }
  static Descriptor Piece(uint32_t buffer, uint16_t flags = 0,
                          uint16_t length = 60) {
    return {.offset = buffer * 256, .length = length, .flags = flags};
  }
  std::vector<Descriptor> Take(size_t most = 64) {
    std::vector<Descriptor> out(most);
    out.resize(provider_->TakeTx(out));
    return out;
  }
  void ExpectBroken(const std::string& why) {
    EXPECT_TRUE(provider_->broken());
    EXPECT_NE(provider_->breach().find(why), std::string::npos)
        << provider_->breach();
    // Broken is for good: nothing is believed, nothing is published.
    const uint32_t tail = session_.provider_control()->ack_tail.value;
    uint32_t buffer;
    EXPECT_TRUE(Take().empty());
    EXPECT_EQ(provider_->TakeFreeRx({&buffer, 1}), 0u);
    const Ack ack = 0;
    provider_->AckTx({&ack, 1});
    provider_->Flush();
    EXPECT_EQ(session_.provider_control()->ack_tail.value, tail);
    EXPECT_TRUE(provider_->ArmDoorbell());
  }
  // Gives the client one rx buffer; returns its number.
  uint32_t GiveRx() {
    uint32_t buffer = 0;
    EXPECT_EQ(provider_->TakeFreeRx({&buffer, 1}), 1u);
    const Descriptor piece = {.offset = buffer * 256, .length = 60};
    provider_->SubmitRx({&piece, 1});
    provider_->Flush();
    return buffer;
  }
  // Acknowledges rx as the client, then makes the provider look.
  void AckRx(Ack ack) {
    const uint32_t tail = client_->ack_tail.value;
    session_.rx_acks()[tail % kGeometry.rx_buffers] = ack;
    client_->ack_tail.value = tail + 1;
    // One more than there are, so that acknowledgements are looked for.
    uint32_t buffers[9];
    const size_t count = provider_->TakeFreeRx(buffers);
    provider_->ReturnFreeRx({buffers, count});
  }

  LocalSession session_{kGeometry};
  ControlHeader* client_ = session_.client_control();
  std::unique_ptr<ProviderEnd> provider_ = session_.MakeProvider();
};

TEST_F(HostileClient, S7_TailJumpsAhead) {
  client_->submit_tail.value = 65;
  EXPECT_TRUE(Take().empty());
  ExpectBroken("tx submit tail says 65");
}

TEST_F(HostileClient, S7_TailGoesBack) {
  Publish({Piece(0), Piece(1)});
  EXPECT_EQ(Take().size(), 2u);
  client_->submit_tail.value = 1;
  EXPECT_TRUE(Take().empty());
  ExpectBroken("tx submit tail says 1");
}

TEST_F(HostileClient, S7_TailOscillates) {
  Publish({Piece(0), Piece(1), Piece(2)});
  EXPECT_EQ(Take(1).size(), 1u);
  client_->submit_tail.value = 2;
  EXPECT_TRUE(Take().empty());
  ExpectBroken("tx submit tail says 2");
}

TEST_F(HostileClient, S7_AckTailJumpsAhead) {
  client_->ack_tail.value = 9;
  uint32_t buffers[9];
  EXPECT_EQ(provider_->TakeFreeRx(buffers), 0u);
  ExpectBroken("rx ack tail says 9");
}

TEST_F(HostileClient, S7_AckTailGoesBack) {
  const uint32_t buffer = GiveRx();
  AckRx(buffer);
  EXPECT_FALSE(provider_->broken());
  client_->ack_tail.value = 0;
  uint32_t buffers[9];
  EXPECT_EQ(provider_->TakeFreeRx(buffers), 0u);
  ExpectBroken("rx ack tail says 0");
}

TEST_F(HostileClient, S7_EachBadDescriptorBreaksTheSession) {
  struct Case {
    const char* name;
    Descriptor piece;
  };
  const Case cases[] = {
      {"offset beyond the area", {.offset = 64 * 256, .length = 1}},
      {"greatest offset", {.offset = 0xffffffff, .length = 1}},
      {"offset plus length wraps", {.offset = 0xffffff00, .length = 0xffff}},
      {"zero length", {.offset = 0, .length = 0}},
      {"zero length at a buffer's end", {.offset = 255, .length = 0}},
      {"one byte into the next buffer", {.offset = 1, .length = 256}},
      {"longest length", {.offset = 0, .length = 0xffff}},
      {"beyond the last buffer", {.offset = 64 * 256 - 1, .length = 2}},
      {"an rx flag", {.offset = 0, .length = 60, .flags = kChecksumGood}},
      {"unknown flags", {.offset = 0, .length = 60, .flags = 0x8000}},
      {"segments without their flag",
       {.offset = 0, .length = 60, .segments = 1}},
      {"headers without the flag of segments",
       {.offset = 0, .length = 60, .segments = 0x80000000}},
  };
  for (const Case& c : cases) {
    for (const size_t before : {0, 1, 5}) {
      SCOPED_TRACE(c.name);
      LocalSession session(kGeometry);
      session.client_control()->epoch = 1;
      auto provider = session.MakeProvider();
      ASSERT_TRUE(provider->Ready());
      for (size_t i = 0; i < before; ++i) session.tx_ring()[i] = Piece(8 + i);
      session.tx_ring()[before] = c.piece;
      session.client_control()->submit_tail.value = before + 1;
      Descriptor out[32];
      EXPECT_EQ(provider->TakeTx(out), 0u);
      EXPECT_TRUE(provider->broken());
      EXPECT_NE(provider->breach().find("a tx descriptor of offset"),
                std::string::npos);
    }
  }
}

TEST_F(HostileClient, S7_GreatestGoodPiecesAreTaken) {
  Publish(
      {{.offset = 0, .length = 256}, {.offset = 64 * 256 - 1, .length = 1}});
  EXPECT_EQ(Take().size(), 2u);
}

TEST_F(HostileClient, S2_TheSameBufferTwiceInOneBatch) {
  Publish({Piece(3), Piece(4), Piece(3)});
  EXPECT_TRUE(Take().empty());
  ExpectBroken("submitted that buffer before");
}

TEST_F(HostileClient, S2_TheSameBufferBeforeItsAck) {
  Publish({Piece(3)});
  EXPECT_EQ(Take().size(), 1u);
  Publish({{.offset = 3 * 256 + 100, .length = 1}});
  EXPECT_TRUE(Take().empty());
  ExpectBroken("submitted that buffer before");
}

TEST_F(HostileClient, S2_TheSameBufferTwiceInOneFrame) {
  Publish({Piece(3, kMore), Piece(3)});
  EXPECT_TRUE(Take().empty());
  ExpectBroken("submitted that buffer before");
}

TEST_F(HostileClient, S7_AChainWithoutEnd) {
  std::vector<Descriptor> chain;
  for (uint32_t i = 0; i < 64; ++i) chain.push_back(Piece(i, kMore));
  Publish(chain);
  EXPECT_TRUE(Take().empty());
  ExpectBroken("more than 32 pieces");
}

TEST_F(HostileClient, S7_AChainThatIsNotPublishedWhole) {
  Publish({Piece(0, kMore), Piece(1, kMore)});
  EXPECT_TRUE(Take().empty());
  ExpectBroken("a part of a tx frame");
}

TEST_F(HostileClient, S7_AChainOfWholeRingsThatLoopsOverItself) {
  // The ring's only entry is read again and again if the end is looked for
  // without regard to the tail.
  Publish({Piece(0, kMore)});
  EXPECT_TRUE(Take(1).empty());
  ExpectBroken("a part of a tx frame");
}

TEST_F(HostileClient, AFrameThatDoesNotFitWaits) {
  Publish({Piece(0), Piece(1, kMore), Piece(2, kMore), Piece(3)});
  EXPECT_EQ(Take(3).size(), 1u);
  EXPECT_TRUE(Take(2).empty());
  EXPECT_FALSE(provider_->broken());
  EXPECT_EQ(provider_->tx_held(), 1u);
  EXPECT_EQ(Take(3).size(), 3u);
  EXPECT_EQ(provider_->tx_held(), 4u);
}

TEST_F(HostileClient, TheLongestFrameIsTaken) {
  std::vector<Descriptor> chain;
  for (uint32_t i = 0; i < kMaxFramePieces; ++i) {
    chain.push_back(Piece(i, i + 1 < kMaxFramePieces ? kMore : 0));
  }
  Publish(chain);
  EXPECT_EQ(Take(kMaxFramePieces).size(), kMaxFramePieces);
}

// A frame-level mistake costs the frame, not the session: each is acknowledged
// kInvalid, and frames around it go through.
TEST_F(HostileClient, S8_AChecksumRequestThatMakesNoSenseDropsTheFrame) {
  Descriptor start = Piece(1, kChecksumNeeded);
  start.checksum_start = 59;
  Descriptor wraps = Piece(2, kChecksumNeeded);
  wraps.checksum_start = 0xffff;
  wraps.checksum_offset = 0xffff;
  Descriptor good = Piece(3, kChecksumNeeded);
  good.checksum_start = 42;
  good.checksum_offset = 16;
  Publish({Piece(0), start, wraps, good, Piece(4, kMore),
           Piece(5, kChecksumNeeded), Piece(6)});
  const std::vector<Descriptor> taken = Take();
  ASSERT_EQ(taken.size(), 3u);
  EXPECT_EQ(taken[0].offset, 0u);
  EXPECT_EQ(taken[1].offset, 3 * 256u);
  EXPECT_EQ(taken[1].checksum_offset, 16);
  EXPECT_EQ(taken[2].offset, 6 * 256u);
  provider_->Flush();
  ASSERT_EQ(session_.provider_control()->ack_tail.value, 4u);
  const uint32_t dropped[] = {1, 2, 4, 5};
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(session_.tx_acks()[i], MakeAck(dropped[i], AckStatus::kInvalid));
  }
  // Their buffers are the client's again.
  Publish({Piece(1), Piece(4)});
  EXPECT_EQ(Take().size(), 2u);
}

TEST_F(HostileClient, S7_AChecksumOverPiecesCountsAllOfThem) {
  Descriptor first = Piece(0, kMore | kChecksumNeeded, 10);
  first.checksum_start = 34;
  first.checksum_offset = 16;
  Publish({first, Piece(1, 0, 42)});
  EXPECT_EQ(Take().size(), 2u);
}

TEST_F(HostileClient, S8_SegmentsThatMakeNoSenseDropTheFrame) {
  // Ethernet, IPv4, TCP and 100 bytes.
  const auto segmented = [](uint32_t buffer, uint16_t header, uint16_t payload,
                            uint16_t flags = kSegmentTcp4 | kChecksumNeeded) {
    Descriptor piece = Piece(buffer, flags, 154);
    piece.checksum_start = 34;
    piece.checksum_offset = 16;
    piece.segments = MakeSegments(header, payload);
    return piece;
  };
  Descriptor low = segmented(6, 54, 64);
  low.checksum_start = 33;
  Descriptor elsewhere = segmented(7, 54, 64);
  elsewhere.checksum_offset = 6;
  Descriptor split = segmented(9, 54, 64);
  split.flags |= kMore;
  split.length = 53;
  Publish({segmented(0, 54, 64), segmented(1, 53, 64), segmented(2, 154, 64),
           segmented(3, 54, 63), segmented(4, 54, 64, kSegmentTcp4),
           segmented(5, 54, 64, kSegmentTcp4 | kSegmentTcp6 | kChecksumNeeded),
           low, elsewhere, segmented(8, 54, 64, kSegmentTcp6 | kChecksumNeeded),
           split, Piece(10, 0, 200), segmented(11, 54, 0xffff)});
  const std::vector<Descriptor> taken = Take();
  ASSERT_EQ(taken.size(), 2u);
  EXPECT_EQ(taken[0].offset, 0u);
  EXPECT_EQ(taken[1].offset, 11 * 256u);
  provider_->Flush();
  EXPECT_EQ(session_.provider_control()->ack_tail.value, 10u);
}

TEST_F(HostileClient, S7_AnAckOfABufferItDoesNotHold) {
  AckRx(3);
  ExpectBroken("acknowledged rx buffer 3");
}

TEST_F(HostileClient, S7_AnAckOfABufferThatTheDeviceHolds) {
  uint32_t buffer;
  ASSERT_EQ(provider_->TakeFreeRx({&buffer, 1}), 1u);
  AckRx(buffer);
  ExpectBroken("acknowledged rx buffer");
}

TEST_F(HostileClient, S7_AnAckTwice) {
  const uint32_t buffer = GiveRx();
  AckRx(buffer);
  EXPECT_FALSE(provider_->broken());
  AckRx(buffer);
  ExpectBroken("acknowledged rx buffer");
}

TEST_F(HostileClient, S7_AnAckOutsideTheArea) {
  GiveRx();
  AckRx(8);
  ExpectBroken("acknowledged rx buffer 8 of 8");
}

TEST_F(HostileClient, S7_AnAckWithAStatusThatAClientMustNotSay) {
  const uint32_t buffer = GiveRx();
  AckRx(MakeAck(buffer, AckStatus::kNoLink));
  ExpectBroken("with status 2");
}

TEST_F(HostileClient, S7_AWrongEpochIsNotBelieved) {
  for (const uint32_t epoch : {0u, 2u, 0xffffffffu}) {
    LocalSession session(kGeometry);
    session.client_control()->epoch = epoch;
    session.tx_ring()[0] = Piece(0);
    session.client_control()->submit_tail.value = 1;
    auto provider = session.MakeProvider();
    EXPECT_FALSE(provider->Ready());
    Descriptor out[1];
    EXPECT_EQ(provider->TakeTx(out), 0u);
    EXPECT_EQ(session.provider_control()->epoch.load(), 0u);
  }
}

TEST_F(HostileClient, S7_AnEpochThatChangesLaterChangesNothing) {
  client_->epoch = 99;
  Publish({Piece(0)});
  EXPECT_EQ(Take().size(), 1u);
}

// Double fetch: another thread rewrites a descriptor all the time, between a
// good and several bad values. Whatever was handed out is good: the check and
// the use saw the same copy.
TEST_F(HostileClient, S7_ADescriptorThatChangesBetweenCheckAndUse) {
  std::atomic<bool> stop = false;
  std::atomic<Descriptor*> target = nullptr;
  std::thread attacker([&] {
    const uint64_t values[] = {
        uint64_t{60} << 32,               // Good: buffer 0.
        uint64_t{0xffff} << 32,           // Too long.
        uint64_t{60} << 32 | 0xffffff00,  // Beyond the area.
        uint64_t{200} << 32 | 200,        // Into the next buffer.
        uint64_t{kMore} << 48 | uint64_t{60} << 32,
    };
    for (size_t i = 0; !stop.load(std::memory_order_relaxed); ++i) {
      if (Descriptor* piece = target.load(std::memory_order_acquire)) {
        __atomic_store_n(reinterpret_cast<uint64_t*>(piece), values[i % 5],
                         __ATOMIC_RELAXED);
      }
    }
  });
  LocalSession session(kGeometry);
  session.client_control()->epoch = 1;
  target.store(session.tx_ring(), std::memory_order_release);
  int taken = 0;
  int broken = 0;
  for (int i = 0; i < 20'000; ++i) {
    session.client_control()->submit_tail.value = 0;
    auto provider = session.MakeProvider();
    ASSERT_TRUE(provider->Ready());
    session.client_control()->submit_tail.value = 1;
    Descriptor out[4];
    if (provider->TakeTx(out) == 1) {
      ++taken;
      ASSERT_EQ(out[0].offset, 0u);
      ASSERT_EQ(out[0].length, 60);
      ASSERT_EQ(out[0].flags, 0);
    } else {
      ++broken;
      ASSERT_TRUE(provider->broken());
    }
  }
  stop = true;
  attacker.join();
  EXPECT_EQ(taken + broken, 20'000);
}

}  // namespace
}  // namespace bulkhead::packet_stream
