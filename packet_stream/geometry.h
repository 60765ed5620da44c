// The sizes of a session and what follows from them.
#ifndef BULKHEAD_PACKET_STREAM_GEOMETRY_H_
#define BULKHEAD_PACKET_STREAM_GEOMETRY_H_

#include <bit>
#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "packet_stream/layout.h"

namespace bulkhead::packet_stream {

// Requires (checked by CheckGeometry before anything is sized by it): counts
// and bytes are powers of two within layout.h's limits, a lane's part of each
// data area is smaller than 4 GiB, and there is at least one lane.
struct SessionGeometry {
  uint32_t tx_buffers = 1024;  // Of each lane, as all that follow.
  uint32_t rx_buffers = 1024;
  uint32_t buffer_bytes = 2048;
  uint32_t lanes = 1;

  // Offsets of the rings in a lane's part of a control area. The client's
  // submit ring has tx_buffers entries and its ack ring rx_buffers; the
  // provider's the reverse.
  static constexpr size_t SubmitRingOffset() { return kControlHeaderBytes; }
  static constexpr size_t AckRingOffset(uint32_t submit_entries) {
    return kControlHeaderBytes + size_t{submit_entries} * sizeof(Descriptor);
  }
  static constexpr size_t ControlBytes(uint32_t submit_entries,
                                       uint32_t ack_entries) {
    const size_t bytes =
        AckRingOffset(submit_entries) + size_t{ack_entries} * sizeof(Ack);
    return (bytes + 4095) & ~size_t{4095};
  }
  // Of one lane: its part of each area.
  constexpr size_t LaneClientControlBytes() const {
    return ControlBytes(tx_buffers, rx_buffers);
  }
  constexpr size_t LaneProviderControlBytes() const {
    return ControlBytes(rx_buffers, tx_buffers);
  }
  constexpr size_t LaneTxDataBytes() const {
    return (size_t{tx_buffers} * buffer_bytes + 4095) & ~size_t{4095};
  }
  constexpr size_t LaneRxDataBytes() const {
    return (size_t{rx_buffers} * buffer_bytes + 4095) & ~size_t{4095};
  }
  // Whole areas.
  constexpr size_t ClientControlBytes() const {
    return lanes * LaneClientControlBytes();
  }
  constexpr size_t ProviderControlBytes() const {
    return lanes * LaneProviderControlBytes();
  }
  constexpr size_t TxDataBytes() const { return lanes * LaneTxDataBytes(); }
  constexpr size_t RxDataBytes() const { return lanes * LaneRxDataBytes(); }
  // Everything a session costs its client's quota.
  constexpr size_t TotalBytes() const {
    return ClientControlBytes() + ProviderControlBytes() + TxDataBytes() +
           RxDataBytes() + kStatusPageBytes;
  }
};

inline absl::Status CheckGeometry(const SessionGeometry& g) {
  const auto good_count = [](uint32_t n) {
    return std::has_single_bit(n) && n >= kMinBuffers && n <= kMaxBuffers;
  };
  if (!good_count(g.tx_buffers) || !good_count(g.rx_buffers)) {
    return absl::InvalidArgumentError(
        "session geometry: buffer counts must be powers of two from 2 to "
        "65536");
  }
  if (!std::has_single_bit(g.buffer_bytes) ||
      g.buffer_bytes < kMinBufferBytes || g.buffer_bytes > kMaxBufferBytes) {
    return absl::InvalidArgumentError(
        "session geometry: buffer_bytes must be a power of two from 256 to "
        "65536");
  }
  constexpr uint64_t kFourGiB = uint64_t{1} << 32;
  if (uint64_t{g.tx_buffers} * g.buffer_bytes >= kFourGiB ||
      uint64_t{g.rx_buffers} * g.buffer_bytes >= kFourGiB) {
    return absl::InvalidArgumentError(
        "session geometry: a data area must be smaller than 4 GiB");
  }
  if (g.lanes < 1 || g.lanes > kMaxLanes) {
    return absl::InvalidArgumentError(
        "session geometry: a session has 1 to 16 lanes");
  }
  return absl::OkStatus();
}

}  // namespace bulkhead::packet_stream

#endif  // BULKHEAD_PACKET_STREAM_GEOMETRY_H_
