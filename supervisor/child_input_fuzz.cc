// Whatever a child can make the supervisor read: its messages, its log, and the
// program file itself.
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"
#include "supervisor/api/child.pb.h"
#include "supervisor/child_log.h"
#include "supervisor/event_log.h"
#include "supervisor/heartbeat.h"
#include "supervisor/program.h"

namespace bulkhead::supervisor {
namespace {

// A hang may be judged, nothing else may happen; and a text that was accepted
// from a child must be fit to be sent on.
void FuzzMessage(const std::string& bytes) {
  FromChild message;
  if (!message.ParseFromString(bytes)) return;
  Heartbeat heartbeat(Heartbeat::LimitsOf({}), 0);
  for (uint64_t now_ns = 1; now_ns < 5; ++now_ns) {
    heartbeat.Tick(now_ns);
    heartbeat.HandlePong(message.pong(), now_ns);
  }
  EventLog log;
  Event event;
  event.set_text(message.failed().reason());
  Event parsed;
  if (!parsed.ParseFromString(log.Add(event).SerializeAsString())) {
    std::abort();
  }
}

void FuzzLog(const std::string& bytes) {
  for (const char c : Sanitise(bytes)) {
    if ((c < 0x20 || c > 0x7e) && c != '\n' && c != '\t') std::abort();
  }
}

void FuzzProgram(const std::string& bytes) {
  const UniqueFd file(::memfd_create("program", MFD_CLOEXEC));
  if (!file.valid() || ::fchmod(file.get(), 0700) != 0) return;
  if (::write(file.get(), bytes.data(), bytes.size()) < 0) return;
  (void)Program::Open(absl::StrCat("/proc/self/fd/", file.get()));
}

}  // namespace
}  // namespace bulkhead::supervisor

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace bulkhead::supervisor;
  if (size == 0) return 0;
  const std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 3) {
    case 0:
      FuzzMessage(bytes);
      break;
    case 1:
      FuzzLog(bytes);
      break;
    default:
      FuzzProgram(bytes);
  }
  return 0;
}
