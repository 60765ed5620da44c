#include "nic_driver/conformance/testing/flow_segment.h"

#include <algorithm>
#include <cstring>

namespace bulkhead::nic_driver::testing {
namespace {

constexpr size_t kIp = 14, kTcp = kIp + 20, kPayload = kTcp + 20;

}  // namespace

std::array<uint8_t, kSegmentBytes> MakeSegment(
    std::span<const uint8_t, 6> destination, std::span<const uint8_t, 6> source,
    FlowSegment segment) {
  std::array<uint8_t, kSegmentBytes> frame = {};
  std::copy(destination.begin(), destination.end(), frame.begin());
  std::copy(source.begin(), source.end(), frame.begin() + 6);
  frame[12] = 0x08;
  frame[kIp] = 0x45;
  frame[kIp + 3] = kSegmentBytes - kIp;
  frame[kIp + 8] = 64;
  frame[kIp + 9] = 6;
  const std::array<uint8_t, 8> addresses = {10, 0, 0, 1, 10, 0, 0, 2};
  std::copy(addresses.begin(), addresses.end(), frame.begin() + kIp + 12);
  frame[kTcp] = 0x40;
  frame[kTcp + 1] = static_cast<uint8_t>(segment.flow);
  frame[kTcp + 3] = 80;
  frame[kTcp + 12] = 0x50;
  std::memcpy(&frame[kPayload], &segment.flow, 4);
  std::memcpy(&frame[kPayload + 4], &segment.number, 4);
  return frame;
}

FlowSegment ReadSegment(std::span<const uint8_t> frame) {
  FlowSegment segment;
  if (frame.size() != kSegmentBytes) return segment;
  std::memcpy(&segment.flow, &frame[kPayload], 4);
  std::memcpy(&segment.number, &frame[kPayload + 4], 4);
  return segment;
}

}  // namespace bulkhead::nic_driver::testing
