// The JSON of a VERSION message, as far as this implementation needs it.
#ifndef BULKHEAD_NIC_MODEL_VFIO_USER_CAPABILITIES_H_
#define BULKHEAD_NIC_MODEL_VFIO_USER_CAPABILITIES_H_

#include <cstdint>
#include <optional>

#include "absl/strings/string_view.h"

namespace bulkhead::vfio_user {

// The number after "name": in `json`, or nothing. Looks at the text alone, so
// it takes any JSON, and never fails on what is none.
std::optional<uint64_t> FindNumber(absl::string_view json,
                                   absl::string_view name);

}  // namespace bulkhead::vfio_user

#endif  // BULKHEAD_NIC_MODEL_VFIO_USER_CAPABILITIES_H_
