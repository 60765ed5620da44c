// Ctrl-C as something to look at instead of an end in the middle of things.
#ifndef BULKHEAD_BASE_STOP_SIGNAL_H_
#define BULKHEAD_BASE_STOP_SIGNAL_H_

#include <poll.h>
#include <sys/signalfd.h>

#include <csignal>

#include "base/unique_fd.h"

namespace bulkhead {

// Blocks SIGINT, SIGTERM and SIGHUP for this thread and those it starts later.
// Make it before gRPC starts threads.
class StopSignal {
 public:
  StopSignal() {
    sigset_t signals;
    ::sigemptyset(&signals);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
      ::sigaddset(&signals, signal);
    }
    ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    fd_ = UniqueFd(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  }

  // Readable once one has come.
  int fd() const { return fd_.get(); }
  bool Came() const {
    pollfd watched = {.fd = fd_.get(), .events = POLLIN, .revents = 0};
    return ::poll(&watched, 1, 0) > 0;
  }

 private:
  UniqueFd fd_;
};

}  // namespace bulkhead

#endif  // BULKHEAD_BASE_STOP_SIGNAL_H_
