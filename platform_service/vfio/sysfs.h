// The few files of sysfs through which a function changes hands.
#ifndef BULKHEAD_PLATFORM_SERVICE_VFIO_SYSFS_H_
#define BULKHEAD_PLATFORM_SERVICE_VFIO_SYSFS_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace bulkhead::platform {

// Paths are relative to the root, which is /sys but in tests.
class Sysfs {
 public:
  explicit Sysfs(std::string root = "/sys") : root_(std::move(root)) {}
  virtual ~Sysfs() = default;

  // Without the newline at its end.
  absl::StatusOr<std::string> Read(absl::string_view path) const;
  // The kernel acts on it before this returns; its refusal is the error.
  virtual absl::Status Write(absl::string_view path, absl::string_view text);
  // The last component of what a link points to; empty when there is none.
  std::string LinkName(absl::string_view path) const;
  bool Exists(absl::string_view path) const;
  // Sorted; empty when there is no such directory.
  std::vector<std::string> List(absl::string_view path) const;

 protected:
  std::string Full(absl::string_view path) const;

 private:
  const std::string root_;
};

}  // namespace bulkhead::platform

#endif  // BULKHEAD_PLATFORM_SERVICE_VFIO_SYSFS_H_
