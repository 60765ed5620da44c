// A test frame: an Ethernet frame of the experimental EtherType 0x88B5
// (IEEE 802 local experimental 1) that carries a number, the time it was sent,
// and a checksum, so that the receiver can tell lost, doubled, reordered and
// altered frames apart.
//
//   0   destination, source   (outside the checksum: an echo swaps them)
//   12  0x88B5
//   14  "BKHD"
//   18  stream                u32, tells the frames of two senders apart
//   22  sequence              u64, from 0
//   30  sent_ns               u64, CLOCK_MONOTONIC
//   38  CRC-32C               u32, of bytes 14–37 and 42–end
//   42  padding               every byte the low byte of sequence
//
// Numbers are little-endian.
#ifndef BULKHEAD_CLIENTS_NIC_TRAFFIC_TEST_FRAME_H_
#define BULKHEAD_CLIENTS_NIC_TRAFFIC_TEST_FRAME_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace bulkhead::nic_traffic {

using MacAddress = std::array<uint8_t, 6>;

constexpr size_t kMinFrameBytes = 60;  // Without FCS.
constexpr uint16_t kEtherType = 0x88b5;

struct TestFrame {
  uint32_t stream = 0;
  uint64_t sequence = 0;
  uint64_t sent_ns = 0;
};

// Fills `out` (at least kMinFrameBytes; its size is the frame's).
void WriteTestFrame(const TestFrame& frame, const MacAddress& destination,
                    const MacAddress& source, std::span<uint8_t> out);

enum class FrameKind : uint8_t {
  kTest,     // A whole test frame; `frame` is filled in.
  kForeign,  // Not one of ours.
  kCorrupt,  // Ours by its head, but the checksum does not match.
};
// `bytes` may be anything (S7).
FrameKind ReadTestFrame(std::span<const uint8_t> bytes, TestFrame& frame);

}  // namespace bulkhead::nic_traffic

#endif  // BULKHEAD_CLIENTS_NIC_TRAFFIC_TEST_FRAME_H_
