// Shows, in children that try, what is left of a socket: sending to whom it is
// bound or connected to, and nothing else.
#include "nic_driver/framework/socket_confinement.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <functional>

namespace bulkhead::nic_driver {
namespace {

// The wait status of a child that confines itself and does it.
int StatusOf(const std::function<void(int)>& act) {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) != 0) return -1;
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGSYS, SIG_DFL);
    if (!ConfineSockets().ok()) ::_exit(2);
    act(pair[0]);
    ::_exit(0);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  ::close(pair[0]);
  ::close(pair[1]);
  return status;
}

bool IsRefused(int status) {
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
}

TEST(SocketConfinement, S3_NoAddressCanBeGiven) {
  const sockaddr address = {AF_UNIX, ""};
  EXPECT_TRUE(IsRefused(StatusOf(
      [&](int fd) { ::sendto(fd, "x", 1, 0, &address, sizeof(address)); })));
  msghdr message = {};
  EXPECT_TRUE(IsRefused(StatusOf([&](int fd) { ::sendmsg(fd, &message, 0); })));
  mmsghdr messages = {};
  EXPECT_TRUE(
      IsRefused(StatusOf([&](int fd) { ::sendmmsg(fd, &messages, 1, 0); })));
}

TEST(SocketConfinement, S3_NoOptionCanBeSet) {
  const int one = 1;
  EXPECT_TRUE(IsRefused(StatusOf([&](int fd) {
    ::setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &one, sizeof(one));
  })));
}

// A queue's thread, which was there before, is bound as well.
TEST(SocketConfinement, S3_AnEarlierThreadGivesNoAddress) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGSYS, SIG_DFL);
    static std::atomic<bool> confined = false;
    pthread_t early;
    ::pthread_create(
        &early, nullptr,
        [](void*) -> void* {
          confined.wait(false);
          const sockaddr address = {AF_UNIX, ""};
          // Of no socket: refused before that is looked at.
          ::sendto(-1, "x", 1, 0, &address, sizeof(address));
          return nullptr;
        },
        nullptr);
    if (!ConfineSockets().ok()) ::_exit(2);
    confined = true;
    confined.notify_all();
    ::pthread_join(early, nullptr);
    ::_exit(0);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(IsRefused(status)) << status;
}

TEST(SocketConfinement, WhatADriverNeedsIsLeft) {
  EXPECT_EQ(StatusOf([](int fd) {
              int type;
              socklen_t bytes = sizeof(type);
              if (::send(fd, "x", 1, MSG_DONTWAIT) != 1) ::_exit(3);
              if (::sendto(fd, "x", 1, 0, nullptr, 0) != 1) ::_exit(4);
              if (::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &bytes) != 0) {
                ::_exit(5);
              }
            }),
            0);
}

}  // namespace
}  // namespace bulkhead::nic_driver
