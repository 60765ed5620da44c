// The provider's end of a session: what a driver (or the router) holds.
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
#include "packet_stream/geometry.h"
#include "packet_stream/layout.h"

namespace bulkhead::packet_stream {

// What the provider is granted. Data areas are absent for a data-blind driver.
struct ProviderGrant {
  uint64_t session_id = 0;
  uint32_t epoch = 0;
  SessionGeometry geometry;
  UniqueFd client_control;    // Read-only.
  UniqueFd provider_control;  // Writable.
  UniqueFd tx_doorbell;       // The client writes it; we wait on it.
  UniqueFd rx_doorbell;       // We write it.
};

// Requires: one thread.
// Guarantees (S2, S7): a descriptor or buffer number that TakeTx or TakeFreeRx
// hands out was checked against the geometry and against who owns the buffer,
// from a private copy. A client that breaks the protocol makes broken() true;
// from then on every call does nothing and returns 0. No call allocates, locks
// or makes a system call, except Flush when the client sleeps.
class ProviderEnd {
 public:
  static absl::StatusOr<std::unique_ptr<ProviderEnd>> Create(
      ProviderGrant grant);

  // True once the client has emptied its rings for this epoch; only then do
  // the others do anything. Cheap; call it on a doorbell until it is true.
  bool Ready();

  // Copies up to out.size() checked tx descriptors to `out`; returns how many.
  // Never ends inside a frame, unless the frame has more pieces than
  // out.size(), which breaks the session. Their buffers are ours until AckTx.
  [[nodiscard]] size_t TakeTx(std::span<Descriptor> out);
  // Gives the buffers of these offsets back. Each must be one of ours.
  void AckTx(std::span<const Ack> acks);
  // Tx buffer numbers that we hold: taken and not acknowledged.
  uint32_t tx_held() const;

  // Hands out up to out.size() free rx buffer numbers; returns how many.
  [[nodiscard]] size_t TakeFreeRx(std::span<uint32_t> out);
  // Returns buffers of TakeFreeRx unused.
  void ReturnFreeRx(std::span<const uint32_t> buffers);
  // Gives filled pieces to the client: whole frames.
  void SubmitRx(std::span<const Descriptor> descriptors);

  // Publishes what AckTx and SubmitRx queued (one release store per ring), and
  // wakes the client if it sleeps: at most one eventfd write. Call once per
  // batch.
  void Flush();

  // Before sleeping: announces it, then looks again. True: nothing waits, go to
  // sleep on doorbell_fd(). False: there is work, and nothing was announced.
  [[nodiscard]] bool ArmDoorbell();
  // After waking: takes the announcement back and empties the doorbell.
  void DisarmDoorbell();
  int doorbell_fd() const;

  bool broken() const;
  // What the client did, for the log; empty while it is honest.
  const std::string& breach() const;
  const SessionGeometry& geometry() const;
  uint64_t session_id() const;
  uint32_t epoch() const;
};

}  // namespace bulkhead::packet_stream

#endif  // BULKHEAD_PACKET_STREAM_PROVIDER_H_
