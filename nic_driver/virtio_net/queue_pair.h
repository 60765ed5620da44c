// A receive and a transmit virtqueue, which serve one lane of a session: Virtio
// 1.2, section 5.1.6.
//
// Where the header goes. Before each frame the device writes, or reads, a
// header of 12 bytes, and we never map the frames' memory (S3). So every buffer
// is a chain: one descriptor for the header, in ring memory; then the session's
// buffers. VIRTIO_F_VERSION_1 allows any such layout (2.7.4.1).
//   tx: frames without an offload share one header of zeroes.
//   rx: a chain has as many session buffers as a frame of the MTU needs. What a
//   short frame leaves unused is given to the device again, unseen.
// Mergeable buffers (VIRTIO_NET_F_MRG_RXBUF) are not negotiated: the device
// would go on with a frame in the header's descriptor of the next chain, that
// is, in our memory. They would save memory where a chain must hold the largest
// frame; here unused buffers come back at once, so that they save nothing.
//
// A queue's completions may come in any order; they are passed on in that
// order.
#ifndef BULKHEAD_NIC_DRIVER_VIRTIO_NET_QUEUE_PAIR_H_
#define BULKHEAD_NIC_DRIVER_VIRTIO_NET_QUEUE_PAIR_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "nic_driver/framework/dma_memory.h"
#include "nic_driver/framework/driver.h"
#include "nic_driver/virtio_net/drop_watch.h"
#include "nic_driver/virtio_net/virtio_net_regs.h"
#include "nic_driver/virtio_net/virtqueue.h"

namespace bulkhead::nic_driver::virtio_net {

// As long as a jumbo frame of most other NICs.
constexpr uint32_t kMaxMtu = 9000;

// A queue as the device offers it, and we use it.
struct QueueFacts {
  uint16_t index = 0;
  uint16_t size = 0;
  uint32_t notify_offset = 0;  // In the notify structure's BAR.
};

struct RingKind {
  bool packed = false;
  bool event_idx = false;

  size_t Bytes(uint16_t size) const {
    return packed ? PackedRingBytes(size) : SplitRingBytes(size);
  }
  std::unique_ptr<Virtqueue> Make(const DmaMemory& memory, size_t offset,
                                  uint16_t size) const {
    return packed ? MakePackedRing(memory, offset, size, event_idx)
                  : MakeSplitRing(memory, offset, size, event_idx);
  }
};

// Threading: the verbs, HandleIrq and ArmIrqs are the queue's thread's, the
// rest is the control thread's (driver.h) but for `starving`. They touch no
// register but the queues' own notification addresses.
class alignas(64) QueuePair final : public Queue {
 public:
  // `device` outlives it.
  QueuePair(PciDevice& device, int notify_bar, const QueueFacts& rx,
            const QueueFacts& tx);

  // Of zeroed memory, for the rings and the headers.
  size_t MemoryBytes(const RingKind& kind) const;
  // That much of `memory` from `offset` on, a multiple of 16. Of a NIC that
  // tells what it drops, `drops` hears when there is no buffer. All outlive it.
  void Attach(const DmaMemory& memory, size_t offset, const RingKind& kind,
              DropWatch* drops);
  void Detach();

  const QueueFacts& rx_facts() const { return rx_facts_; }
  const QueueFacts& tx_facts() const { return tx_facts_; }
  const Virtqueue& rx() const { return *rx_; }
  const Virtqueue& tx() const { return *tx_; }

  // Of what size buffers are, and what they are to hold.
  void Expect(uint32_t rx_buffer_bytes, uint32_t mtu);
  // Whether chains of another length are wanted.
  bool Fits(uint32_t mtu) const { return PiecesOf(mtu) == rx_chain_; }
  // They will be; those that the device has serve on.
  void FitNewChains(uint32_t mtu) { rx_chain_ = PiecesOf(mtu); }
  // The device has let go of the rx ring (2.6.1): it is as new. What had been
  // received is kept for RxHarvest, and all buffers for PostSpares.
  void RebuildRx(uint32_t mtu);
  // Makes chains of spare buffers, as many as there is room for.
  void PostSpares();

  // What the rings of the stopped device still hold.
  StopReport TakeLeftovers();
  // No descriptor of before is left, and no buffer is known.
  void Clear();

  // The device has no buffer to receive to. From any thread.
  bool starving() const { return starving_.load(); }

  size_t RxRoom() const override;
  void RxRefill(std::span<const RxBuffer> buffers) override;
  size_t RxHarvest(std::span<RxPiece> out) override;
  size_t TxRoom() const override;
  void TxSubmit(std::span<const TxPiece> pieces) override;
  size_t TxReap(std::span<TxDone> out) override;
  IrqResult HandleIrq(uint32_t vector) override;
  void ArmIrqs() override;

 private:
  struct TxPart {
    uint32_t buffer = 0;
    uint16_t length = 0;
  };
  struct TxSlot {
    uint16_t parts = 0;
    std::array<TxPart, kMaxFramePieces> part;
  };
  // Buffers of one rx chain lie at cookie × rx_chain_max_ in rx_buffers_.
  struct RxSlot {
    uint16_t buffers = 0;
  };

  static NetHeader HeaderOf(const TxPiece& first);
  void Notify(const QueueFacts& queue);
  uint32_t PiecesOf(uint32_t mtu) const;
  void PostChain(uint32_t buffers);
  size_t HarvestRescued(std::span<RxPiece> out);
  // Takes the next completion apart, to `out` and to the spares.
  size_t EmitFrame(const Completion& completion, std::span<RxPiece> out);
  // Every buffer that the device had back to the spares, and the ring as new.
  void ReclaimRx();
  void ForgetBuffers();

  PciDevice& device_;
  const int notify_bar_;
  const QueueFacts rx_facts_;
  const QueueFacts tx_facts_;
  const DmaMemory* memory_ = nullptr;
  size_t rx_headers_ = 0;  // In it.
  size_t tx_headers_ = 0;  // The last one is shared, and stays zero.
  std::unique_ptr<Virtqueue> rx_;
  std::unique_ptr<Virtqueue> tx_;
  DropWatch* drops_ = nullptr;
  bool armed_ = true;  // As new rings are.

  uint32_t rx_buffer_bytes_ = 2048;
  uint32_t rx_chain_ = 1;      // Session buffers in a new chain.
  uint32_t rx_chain_max_ = 1;  // In any.
  std::vector<RxSlot> rx_slots_;
  std::vector<RxBuffer> rx_buffers_;
  std::vector<uint16_t> rx_free_;  // Cookies.
  std::vector<RxBuffer> rx_spares_;
  std::vector<RxPiece> rx_rescued_;  // Received before RebuildRx.
  uint32_t rx_in_flight_ = 0;        // Chains.
  // Sequentially consistent, see DropWatch: store it, then look whether anybody
  // watches.
  std::atomic<bool> starving_ = true;

  std::vector<TxSlot> tx_slots_;
  std::vector<uint16_t> tx_free_;
};

}  // namespace bulkhead::nic_driver::virtio_net

#endif  // BULKHEAD_NIC_DRIVER_VIRTIO_NET_QUEUE_PAIR_H_
