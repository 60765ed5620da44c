// Shows that a queue's thread serves its loop, stands still while it is held,
// and tells a thread that hangs from one that has nothing to do.
#include "nic_driver/framework/queue_thread.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

namespace bulkhead::nic_driver {
namespace {

std::unique_ptr<QueueThread> Make() {
  auto thread = QueueThread::Create();
  if (!thread.ok()) ADD_FAILURE() << thread.status();
  return *std::move(thread);
}

// What a handler and the holder write by turns needs no lock: under
// ThreadSanitizer this is the proof.
TEST(QueueThread, NoHandlerRunsWhileItIsHeld) {
  const auto thread = Make();
  uint64_t turns = 0;
  thread->Hold();
  thread->loop().AddPoller([&turns] {
    ++turns;
    return true;
  });
  for (int i = 0; i < 100; ++i) {
    const uint64_t before = turns;
    thread->Release();
    // Until it has gone round.
    thread->Hold();
    EXPECT_GE(turns, before);
    const uint64_t held = turns;
    std::this_thread::yield();
    EXPECT_EQ(turns, held);
    ++turns;
  }
  thread->Release();
}

TEST(QueueThread, EndsWhileItIsHeld) {
  const auto thread = Make();
  thread->Hold();
}

TEST(QueueThread, AnIdleOneIsAliveAndOneThatHangsIsNot) {
  const auto thread = Make();
  std::atomic<bool> inside = false, leave = false;
  const auto answered = [&thread] {
    // Asks, and asks again until the answer to the first is there.
    EXPECT_TRUE(thread->IsAlive());
    while (!thread->IsAlive()) std::this_thread::yield();
  };
  answered();
  thread->Post([&] {
    inside = true;
    inside.notify_all();
    leave.wait(false);
  });
  inside.wait(false);
  (void)thread->IsAlive();
  EXPECT_FALSE(thread->IsAlive());
  EXPECT_FALSE(thread->IsAlive());
  leave = true;
  leave.notify_all();
  while (!thread->IsAlive()) std::this_thread::yield();
  thread->Hold();
  EXPECT_TRUE(thread->IsAlive());
  EXPECT_TRUE(thread->IsAlive());
  thread->Release();
}

}  // namespace
}  // namespace bulkhead::nic_driver
