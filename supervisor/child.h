// The child's side of the parent channel: what every supervised process
// (driver, model, router) does on descriptor 3.
#ifndef BULKHEAD_SUPERVISOR_CHILD_H_
#define BULKHEAD_SUPERVISOR_CHILD_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/event_loop.h"
#include "base/seqpacket.h"
#include "base/unique_fd.h"

namespace bulkhead::supervisor {

constexpr int kParentChannelFd = 3;

// For the first line of main: ends the process with status 2 and a plain
// message when descriptor 3 is not a parent channel, i.e. when somebody typed
// the program's name into a shell.
void RequireParentChannel(absl::string_view program);

// What Start brought.
struct StartOrder {
  std::string name;
  uint32_t generation = 0;
  std::string payload;
  std::vector<UniqueFd> fds;
};

struct Progress {
  uint64_t work_done = 0;
  bool work_waiting = false;
};

// Answers pings, hands Start and Stop on. Death of the supervisor ends the
// process: the channel's end of file exits with status 0.
//
// Requires: created and used on the loop's thread; `loop` outlives it.
class Child {
 public:
  struct Handlers {
    std::function<void(StartOrder)> start;
    // Sees to it that the process ends with exit status 0, at once or after an
    // orderly finish; the supervisor waits one second. Empty: exits at once.
    std::function<void()> stop;
    // Asked at each ping. Empty: no work is ever waiting.
    std::function<Progress()> progress;
  };

  // Takes descriptor 3 and the handlers, drops what privilege is left (second
  // seccomp stage: nothing may be executed any more), and says Ready.
  static absl::StatusOr<std::unique_ptr<Child>> Create(EventLoop& loop,
                                                       Handlers handlers);
  ~Child();

  void SayStarted();
  // Tells the reason and exits with status 1.
  [[noreturn]] void Fail(absl::string_view reason);

 private:
  Child(EventLoop& loop, Handlers handlers, SeqpacketChannel channel);
  void HandleReadable();
  void Send(const google::protobuf::MessageLite& message);

  EventLoop& loop_;
  Handlers handlers_;
  SeqpacketChannel channel_;
  EventLoop::WatchId watch_ = 0;
};

}  // namespace bulkhead::supervisor

#endif  // BULKHEAD_SUPERVISOR_CHILD_H_
