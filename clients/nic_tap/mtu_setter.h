// Sets an interface's MTU for a process that has given up its privileges.
//
// A second process keeps the one capability that this takes, and can do nothing
// else with it than what the protocol says: a number in, an errno out.
#ifndef BULKHEAD_CLIENTS_NIC_TAP_MTU_SETTER_H_
#define BULKHEAD_CLIENTS_NIC_TAP_MTU_SETTER_H_

#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace bulkhead::nic_tap {

// Requires: Start is called with the privileges, while there is one thread and
//   nothing secret in the process: the second one is a copy of it.
// Guarantees: the second process ends with this object, and with this process.
class MtuSetter {
 public:
  // For the interface `name` in the network namespace `netns`, as
  // EnterNetworkNamespace has it; empty: the caller's.
  static absl::StatusOr<MtuSetter> Start(const std::string& name,
                                         const std::string& netns);

  // Waits for the answer: as long as the kernel takes.
  absl::Status Set(uint32_t mtu) const;

 private:
  explicit MtuSetter(UniqueFd channel) : channel_(std::move(channel)) {}

  UniqueFd channel_;
};

}  // namespace bulkhead::nic_tap

#endif  // BULKHEAD_CLIENTS_NIC_TAP_MTU_SETTER_H_
