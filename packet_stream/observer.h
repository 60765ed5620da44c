// One who looks on at a session: a third reader of its rings and frames, of
// whom neither end knows.
//
// Nothing in a session waits for an observer, so it may come too late, and a
// buffer may be used again while it is being copied. So a frame is copied
// first, and believed afterwards:
//
//   1. Copy the frame, then see how far both rings are by now.
//   2. Its buffer was not acknowledged until then: the copy is good.
//   3. It was acknowledged: its owner may have been writing the next frame. The
//      copy is believed at the next look, if the buffer was not submitted again
//      until then; otherwise the frame is lost.
//   4. The ring went on by more than half its length: lost.
//
// What is lost is counted. An owner that took the buffer again during the copy
// and keeps it for longer than until the next look is what this does not see:
// the frame then has the right length and, perhaps, bytes of the next.
#ifndef BULKHEAD_PACKET_STREAM_OBSERVER_H_
#define BULKHEAD_PACKET_STREAM_OBSERVER_H_

#include <time.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "packet_stream/buffer_shape.h"
#include "packet_stream/geometry.h"
#include "packet_stream/layout.h"

namespace bulkhead::packet_stream {

struct ObservedFrame {
  bool sent = false;               // By the client; otherwise received by it.
  std::span<const uint8_t> bytes;  // Its beginning: valid during the call.
  uint32_t length = 0;             // Of the whole frame.
  timespec when = {};              // CLOCK_REALTIME, when it was seen.
  uint64_t lost_before = 0;  // Frames since the last one of this direction.
};

// One direction of one session.
// Requires: the memory outlives it; the geometry was checked.
// Guarantees (S7): whatever lies in the memory, only bytes of the area of
// frames are handed out, and each look ends.
// Threading: one thread.
class DirectionObserver {
 public:
  // `submitter` and `acknowledger` are the headers of the control areas, with
  // their rings behind them; `data` the area of `buffers` buffers.
  struct Memory {
    const ControlHeader* submitter = nullptr;
    const Descriptor* submit_ring = nullptr;
    const ControlHeader* acknowledger = nullptr;
    const Ack* ack_ring = nullptr;
    const uint8_t* data = nullptr;
  };
  DirectionObserver(const Memory& memory, uint32_t buffers,
                    uint32_t buffer_bytes, bool sent, uint32_t snap_bytes);

  using Sink = std::function<void(const ObservedFrame&)>;
  // Decides on the frames of the last look, hands those that are good to
  // `sink`, and copies new ones. Returns how many it decided on or copied.
  size_t Look(const Sink& sink);

  // A session that is met in the middle is followed from there; one that
  // begins, from its first frame.
  void FollowFromHere();

  uint64_t seen() const { return seen_; }
  uint64_t lost() const { return lost_; }

 private:
  static constexpr uint32_t kMaxFrames = 64;  // Of one look.

  struct Copied {
    uint32_t first = 0;  // Index of its first piece in the ring.
    uint32_t pieces = 0;
    size_t at = 0;  // In copies_.
    uint32_t snapped = 0;
    uint32_t length = 0;
    timespec when = {};
    bool good = false;  // Case 2.
  };
  // What is known of a buffer in this epoch.
  struct Buffer {
    uint32_t submitted = 0;  // Index of the last submission, plus 1; 0: none.
    bool acknowledged = false;  // That one was.
  };

  bool InStep();
  void StartEpoch(uint32_t epoch);
  uint32_t AckTail() const;
  void LookAhead();
  uint32_t CopyNew();
  // Pieces of the frame at position_; 0: none is whole there.
  uint32_t CopyFrame(uint32_t tail);
  bool StillThere(const Copied& frame, bool* acknowledged) const;
  void Decide(const Sink& sink);
  void Lose(uint64_t frames) { lost_ += frames, lost_before_ += frames; }
  void SkipTo(uint32_t position);

  Memory memory_;
  BufferShape shape_;
  uint32_t capacity_;
  bool sent_;
  uint32_t snap_bytes_;

  uint32_t epoch_ = 0;
  uint32_t position_ = 0;       // The next piece to copy.
  uint32_t submits_known_ = 0;  // Submissions up to here are in buffers_.
  uint32_t acks_known_ = 0;
  std::vector<Buffer> buffers_;
  std::vector<Copied> frames_;  // Copied and not decided on.
  std::vector<uint8_t> copies_;
  uint64_t seen_ = 0;
  uint64_t lost_ = 0;
  uint64_t lost_before_ = 0;
};

}  // namespace bulkhead::packet_stream

#endif  // BULKHEAD_PACKET_STREAM_OBSERVER_H_
