// A lane's part of an area, mapped.
#ifndef BULKHEAD_PACKET_STREAM_LANE_MAPPING_H_
#define BULKHEAD_PACKET_STREAM_LANE_MAPPING_H_

#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/status/statusor.h"
#include "base/errno_status.h"
#include "base/shared_memory.h"

namespace bulkhead::packet_stream {

// Of `area`, which must be sealed and hold `lanes` parts of `lane_bytes`, whole
// pages each, maps that of `lane` alone: the ends of different lanes share no
// mapping.
inline absl::StatusOr<Mapping> MapLane(int area, uint32_t lanes, uint32_t lane,
                                       size_t lane_bytes, Access access) {
  ASSIGN_OR_RETURN(Mapping whole,
                   Mapping::MapSealed(area, lanes * lane_bytes, access));
  if (lanes == 1) return whole;
  return Mapping::MapAny(area, lane * lane_bytes, lane_bytes, access);
}

}  // namespace bulkhead::packet_stream

#endif  // BULKHEAD_PACKET_STREAM_LANE_MAPPING_H_
