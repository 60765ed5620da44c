// The client's end of a lane, and of a session, without the socket it was
// opened on: Session over areas.
//
// A tx buffer's life: AllocTx gives it to the application; SubmitTx puts a
// descriptor into the ring, and Flush shows it; the provider's ack brings the
// buffer back to the free ones. An rx buffer's life: it is the provider's;
// Receive hands out a checked piece; Release puts an ack into the ring.
//
// An epoch's life: we write our epoch (our rings are empty and count from 0);
// the provider writes the same epoch into its area (it is *attached*), and only
// now we believe its tails; it dies, and the platform raises the status page's
// epoch; we receive what it had published, wait until the application has
// released all of it, decide about unacknowledged tx pieces, and write the new
// epoch.
#ifndef BULKHEAD_PACKET_STREAM_CLIENT_END_H_
#define BULKHEAD_PACKET_STREAM_CLIENT_END_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/seqpacket.h"
#include "base/shared_memory.h"
#include "base/unique_fd.h"
#include "packet_stream/buffer_shape.h"
#include "packet_stream/client.h"
#include "packet_stream/doorbell.h"
#include "packet_stream/free_buffers.h"
#include "packet_stream/geometry.h"
#include "packet_stream/layout.h"
#include "packet_stream/ring_consumer.h"
#include "packet_stream/ring_producer.h"

namespace bulkhead::packet_stream {

// What the platform grants a client: OpenReply.Grant and its descriptors.
struct ClientGrant {
  uint64_t session_id = 0;
  uint32_t epoch = 0;
  SessionGeometry geometry;
  UniqueFd client_control;    // Writable.
  UniqueFd provider_control;  // Read-only, as all that follow but tx_data.
  UniqueFd tx_data;           // Writable.
  UniqueFd rx_data;
  UniqueFd status;
  std::vector<LaneBells> bells;  // One for each lane.

  static constexpr size_t kAreas = 5;
  static size_t FdCount(uint32_t lanes) { return kAreas + 2 * size_t{lanes}; }
};

// One lane's parts of the areas as mapped by us.
struct ClientMemory {
  ControlHeader* own = nullptr;
  const ControlHeader* provider = nullptr;
  uint8_t* tx_data = nullptr;
  const uint8_t* rx_data = nullptr;
  const StatusPage* status = nullptr;
};

// Guarantees (S2, S7): a piece that Receive hands out and a buffer that AllocTx
// hands out were checked against the geometry and against who owns the buffer,
// from a private copy. A provider that breaks the protocol makes health() not
// ok; the session waits for the platform to replace it (S6).
class ClientEnd final : public Session {
 public:
  static absl::StatusOr<std::unique_ptr<ClientEnd>> Create(ClientGrant grant,
                                                           OnRestart on_restart,
                                                           UniqueFd socket);
  // On memory that is already mapped and outlives the object, for tests.
  ClientEnd(ClientMemory memory, const SessionGeometry& geometry,
            uint32_t epoch, OnRestart on_restart, DoorbellRinger tx_doorbell,
            DoorbellWaiter rx_doorbell);

  size_t AllocTx(std::span<TxBuffer> out) override;
  void ReturnTx(std::span<const TxBuffer> buffers) override;
  void SubmitTx(std::span<const Descriptor> descriptors) override;
  uint32_t tx_in_flight() const override { return tx_in_flight_; }
  size_t Receive(std::span<RxPiece> out) override;
  void Release(std::span<const RxPiece> pieces) override;
  void Flush() override;
  void Wait(int timeout_ms) override;
  bool ArmWait() override;
  void DisarmWait() override;
  int fd() const override { return rx_doorbell_.fd(); }
  absl::Status health() const override;
  SessionStatus status() const override;
  const SessionCounters& counters() const override { return counters_; }
  const SessionGeometry& geometry() const override { return geometry_; }
  Lane& lane(uint32_t index) override {
    if (index == 0) return *this;
    return *others_[index - 1];
  }

 private:
  // A tx buffer's owner. kQueued: the provider's, once it is published; told
  // apart only where it matters. kKept: to be submitted to the next provider.
  enum TxOwner : uint8_t { kFreeTx, kAppTx, kQueuedTx, kProviderTx, kKeptTx };
  // An rx buffer's owner.
  enum RxOwner : uint8_t { kProviderRx, kAppRx };
  // What was submitted, for resubmission. Sequence numbers count pieces.
  struct Sent {
    Descriptor piece;
    uint64_t sequence;
    uint64_t frame;  // Sequence number of the frame's first piece.
  };
  static constexpr uint32_t kSocketTag = 2;

  static absl::StatusOr<std::unique_ptr<ClientEnd>> CreateLane(
      ClientGrant& grant, uint32_t lane, OnRestart on_restart, UniqueFd socket);

  // Buffers of 2 KiB and more begin at the same few sets of a first-level
  // cache, so that 32 small frames would push each other out. Frames therefore
  // start at one of eight lines of their buffers.
  static constexpr uint32_t kColours = 8;
  static constexpr uint32_t kColourBytes = 64;
  static constexpr uint32_t kMinColouredBytes = 2048;

  // A Flush that publishes looks for acknowledgements from so many pieces in
  // flight on (a quarter of the buffers, if they are few).
  static constexpr uint32_t kMaxPatience = 128;

  void StartEpoch(uint32_t epoch);
  // True if our epoch is the session's; otherwise tries to get there.
  bool InStep() {
    // Pairs with StatusWriter: the old provider was gone before.
    const uint32_t epoch = status_->epoch.load(std::memory_order_acquire);
    return epoch == epoch_ || Recover(epoch);
  }
  bool Recover(uint32_t epoch);
  void KeepUnsentPieces();
  void KeepSentFrames();
  void PutAll(std::span<const Descriptor> pieces);
  void RememberSent(const Descriptor& piece);
  // True if there is a provider whose area may be read.
  bool Attached() { return !broken_ && (attached_ || NowAttached()); }
  bool NowAttached();
  void CollectTxAcks();
  void MarkUnpublished(TxOwner owner);
  bool NewsBeforeSleep();
  void CountFailed(AckStatus status);
  void Break(std::string breach);
  void BreakOnRx(const DescriptorCopy& piece);
  void BreakOnTail(const char* ring, uint32_t head, uint32_t tail);
  void HandleEvents(uint32_t tags);
  void LookForPlatform();

  SessionGeometry geometry_;
  OnRestart on_restart_;
  Mapping mappings_[5];
  ControlHeader* own_;
  const ControlHeader* provider_;
  uint8_t* tx_data_;
  const uint8_t* rx_data_;
  const StatusPage* status_;
  DoorbellRinger tx_doorbell_;
  DoorbellWaiter rx_doorbell_;
  SeqpacketChannel socket_;

  uint32_t epoch_;
  bool attached_ = false;  // The provider wrote our epoch into its area.
  bool broken_ = false;    // The provider of this epoch broke the protocol.
  absl::Status breach_;
  absl::Status closed_;
  mutable SessionStatus last_status_;  // The last consistent copy.
  SessionCounters counters_;

  BufferShape tx_shape_;
  SubmitProducer tx_;
  AckConsumer tx_acks_;
  uint32_t tx_colour_mask_;  // 0: no colours.
  std::unique_ptr<uint8_t[]> tx_owner_;
  FreeBuffers tx_free_;
  uint32_t tx_patience_;       // See kMaxPatience.
  uint32_t tx_in_flight_ = 0;  // Pieces in state kProviderTx.
  bool tx_frame_open_ = false;
  std::vector<Sent> tx_sent_;      // By buffer; empty unless kResubmit.
  std::vector<Sent> tx_gathered_;  // Scratch of Recover, as tx_kept_.
  std::vector<Descriptor> tx_kept_;
  uint64_t tx_sequence_ = 0;  // Of the next piece.
  uint64_t tx_frame_ = 0;

  BufferShape rx_shape_;
  SubmitConsumer rx_;
  AckProducer rx_acks_;
  std::unique_ptr<uint8_t[]> rx_owner_;
  uint32_t rx_held_ = 0;          // Pieces that the application holds.
  uint32_t rx_frame_pieces_ = 0;  // Of the frame that Receive is inside of.

  uint32_t lane_ = 0;
  std::vector<std::unique_ptr<ClientEnd>> others_;  // Lane 0's: 1 and up.
};

}  // namespace bulkhead::packet_stream

#endif  // BULKHEAD_PACKET_STREAM_CLIENT_END_H_
