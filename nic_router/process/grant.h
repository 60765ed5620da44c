// What the platform service grants, taken apart: message fields and descriptors
// brought together, each descriptor owned.
#ifndef BULKHEAD_NIC_ROUTER_PROCESS_GRANT_H_
#define BULKHEAD_NIC_ROUTER_PROCESS_GRANT_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/unique_fd.h"
#include "nic_router/api/router.pb.h"
#include "nic_router/config.h"
#include "nic_router/sessions/client_port.h"

namespace bulkhead::nic_router {

struct RouterGrant {
  RouterConfig config;
  UniqueFd platform;
  uint64_t state_bytes = 0;  // 0: there is no state.
  UniqueFd state;
};

// InvalidArgument names the field that is wrong. Descriptors that no field
// names are closed.
absl::StatusOr<RouterGrant> ParseRouterGrant(absl::string_view payload,
                                             std::vector<UniqueFd> fds);
absl::StatusOr<ClientGrant> ParseClientGrant(const api::ClientGrant& message,
                                             std::vector<UniqueFd>& fds);

// Descriptor `index`, called `field` in the error.
absl::StatusOr<UniqueFd> TakeFd(std::vector<UniqueFd>& fds, uint32_t index,
                                absl::string_view field);

}  // namespace bulkhead::nic_router

#endif  // BULKHEAD_NIC_ROUTER_PROCESS_GRANT_H_
