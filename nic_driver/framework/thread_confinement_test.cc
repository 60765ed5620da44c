// Shows, in children that try, that no thread starts another once the door is
// closed, whichever thread it is.
#include "nic_driver/framework/thread_confinement.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <functional>

namespace bulkhead::nic_driver {
namespace {

void* StartAnother(void*) {
  pthread_t another;
  ::pthread_create(
      &another, nullptr, [](void*) -> void* { return nullptr; }, nullptr);
  return nullptr;
}

int StatusOf(const std::function<void()>& act) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGSYS, SIG_DFL);
    act();
    ::_exit(0);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  return status;
}

bool IsRefused(int status) {
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
}

TEST(ThreadConfinement, S5_TheFirstThreadStartsNoOther) {
  EXPECT_TRUE(IsRefused(StatusOf([] {
    if (!ForbidThreads().ok()) ::_exit(2);
    StartAnother(nullptr);
  })));
}

// One that was there before is bound as well.
TEST(ThreadConfinement, S5_AnEarlierThreadStartsNoOther) {
  EXPECT_TRUE(IsRefused(StatusOf([] {
    static std::atomic<bool> closed = false;
    pthread_t early;
    ::pthread_create(
        &early, nullptr,
        [](void* nothing) -> void* {
          closed.wait(false);
          return StartAnother(nothing);
        },
        nullptr);
    if (!ForbidThreads().ok()) ::_exit(2);
    closed = true;
    closed.notify_all();
    ::pthread_join(early, nullptr);
  })));
}

TEST(ThreadConfinement, ThreadsThatAreThereGoOn) {
  EXPECT_EQ(StatusOf([] {
              static std::atomic<bool> closed = false;
              pthread_t early;
              ::pthread_create(
                  &early, nullptr,
                  [](void*) -> void* {
                    closed.wait(false);
                    return nullptr;
                  },
                  nullptr);
              if (!ForbidThreads().ok()) ::_exit(2);
              closed = true;
              closed.notify_all();
              ::pthread_join(early, nullptr);
            }),
            0);
}

}  // namespace
}  // namespace bulkhead::nic_driver
