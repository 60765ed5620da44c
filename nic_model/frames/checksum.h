// Internet checksums, as NICs insert and check them (Intel 82574 datasheet
// 7.2.5 and 7.1.11; Virtio 1.2, 5.1.6). A pure function of a frame that the
// host, or another host, wrote: hostile input.
#ifndef BULKHEAD_NIC_MODEL_FRAMES_CHECKSUM_H_
#define BULKHEAD_NIC_MODEL_FRAMES_CHECKSUM_H_

#include <cstddef>
#include <cstdint>
#include <span>

namespace bulkhead::nic_model {

// Ones' complement sum of 16-bit big-endian words, folded, not inverted.
uint16_t OnesSum(std::span<const uint8_t> bytes, uint32_t seed = 0);

// Writes the checksum of frame[start, end] (end inclusive; 0: to the frame's
// end) at `at`. The field's own value is part of the sum: software puts the
// pseudo header there. False, with nothing changed, when a place lies outside.
bool InsertChecksum(std::span<uint8_t> frame, size_t start, size_t end,
                    size_t at);

// The Ethernet FCS (CRC-32) as its four bytes lie in memory.
uint32_t FrameCheckSequence(std::span<const uint8_t> frame);

struct RxChecksum {
  bool ip_checked = false;
  bool ip_good = false;
  bool l4_checked = false;
  bool l4_is_udp = false;
  bool l4_good = false;
};

// Looks for IPv4 or IPv6 and TCP or UDP in an Ethernet frame. Fragments and
// what does not fit are not checked.
RxChecksum CheckFrame(std::span<const uint8_t> frame);

}  // namespace bulkhead::nic_model

#endif  // BULKHEAD_NIC_MODEL_FRAMES_CHECKSUM_H_
