// The bytes that two processes share in a packet-stream session, and nothing
// else. Values read from these structures are hostile input (S7).
//
// Four areas, each with one writer (the other side's descriptor is read-only):
//
//   client control    client    tx submit ring, rx ack ring, sleeping, epoch
//   provider control  provider  rx submit ring, tx ack ring, sleeping, epoch
//   tx data           client    tx_buffers × buffer_bytes: frames to send
//   rx data           provider  rx_buffers × buffer_bytes: frames received
//
// A session has one or more lanes, each with rings, doorbells and buffers of
// its own and served by a thread of its own at either end. Their parts of an
// area lie one behind the other in it, in whole pages; whatever is said below
// is of one lane. The status page is the session's.
//
// No consumer index is shared. A submit ring has an entry per buffer, and so
// has the ack ring of the other direction; a buffer is in at most one of them
// (S2). So an honest producer never finds a ring full, and needs to know
// nothing of the consumer's position.
#ifndef BULKHEAD_PACKET_STREAM_LAYOUT_H_
#define BULKHEAD_PACKET_STREAM_LAYOUT_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace bulkhead::packet_stream {

// Flags of a descriptor.
enum DescriptorFlags : uint16_t {
  kMore = 1 << 0,            // The frame goes on in the next descriptor.
  kChecksumNeeded = 1 << 1,  // tx: fill the 16-bit one's complement sum of
                             // checksum_start…end in at start + offset.
  kChecksumGood = 1 << 2,    // rx: the NIC verified the L4 checksum.
  // tx, in the first piece, with kChecksumNeeded: a TCP segment over an
  // untagged IPv4 or IPv6 header, larger than the MTU, which the NIC cuts up: a
  // copy of the headers before each part of the payload, with lengths,
  // identification, sequence numbers, flags and checksums as they must be. Only
  // the first piece may hold headers. The checksum field holds the pseudo
  // header's sum without the length, IP's length and IPv4's checksum are 0; all
  // as if it were one packet where the NIC says kOffloadTxWholeSegments.
  kSegmentTcp4 = 1 << 3,
  kSegmentTcp6 = 1 << 4,
};

// One piece of a frame. Written once by the submitter before it publishes.
struct Descriptor {
  uint32_t offset;     // Bytes from the start of the data area. A piece
                       // lies within one buffer.
  uint16_t length;     // Bytes, at least 1.
  uint16_t flags = 0;  // DescriptorFlags.
  uint16_t checksum_start = 0;  // From the start of the frame; with
                                // kChecksumNeeded, in the first piece.
  uint16_t checksum_offset = 0;
  uint32_t segments = 0;  // With kSegmentTcp…: MakeSegments(). Otherwise 0.
};
static_assert(sizeof(Descriptor) == 16 && alignof(Descriptor) == 4);

// Ethernet, IP and TCP headers, and the payload that follows them in each frame
// on the wire; the last may be shorter.
constexpr uint32_t MakeSegments(uint16_t header_bytes, uint16_t payload_bytes) {
  return uint32_t{header_bytes} << 16 | payload_bytes;
}
constexpr uint32_t SegmentHeaderBytes(uint32_t segments) {
  return segments >> 16;
}
constexpr uint32_t SegmentPayloadBytes(uint32_t segments) {
  return segments & 0xffff;
}
// Less than a payload of this size would make a flood of frames of one.
constexpr uint32_t kMinSegmentPayload = 64;
// IP's limit on what is cut up, and 14 bytes of Ethernet.
constexpr uint32_t kMaxSegmentedBytes = 65535 + 14;

// What became of a buffer's piece of a frame.
enum class AckStatus : uint8_t {
  kDone = 0,         // tx: the device took it. rx: the client is done with it.
  kInvalid = 1,      // Dropped: the descriptor made no sense.
  kNoLink = 2,       // Dropped: the link is down.
  kDeviceError = 3,  // Dropped: the device refused it.
};

// An acknowledgement: the buffer goes back to its submitter.
//   bits 0–23 buffer number (offset / buffer_bytes), bits 24–31 AckStatus.
using Ack = uint32_t;
constexpr Ack MakeAck(uint32_t buffer, AckStatus status) {
  return buffer | static_cast<uint32_t>(status) << 24;
}
constexpr uint32_t AckBuffer(Ack ack) { return ack & 0xffffff; }
constexpr AckStatus StatusOf(Ack ack) {
  return static_cast<AckStatus>(ack >> 24);
}

// Free-running 32-bit index of the next entry to be written; entry i of a ring
// is at i & (capacity - 1). One cache line each.
struct alignas(64) RingTail {
  std::atomic<uint32_t> value;
};
static_assert(std::atomic<uint32_t>::is_always_lock_free);

// First page of a control area; the rings follow, see ControlAreaLayout.
struct ControlHeader {
  RingTail
      submit_tail;    // Client control: tx submit. Provider control: rx submit.
  RingTail ack_tail;  // Client control: rx ack. Provider control: tx ack.
  // Not 0 while the writer of this area sleeps or is about to: what the peer
  // must ring the doorbell for after its next publish (kWakeFor… bits). Paired
  // sequentially consistent accesses, see doorbell.h.
  alignas(64) std::atomic<uint32_t> sleeping;
  // Client control: the epoch for which the client has emptied and reset its
  // rings. Provider control: the epoch its tails belong to. Written last, with
  // release; the peer ignores an area whose epoch is not the session's.
  alignas(64) std::atomic<uint32_t> epoch;
};
static_assert(sizeof(ControlHeader) == 256);

constexpr size_t kControlHeaderBytes = 4096;

enum class LinkState : uint32_t { kDown = 0, kUp = 1 };
enum class SessionState : uint32_t {
  kRunning = 1,     // An instance drives the NIC.
  kRecovering = 2,  // The instance died or restarts; frames will flow again.
  kParked = 3,      // It failed too often: an operator has to act.
  kClosed = 4,      // The session is over; open a new one.
};

// Written by the platform service alone. `version` is a sequence lock: odd
// while a writer is inside.
struct StatusPage {
  std::atomic<uint32_t> version;
  std::atomic<uint32_t> epoch;  // Grows whenever the provider was replaced.
  std::atomic<uint32_t> state;  // SessionState
  std::atomic<uint32_t> link;   // LinkState
  std::atomic<uint32_t> speed_mbps;
  std::atomic<uint32_t> mtu;
  std::atomic<uint32_t> generation;
  std::atomic<uint32_t> offloads;  // Bits kOffload…
  std::atomic<uint64_t> mac;       // Byte 0 of the address in bits 0–7.
};
static_assert(sizeof(StatusPage) == 40);
constexpr size_t kStatusPageBytes = 4096;

constexpr uint32_t kOffloadTxChecksum = 1 << 0;
constexpr uint32_t kOffloadRxChecksum = 1 << 1;
constexpr uint32_t kOffloadTxTcpSegmentation = 1 << 2;
// With it: what the headers of a segment hold, see kSegmentTcp4. Nobody between
// the client and the NIC may touch them, so that the client has to know.
constexpr uint32_t kOffloadTxWholeSegments = 1 << 3;

// Limits that any geometry must keep.
constexpr uint32_t kMinBuffers = 2;
constexpr uint32_t kMaxBuffers = 65536;
constexpr uint32_t kMinBufferBytes = 256;
constexpr uint32_t kMaxBufferBytes = 65536;
constexpr uint32_t kMaxLanes = 16;
// A frame has at most so many pieces, and is published whole: the last
// descriptor before a published tail does not say kMore.
constexpr uint32_t kMaxFramePieces = 32;

}  // namespace bulkhead::packet_stream

#endif  // BULKHEAD_PACKET_STREAM_LAYOUT_H_
