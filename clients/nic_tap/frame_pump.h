// Moves frames between a TAP device and a session.
//
//   kernel's stack → TAP → readv into tx buffers → session → NIC
//   kernel's stack ← TAP ← writev out of rx buffers ← session ← NIC
//
// A frame costs one system call, which the kernel makes of a TAP device, and
// the copy that comes with it; none else.
#ifndef BULKHEAD_CLIENTS_NIC_TAP_FRAME_PUMP_H_
#define BULKHEAD_CLIENTS_NIC_TAP_FRAME_PUMP_H_

#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "clients/nic_tap/offloads.h"
#include "packet_stream/client.h"

namespace bulkhead::nic_tap {

// Frames, each in one place (S8). `segments` is what the kernel left for the
// NIC to cut up; such a frame counts as one.
struct PumpCounters {
  uint64_t to_nic = 0;
  uint64_t to_nic_bytes = 0;
  uint64_t to_nic_segments = 0;
  uint64_t to_nic_cut_here = 0;        // Of to_nic: cut up by us.
  uint64_t to_nic_cut_short = 0;       // Dropped, but for its beginning.
  uint64_t to_nic_unintelligible = 0;  // Dropped.
  uint64_t from_nic = 0;
  uint64_t from_nic_bytes = 0;
  uint64_t from_nic_refused = 0;  // Dropped: the interface is down.
};

// Requires: the session and the descriptor outlive it. `tap` is non-blocking,
// a read or write of it is a virtio_net_hdr and one frame.
// Threading: one thread.
class FramePump {
 public:
  // Frames that one call moves at most.
  static constexpr size_t kBatch = 64;

  FramePump(packet_stream::Session* session, int tap);
  ~FramePump();
  FramePump(const FramePump&) = delete;
  FramePump& operator=(const FramePump&) = delete;

  // What the NIC does, kOffload….
  void SetOffloads(uint32_t offloads) { offloads_ = offloads; }

  // Each moves a batch, and returns how many frames. The caller flushes.
  size_t ToNic();
  size_t FromNic();
  // The last ToNic stopped because the session had no buffers: to look at the
  // TAP device is no use until it has.
  bool starved() const { return starved_; }
  // Not ok: the TAP device is gone.
  const absl::Status& tap_status() const { return tap_status_; }
  const PumpCounters& counters() const { return counters_; }

 private:
  // Entries of a readv: the header, and buffers for the longest frame.
  static constexpr size_t kMaxPieces = packet_stream::kMaxFramePieces;

  bool FillPool();
  // The pieces of the frame in the pool's first buffers; returns their number.
  size_t PiecesOf(size_t bytes);
  void Submit(const VirtioHeader& header, size_t bytes);
  void SumHere(const VirtioHeader& header, size_t count);
  void SegmentHere(const VirtioHeader& header, size_t bytes, size_t count);
  void Use(size_t count);
  void WriteFrame(std::span<const packet_stream::RxPiece> pieces);

  packet_stream::Session* session_;
  int tap_;
  uint32_t offloads_ = 0;
  size_t frame_buffers_;  // For the longest frame.
  bool starved_ = false;
  absl::Status tap_status_;
  PumpCounters counters_;

  // Tx buffers that the next frame is read into.
  std::array<packet_stream::TxBuffer, kMaxPieces> pool_;
  size_t pool_size_ = 0;
  std::array<packet_stream::Descriptor, kMaxPieces> pieces_;
  std::vector<uint8_t> gathered_;  // A segment that is cut up here.
};

}  // namespace bulkhead::nic_tap

#endif  // BULKHEAD_CLIENTS_NIC_TAP_FRAME_PUMP_H_
