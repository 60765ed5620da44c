// What every driver is: the life-cycle, and queues with the four verbs of the
// data path (nic_driver/README.md). A driver knows one kind of NIC and nothing of
// sessions, channels or processes; the runtime calls it.
//
//   Probe → Attach → (Configure | Start … data path … Stop)* → Detach
//   Shutdown at any time.
//
// A driver is data-blind (S3): it sees buffer numbers, lengths and the
// addresses that the NIC knows, never a frame.
//
// Threading: a driver of one queue has one thread (SingleQueueDriver). One of
// several queues has a thread for each queue, whose calls are the Queue's. That
// of queue 0 is the control thread as well, whose calls are the Driver's:
//   - Probe, Attach, Configure, Start, Stop and Detach begin while no queue's
//     thread is inside a verb, and none comes before they return (a Task: until
//     it is done). What they write, queues may read.
//   - HandleIrq, Link, ReadStatistics, Shutdown and timers of the loop run
//     beside the other queues' threads, and touch nothing that a queue writes.
// No call blocks except for register reads; what must wait for the device or
// the platform service is a Task.
#ifndef BULKHEAD_NIC_DRIVER_FRAMEWORK_DRIVER_H_
#define BULKHEAD_NIC_DRIVER_FRAMEWORK_DRIVER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/event_loop.h"
#include "base/task.h"
#include "nic_driver/framework/dma_memory.h"
#include "nic_driver/framework/pci_device.h"
#include "packet_stream/layout.h"

namespace bulkhead::nic_driver {

using MacAddress = std::array<uint8_t, 6>;

struct PciIdentity {
  std::string address;  // "0000:01:00.0"
  uint16_t vendor = 0;
  uint16_t device = 0;
};

// What Attach learned.
struct NicFacts {
  MacAddress mac = {};
  uint32_t max_mtu = 1500;
  uint32_t offloads = 0;  // packet_stream's kOffload….
  // Tx frames outside of these are refused before they reach the driver.
  uint32_t min_tx_frame_bytes = 14;
  // Largest checksum_start + checksum_offset.
  uint32_t max_checksum_position = 0;
  // The NIC finds the checksum by the header that it is of: no other than TCP's
  // and UDP's.
  bool only_tcp_udp_checksums = false;
  // Pieces that a frame to send may be in.
  uint32_t max_tx_pieces = packet_stream::kMaxFramePieces;
  // With kOffloadTxTcpSegmentation: the largest headers that it takes.
  uint32_t max_segment_header_bytes = 0;
  // At least 1, at most what the context asked for.
  uint32_t queues = 1;
};

// The wanted state; see platform_service/api/driver.proto.
struct NicConfig {
  uint32_t mtu = 1500;
  bool promiscuous = false;
  bool all_multicast = false;
  std::vector<MacAddress> multicast;
  bool rx_checksum = false;
  bool tx_checksum = false;
  uint32_t interrupt_interval_us = 0;

  bool operator==(const NicConfig&) const = default;
};

struct LinkStatus {
  bool up = false;
  uint32_t speed_mbps = 0;
  bool full_duplex = false;

  bool operator==(const LinkStatus&) const = default;
};

// Longest chain of pieces that makes up one frame.
using packet_stream::kMaxFramePieces;
// Pieces in a batch: a whole frame always fits.
constexpr size_t kBatchPieces = 64;
static_assert(kBatchPieces >= kMaxFramePieces);

// An empty buffer for the device.
struct RxBuffer {
  uint64_t iova = 0;
  uint32_t buffer = 0;  // Its number in the session.
};

enum class RxStatus : uint8_t {
  kGood,
  kDeviceError,  // The device flagged the frame, or wrote nonsense.
  kTooLong,      // More than kMaxFramePieces pieces.
};

// A buffer that the device filled. The status is the whole frame's.
struct RxPiece {
  uint32_t buffer = 0;
  uint16_t length = 0;
  bool more = false;  // The frame goes on in the next piece.
  bool checksum_good = false;
  RxStatus status = RxStatus::kGood;
  uint16_t offset = 0;  // Of its first byte in the buffer.
};

// A piece of a frame to send.
struct TxPiece {
  uint64_t iova = 0;
  uint32_t buffer = 0;
  uint16_t length = 0;
  bool more = false;
  bool checksum = false;  // Of the frame: insert at checksum_position the sum
                          // of checksum_start … end.
  uint16_t checksum_start = 0;
  uint16_t checksum_position = 0;
  // With checksum, and not 0: TCP segmentation, as packet_stream's kSegmentTcp4
  // and kSegmentTcp6 describe it. In each piece of the frame.
  uint16_t segment_bytes = 0;  // Payload of each frame on the wire.
  uint16_t header_bytes = 0;
  uint32_t frame_bytes = 0;  // All pieces together.
  bool ipv6 = false;
};

// A piece that the device is done with.
struct TxDone {
  uint32_t buffer = 0;
  uint16_t length = 0;
  bool more = false;
  bool good = true;  // Of the frame: it was sent.
};

// What the device itself counted since the last call: of each discarded frame,
// in one place (S8). Names are those of DriverCounters.
struct DeviceStatistics {
  uint64_t rx_missed = 0;  // Frames for which there was no buffer.
  uint64_t rx_crc = 0;
  uint64_t rx_frame = 0;   // Misaligned, or of symbols that are none.
  uint64_t rx_length = 0;  // Shorter or longer than frames are.
  uint64_t multicast = 0;
  uint64_t collisions = 0;
  uint64_t rx_pause = 0;
  uint64_t tx_pause = 0;

  DeviceStatistics& operator+=(const DeviceStatistics& more) {
    rx_missed += more.rx_missed;
    rx_crc += more.rx_crc;
    rx_frame += more.rx_frame;
    rx_length += more.rx_length;
    multicast += more.multicast;
    collisions += more.collisions;
    rx_pause += more.rx_pause;
    tx_pause += more.tx_pause;
    return *this;
  }
};

// What was still in the rings when the device had stopped.
struct StopReport {
  uint64_t tx_sent_frames = 0;  // Sent, not yet reaped.
  uint64_t tx_sent_bytes = 0;
  uint64_t tx_unsent_frames = 0;
  uint64_t rx_unclaimed_frames = 0;  // Received, not yet harvested.
  DeviceStatistics statistics;       // Before the reset.

  // Of several queues.
  StopReport& operator+=(const StopReport& more) {
    tx_sent_frames += more.tx_sent_frames;
    tx_sent_bytes += more.tx_sent_bytes;
    tx_unsent_frames += more.tx_unsent_frames;
    rx_unclaimed_frames += more.rx_unclaimed_frames;
    statistics += more.statistics;
    return *this;
  }
};

// What HandleIrq found out.
struct IrqResult {
  bool traffic = false;     // Look at the rings.
  bool link = false;        // Ask Link().
  bool statistics = false;  // Ask ReadStatistics(), though not at once: the
                            // cause stays silent until then.
  const char* failure = nullptr;  // Why the device cannot go on.
};

// What a driver asks of the platform service.
class DmaPlatform {
 public:
  virtual ~DmaPlatform() = default;
  // Zeroed memory for rings; `bytes` is a multiple of the page size.
  virtual Task<absl::StatusOr<DmaMemory>> AllocDma(size_t bytes) = 0;
  // Gives it back; no DMA to it may be possible any more. Ends the mapping.
  virtual void FreeDma(DmaMemory memory) = 0;
  // Asks for bus mastering, and waits for it. Ask once the device was reset, so
  // that a DMA that an earlier generation set up cannot start (S4). Apart, so
  // that the device is programmed meanwhile.
  virtual void RequestDma() = 0;
  virtual Task<absl::Status> DmaEnabled() = 0;
};

class LinuxInterface;  // linux_interface.h

// All of it outlives the driver.
struct DriverContext {
  EventLoop& loop;  // The control thread's: not for queues.
  PciDevice& device;
  DmaPlatform& platform;
  PciIdentity identity;
  uint32_t irq_vectors = 0;
  // The most queues that are of use: there will be no session of more lanes.
  uint32_t queues = 1;
  // Of a Linux interface, which has no registers: `device` answers nothing.
  LinuxInterface* interface = nullptr;
};

// A receive and a transmit ring, which serve one lane of a session.
class Queue {
 public:
  virtual ~Queue() = default;

  // How many buffers RxRefill takes now.
  virtual size_t RxRoom() const = 0;
  // Gives buffers to the device; at most RxRoom().
  virtual void RxRefill(std::span<const RxBuffer> buffers) = 0;
  // Takes filled buffers, oldest first; whole frames unless the status is
  // kTooLong. `out` has room for kBatchPieces or more.
  [[nodiscard]] virtual size_t RxHarvest(std::span<RxPiece> out) = 0;
  // How many pieces TxSubmit takes now.
  virtual size_t TxRoom() const = 0;
  // Queues whole frames; at most TxRoom() pieces.
  virtual void TxSubmit(std::span<const TxPiece> pieces) = 0;
  // Takes sent pieces, oldest first, whole frames. `out` as in RxHarvest.
  [[nodiscard]] virtual size_t TxReap(std::span<TxDone> out) = 0;

  // Vector `vector`, which is this queue's, fired; it stays silent until
  // ArmIrqs.
  virtual IrqResult HandleIrq(uint32_t vector) = 0;
  // Lets this queue's interrupts that fired fire again. One that became due
  // since fires at once.
  virtual void ArmIrqs() = 0;

  // In place of interrupts: descriptors that wake the queue's loop (EPOLLIN,
  // EPOLLOUT, edge-triggered) whenever there is more to harvest or to reap. The
  // same from Start to Stop.
  virtual std::vector<int> wake_fds() const { return {}; }
};

class Driver {
 public:
  virtual ~Driver() = default;

  // Says whether this NIC is driven by this driver. Touches nothing.
  virtual absl::Status Probe() = 0;
  // Resets the device, whatever state it is in, allocates the rings, reads the
  // MAC. No traffic yet.
  virtual Task<absl::StatusOr<NicFacts>> Attach() = 0;
  // Brings the NIC to `config`, changing only what differs. Traffic goes on.
  virtual absl::Status Configure(const NicConfig& config) = 0;
  // Opens receiver and transmitter with empty rings. The receiver spreads flows
  // over the first `queues` queues, and each flow stays on one; the others get
  // nothing. `rx_buffer_bytes` is a power of two: the size of every buffer that
  // RxRefill will bring. Returns the link's state.
  virtual Task<absl::StatusOr<LinkStatus>> Start(uint32_t rx_buffer_bytes,
                                                 uint32_t queues) = 0;
  // When it is done, no DMA to any buffer can follow (S4), and the driver
  // remembers none.
  virtual Task<absl::StatusOr<StopReport>> Stop() = 0;

  // After Attach, for as long as the driver lives: `index` < NicFacts::queues.
  virtual Queue& queue(uint32_t index) = 0;
  // The queue that serves `vector`; kControl: the driver itself does.
  static constexpr uint32_t kControl = UINT32_MAX;
  virtual uint32_t QueueOf(uint32_t vector) const = 0;

  // A vector of kControl fired. When it may fire again is the driver's affair.
  virtual IrqResult HandleIrq(uint32_t vector) = 0;
  virtual LinkStatus Link() = 0;
  // Asked for now and then while there is traffic, and when HandleIrq says so.
  virtual DeviceStatistics ReadStatistics() = 0;

  // After Stop: resets the device and gives the rings back.
  virtual Task<absl::Status> Detach() = 0;
  // The crash path: only stops DMA. Frees nothing, waits for nothing.
  virtual void Shutdown() = 0;
};

// Of a NIC that is used with one queue: one object and one thread for
// everything. The one HandleIrq is the queue's: it gets every vector.
class SingleQueueDriver : public Driver, public Queue {
 public:
  Queue& queue(uint32_t) final { return *this; }
  uint32_t QueueOf(uint32_t) const final { return 0; }
  IrqResult HandleIrq(uint32_t vector) override = 0;
};

}  // namespace bulkhead::nic_driver

#endif  // BULKHEAD_NIC_DRIVER_FRAMEWORK_DRIVER_H_
