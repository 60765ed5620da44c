#include "base/event_loop.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/task.h"
#include "gtest/gtest.h"

namespace bulkhead {
namespace {

using std::chrono::milliseconds;

class EventLoopTest : public ::testing::Test {
 protected:
  EventLoopTest() {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    read_.Reset(ends[0]);
    write_.Reset(ends[1]);
  }
  void Ring() { ASSERT_EQ(::write(write_.get(), "x", 1), 1); }

  std::unique_ptr<EventLoop> loop_ = *EventLoop::Create();
  UniqueFd read_;
  UniqueFd write_;
};

// Shows that a watch is called while its descriptor is ready, and no more once
// it was removed, also by itself.
TEST_F(EventLoopTest, WatchesAreLevelTriggered) {
  int calls = 0;
  EventLoop::WatchId id = 0;
  id = *loop_->Watch(read_.get(), EPOLLIN, [&](uint32_t events) {
    EXPECT_TRUE(events & EPOLLIN);
    if (++calls == 3) loop_->Unwatch(id);
  });
  loop_->RunOnce(0);
  EXPECT_EQ(calls, 0);
  Ring();
  for (int i = 0; i < 5; ++i) loop_->RunOnce(0);
  EXPECT_EQ(calls, 3);
}

// Shows that of two watches ready in the same turn, the one that the other
// removes is not called any more.
TEST_F(EventLoopTest, RemovedWatchIsNotCalled) {
  UniqueFd second = read_.Duplicate();
  EventLoop::WatchId ids[2];
  int calls = 0;
  const auto handler = [&](int other) {
    return [&, other](uint32_t) {
      ++calls;
      loop_->Unwatch(ids[other]);
    };
  };
  ids[0] = *loop_->Watch(read_.get(), EPOLLIN, handler(1));
  ids[1] = *loop_->Watch(second.get(), EPOLLIN, handler(0));
  Ring();
  loop_->RunOnce(0);
  EXPECT_EQ(calls, 1);
}

// Shows that a closed descriptor is refused, not ignored.
TEST_F(EventLoopTest, WatchingNothingIsAnError) {
  EXPECT_FALSE(loop_->Watch(-1, EPOLLIN, [](uint32_t) {}).ok());
}

// Shows that timers fire in the order of their deadlines, equal ones in the
// order of their making, never early, and not when cancelled.
TEST_F(EventLoopTest, TimersFireInOrder) {
  std::vector<std::string> fired;
  const uint64_t start_ns = MonotonicNs();
  loop_->After(milliseconds(5), [&] {
    fired.push_back("late");
    EXPECT_GE(MonotonicNs() - start_ns, 5'000'000u);
  });
  const auto cancelled =
      loop_->After(milliseconds(1), [&] { fired.push_back("never"); });
  loop_->After(milliseconds(2), [&] { fired.push_back("early"); });
  loop_->Post([&] { fired.push_back("first"); });
  loop_->Cancel(cancelled);
  loop_->Cancel(cancelled);
  while (fired.size() < 3) loop_->RunOnce(-1);
  EXPECT_EQ(fired, (std::vector<std::string>{"first", "early", "late"}));
}

// Shows that a timer's handler may cancel another that is due in the same turn.
TEST_F(EventLoopTest, DueTimerCanBeCancelled) {
  int fired = 0;
  EventLoop::TimerId second = 0;
  loop_->Post([&] {
    ++fired;
    loop_->Cancel(second);
  });
  second = loop_->After(std::chrono::nanoseconds(1), [&] { fired += 10; });
  const uint64_t due_ns = MonotonicNs() + 1'000'000;
  while (MonotonicNs() < due_ns) {
  }
  loop_->RunOnce(0);
  loop_->RunOnce(0);
  EXPECT_EQ(fired, 1);
}

// Shows that a handler that posts itself again and again does not keep the loop
// from its descriptors.
TEST_F(EventLoopTest, PostingForEverStarvesNobody) {
  bool called = false;
  std::function<void()> again = [&] { loop_->Post(again); };
  loop_->Post(again);
  Ring();
  ASSERT_TRUE(
      loop_->Watch(read_.get(), EPOLLIN, [&](uint32_t) { called = true; })
          .ok());
  for (int i = 0; i < 10 && !called; ++i) loop_->RunOnce(0);
  EXPECT_TRUE(called);
}

// Shows that a busy poller keeps the loop awake, that an idle one lets it sleep
// until a descriptor is ready, and that a poller may remove itself.
TEST_F(EventLoopTest, PollersRunEachTurn) {
  int polled = 0;
  EventLoop::PollerId id = loop_->AddPoller([&] { return ++polled < 3; });
  loop_->RunOnce(-1);
  loop_->RunOnce(-1);
  EXPECT_EQ(polled, 2);
  Ring();
  bool rang = false;
  ASSERT_TRUE(
      loop_->Watch(read_.get(), EPOLLIN, [&](uint32_t) { rang = true; }).ok());
  loop_->RunOnce(-1);
  EXPECT_TRUE(rang);
  loop_->RemovePoller(id);
  id = loop_->AddPoller([&] {
    loop_->RemovePoller(id);
    polled = 100;
    return false;
  });
  loop_->RunOnce(0);
  loop_->RunOnce(0);
  EXPECT_EQ(polled, 100);
}

// Shows that Stop ends Run from another thread, whenever it comes.
TEST_F(EventLoopTest, StopEndsRun) {
  std::thread other([&] { loop_->Stop(); });
  other.join();
  // Run has not begun: this Stop belongs to nobody, the next one counts.
  loop_->Post([&] { loop_->Stop(); });
  loop_->Run();
  std::atomic<bool> running = false;
  loop_->Post([&] { running = true; });
  std::thread stopper([&] {
    while (!running) std::this_thread::yield();
    loop_->Stop();
  });
  loop_->Run();
  stopper.join();
}

Task<int> Add(EventLoop& loop, int a, int b) {
  co_await loop.Sleep(milliseconds(1));
  co_return a + b;
}

Task<int> AddThree(EventLoop& loop, int a, int b, int c) {
  const int sum = co_await Add(loop, a, b);
  co_return co_await Add(loop, sum, c);
}

// Shows that a coroutine waits without blocking the loop, passes values through
// nested calls, and hands its result on once.
TEST_F(EventLoopTest, TaskWaitsOnTheLoop) {
  std::vector<int> results;
  Task<int> task = AddThree(*loop_, 1, 2, 3);
  EXPECT_TRUE(results.empty());
  task.Start([&](int sum) { results.push_back(sum); });
  EXPECT_TRUE(results.empty());
  while (results.empty()) loop_->RunOnce(-1);
  EXPECT_EQ(results, std::vector<int>{6});
}

Task<int> At(int value) { co_return value; }

// Shows that a task that never waits is done before Start returns, and that
// one never started leaves nothing behind (AddressSanitizer looks).
TEST(Task, MayEndAtOnce) {
  int result = 0;
  Task<int> task = At(5);
  task.Start([&](int value) { result = value; });
  EXPECT_EQ(result, 5);
  const Task<int> never = At(6);
}

// Shows that the completion handler may destroy the task.
TEST(Task, HandlerMayDestroyIt) {
  auto task = std::make_unique<Task<int>>(At(7));
  int result = 0;
  task->Start([&](int value) {
    task.reset();
    result = value;
  });
  EXPECT_EQ(result, 7);
}

}  // namespace
}  // namespace bulkhead
