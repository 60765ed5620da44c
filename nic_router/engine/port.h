// Where frames come from and go to: what the engine sees of a session. Behind a
// client's port lies the provider's end of its session, behind an uplink's the
// client's end of ours.
//
// A received frame's life: Receive lends its pieces, the engine copies what it
// wants, Release gives them back. A sent one's: Alloc gives empty buffers, the
// engine fills them, Send takes them in order, Flush publishes.
#ifndef BULKHEAD_NIC_ROUTER_ENGINE_PORT_H_
#define BULKHEAD_NIC_ROUTER_ENGINE_PORT_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "nic_router/config.h"

namespace bulkhead::nic_router {

// A frame has at most so many pieces (packet_stream::kMaxFramePieces).
constexpr size_t kMaxFramePieces = 32;

// A piece of a received frame. The memory is hostile: its owner may write it
// while we look (S7). It stays readable until Release.
struct RxPiece {
  const uint8_t* data = nullptr;
  uint32_t buffer = 0;         // The port's own name for it.
  uint16_t length = 0;         // At least 1.
  bool more = false;           // The frame goes on in the next piece.
  bool checksum_good = false;  // The NIC verified the L4 checksum.
};

// An empty buffer of a frame to be sent.
struct TxBuffer {
  uint8_t* data = nullptr;  // Written, never read.
  uint32_t buffer = 0;      // The port's own name for it.
  uint32_t capacity = 0;    // Bytes.
};

// A filled one.
struct TxPiece {
  uint32_t buffer = 0;
  uint16_t length = 0;  // From the start of the buffer, at least 1.
  bool more = false;
};

// Requires: one thread; it outlives its membership of the engine.
// Guarantees: no call blocks, allocates or locks; a system call at most in
// Flush, to wake a peer that sleeps. A port whose peer is gone or broken
// receives nothing, allocates nothing, and ignores the rest.
class Port {
 public:
  virtual ~Port() = default;

  // Lends up to out.size() pieces, of whole frames only; returns how many. With
  // room for kMaxFramePieces it always makes progress.
  [[nodiscard]] virtual size_t Receive(std::span<RxPiece> out) = 0;
  // Gives pieces back, in the order of Receive.
  virtual void Release(std::span<const RxPiece> pieces) = 0;

  // Hands out up to out.size() empty buffers; returns how many.
  [[nodiscard]] virtual size_t Alloc(std::span<TxBuffer> out) = 0;
  // Gives buffers back unsent.
  virtual void Return(std::span<const TxBuffer> buffers) = 0;
  // Queues whole frames.
  virtual void Send(std::span<const TxPiece> pieces) = 0;
  // Publishes what Release and Send queued. Once a turn.
  virtual void Flush() = 0;

  // While true, nothing is received here until room is found for what was; what
  // comes need not wake the router.
  virtual void Pause(bool paused) = 0;

  // The session runs (it is not recovering, parked or closed) and has a link.
  virtual bool link_up() const = 0;
  // Of the NIC, for an uplink. A client's port answers with what it was given
  // in AddClient.
  virtual MacAddress mac() const = 0;
  // Bytes behind the Ethernet header of the longest frame that may be sent.
  virtual uint32_t mtu() const = 0;
};

}  // namespace bulkhead::nic_router

#endif  // BULKHEAD_NIC_ROUTER_ENGINE_PORT_H_
