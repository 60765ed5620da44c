// Test frames: numbered, checked on the way back.
#ifndef BULKHEAD_NIC_DRIVER_CONFORMANCE_TESTING_FRAMES_H_
#define BULKHEAD_NIC_DRIVER_CONFORMANCE_TESTING_FRAMES_H_

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "nic_driver/conformance/testing/device_bench.h"
#include "packet_stream/client.h"

namespace bulkhead::nic_driver::testing {

// Of the NIC under test.
const MacAddress& NicMac();

// A frame from the NIC to another station, with `number` and a pattern that
// depends on it.
std::vector<uint8_t> MakeFrame(uint32_t number, size_t bytes);
// To the NIC, as another station would send it.
std::vector<uint8_t> MakeFrameToNic(uint32_t number, size_t bytes);
// The number of a frame of either kind, if every byte is as it was made; short
// frames come back padded to 60 bytes.
std::optional<uint32_t> CheckFrame(std::span<const uint8_t> frame);

// Queues the frame in pieces of at most `piece_bytes` (0: one buffer each);
// false if there are too few free buffers. The caller flushes.
[[nodiscard]] bool SendFrame(packet_stream::Session& session,
                             std::span<const uint8_t> frame,
                             size_t piece_bytes = 0, uint16_t flags = 0,
                             uint16_t checksum_start = 0,
                             uint16_t checksum_offset = 0,
                             uint32_t segments = 0);

// Takes all waiting frames, each put together from its pieces, and releases
// their buffers. The caller flushes.
struct ReceivedFrame {
  std::vector<uint8_t> bytes;
  uint16_t flags = 0;
  size_t pieces = 0;
};
std::vector<ReceivedFrame> TakeFrames(packet_stream::Session& session);

}  // namespace bulkhead::nic_driver::testing

#endif  // BULKHEAD_NIC_DRIVER_CONFORMANCE_TESTING_FRAMES_H_
