// RETURN_IF_ERROR and ASSIGN_OR_RETURN for coroutines.
#ifndef BULKHEAD_NIC_DRIVER_FRAMEWORK_TASK_STATUS_H_
#define BULKHEAD_NIC_DRIVER_FRAMEWORK_TASK_STATUS_H_

#include <utility>

#include "absl/status/status.h"
#include "base/errno_status.h"

#define CO_RETURN_IF_ERROR(expr)          \
  do {                                    \
    absl::Status status_ = (expr);        \
    if (!status_.ok()) co_return status_; \
  } while (false)

#define CO_ASSIGN_OR_RETURN(lhs, expr) \
  CO_ASSIGN_OR_RETURN_IMPL(BULKHEAD_CONCAT(status_or_, __LINE__), lhs, expr)
#define CO_ASSIGN_OR_RETURN_IMPL(tmp, lhs, expr) \
  auto tmp = (expr);                             \
  if (!tmp.ok()) co_return tmp.status();         \
  lhs = *std::move(tmp)

#endif  // BULKHEAD_NIC_DRIVER_FRAMEWORK_TASK_STATUS_H_
