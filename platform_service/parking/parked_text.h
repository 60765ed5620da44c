// Text of any size among what is parked: as a descriptor, since a message has
// its limit and a protobuf string its encoding.
#ifndef BULKHEAD_PLATFORM_SERVICE_PARKING_PARKED_TEXT_H_
#define BULKHEAD_PLATFORM_SERVICE_PARKING_PARKED_TEXT_H_

#include <string>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace bulkhead::platform {

// Memory that holds `text`, in whatever encoding.
absl::StatusOr<UniqueFd> StoreText(const std::string& text);
// What StoreText stored.
absl::StatusOr<std::string> LoadText(int fd);

}  // namespace bulkhead::platform

#endif  // BULKHEAD_PLATFORM_SERVICE_PARKING_PARKED_TEXT_H_
