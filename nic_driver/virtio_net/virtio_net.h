// The driver of the modern virtio network device (1af4:1041; 1af4:1000 with
// modern structures).
//
// One rx and one tx queue, split or packed, each with an MSI-X vector; the
// control queue and changes of the configuration share a third.
//
// Where the header goes (5.1.6). Before each frame the device writes, or reads,
// a header of 12 bytes, and we never map the frames' memory (S3). So every
// buffer is a chain: one descriptor for the header, in ring memory; then the
// session's buffers. VIRTIO_F_VERSION_1 allows any such layout (2.7.4.1).
//   tx: frames without an offload share one header of zeroes.
//   rx: a chain has as many session buffers as a frame of the MTU needs. What a
//   short frame leaves unused is given to the device again, unseen.
// Mergeable buffers (VIRTIO_NET_F_MRG_RXBUF) are not negotiated: the device
// would go on with a frame in the header's descriptor of the next chain, that
// is, in our memory. They would save memory where a chain must hold the largest
// frame; here unused buffers come back at once, so that they save nothing.
//
// VIRTIO_F_ACCESS_PLATFORM is demanded: a device without it goes round the
// IOMMU, and S3 would not hold.
//
// A queue's completions may come in any order; they are passed on in that
// order.
//
// TCP segmentation (VIRTIO_NET_F_HOST_TSO4 and 6) wants the headers of one
// large packet, and nobody here may touch the frame: sessions are told so
// (kOffloadTxWholeSegments).
//
// Not here, because: segments of others (VIRTIO_NET_F_GUEST_TSO4 and 6: a
// session's descriptor cannot say of a received frame how it is to be cut up
// again, and a client that forwards it would have to know; without these
// features the device's host cuts it up), UDP segmentation (no session asks for
// it), ECN in segments (VIRTIO_NET_F_HOST_ECN: neither), VLAN filter (all tags
// pass without it), multi-queue (QEMU's device has it over TAPs only, so that
// nobody but our own model could judge it), announcements (the platform's
// business), indirect descriptors (chains are short, and each would cost the
// device another read).
#ifndef BULKHEAD_NIC_DRIVER_VIRTIO_NET_VIRTIO_NET_H_
#define BULKHEAD_NIC_DRIVER_VIRTIO_NET_VIRTIO_NET_H_

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "absl/strings/string_view.h"
#include "nic_driver/framework/dma_memory.h"
#include "nic_driver/framework/driver.h"
#include "nic_driver/framework/registers.h"
#include "nic_driver/virtio_net/control_queue.h"
#include "nic_driver/virtio_net/pci_structures.h"
#include "nic_driver/virtio_net/virtio_net_regs.h"
#include "nic_driver/virtio_net/virtqueue.h"

namespace bulkhead::nic_driver {

class VirtioNet final : public SingleQueueDriver {
 public:
  static constexpr absl::string_view kName = "virtio_net";
  // The most entries that we use of a ring.
  static constexpr uint16_t kRxEntries = 1024;
  static constexpr uint16_t kTxEntries = 512;
  static constexpr uint16_t kControlEntries = 16;

  static std::unique_ptr<VirtioNet> Create(const DriverContext& context);
  ~VirtioNet() override;

  absl::Status Probe() override;
  Task<absl::StatusOr<NicFacts>> Attach() override;
  absl::Status Configure(const NicConfig& config) override;
  Task<absl::StatusOr<LinkStatus>> Start(uint32_t rx_buffer_bytes,
                                         uint32_t queues) override;
  Task<absl::StatusOr<StopReport>> Stop() override;

  size_t RxRoom() const override;
  void RxRefill(std::span<const RxBuffer> buffers) override;
  size_t RxHarvest(std::span<RxPiece> out) override;
  size_t TxRoom() const override;
  void TxSubmit(std::span<const TxPiece> pieces) override;
  size_t TxReap(std::span<TxDone> out) override;

  IrqResult HandleIrq(uint32_t vector) override;
  void ArmIrqs() override;
  LinkStatus Link() override;
  DeviceStatistics ReadStatistics() override;

  Task<absl::Status> Detach() override;
  void Shutdown() override;

 private:
  // A queue as the device offers it.
  struct QueueFacts {
    uint16_t size = 0;
    uint32_t notify_offset = 0;  // In the notify structure's BAR.
  };
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

  explicit VirtioNet(const DriverContext& context) : context_(context) {}

  bool Has(uint64_t feature) const { return (features_ & feature) != 0; }
  bool HasAll(uint64_t features) const {
    return (features_ & features) == features;
  }

  absl::Status FindStructures();
  Task<absl::Status> Reset();
  absl::Status Negotiate();
  absl::Status ReadQueueFacts();
  Task<absl::Status> AllocRings();
  absl::StatusOr<NicFacts> ReadFacts();
  absl::Status SetFeatures();
  void InitRx();
  void InitTx();
  void InitIrq();
  void InitQueue(uint16_t index, const virtio_net::Virtqueue& queue,
                 uint32_t vector);
  void Notify(uint16_t queue);

  static virtio_net::NetHeader HeaderOf(const TxPiece& first);
  uint32_t PiecesOf(uint32_t mtu) const;
  uint32_t RxVector() const { return 0; }
  uint32_t TxVector() const { return 1; }
  uint32_t OtherVector() const { return 2; }

  // Makes chains of spare buffers, as many as there is room for.
  void PostSpares();
  void PostChain(uint32_t buffers);
  // Takes the next completion apart, to `out` and to the spares.
  size_t EmitFrame(const virtio_net::Completion& completion,
                   std::span<RxPiece> out);
  // Every buffer that the device had back to the spares, and the ring as new.
  void ReclaimRx();
  // Gives the rx ring chains of another length (2.6.1).
  void RebuildRx();

  void SendConfig();
  void SendFilter();
  void PublishControl();
  void AskStatistics();
  void TakeStatistics();
  // While the device has no buffer it may drop frames, and says so only when
  // it is asked.
  void WatchDrops();
  void AskForDropsLater();
  StopReport CountLeftovers();
  void ForgetBuffers();

  DriverContext context_;
  std::optional<Registers> common_;
  std::optional<Registers> config_regs_;
  virtio_net::PciStructures structures_;
  uint64_t features_ = 0;
  std::array<QueueFacts, virtio_net::kQueues> facts_;

  DmaMemory memory_;  // Rings, then headers, then control slots.
  size_t rx_headers_ = 0;
  size_t tx_headers_ = 0;  // The last one is shared, and stays zero.
  std::unique_ptr<virtio_net::Virtqueue> rx_;
  std::unique_ptr<virtio_net::Virtqueue> tx_;
  std::unique_ptr<virtio_net::ControlQueue> control_;

  NicConfig config_;
  bool started_ = false;
  bool resend_config_ = false;

  uint32_t rx_buffer_bytes_ = 2048;
  uint32_t rx_chain_ = 1;      // Session buffers in a new chain.
  uint32_t rx_chain_max_ = 1;  // In any.
  std::vector<RxSlot> rx_slots_;
  std::vector<RxBuffer> rx_buffers_;
  std::vector<uint16_t> rx_free_;  // Cookies.
  std::vector<RxBuffer> rx_spares_;
  std::vector<RxPiece> rx_rescued_;  // Received before RebuildRx.
  uint32_t rx_in_flight_ = 0;        // Chains.

  std::vector<TxSlot> tx_slots_;
  std::vector<uint16_t> tx_free_;

  uint64_t drops_seen_ = 0;
  bool drops_known_ = false;
  uint64_t drops_untold_ = 0;
  EventLoop::TimerId drops_timer_ = 0;
  uint32_t drops_interval_ms_ = 0;
};

}  // namespace bulkhead::nic_driver

#endif  // BULKHEAD_NIC_DRIVER_VIRTIO_NET_VIRTIO_NET_H_
