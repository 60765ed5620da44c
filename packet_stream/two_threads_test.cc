// Shows that a client and a provider on two threads lose, repeat and tear no
// frame, sleep without losing a wake-up, and survive replacement under load
// (S2, S6, S8). Run it under ThreadSanitizer too: both ends see the same
// addresses, so that a missing acquire or release is a race.
#include <gtest/gtest.h>
#include <poll.h>

#include <atomic>
#include <cstring>
#include <thread>
#include <vector>

#include "packet_stream/local_session.h"

namespace bulkhead::packet_stream {
namespace {

constexpr SessionGeometry kGeometry = {
    .tx_buffers = 64, .rx_buffers = 64, .buffer_bytes = 256};

// Longer than any wait of a passing run; a lost wake-up ends here.
constexpr int kLostMs = 20'000;

struct Numbered {
  uint64_t number;
  uint64_t inverse;
};

// Sleeps on the provider's doorbell if there is nothing to do. False: nobody
// rang for very long.
bool SleepProvider(ProviderEnd& provider) {
  if (!provider.ArmDoorbell()) return true;
  pollfd waiting = {provider.doorbell_fd(), POLLIN, 0};
  const int ready = ::poll(&waiting, 1, kLostMs);
  provider.DisarmDoorbell();
  return ready > 0;
}

void SendOne(ClientEnd& client, uint64_t number) {
  TxBuffer buffer;
  while (client.AllocTx({&buffer, 1}) == 0) client.Wait(kLostMs);
  const Numbered frame = {number, ~number};
  std::memcpy(buffer.data, &frame, sizeof(frame));
  const Descriptor piece = {.offset = buffer.offset, .length = sizeof(frame)};
  client.SubmitTx({&piece, 1});
}

// Echoes each tx frame into an rx buffer, in order, until `stop`. Returns the
// frames echoed.
uint64_t Echo(LocalSession& session, ProviderEnd& provider,
              const std::atomic<bool>& stop, bool sleep) {
  uint64_t echoed = 0;
  while (!stop.load(std::memory_order_acquire)) {
    Descriptor taken[32];
    uint32_t free[1];
    size_t count = 0;
    if (provider.Ready() && provider.TakeFreeRx(free) == 1) {
      count = provider.TakeTx({taken, 1});
      if (count == 0) provider.ReturnFreeRx(free);
    }
    if (count == 1) {
      const Descriptor piece = {.offset = free[0] * 256,
                                .length = taken[0].length};
      std::memcpy(session.rx_data() + piece.offset,
                  session.tx_data() + taken[0].offset, taken[0].length);
      provider.SubmitRx({&piece, 1});
      const Ack ack = MakeAck(taken[0].offset / 256, AckStatus::kDone);
      provider.AckTx({&ack, 1});
      ++echoed;
    }
    provider.Flush();
    if (provider.broken()) break;
    if (count == 0 && sleep && !SleepProvider(provider)) break;
    if (count == 0 && !sleep) std::this_thread::yield();
  }
  return echoed;
}

void ExpectAccounted(const Session& client) {
  const SessionCounters& c = client.counters();
  EXPECT_EQ(c.tx_submitted, c.tx_done + c.tx_dropped_invalid +
                                c.tx_dropped_no_link + c.tx_dropped_device +
                                c.tx_indeterminate + client.tx_in_flight());
}

// Sends `frames` frames, at most `window` ahead of what came back.
void RunEcho(uint64_t frames, uint64_t window, bool sleep) {
  LocalSession session(kGeometry, /*bells=*/true);
  auto client = session.MakeClient();
  auto provider = session.MakeProvider();
  std::atomic<bool> stop = false;
  std::thread driver([&] { Echo(session, *provider, stop, sleep); });
  uint64_t sent = 0;
  uint64_t received = 0;
  while (received < frames) {
    while (sent < frames && sent < received + window) SendOne(*client, sent++);
    client->Flush();
    RxPiece pieces[16];
    const size_t count = client->Receive(pieces);
    for (size_t i = 0; i < count; ++i) {
      Numbered frame;
      ASSERT_EQ(pieces[i].length, sizeof(frame));
      std::memcpy(&frame, pieces[i].data, sizeof(frame));
      ASSERT_EQ(frame.number, received);
      ASSERT_EQ(frame.inverse, ~received);
      ++received;
    }
    client->Release({pieces, count});
    client->Flush();
    ASSERT_TRUE(client->health().ok()) << client->health();
    if (count == 0) client->Wait(kLostMs);
  }
  stop = true;
  session.SetEpoch(session.epoch() + 1);
  client->Flush();  // Rings, so that a sleeping driver sees `stop`.
  driver.join();
  EXPECT_FALSE(provider->broken()) << provider->breach();
  ExpectAccounted(*client);
}

TEST(TwoThreads, S2_S8_AFloodKeepsOrderAndContents) {
  RunEcho(/*frames=*/100'000, /*window=*/48, /*sleep=*/false);
}

// A window of 1 makes both sides fall asleep for nearly every frame: a lost
// wake-up would stop it.
TEST(TwoThreads, PingPongLosesNoWakeUp) {
  RunEcho(/*frames=*/5'000, /*window=*/1, /*sleep=*/true);
}

TEST(TwoThreads, SmallWindowsLoseNoWakeUp) {
  for (const uint64_t window : {2, 3, 7}) {
    RunEcho(/*frames=*/3'000, window, /*sleep=*/true);
  }
}

// The provider is replaced again and again while frames flow. At most once: no
// number comes twice; every piece is accounted for.
TEST(TwoThreads, S2_S6_S8_ReplacementUnderLoad) {
  constexpr int kGenerations = 60;
  LocalSession session(kGeometry, /*bells=*/true);
  auto client = session.MakeClient();
  std::atomic<bool> done = false;
  std::thread platform([&] {
    for (int generation = 0; generation < kGenerations; ++generation) {
      auto provider = session.MakeProvider();
      std::atomic<bool> stop = false;
      uint64_t echoed = 0;
      std::thread driver(
          [&] { echoed = Echo(session, *provider, stop, /*sleep=*/false); });
      // Dies after some frames, so that each generation did some work.
      while (session.client_control()->ack_tail.value.load() % 64 <
                 static_cast<uint32_t>(generation) % 64 &&
             !done) {
        std::this_thread::yield();
      }
      stop = true;
      driver.join();
      EXPECT_FALSE(provider->broken()) << provider->breach();
      session.RaiseEpoch();
    }
    done = true;
  });
  uint64_t sent = 0;
  uint64_t received = 0;
  int64_t last = -1;
  while (!done) {
    TxBuffer buffer;
    if (client->tx_in_flight() < 32 && client->AllocTx({&buffer, 1}) == 1) {
      const Numbered frame = {sent, ~sent};
      std::memcpy(buffer.data, &frame, sizeof(frame));
      const Descriptor piece = {.offset = buffer.offset,
                                .length = sizeof(frame)};
      client->SubmitTx({&piece, 1});
      ++sent;
    }
    client->Flush();
    RxPiece pieces[16];
    const size_t count = client->Receive(pieces);
    for (size_t i = 0; i < count; ++i, ++received) {
      Numbered frame;
      std::memcpy(&frame, pieces[i].data, sizeof(frame));
      EXPECT_EQ(frame.inverse, ~frame.number);
      EXPECT_GT(static_cast<int64_t>(frame.number), last);
      last = static_cast<int64_t>(frame.number);
    }
    client->Release({pieces, count});
    if (count == 0) std::this_thread::yield();
  }
  platform.join();
  EXPECT_TRUE(client->health().ok()) << client->health();
  ExpectAccounted(*client);
  const SessionCounters& c = client->counters();
  EXPECT_EQ(c.tx_submitted, sent);
  EXPECT_EQ(c.rx_received, received);
  EXPECT_GT(received, 0u);
}

// The status page is never read half-written.
TEST(TwoThreads, TheStatusPageIsConsistent) {
  LocalSession session(kGeometry);
  std::atomic<bool> stop = false;
  std::thread platform([&] {
    StatusWriter writer(session.status_page());
    for (uint32_t i = 1; !stop; i = i % 1'000'000 + 1) {
      const auto byte = static_cast<uint8_t>(i);
      writer.Write({.state = SessionState::kRunning,
                    .epoch = i,
                    .generation = i,
                    .link_up = (i & 1) != 0,
                    .speed_mbps = i,
                    .mtu = i,
                    .offloads = i,
                    .mac = {byte, byte, byte, byte, byte, byte}});
      std::this_thread::yield();
    }
  });
  for (int i = 0; i < 20'000; ++i) {
    SessionStatus status;
    // The writer may have been interrupted inside.
    if (!ReadStatus(*session.status_page(), &status)) continue;
    if (status.generation == 0) continue;  // Not yet written by `platform`.
    EXPECT_EQ(status.epoch, status.generation);
    EXPECT_EQ(status.mtu, status.generation);
    EXPECT_EQ(status.speed_mbps, status.generation);
    EXPECT_EQ(status.mac[5], static_cast<uint8_t>(status.generation));
  }
  stop = true;
  platform.join();
}

TEST(StatusPage, AWriterThatDiedInsideBlocksNobodyAndIsRepaired) {
  LocalSession session(kGeometry);
  auto client = session.MakeClient();
  EXPECT_EQ(client->status().epoch, 1u);
  session.status_page()->version.store(7);
  session.status_page()->mtu.store(9000);
  EXPECT_EQ(client->status().epoch, 1u);
  EXPECT_EQ(client->status().mtu, 0u) << "half of a write was seen";
  session.SetEpoch(2);
  EXPECT_EQ(session.status_page()->version.load() % 2, 0u);
  EXPECT_EQ(client->status().epoch, 2u);
}

}  // namespace
}  // namespace bulkhead::packet_stream
