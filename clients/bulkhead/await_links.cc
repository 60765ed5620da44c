#include "clients/bulkhead/await_links.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/clock.h"
#include "base/errno_status.h"
#include "clients/bulkhead/log_file.h"
#include "clients/bulkhead/process_exit.h"

namespace bulkhead::cli {
namespace {

constexpr int kPollMs = 2;

// Cheaper than a gRPC call that fails, and it does not back off.
bool Listens(const std::string& path) {
  const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) return false;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return ::connect(socket.get(), reinterpret_cast<sockaddr*>(&address),
                   sizeof(address)) == 0;
}

const api::Instance* Find(const api::Status& status, const std::string& name) {
  for (const api::Instance& instance : status.instance()) {
    if (instance.name() == name) return &instance;
  }
  return nullptr;
}

// "nic0 is starting", "nic1 has no link", …
std::string Lacking(const std::string& name, const api::Status& status) {
  const api::Instance* instance = Find(status, name);
  if (instance == nullptr) return absl::StrCat(name, " does not exist");
  std::string text;
  if (instance->phase() != "running") {
    text = absl::StrCat(name, " is ", instance->phase());
  } else if (!instance->link_up()) {
    text = absl::StrCat(name, " has no link");
  } else {
    return "";
  }
  if (!instance->reason().empty()) {
    absl::StrAppend(&text, " (", instance->reason(), ")");
  }
  return text;
}

class Wait {
 public:
  Wait(const std::vector<std::string>& instances, const Context& context)
      : instances_(instances), context_(context) {}

  // Whether all is up; the reasons why not in lacking(), and parked() says
  // whether waiting longer is of use.
  bool Look() {
    if (connection_ == nullptr) {
      if (!Listens(context_.run_dir.PlatformSocket())) return false;
      connection_ = Connection::Create(context_.run_dir, 2000);
    }
    absl::StatusOr<api::Status> status = connection_->GetStatus();
    if (!status.ok()) return false;
    status_ = *std::move(status);
    lacking_.clear();
    parked_.clear();
    culprits_.clear();
    for (const std::string& name : instances_) {
      const std::string text = Lacking(name, status_);
      if (text.empty()) continue;
      lacking_.push_back(text);
      culprits_.push_back(name);
      const api::Instance* instance = Find(status_, name);
      if (instance != nullptr && instance->phase() == "parked") {
        parked_.push_back(text);
      }
    }
    if (status_.has_router() && !status_.router().attached()) {
      const api::Router& router = status_.router();
      lacking_.push_back(absl::StrCat(
          router.name(), " is ", router.phase(),
          router.reason().empty() ? ""
                                  : absl::StrCat(" (", router.reason(), ")")));
      culprits_.push_back(router.name());
      if (router.phase() == "parked") parked_.push_back(lacking_.back());
    }
    for (const api::Process& process : status_.process()) {
      if (process.kind() == "model" && process.phase() == "parked") {
        parked_.push_back(absl::StrCat(process.name(), " is parked (",
                                       process.reason(), ")"));
        culprits_.push_back(process.name());
      }
    }
    for (const std::string& failure : status_.failure()) {
      parked_.push_back(failure);
    }
    return lacking_.empty();
  }

  bool hopeless() const { return !parked_.empty(); }
  const api::Status& status() const { return status_; }

  absl::Status Failure(absl::string_view why) const {
    std::string text(why);
    const auto& reasons = parked_.empty() ? lacking_ : parked_;
    if (!reasons.empty()) {
      absl::StrAppend(&text, ": ", absl::StrJoin(reasons, "; "));
    }
    // The supervisor and the platform speak of everything; of the instances
    // the first one that failed is enough to read.
    for (const std::string& warning : status_.warning()) {
      absl::StrAppend(&text, "\nwarning: ", warning);
    }
    absl::StrAppend(&text, LogTail(context_.run_dir, "supervisor"),
                    LogTail(context_.run_dir, "platform_service"));
    if (!culprits_.empty()) {
      absl::StrAppend(&text, LogTail(context_.run_dir, culprits_.front()));
    }
    return absl::UnavailableError(text);
  }

 private:
  const std::vector<std::string>& instances_;
  const Context& context_;
  std::unique_ptr<Connection> connection_;
  api::Status status_;
  std::vector<std::string> lacking_;
  std::vector<std::string> parked_;
  std::vector<std::string> culprits_;
};

}  // namespace

std::vector<std::string> InstancesOf(const policy::Plan& plan) {
  std::vector<std::string> names;
  for (const policy::PlanEntry& entry : plan.entries) {
    if (entry.driven()) names.push_back(entry.instance);
  }
  return names;
}

absl::StatusOr<api::Status> AwaitLinks(
    const std::vector<std::string>& instances,
    const RunningSupervisor& supervisor, uint32_t timeout_ms,
    const std::function<bool()>& interrupted, const Context& context) {
  Wait wait(instances, context);
  const uint64_t deadline_ns = MonotonicNs() + uint64_t{timeout_ms} * 1'000'000;
  for (;;) {
    if (wait.Look()) return wait.status();
    if (wait.hopeless()) return wait.Failure("the system did not come up");
    if (interrupted()) return absl::CancelledError("interrupted");
    if (MonotonicNs() >= deadline_ns) {
      return wait.Failure(absl::StrCat("the system did not come up within ",
                                       timeout_ms, " ms"));
    }
    if (AwaitExit(supervisor.pidfd.get(), kPollMs)) {
      return wait.Failure("the supervisor ended while the system came up");
    }
  }
}

}  // namespace bulkhead::cli
