#include "nic_driver/framework/driver_process.h"

#include <unistd.h>

#include <chrono>
#include <utility>

#include "base/event_loop.h"
#include "base/log.h"
#include "nic_driver/framework/device_grant.h"
#include "nic_driver/framework/prefault.h"
#include "supervisor/child.h"

namespace bulkhead::nic_driver {

namespace {

// A process that got no Start for so long is a spare.
constexpr std::chrono::milliseconds kSpareAfter{2};

}  // namespace

int RunDriverProcess(absl::string_view name, DriverFactory factory) {
  SetLogName(name);
  supervisor::RequireParentChannel(name);
  absl::StatusOr<std::unique_ptr<EventLoop>> loop = EventLoop::Create();
  if (!loop.ok()) {
    LogError(loop.status().message());
    return 1;
  }
  std::unique_ptr<supervisor::Child> child;
  Runtime runtime(
      **loop, std::move(factory),
      {.started = [&child] { child->SayStarted(); },
       .failed = [&child](absl::Status why) { child->Fail(why.message()); }});

  supervisor::Child::Handlers handlers;
  bool begun = false;
  EventLoop::TimerId prefault = 0;
  handlers.start = [&](supervisor::StartOrder order) {
    if (begun) child->Fail("start: this process was started before");
    begun = true;
    (*loop)->Cancel(prefault);
    absl::StatusOr<DeviceGrant> grant =
        ParseDeviceGrant(order.payload, std::move(order.fds));
    if (!grant.ok()) child->Fail(grant.status().message());
    runtime.Begin(*std::move(grant));
  };
  handlers.stop = [&runtime] { runtime.Finish([] { ::_exit(0); }); };
  handlers.progress = [&runtime] {
    const Runtime::Progress progress = runtime.TakeProgress();
    return supervisor::Progress{progress.done, progress.waiting};
  };
  absl::StatusOr<std::unique_ptr<supervisor::Child>> created =
      supervisor::Child::Create(**loop, std::move(handlers));
  if (!created.ok()) {
    LogError(created.status().message());
    return 1;
  }
  child = *std::move(created);
  // For a spare, which has the time; one that is started at once has not.
  prefault = (*loop)->After(kSpareAfter, PrefaultProgram);
  (*loop)->Run();
  return 0;
}

}  // namespace bulkhead::nic_driver
