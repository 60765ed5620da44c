// The client's end of a packet-stream session: the library that programs link.
//
//   auto opened = Session::Open({.label = "probe", .instance = "nic0"});
//   if (!opened.ok()) …
//   Session& session = **opened;
//   TxBuffer buffer;
//   if (session.AllocTx({&buffer, 1}) == 1) {
//     std::memcpy(buffer.data, frame, size);  // size <= buffer.capacity
//     const Descriptor piece = {.offset = buffer.offset, .length = size};
//     session.SubmitTx({&piece, 1});
//   }
//   session.Flush();
//   session.Wait(-1);
//   RxPiece pieces[32];
//   size_t n = session.Receive(pieces);
//   …
//   session.Release({pieces, n});
//
// With geometry.lanes > 1, session.lane(i) are more of the same, one for each
// thread. The target to link is //packet_stream:client.
//
// The session outlives drivers (S6). When the driver dies, calls simply move no
// frames for a moment; tx pieces that the device may or may not have sent are
// counted `indeterminate` (S8).
#ifndef BULKHEAD_PACKET_STREAM_CLIENT_H_
#define BULKHEAD_PACKET_STREAM_CLIENT_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "packet_stream/geometry.h"
#include "packet_stream/layout.h"
#include "packet_stream/status_page.h"

namespace bulkhead::packet_stream {

// What happens to frames that were submitted and not acknowledged when the
// driver died.
enum class OnRestart : uint8_t {
  kCountIndeterminate,  // At most once: they are counted and forgotten.
  kResubmit,            // At least once: they are sent again.
};

struct OpenOptions {
  std::string socket;  // Empty: $BULKHEAD_RUN_DIR/session.sock, else the
                       // default run directory's.
  std::string label;
  std::string instance;
  SessionGeometry geometry;
  OnRestart on_restart = OnRestart::kCountIndeterminate;
};

// A tx buffer that the caller owns until it submits or returns it.
struct TxBuffer {
  uint8_t* data = nullptr;
  uint32_t offset = 0;    // For Descriptor::offset.
  uint32_t capacity = 0;  // Bytes from data: less than a buffer (ClientEnd).
};

// A piece of a received frame; the memory is the caller's until Release.
struct RxPiece {
  const uint8_t* data = nullptr;
  uint32_t buffer = 0;  // Its number, for Release.
  uint16_t length = 0;
  uint16_t flags = 0;  // DescriptorFlags; kMore: the frame goes on.
};

// Pieces, each in exactly one place (S8):
//   tx_submitted = tx_done + tx_dropped_invalid + tx_dropped_no_link
//                + tx_dropped_device + tx_indeterminate + in flight
struct SessionCounters {
  uint64_t tx_submitted = 0;
  uint64_t tx_done = 0;
  uint64_t tx_dropped_invalid = 0;
  uint64_t tx_dropped_no_link = 0;
  uint64_t tx_dropped_device = 0;
  uint64_t tx_indeterminate = 0;
  uint64_t tx_resubmitted = 0;
  uint64_t rx_received = 0;
  uint64_t recoveries = 0;  // Epoch changes lived through.
  uint64_t doorbells = 0;   // eventfd writes.
};

// What a program does with one lane of a session.
//
// Requires: one thread at a time; other lanes have theirs.
// Guarantees: no call but Wait blocks. No call allocates, locks or makes a
// system call, except Wait, DisarmWait, and Flush when the provider sleeps; a
// provider that breaks the protocol is told of by whichever call found it.
class Lane {
 public:
  virtual ~Lane() = default;

  // Takes up to out.size() free tx buffers; returns how many.
  [[nodiscard]] virtual size_t AllocTx(std::span<TxBuffer> out) = 0;
  // Gives buffers back unsent.
  virtual void ReturnTx(std::span<const TxBuffer> buffers) = 0;
  // Queues pieces of whole frames, at most kMaxFramePieces each. Each offset
  // must lie in a buffer that AllocTx gave and that was not yet submitted
  // (DCHECKed).
  virtual void SubmitTx(std::span<const Descriptor> descriptors) = 0;
  // Tx buffers that the provider holds.
  virtual uint32_t tx_in_flight() const = 0;

  // Takes up to out.size() received pieces; returns how many. Ends inside a
  // frame only if `out` has no room for all pieces of one frame. The session
  // recovers from a driver's death inside this call, once what the dead driver
  // had published is received and released.
  [[nodiscard]] virtual size_t Receive(std::span<RxPiece> out) = 0;
  virtual void Release(std::span<const RxPiece> pieces) = 0;

  // Publishes what was queued, and wakes the provider if it sleeps. Call once
  // per batch. Collects acknowledgements when there were no frames to publish,
  // and otherwise when many are due.
  virtual void Flush() = 0;

  // Sleeps until there are frames, acknowledgements or news, or until
  // `timeout_ms` (-1: for ever) has passed. For a loop of one's own: ArmWait,
  // and if it returns true, wait for fd() to be readable, then DisarmWait.
  virtual void Wait(int timeout_ms) = 0;
  [[nodiscard]] virtual bool ArmWait() = 0;
  virtual void DisarmWait() = 0;
  virtual int fd() const = 0;

  // Not ok while nothing can be expected of the session: the provider broke the
  // protocol (ok again once the platform has replaced it), the session was
  // closed, or the platform is gone for good.
  virtual absl::Status health() const = 0;
  virtual SessionStatus status() const = 0;
  virtual const SessionCounters& counters() const = 0;  // Of this lane.
  virtual const SessionGeometry& geometry() const = 0;
};

// A session, and its lane 0: for a program of one lane there is no more to it.
//
// With more lanes, the NIC spreads received flows over them, and a flow stays
// on its lane; a frame that is sent goes through the lane's own queue. Each
// lane recovers by itself. A provider that breaks the protocol in one of them
// is replaced for all; a client that does loses the session.
class Session : public Lane {
 public:
  // Errors carry the provider's words: NotFound, ResourceExhausted (busy or
  // over quota), PermissionDenied, InvalidArgument, Unavailable. There may be
  // fewer lanes than were asked for: the geometry says how many.
  static absl::StatusOr<std::unique_ptr<Session>> Open(
      const OpenOptions& options);

  // `index` < geometry().lanes; 0 is this. The session owns it.
  virtual Lane& lane(uint32_t index) = 0;
};

}  // namespace bulkhead::packet_stream

#endif  // BULKHEAD_PACKET_STREAM_CLIENT_H_
