// A switch between simulated NICs. Started by the supervisor; its ports come
// as a SwitchSpec.
#include <cstdlib>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/event_loop.h"
#include "base/log.h"
#include "nic_model/model.pb.h"
#include "nic_model/network/switch.h"
#include "supervisor/child.h"

namespace bulkhead::nic_model {
namespace {

absl::Status Start(supervisor::StartOrder order, Switch& ports) {
  SetLogName(order.name);
  SwitchSpec spec;
  if (!spec.ParseFromString(order.payload)) {
    return absl::InvalidArgumentError("parse the SwitchSpec: it is malformed");
  }
  for (const uint32_t index : spec.port_fd()) {
    if (index >= order.fds.size() || !order.fds[index].valid()) {
      return absl::InvalidArgumentError(
          absl::StrCat("plug in a port: descriptor ", index, " of ",
                       order.fds.size(), " is not there"));
    }
    const absl::Status added = ports.AddPort(std::move(order.fds[index]));
    if (!added.ok()) return added;
  }
  return absl::OkStatus();
}

int Main() {
  auto loop = EventLoop::Create();
  if (!loop.ok()) {
    LogError(loop.status().message());
    return EXIT_FAILURE;
  }
  Switch ports(**loop);
  std::unique_ptr<supervisor::Child> child;
  supervisor::Child::Handlers handlers;
  handlers.start = [&](supervisor::StartOrder order) {
    const absl::Status started = Start(std::move(order), ports);
    if (!started.ok()) child->Fail(started.message());
    child->SayStarted();
  };
  handlers.progress = [&] {
    return supervisor::Progress{ports.forwarded(), false};
  };
  handlers.stop = [&] {
    if (ports.dropped() != 0) {
      LogInfo(absl::StrCat("switch: ", ports.dropped(),
                           " frames were dropped at full ports"));
    }
    (*loop)->Stop();
  };
  auto created = supervisor::Child::Create(**loop, std::move(handlers));
  if (!created.ok()) {
    LogError(created.status().message());
    return EXIT_FAILURE;
  }
  child = *std::move(created);
  (*loop)->Run();
  return EXIT_SUCCESS;
}

}  // namespace
}  // namespace bulkhead::nic_model

int main() { return bulkhead::nic_model::Main(); }
