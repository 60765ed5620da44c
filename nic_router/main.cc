// nic_router: started by the supervisor with its channel on descriptor 3; Start
// brings the grant (nic_router/api/router.proto). Ends with exit status 0 on
// Stop, 2 when somebody typed its name into a shell.
#include <unistd.h>

#include <memory>
#include <utility>

#include "base/event_loop.h"
#include "base/log.h"
#include "nic_router/process/grant.h"
#include "nic_router/process/runtime.h"
#include "supervisor/child.h"

namespace bulkhead::nic_router {
namespace {

int Run() {
  SetLogName("nic_router");
  supervisor::RequireParentChannel("nic_router");
  absl::StatusOr<std::unique_ptr<EventLoop>> loop = EventLoop::Create();
  if (!loop.ok()) {
    LogError(loop.status().message());
    return 1;
  }
  std::unique_ptr<supervisor::Child> child;
  Runtime runtime(
      **loop,
      {.started = [&child] { child->SayStarted(); },
       .failed = [&child](absl::Status why) { child->Fail(why.message()); }});

  supervisor::Child::Handlers handlers;
  bool begun = false;
  handlers.start = [&](supervisor::StartOrder order) {
    if (begun) child->Fail("start: this process was started before");
    begun = true;
    absl::StatusOr<RouterGrant> grant =
        ParseRouterGrant(order.payload, std::move(order.fds));
    if (!grant.ok()) child->Fail(grant.status().message());
    runtime.Begin(*std::move(grant));
  };
  // It owns nothing that would have to be given back: sessions, their memory
  // and the state are the platform's.
  handlers.stop = [] { ::_exit(0); };
  handlers.progress = [&runtime] {
    return supervisor::Progress{runtime.work_done(), runtime.work_waiting()};
  };
  absl::StatusOr<std::unique_ptr<supervisor::Child>> created =
      supervisor::Child::Create(**loop, std::move(handlers));
  if (!created.ok()) {
    LogError(created.status().message());
    return 1;
  }
  child = *std::move(created);
  (*loop)->Run();
  return 0;
}

}  // namespace
}  // namespace bulkhead::nic_router

int main() { return bulkhead::nic_router::Run(); }
