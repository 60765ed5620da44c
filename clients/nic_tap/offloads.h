// What the kernel's stack asks for when it sends a frame through a TAP device
// (VirtioHeader), and how a session's descriptor says the same.
//
// The two differ in one place. A segment that the kernel leaves to be cut up
// comes with IP's lengths as if it were one packet, and with the TCP length in
// the pseudo header's sum; a session wants neither, unless its NIC does
// (kOffloadTxWholeSegments, packet_stream/layout.h).
#ifndef BULKHEAD_CLIENTS_NIC_TAP_OFFLOADS_H_
#define BULKHEAD_CLIENTS_NIC_TAP_OFFLOADS_H_

#include <cstddef>
#include <cstdint>
#include <span>

namespace bulkhead::nic_tap {

// struct virtio_net_hdr, whose own header is not C++; virtio 1.2, 5.1.6.
struct VirtioHeader {
  uint8_t flags = 0;
  uint8_t gso_type = 0;
  uint16_t hdr_len = 0;  // A hint; never used.
  uint16_t gso_size = 0;
  uint16_t csum_start = 0;
  uint16_t csum_offset = 0;
};
static_assert(sizeof(VirtioHeader) == 10);

// Of `flags`.
constexpr uint8_t kNeedsChecksum = 1;
constexpr uint8_t kDataValid = 2;
// Of `gso_type`.
constexpr uint8_t kGsoNone = 0;
constexpr uint8_t kGsoTcp4 = 1;
constexpr uint8_t kGsoTcp6 = 4;
constexpr uint8_t kGsoEcn = 0x80;  // A bit beside the others.

enum class TxPath : uint8_t {
  kSend,           // As the request says.
  kSumHere,        // The NIC could not: fill the checksum in first.
  kSegmentHere,    // The NIC could not: cut it up first.
  kUnintelligible  // Drop it.
};

// What goes into the first descriptor of the frame.
struct TxRequest {
  uint16_t flags = 0;
  uint16_t checksum_start = 0;
  uint16_t checksum_offset = 0;
  uint32_t segments = 0;
};

// Decides about a frame of `frame_bytes`, of which `head` is the first piece.
// `offloads`: what the NIC does, kOffload… of the status page. With kSend of a
// segment, `head` was changed to what the session wants.
TxPath TranslateTx(const VirtioHeader& header, std::span<uint8_t> head,
                   size_t frame_bytes, uint32_t offloads, TxRequest& request);

// The header before a received frame.
constexpr VirtioHeader RxHeader(bool checksum_good) {
  VirtioHeader header = {};
  if (checksum_good) header.flags = kDataValid;
  return header;
}

// TUNSETOFFLOAD's argument: what the kernel's stack may leave to this NIC.
unsigned TapOffloads(uint32_t offloads);

}  // namespace bulkhead::nic_tap

#endif  // BULKHEAD_CLIENTS_NIC_TAP_OFFLOADS_H_
