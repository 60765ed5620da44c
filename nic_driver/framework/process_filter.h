// A seccomp filter of a process's own, beside the supervisor's.
#ifndef BULKHEAD_NIC_DRIVER_FRAMEWORK_PROCESS_FILTER_H_
#define BULKHEAD_NIC_DRIVER_FRAMEWORK_PROCESS_FILTER_H_

#include <linux/filter.h>

#include <span>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace bulkhead::nic_driver {

// Adds it to all threads of the process, or, when it fails, to none. `purpose`
// ("confine the process's sockets") is for the error.
absl::Status AddProcessFilter(std::span<sock_filter> code,
                              absl::string_view purpose);

}  // namespace bulkhead::nic_driver

#endif  // BULKHEAD_NIC_DRIVER_FRAMEWORK_PROCESS_FILTER_H_
