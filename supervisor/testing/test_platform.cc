// A platform service for tests of the supervisor binary:
//   test_platform --run_dir=… --bin_dir=… MODE CHILD_PROGRAM
// Defines nic0 and nic1, begins them again whenever they die, parks one entry,
// and tells in its log what it heard.
#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/event_loop.h"
#include "base/log.h"
#include "base/seqpacket.h"
#include "supervisor/api/supervisor.pb.h"

namespace bulkhead::supervisor {
namespace {

class TestPlatform {
 public:
  explicit TestPlatform(std::string child) : child_(std::move(child)) {}

  void Handle(const FromSupervisor& message, size_t fds) {
    if (message.has_parked()) {
      LogInfo(absl::StrCat("parked ", message.parked().key(), " with ", fds,
                           " descriptors"));
    } else if (message.has_restored()) {
      const uint32_t generation = message.restored().platform_generation();
      LogInfo(absl::StrCat("restored ", generation));
      if (generation == 1) First();
    } else if (message.has_died()) {
      LogInfo(absl::StrCat("died ", message.died().name(), " generation ",
                           message.died().generation()));
      Begin(message.died().name());
    } else if (message.has_state()) {
      const ProcessState& state = message.state();
      LogInfo(absl::StrCat("state ", state.name(), " phase ", state.phase(),
                           " pid ", state.pid()));
    } else if (message.has_refused()) {
      LogInfo(absl::StrCat("refused ", message.refused().reason()));
    }
  }

  SeqpacketChannel channel{UniqueFd(3)};

 private:
  void First() {
    const UniqueFd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    ToSupervisor park;
    park.mutable_park()->set_key("null");
    const int fds[] = {null.get()};
    (void)channel.Send(park, fds);
    for (const char* name : {"nic0", "nic1"}) {
      ToSupervisor define;
      ProcessSpec* spec = define.mutable_define()->mutable_spec();
      spec->set_name(name);
      spec->set_program(child_);
      spec->set_needs_payload(true);
      spec->set_warm_spare(true);
      (void)channel.Send(define);
      Begin(name);
    }
  }
  void Begin(const std::string& name) {
    ToSupervisor begin;
    begin.mutable_begin()->set_name(name);
    (void)channel.Send(begin);
  }

  std::string child_;
};

int Main(int argc, char** argv) {
  SetLogName("test_platform");
  if (argc < 5) return 2;
  for (int i = 1; i < argc; ++i) LogInfo(absl::StrCat("argument ", argv[i]));
  if (std::string(argv[3]) == "fail") return 9;
  TestPlatform platform(argv[4]);
  FromSupervisor message;
  std::vector<UniqueFd> fds;
  while (platform.channel.WaitReceive(&message, &fds, -1).ok()) {
    platform.Handle(message, fds.size());
  }
  return 0;
}

}  // namespace
}  // namespace bulkhead::supervisor

int main(int argc, char** argv) {
  return bulkhead::supervisor::Main(argc, argv);
}
