// Network namespaces that have a name (ip-netns(8)), and how to do something in
// one.
#ifndef BULKHEAD_PLATFORM_SERVICE_LINUX_INTERFACE_NETWORK_NAMESPACE_H_
#define BULKHEAD_PLATFORM_SERVICE_LINUX_INTERFACE_NETWORK_NAMESPACE_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "base/unique_fd.h"

namespace bulkhead::platform {

// Calls `action` with the calling thread in the namespace: that of this name,
// or, for an empty one, the thread's own. Every other thread stays where it is,
// and this one is back when the call returns.
//
// Errors: no such namespace; not root; those of `action`.
absl::Status InNamespace(const std::string& name,
                         const std::function<absl::Status()>& action);

// "lab", or "this" for the empty name: for messages.
std::string NamespaceText(const std::string& name);

}  // namespace bulkhead::platform

#endif  // BULKHEAD_PLATFORM_SERVICE_LINUX_INTERFACE_NETWORK_NAMESPACE_H_
