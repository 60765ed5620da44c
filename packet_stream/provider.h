// The provider's end of a session's lane: what a driver (or the router) holds.
//
// A tx piece's life: the client submits it; TakeTx hands a checked copy of the
// descriptor to us and with it the buffer; the device reads the buffer; AckTx
// gives the buffer back. An rx buffer's life: it is ours from the start (all
// are); TakeFreeRx hands out its number; the device fills it; SubmitRx gives it
// to the client; the client's ack brings it back to the free ones.
#ifndef BULKHEAD_PACKET_STREAM_PROVIDER_H_
#define BULKHEAD_PACKET_STREAM_PROVIDER_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/shared_memory.h"
#include "base/unique_fd.h"
#include "packet_stream/buffer_shape.h"
#include "packet_stream/doorbell.h"
#include "packet_stream/free_buffers.h"
#include "packet_stream/geometry.h"
#include "packet_stream/layout.h"
#include "packet_stream/ring_consumer.h"
#include "packet_stream/ring_producer.h"

namespace bulkhead::packet_stream {

// What the provider is granted. Data areas are absent for a data-blind driver.
struct ProviderGrant {
  uint64_t session_id = 0;
  uint32_t epoch = 0;
  SessionGeometry geometry;
  UniqueFd client_control;       // Read-only.
  UniqueFd provider_control;     // Writable.
  std::vector<LaneBells> bells;  // One for each lane.
};

// One lane's parts of the control areas as mapped by us.
struct ProviderMemory {
  ControlHeader* own = nullptr;
  const ControlHeader* client = nullptr;
};

// Requires: one thread; the client's tx descriptors keep to these rules, or the
//   session breaks: the tail never goes back, nor more than tx_buffers ahead;
//   a piece has at least one byte and lies in one buffer, which is the
//   client's; flags are known ones, segments is 0 without them; frames are
//   published whole and have at most kMaxFramePieces pieces.
// Guarantees (S2, S7): a descriptor or buffer number that TakeTx or TakeFreeRx
// hands out was checked against the geometry and against who owns the buffer,
// from a private copy. A client that breaks the protocol makes broken() true;
// from then on every call does nothing and returns 0. No call allocates, locks
// or makes a system call, except Flush when the client sleeps.
class ProviderEnd {
 public:
  // Of a session of one lane.
  static absl::StatusOr<std::unique_ptr<ProviderEnd>> Create(
      ProviderGrant grant);
  // Of a session of any number, in order. They share nothing, so that each may
  // have a thread of its own.
  static absl::StatusOr<std::vector<std::unique_ptr<ProviderEnd>>> CreateLanes(
      ProviderGrant grant);
  // On memory that is already mapped and outlives the object, for tests.
  ProviderEnd(ProviderMemory memory, const SessionGeometry& geometry,
              uint64_t session_id, uint32_t epoch, DoorbellWaiter tx_doorbell,
              DoorbellRinger rx_doorbell);

  // True once the client has emptied its rings for this epoch; only then do
  // the others do anything. Cheap; call it on a doorbell until it is true.
  bool Ready();

  // Copies up to out.size() checked tx descriptors to `out`; returns how many.
  // Never ends inside a frame: one that does not fit waits for the next call,
  // so that room for kMaxFramePieces always makes progress. A frame whose
  // checksum request makes no sense is acknowledged kInvalid and not seen here.
  // The buffers are ours until AckTx.
  [[nodiscard]] size_t TakeTx(std::span<Descriptor> out);
  // Gives tx buffers back: MakeAck(offset / buffer_bytes, status). Each must
  // be one that TakeTx gave (DCHECKed).
  void AckTx(std::span<const Ack> acks);
  // Tx buffer numbers that we hold: taken and not acknowledged.
  uint32_t tx_held() const { return tx_held_; }
  // Frames that TakeTx acknowledged kInvalid instead of handing them out, ever.
  uint64_t tx_refused_frames() const { return tx_refused_frames_; }

  // Hands out up to out.size() free rx buffer numbers; returns how many.
  [[nodiscard]] size_t TakeFreeRx(std::span<uint32_t> out);
  // Returns buffers of TakeFreeRx unused.
  void ReturnFreeRx(std::span<const uint32_t> buffers);
  // Gives filled pieces to the client: whole frames, of at most kMaxFramePieces
  // pieces, in buffers that TakeFreeRx gave (DCHECKed).
  void SubmitRx(std::span<const Descriptor> descriptors);

  // Publishes what AckTx and SubmitRx queued (one release store per ring), and
  // wakes the client if it sleeps: at most one eventfd write. Call once per
  // batch.
  void Flush();

  // Before sleeping: announces it, then looks again. True: nothing waits, go to
  // sleep on doorbell_fd(). False: there is work, and nothing was announced.
  // Without `tx_room` (the device's queue is full) tx frames are not work: the
  // device's own interrupt will come first.
  [[nodiscard]] bool ArmDoorbell(bool tx_room = true);
  // After waking: takes the announcement back and empties the doorbell.
  void DisarmDoorbell();
  int doorbell_fd() const { return tx_doorbell_.fd(); }

  bool broken() const { return broken_; }
  // What the client did, for the log; empty while it is honest.
  const std::string& breach() const { return breach_; }
  const SessionGeometry& geometry() const { return geometry_; }
  uint64_t session_id() const { return session_id_; }
  uint32_t epoch() const { return epoch_; }

 private:
  // A tx buffer's owner.
  enum TxOwner : uint8_t { kClientTx, kOurTx };
  // An rx buffer's: free here, with the caller (its device), with the client.
  enum RxOwner : uint8_t { kFreeRx, kTakenRx, kClientRx };

  bool serving() const { return ready_ && !broken_; }
  // What the frame at the head of the tx ring is.
  enum class Frame : uint8_t { kWhole, kDoesNotFit, kBreach };
  struct TakenFrame {
    Frame verdict;
    uint32_t pieces;
  };
  bool GoodTxPiece(const DescriptorCopy& piece) const;
  TakenFrame TakeFrame(DescriptorCopy first, uint32_t at,
                       std::span<Descriptor> out);
  void DropFrame(std::span<const Descriptor> pieces);
  void CollectRxAcks();
  void Break(std::string breach);
  void BreakOnDescriptor(const DescriptorCopy& piece);
  void BreakOnTail(const char* ring, uint32_t head, uint32_t tail);

  SessionGeometry geometry_;
  uint64_t session_id_;
  uint32_t epoch_;
  Mapping own_mapping_;
  Mapping client_mapping_;
  ControlHeader* own_;
  const ControlHeader* client_;
  DoorbellWaiter tx_doorbell_;
  DoorbellRinger rx_doorbell_;

  bool ready_ = false;
  bool broken_ = false;
  std::string breach_;

  BufferShape tx_shape_;
  SubmitConsumer tx_;
  AckProducer tx_acks_;
  std::unique_ptr<uint8_t[]> tx_owner_;  // TxOwner of each tx buffer.
  uint32_t tx_held_ = 0;
  uint64_t tx_refused_frames_ = 0;

  BufferShape rx_shape_;
  SubmitProducer rx_;
  AckConsumer rx_acks_;
  std::unique_ptr<uint8_t[]> rx_owner_;  // RxOwner of each rx buffer.
  FreeBuffers rx_free_;
};

}  // namespace bulkhead::packet_stream

#endif  // BULKHEAD_PACKET_STREAM_PROVIDER_H_
