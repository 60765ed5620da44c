#include "packet_stream/observer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "packet_stream/local_session.h"

namespace bulkhead::packet_stream {
namespace {

constexpr SessionGeometry kGeometry = {
    .tx_buffers = 16, .rx_buffers = 16, .buffer_bytes = 256};

DirectionObserver::Memory SentBy(const LocalSession& session) {
  return {session.client_control(), session.tx_ring(),
          session.provider_control(), session.tx_acks(), session.tx_data()};
}
DirectionObserver::Memory ReceivedBy(const LocalSession& session) {
  return {session.provider_control(), session.rx_ring(),
          session.client_control(), session.rx_acks(), session.rx_data()};
}

class ObserverTest : public ::testing::Test {
 protected:
  ObserverTest() {
    client_ = session_.MakeClient();
    provider_ = session_.MakeProvider();
    EXPECT_TRUE(provider_->Ready());
    sent_.FollowFromHere();
    received_.FollowFromHere();
  }

  void ClientSends(const std::string& text) {
    TxBuffer buffer;
    ASSERT_EQ(client_->AllocTx({&buffer, 1}), 1u);
    std::copy(text.begin(), text.end(), buffer.data);
    const Descriptor piece = {.offset = buffer.offset,
                              .length = static_cast<uint16_t>(text.size())};
    client_->SubmitTx({&piece, 1});
    client_->Flush();
  }
  void ProviderSends() {
    std::array<Descriptor, 16> pieces;
    const size_t count = provider_->TakeTx(pieces);
    std::vector<Ack> acks;
    for (size_t i = 0; i < count; ++i) {
      acks.push_back(MakeAck(pieces[i].offset / 256, AckStatus::kDone));
    }
    provider_->AckTx(acks);
    provider_->Flush();
    client_->Flush();
  }
  // What a look hands out; `+N` before a frame: N were lost.
  std::vector<std::string> Look(DirectionObserver& observer) {
    std::vector<std::string> seen;
    observer.Look([&seen](const ObservedFrame& frame) {
      std::string text(frame.bytes.begin(), frame.bytes.end());
      if (frame.lost_before > 0) {
        text = "+" + std::to_string(frame.lost_before) + text;
      }
      seen.push_back(std::move(text));
    });
    return seen;
  }
  using Texts = std::vector<std::string>;

  LocalSession session_{kGeometry};
  std::unique_ptr<ClientEnd> client_;
  std::unique_ptr<ProviderEnd> provider_;
  DirectionObserver sent_{SentBy(session_), 16, 256, true, 65535};
  DirectionObserver received_{ReceivedBy(session_), 16, 256, false, 65535};
};

// What the client sends is handed out once, in order, at the look after the one
// that copied it; neither end notices.
TEST_F(ObserverTest, SeesWhatIsSent) {
  ClientSends("one");
  ClientSends("two");
  EXPECT_EQ(Look(sent_), Texts{});
  EXPECT_EQ(Look(sent_), (Texts{"one", "two"}));
  EXPECT_EQ(Look(sent_), Texts{});
  ProviderSends();
  EXPECT_EQ(client_->counters().tx_done, 2u);
  EXPECT_EQ(sent_.seen(), 2u);
  EXPECT_EQ(sent_.lost(), 0u);
}

// The same for frames received, one of two pieces among them; of a long frame
// the beginning is kept.
TEST_F(ObserverTest, SeesWhatIsReceived) {
  DirectionObserver snapping(ReceivedBy(session_), 16, 256, false, 4);
  snapping.FollowFromHere();
  std::array<uint32_t, 2> buffers;
  ASSERT_EQ(provider_->TakeFreeRx(buffers), 2u);
  std::copy_n("first", 5, session_.rx_data() + buffers[0] * 256);
  std::copy_n("second", 6, session_.rx_data() + buffers[1] * 256);
  const Descriptor pieces[] = {
      {.offset = buffers[0] * 256, .length = 5, .flags = kMore},
      {.offset = buffers[1] * 256, .length = 6}};
  provider_->SubmitRx(pieces);
  provider_->Flush();
  Look(received_);
  EXPECT_EQ(Look(received_), Texts{"firstsecond"});
  Look(snapping);
  snapping.Look([](const ObservedFrame& frame) {
    EXPECT_EQ(std::string(frame.bytes.begin(), frame.bytes.end()), "firs");
    EXPECT_EQ(frame.length, 11u);
    EXPECT_FALSE(frame.sent);
  });
  EXPECT_EQ(snapping.seen(), 1u);
}

// A frame whose buffer holds another by the time of the look is lost, and the
// next one says so.
TEST_F(ObserverTest, S8_CountsWhatItCameTooLateFor) {
  ClientSends("lost");
  ProviderSends();
  ClientSends("next");  // In the same buffer: the last one that came back.
  Look(sent_);
  EXPECT_EQ(Look(sent_), Texts{"+1next"});
  EXPECT_EQ(sent_.lost(), 1u);
}

// A buffer that was acknowledged when it was copied, and is submitted again
// before the next look, may have been half written: lost. One that was not
// acknowledged then is good, whatever comes.
TEST_F(ObserverTest, S8_DoubtsWhatMayHaveBeenOverwritten) {
  ClientSends("acknowledged");
  ProviderSends();
  Look(sent_);
  ClientSends("again");
  EXPECT_EQ(Look(sent_), Texts{});
  ProviderSends();
  ClientSends("more");
  EXPECT_EQ(Look(sent_), Texts{"+1again"});
  EXPECT_EQ(Look(sent_), Texts{"more"});
}

// Far behind, it counts what passed and goes on with what comes.
TEST_F(ObserverTest, S8_GoesOnAfterFallingBehind) {
  for (int i = 0; i < 9; ++i) ClientSends("unseen");
  Look(sent_);
  ProviderSends();
  ClientSends("seen");
  Look(sent_);
  EXPECT_EQ(Look(sent_), Texts{"+9seen"});
}

// A driver dies: the rings begin anew, and are followed from their beginning.
TEST_F(ObserverTest, S6_OutlivesADriver) {
  ClientSends("before");
  ProviderSends();
  Look(sent_);
  session_.RaiseEpoch();
  client_->Flush();
  provider_ = session_.MakeProvider();
  ASSERT_TRUE(provider_->Ready());
  ClientSends("after");
  Texts seen;
  for (int i = 0; i < 4; ++i) {
    for (std::string& text : Look(sent_)) seen.push_back(std::move(text));
  }
  EXPECT_EQ(seen, (Texts{"before", "after"}));
}

// One who comes later sees what is sent from then on.
TEST_F(ObserverTest, ComesInTheMiddle) {
  ClientSends("before");
  DirectionObserver late(SentBy(session_), 16, 256, true, 65535);
  late.FollowFromHere();
  ClientSends("after");
  Look(late);
  EXPECT_EQ(Look(late), Texts{"after"});
  EXPECT_EQ(late.lost(), 0u);
}

// Descriptors that point anywhere, frames without an end, and tails that jump
// are lost frames, and nothing worse.
TEST_F(ObserverTest, S7_NonsenseIsLost) {
  Descriptor* ring = session_.tx_ring();
  auto& tail = session_.client_control()->submit_tail.value;
  ring[0] = {.offset = 0xffffff00, .length = 256};
  ring[1] = {.offset = 255, .length = 2};
  ring[2] = {.offset = 0, .length = 0};
  for (uint32_t i = 1; i <= 3; ++i) {
    tail = i;
    EXPECT_EQ(Look(sent_), Texts{});
    EXPECT_EQ(sent_.lost(), i);
  }
  for (int i = 3; i < 8; ++i)
    ring[i] = {.offset = 0, .length = 1, .flags = kMore};
  tail = 8;
  EXPECT_EQ(Look(sent_), Texts{});
  EXPECT_EQ(sent_.lost(), 4u);
  tail = 7;
  EXPECT_EQ(Look(sent_), Texts{});
  tail = 0x7fffffff;
  Look(sent_);
  EXPECT_EQ(sent_.seen(), 0u);
}

}  // namespace
}  // namespace bulkhead::packet_stream
