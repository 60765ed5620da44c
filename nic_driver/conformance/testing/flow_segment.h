// TCP segments of numbered flows, for tests of NICs with several queues: which
// queue a segment is of depends on its ports.
#ifndef BULKHEAD_NIC_DRIVER_CONFORMANCE_TESTING_FLOW_SEGMENT_H_
#define BULKHEAD_NIC_DRIVER_CONFORMANCE_TESTING_FLOW_SEGMENT_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace bulkhead::nic_driver::testing {

struct FlowSegment {
  uint32_t flow = ~0u;
  uint32_t number = 0;
};

constexpr size_t kSegmentBytes = 80;

// Checksums are not filled in: nobody here looks at them.
std::array<uint8_t, kSegmentBytes> MakeSegment(
    std::span<const uint8_t, 6> destination, std::span<const uint8_t, 6> source,
    FlowSegment segment);

// Which one a frame is; of flow ~0 when its length says that it is none.
FlowSegment ReadSegment(std::span<const uint8_t> frame);

}  // namespace bulkhead::nic_driver::testing

#endif  // BULKHEAD_NIC_DRIVER_CONFORMANCE_TESTING_FLOW_SEGMENT_H_
