// Shows that a session keeps its promises in every order of calls: all
// sequences of operations of both ends up to a length, at 2 and 4 buffers, and
// long random ones. After each step every piece is in exactly one place (S8);
// at the end every buffer has come home (S2), what was published was delivered
// once and in order, and nobody was called dishonest.
#include <gtest/gtest.h>

#include <cstring>
#include <deque>
#include <random>
#include <set>
#include <vector>

#include "packet_stream/local_session.h"

namespace bulkhead::packet_stream {
namespace {

enum Operation {
  kSend,
  kClientFlush,
  kReceive,
  kRelease,
  kTake,
  kAck,
  kSubmitRx,
  kProviderFlush,
  kDie,
  kReady,
  kOperations
};

class World {
 public:
  World(uint32_t buffers, OnRestart on_restart)
      : session_({.tx_buffers = buffers,
                  .rx_buffers = buffers,
                  .buffer_bytes = 256}),
        on_restart_(on_restart),
        client_(session_.MakeClient(on_restart)),
        provider_(session_.MakeProvider()) {
    EXPECT_TRUE(provider_->Ready());
  }

  void Step(int operation) {
    switch (operation) {
      case kSend:
        Send();
        break;
      case kClientFlush:
        client_->Flush();
        break;
      case kReceive:
        Receive();
        break;
      case kRelease:
        if (held_.empty()) break;
        client_->Release({&held_.front(), 1});
        held_.pop_front();
        break;
      case kTake:
        Take();
        break;
      case kAck:
        if (taken_.empty()) break;
        provider_->AckTx({&taken_.front(), 1});
        taken_.pop_front();
        break;
      case kSubmitRx:
        SubmitRx();
        break;
      case kProviderFlush:
        provider_->Flush();
        published_.insert(published_.end(), unpublished_.begin(),
                          unpublished_.end());
        unpublished_.clear();
        break;
      case kDie:
        taken_.clear();
        unpublished_.clear();
        last_taken_ = on_restart_ == OnRestart::kResubmit ? -1 : last_taken_;
        session_.RaiseEpoch();
        provider_ = session_.MakeProvider();
        break;
      default:
        (void)provider_->Ready();
    }
    CheckAccounts();
  }

  // Lets everything come to rest and checks what must hold then.
  void Finish() {
    for (int turn = 0; turn < 3; ++turn) {
      for (uint32_t i = 0; i < buffers(); ++i) Step(kReceive);
      while (!held_.empty()) Step(kRelease);
      Step(kClientFlush);
      Step(kReady);
      for (uint32_t i = 0; i < buffers(); ++i) Step(kTake);
      while (!taken_.empty()) Step(kAck);
      Step(kProviderFlush);
      Step(kClientFlush);
    }
    const SessionCounters& c = client_->counters();
    EXPECT_EQ(client_->tx_in_flight(), 0u);
    EXPECT_EQ(provider_->tx_held(), 0u);
    EXPECT_EQ(c.tx_done + c.tx_indeterminate, sent_);
    EXPECT_GE(seen_.size(), c.tx_done);
    if (on_restart_ == OnRestart::kResubmit) {
      EXPECT_EQ(seen_.size(), sent_) << "a frame was never sent";
      EXPECT_EQ(c.tx_indeterminate, 0u);
    }
    EXPECT_TRUE(published_.empty()) << "a received frame was lost";
    std::vector<TxBuffer> tx(buffers() + 1);
    EXPECT_EQ(client_->AllocTx(tx), buffers());
    std::vector<uint32_t> rx(buffers() + 1);
    EXPECT_EQ(provider_->TakeFreeRx(rx), buffers());
    EXPECT_EQ(std::set<uint32_t>(rx.begin(), rx.end() - 1).size(), buffers());
    EXPECT_TRUE(client_->health().ok()) << client_->health();
    EXPECT_FALSE(provider_->broken()) << provider_->breach();
  }

 private:
  uint32_t buffers() const { return session_.geometry().tx_buffers; }

  void Send() {
    TxBuffer buffer;
    if (client_->AllocTx({&buffer, 1}) == 0) return;
    std::memcpy(buffer.data, &sent_, sizeof(sent_));
    const Descriptor piece = {.offset = buffer.offset, .length = 60};
    client_->SubmitTx({&piece, 1});
    ++sent_;
  }
  void Take() {
    Descriptor piece;
    if (provider_->TakeTx({&piece, 1}) == 0) return;
    uint32_t number;
    std::memcpy(&number, session_.tx_data() + piece.offset, sizeof(number));
    EXPECT_LT(number, sent_);
    EXPECT_GT(static_cast<int64_t>(number), last_taken_) << "again or late";
    last_taken_ = number;
    seen_.insert(number);
    taken_.push_back(MakeAck(piece.offset / 256, AckStatus::kDone));
  }
  void SubmitRx() {
    uint32_t buffer;
    if (provider_->TakeFreeRx({&buffer, 1}) == 0) return;
    const Descriptor piece = {.offset = buffer * 256, .length = 60};
    std::memcpy(session_.rx_data() + piece.offset, &arrived_, sizeof(arrived_));
    provider_->SubmitRx({&piece, 1});
    unpublished_.push_back(arrived_++);
  }
  void Receive() {
    RxPiece piece;
    if (client_->Receive({&piece, 1}) == 0) return;
    uint32_t number;
    std::memcpy(&number, piece.data, sizeof(number));
    ASSERT_FALSE(published_.empty());
    EXPECT_EQ(number, published_.front());
    published_.pop_front();
    held_.push_back(piece);
  }
  void CheckAccounts() {
    const SessionCounters& c = client_->counters();
    EXPECT_EQ(sent_, c.tx_submitted);
    EXPECT_EQ(c.tx_submitted,
              c.tx_done + c.tx_indeterminate + client_->tx_in_flight());
    EXPECT_LE(client_->tx_in_flight(), buffers());
  }

  LocalSession session_;
  OnRestart on_restart_;
  std::unique_ptr<ClientEnd> client_;
  std::unique_ptr<ProviderEnd> provider_;

  uint32_t sent_ = 0;
  std::set<uint32_t> seen_;  // By any provider.
  int64_t last_taken_ = -1;  // By this provider; in all, if at most once.
  std::deque<Ack> taken_;    // Not yet acknowledged.
  uint32_t arrived_ = 0;
  std::deque<uint32_t> unpublished_;
  std::deque<uint32_t> published_;  // Not yet received.
  std::deque<RxPiece> held_;
};

void RunSequence(uint32_t buffers, OnRestart on_restart,
                 const std::vector<int>& operations) {
  World world(buffers, on_restart);
  for (const int operation : operations) world.Step(operation);
  world.Finish();
}

std::string Spell(const std::vector<int>& operations) {
  std::string text;
  for (const int operation : operations) {
    text += " " + std::to_string(operation);
  }
  return text;
}

class SessionModel
    : public testing::TestWithParam<std::tuple<uint32_t, OnRestart>> {};

TEST_P(SessionModel, S2_S6_S8_EverySequence) {
  constexpr int kLength = 4;
  const auto [buffers, on_restart] = GetParam();
  // From an empty session, one under way, one whose provider has just died
  // with work in every place, and one that the client has just recovered.
  const std::vector<int> beginnings[] = {
      {},
      {kSend, kSend, kClientFlush, kTake, kSubmitRx, kSubmitRx, kProviderFlush,
       kReceive},
      {kSend, kSend, kClientFlush, kTake, kAck, kProviderFlush, kTake, kAck,
       kSubmitRx, kProviderFlush, kSubmitRx, kDie},
      {kSend, kClientFlush, kTake, kSend, kDie, kClientFlush, kSend},
  };
  for (const std::vector<int>& beginning : beginnings) {
    int count = 1;
    for (int i = 0; i < kLength; ++i) count *= kOperations;
    for (int code = 0; code < count; ++code) {
      std::vector<int> operations = beginning;
      for (int i = 0, rest = code; i < kLength; ++i, rest /= kOperations) {
        operations.push_back(rest % kOperations);
      }
      RunSequence(buffers, on_restart, operations);
      if (HasFailure()) FAIL() << "operations" << Spell(operations);
    }
  }
}

TEST_P(SessionModel, S2_S6_S8_LongRandomSequences) {
  const auto [buffers, on_restart] = GetParam();
  for (uint32_t seed = 0; seed < 500; ++seed) {
    std::mt19937 random(seed);
    std::vector<int> operations;
    for (int i = 0; i < 100; ++i) {
      // Death is rarer than life.
      int operation = static_cast<int>(random() % kOperations);
      if (operation == kDie && random() % 4 != 0) operation = kReady;
      operations.push_back(operation);
    }
    RunSequence(buffers, on_restart, operations);
    if (HasFailure()) FAIL() << "operations" << Spell(operations);
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, SessionModel,
    testing::Combine(testing::Values(2u, 4u),
                     testing::Values(OnRestart::kCountIndeterminate,
                                     OnRestart::kResubmit)));

}  // namespace
}  // namespace bulkhead::packet_stream
