#include "platform_service/linux_interface/network_namespace.h"

#include <fcntl.h>
#include <sched.h>

#include <cerrno>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "base/log.h"

namespace bulkhead::platform {
namespace {

// Where `ip netns add` puts them.
constexpr char kNamed[] = "/run/netns/";

}  // namespace

std::string NamespaceText(const std::string& name) {
  return name.empty() ? "this" : name;
}

absl::Status InNamespace(const std::string& name,
                         const std::function<absl::Status()>& action) {
  if (name.empty()) return action();
  const UniqueFd there(
      ::open(absl::StrCat(kNamed, name).c_str(), O_RDONLY | O_CLOEXEC));
  if (!there.valid()) {
    if (errno == ENOENT) {
      return absl::NotFoundError(
          absl::StrCat("there is no network namespace ", name,
                       "; `ip netns list` names those there are"));
    }
    return ErrnoStatus(absl::StrCat("open the network namespace ", name));
  }
  const UniqueFd here(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  if (!here.valid()) return ErrnoStatus("open this network namespace");
  if (::setns(there.get(), CLONE_NEWNET) != 0) {
    return errno == EPERM
               ? absl::PermissionDeniedError(absl::StrCat(
                     "enter the network namespace ", name,
                     ": only root may; put `sudo` before the command"))
               : ErrnoStatus(
                     absl::StrCat("enter the network namespace ", name));
  }
  absl::Status status = action();
  if (::setns(here.get(), CLONE_NEWNET) != 0) {
    // Whatever this thread did next, it would do in the wrong place.
    LogError("cannot go back to the own network namespace");
    std::abort();
  }
  return status;
}

}  // namespace bulkhead::platform
