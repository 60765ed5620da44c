// A Status from errno: "verb object: cause".
#ifndef BULKHEAD_BASE_ERRNO_STATUS_H_
#define BULKHEAD_BASE_ERRNO_STATUS_H_

#include <cerrno>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace bulkhead {

// `what` says the verb and the object, e.g. "open /run/bulkhead"; the text of
// `error` is appended. The code follows absl::ErrnoToStatusCode.
inline absl::Status ErrnoStatus(absl::string_view what, int error = errno) {
  return absl::ErrnoToStatus(error, what);
}

}  // namespace bulkhead

#define BULKHEAD_CONCAT_INNER(a, b) a##b
#define BULKHEAD_CONCAT(a, b) BULKHEAD_CONCAT_INNER(a, b)

// Returns from the enclosing function when `expr` is a Status that is not ok.
#define RETURN_IF_ERROR(expr)                           \
  do {                                                  \
    if (absl::Status status_ = (expr); !status_.ok()) { \
      return status_;                                   \
    }                                                   \
  } while (false)

// Declares or assigns `lhs` from a StatusOr, or returns its status.
#define ASSIGN_OR_RETURN(lhs, expr) \
  ASSIGN_OR_RETURN_IMPL(BULKHEAD_CONCAT(status_or_, __LINE__), lhs, expr)
#define ASSIGN_OR_RETURN_IMPL(tmp, lhs, expr) \
  auto tmp = (expr);                          \
  if (!tmp.ok()) return tmp.status();         \
  lhs = *std::move(tmp)

#endif  // BULKHEAD_BASE_ERRNO_STATUS_H_
