// nic_router/config.h as a message, and back.
#ifndef BULKHEAD_NIC_ROUTER_API_CONFIG_MESSAGE_H_
#define BULKHEAD_NIC_ROUTER_API_CONFIG_MESSAGE_H_

#include "absl/status/statusor.h"
#include "nic_router/api/router.pb.h"
#include "nic_router/config.h"

namespace bulkhead::nic_router {

api::Config ToMessage(const RouterConfig& config);
// InvalidArgument: a field is out of the range of its type.
absl::StatusOr<RouterConfig> FromMessage(const api::Config& message);

}  // namespace bulkhead::nic_router

#endif  // BULKHEAD_NIC_ROUTER_API_CONFIG_MESSAGE_H_
