// Shows that a provider may die at any step of a burst: the client recovers
// without reopening (S6), every piece ends in exactly one counter (S8), and
// every buffer in exactly one hand (S2).
#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <set>
#include <vector>

#include "packet_stream/local_session.h"

namespace bulkhead::packet_stream {
namespace {

constexpr SessionGeometry kGeometry = {
    .tx_buffers = 8, .rx_buffers = 8, .buffer_bytes = 256};

// An application that numbers its frames.
class Application {
 public:
  explicit Application(Session* session) : session_(session) {}

  // Queues a frame of `pieces` pieces; its number is in the first.
  void Queue(uint32_t pieces = 1) {
    std::vector<TxBuffer> buffers(pieces);
    ASSERT_EQ(session_->AllocTx(buffers), pieces);
    for (uint32_t i = 0; i < pieces; ++i) {
      std::memcpy(buffers[i].data, &next_, sizeof(next_));
      const Descriptor piece = {
          .offset = buffers[i].offset,
          .length = 60,
          .flags = static_cast<uint16_t>(i + 1 < pieces ? kMore : 0)};
      session_->SubmitTx({&piece, 1});
    }
    ++next_;
  }
  void ReceiveAll() {
    RxPiece piece;
    while (session_->Receive({&piece, 1}) == 1) session_->Release({&piece, 1});
  }
  uint32_t queued() const { return next_; }

 private:
  Session* session_;
  uint32_t next_ = 0;
};

// A driver that notes the frames it takes.
class Driver {
 public:
  Driver(LocalSession* session, std::multiset<uint32_t>* seen)
      : session_(session), seen_(seen), end_(session->MakeProvider()) {}

  bool Ready() { return end_->Ready(); }
  void Take(size_t most = 8) {
    Descriptor pieces[8];
    const size_t count = end_->TakeTx({pieces, most});
    for (size_t i = 0; i < count; ++i) {
      uint32_t number;
      std::memcpy(&number, session_->tx_data() + pieces[i].offset,
                  sizeof(number));
      seen_->insert(number);
      held_.push_back(MakeAck(pieces[i].offset / 256, AckStatus::kDone));
    }
  }
  void Ack(size_t count) {
    count = std::min(count, held_.size());
    end_->AckTx({held_.data(), count});
    held_.erase(held_.begin(), held_.begin() + static_cast<long>(count));
  }
  void SubmitRx(uint32_t count) {
    uint32_t buffer;
    for (; count > 0 && end_->TakeFreeRx({&buffer, 1}) == 1; --count) {
      const Descriptor piece = {.offset = buffer * 256, .length = 60};
      end_->SubmitRx({&piece, 1});
    }
  }
  void Flush() { end_->Flush(); }
  ProviderEnd& end() { return *end_; }

 private:
  LocalSession* session_;
  std::multiset<uint32_t>* seen_;
  std::unique_ptr<ProviderEnd> end_;
  std::vector<packet_stream::Ack> held_;
};

void ExpectAccounted(const Session& client) {
  const SessionCounters& c = client.counters();
  EXPECT_EQ(c.tx_submitted, c.tx_done + c.tx_dropped_invalid +
                                c.tx_dropped_no_link + c.tx_dropped_device +
                                c.tx_indeterminate + client.tx_in_flight());
}

// All tx buffers can be had, each once; gives them back.
void ExpectAllTxBuffers(Session& client) {
  std::vector<TxBuffer> all(kGeometry.tx_buffers + 1);
  ASSERT_EQ(client.AllocTx(all), kGeometry.tx_buffers);
  all.resize(kGeometry.tx_buffers);
  std::set<uint32_t> offsets;
  for (const TxBuffer& buffer : all) offsets.insert(buffer.offset);
  EXPECT_EQ(offsets.size(), kGeometry.tx_buffers);
  client.ReturnTx(all);
}

// The burst of a driver's life, step by step; a driver that dies after step
// `last` has done the steps before it.
constexpr int kSteps = 12;
void Live(Driver& driver, Application& application, Session& client, int last) {
  int step = 0;
  const auto next = [&] { return ++step <= last; };
  if (next()) (void)driver.Ready();
  if (next()) driver.Take(2);
  if (next()) driver.Ack(1);
  if (next()) driver.Flush();
  if (next()) driver.SubmitRx(3);
  if (next()) driver.Flush();
  if (next()) driver.Take();
  if (next()) application.ReceiveAll();
  if (next()) driver.Ack(2);
  if (next()) driver.SubmitRx(2);
  if (next()) driver.Flush();
  if (next()) client.Flush();
}

void DieAtEveryStep(OnRestart on_restart) {
  for (int last = 0; last <= kSteps; ++last) {
    for (int published = 0; published <= 5; ++published) {
      SCOPED_TRACE(testing::Message() << "step " << last << ", " << published
                                      << " of 5 frames published");
      LocalSession session(kGeometry);
      auto client = session.MakeClient(on_restart);
      Application application(client.get());
      std::multiset<uint32_t> seen;
      for (int i = 0; i < published; ++i) application.Queue(i == 2 ? 2 : 1);
      client->Flush();
      for (int i = published; i < 5; ++i) application.Queue(i == 2 ? 2 : 1);
      {
        Driver driver(&session, &seen);
        Live(driver, application, *client, last);
      }
      session.RaiseEpoch();
      application.ReceiveAll();
      client->Flush();
      ASSERT_EQ(client->counters().recoveries, 1u);
      ExpectAccounted(*client);
      Driver next(&session, &seen);
      ASSERT_TRUE(next.Ready());
      next.Take();
      next.Ack(8);
      next.SubmitRx(8);
      next.Flush();
      EXPECT_FALSE(next.end().broken()) << next.end().breach();
      application.ReceiveAll();
      client->Flush();
      ASSERT_TRUE(client->health().ok()) << client->health();
      ExpectAccounted(*client);
      EXPECT_EQ(client->tx_in_flight(), 0u);
      for (uint32_t number = 0; number < application.queued(); ++number) {
        const size_t pieces = number == 2 ? 2 : 1;
        if (on_restart == OnRestart::kResubmit) {
          EXPECT_GE(seen.count(number), pieces) << "frame " << number;
        } else {
          EXPECT_LE(seen.count(number), pieces) << "frame " << number;
        }
      }
      if (on_restart == OnRestart::kResubmit) {
        // From step 11 on, frame 2 is half acknowledged, if it was published.
        EXPECT_EQ(client->counters().tx_indeterminate,
                  last >= 11 && published >= 3 ? 1u : 0u);
      } else {
        EXPECT_EQ(client->counters().tx_resubmitted, 0u);
      }
      ExpectAllTxBuffers(*client);
    }
  }
}

TEST(Epoch, S2_S6_S8_DeathAtEveryStepCountsIndeterminate) {
  DieAtEveryStep(OnRestart::kCountIndeterminate);
}

TEST(Epoch, S2_S6_S8_DeathAtEveryStepResubmits) {
  DieAtEveryStep(OnRestart::kResubmit);
}

TEST(Epoch, S8_FramesThatNoProviderSawAreNotIndeterminate) {
  LocalSession session(kGeometry);
  auto client = session.MakeClient();
  Application application(client.get());
  std::multiset<uint32_t> seen;
  for (int i = 0; i < 3; ++i) application.Queue();
  client->Flush();
  // Three providers die before they attach, or before the client has noticed.
  for (int i = 0; i < 3; ++i) {
    session.RaiseEpoch();
    client->Flush();
  }
  Driver driver(&session, &seen);
  ASSERT_TRUE(driver.Ready());
  driver.Take();
  EXPECT_EQ(seen, (std::multiset<uint32_t>{0, 1, 2}));
  EXPECT_EQ(client->counters().tx_indeterminate, 0u);
  EXPECT_EQ(client->counters().recoveries, 3u);
}

TEST(Epoch, S8_QueuedFramesSurviveInOrderBehindResubmittedOnes) {
  LocalSession session(kGeometry);
  auto client = session.MakeClient(OnRestart::kResubmit);
  Application application(client.get());
  std::multiset<uint32_t> seen;
  {
    Driver driver(&session, &seen);
    ASSERT_TRUE(driver.Ready());
    application.Queue();
    application.Queue();
    client->Flush();
    driver.Take();
  }
  application.Queue();
  session.RaiseEpoch();
  client->Flush();
  auto next = session.MakeProvider();
  ASSERT_TRUE(next->Ready());
  Descriptor pieces[8];
  ASSERT_EQ(next->TakeTx(pieces), 3u);
  for (uint32_t i = 0; i < 3; ++i) {
    uint32_t number;
    std::memcpy(&number, session.tx_data() + pieces[i].offset, sizeof(number));
    EXPECT_EQ(number, i);
  }
  EXPECT_EQ(client->counters().tx_resubmitted, 2u);
}

TEST(Epoch, S8_AHalfAcknowledgedFrameIsNotSentAgain) {
  LocalSession session(kGeometry);
  auto client = session.MakeClient(OnRestart::kResubmit);
  Application application(client.get());
  std::multiset<uint32_t> seen;
  for (size_t acknowledged = 1; acknowledged <= 2; ++acknowledged) {
    SCOPED_TRACE(acknowledged);
    seen.clear();
    const uint64_t before = client->counters().tx_indeterminate;
    {
      Driver driver(&session, &seen);
      ASSERT_TRUE(driver.Ready());
      application.Queue(3);
      client->Flush();
      driver.Take();
      driver.Ack(acknowledged);
      driver.Flush();
    }
    session.RaiseEpoch();
    client->Flush();
    EXPECT_EQ(client->counters().tx_indeterminate, before + 3 - acknowledged);
    EXPECT_EQ(client->tx_in_flight(), 0u);
    ExpectAccounted(*client);
  }
  ExpectAllTxBuffers(*client);
}

// A frame whose first pieces are queued when the epoch changes is neither lost
// nor sent in parts.
TEST(Epoch, S8_AnOpenFrameGoesOnInTheNewEpoch) {
  for (const OnRestart on_restart :
       {OnRestart::kCountIndeterminate, OnRestart::kResubmit}) {
    LocalSession session(kGeometry);
    auto client = session.MakeClient(on_restart);
    auto first = session.MakeProvider();
    ASSERT_TRUE(first->Ready());
    TxBuffer buffers[2];
    ASSERT_EQ(client->AllocTx(buffers), 2u);
    const Descriptor begin = {
        .offset = buffers[0].offset, .length = 60, .flags = kMore};
    client->SubmitTx({&begin, 1});
    client->Flush();
    Descriptor pieces[8];
    EXPECT_EQ(first->TakeTx(pieces), 0u);
    EXPECT_FALSE(first->broken()) << first->breach();
    session.RaiseEpoch();
    client->Flush();
    auto second = session.MakeProvider();
    ASSERT_TRUE(second->Ready());
    EXPECT_EQ(second->TakeTx(pieces), 0u);
    const Descriptor end = {.offset = buffers[1].offset, .length = 60};
    client->SubmitTx({&end, 1});
    client->Flush();
    EXPECT_EQ(second->TakeTx(pieces), 2u);
    EXPECT_EQ(client->counters().tx_indeterminate, 0u);
  }
}

TEST(Epoch, S2_RecoveryWaitsForPiecesThatTheApplicationHolds) {
  LocalSession session(kGeometry, /*bells=*/true);
  auto client = session.MakeClient();
  std::multiset<uint32_t> seen;
  {
    Driver driver(&session, &seen);
    ASSERT_TRUE(driver.Ready());
    driver.SubmitRx(4);
    driver.Flush();
  }
  session.RaiseEpoch();
  RxPiece pieces[8];
  ASSERT_EQ(client->Receive(pieces), 4u);
  client->Release({pieces, 3});
  EXPECT_EQ(client->Receive({pieces + 4, 4}), 0u);
  EXPECT_EQ(client->counters().recoveries, 0u);
  // Nothing but the application's own Release can bring news: it may sleep.
  EXPECT_TRUE(client->ArmWait());
  client->DisarmWait();
  auto next = session.MakeProvider();
  EXPECT_FALSE(next->Ready());
  client->Release({pieces + 3, 1});
  client->Flush();
  EXPECT_EQ(client->counters().recoveries, 1u);
  ASSERT_TRUE(next->Ready());
  uint32_t buffers[9];
  EXPECT_EQ(next->TakeFreeRx(buffers), 8u);
}

TEST(Epoch, S6_AFrameThatArrivedWhileWaitingIsNotForgotten) {
  LocalSession session(kGeometry, /*bells=*/true);
  auto client = session.MakeClient();
  std::multiset<uint32_t> seen;
  {
    Driver driver(&session, &seen);
    ASSERT_TRUE(driver.Ready());
    ASSERT_TRUE(client->ArmWait());
    driver.SubmitRx(1);
    driver.Flush();
  }
  session.RaiseEpoch();
  client->DisarmWait();
  EXPECT_FALSE(client->ArmWait());
  RxPiece piece;
  ASSERT_EQ(client->Receive({&piece, 1}), 1u);
  client->Release({&piece, 1});
  EXPECT_TRUE(client->ArmWait());
  EXPECT_EQ(client->counters().recoveries, 1u);
}

TEST(Epoch, EpochsMayBeSkippedAndMayGoBack) {
  LocalSession session(kGeometry);
  auto client = session.MakeClient();
  Application application(client.get());
  std::multiset<uint32_t> seen;
  for (const uint32_t epoch : {5u, 0xffffffffu, 3u}) {
    session.SetEpoch(epoch);
    client->Flush();
    Driver driver(&session, &seen);
    ASSERT_TRUE(driver.Ready());
    application.Queue();
    client->Flush();
    driver.Take();
    driver.Ack(1);
    driver.Flush();
    client->Flush();
  }
  EXPECT_EQ(seen, (std::multiset<uint32_t>{0, 1, 2}));
  EXPECT_EQ(client->counters().tx_done, 3u);
}

}  // namespace
}  // namespace bulkhead::packet_stream
