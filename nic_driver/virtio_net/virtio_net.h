// The driver of the modern virtio network device (1af4:1041; 1af4:1000 with
// modern structures).
//
// As many queue pairs as a session may have lanes, up to eight, split or
// packed, each with an MSI-X vector; the control queue and changes of the
// configuration share one more. Where the header before each frame goes,
// queue_pair.h says.
//
// Of several pairs, the device steers what it receives (VIRTIO_NET_F_MQ,
// "automatic receive steering"): a flow comes to the pair on which we sent its
// last frame. So its lane is its client's choice, before a new start and after;
// a flow of which the client has sent nothing since the start is where the
// device likes it. RSS (VIRTIO_NET_F_RSS) would make that our choice: QEMU's
// device has it only on demand, and few others do.
//
// VIRTIO_F_ACCESS_PLATFORM is demanded: a device without it goes round the
// IOMMU, and S3 would not hold.
//
// TCP segmentation (VIRTIO_NET_F_HOST_TSO4 and 6) wants the headers of one
// large packet, and nobody here may touch the frame: sessions are told so
// (kOffloadTxWholeSegments).
//
// Not here, because: checksums of received frames (VIRTIO_NET_F_GUEST_CSUM:
// whoever accepts it gets frames of the device's own host whose checksum is yet
// to be filled in; no descriptor can say so, and a client that checks it, or
// sends the frame on, would find it wrong), segments of others
// (VIRTIO_NET_F_GUEST_TSO4 and 6: a session's descriptor cannot say of a
// received frame how it is to be cut up again, and a client that forwards it
// would have to know; without these features the device's host cuts it up),
// mergeable rx buffers (VIRTIO_NET_F_MRG_RXBUF: see queue_pair.h), UDP
// segmentation (no session asks for it), ECN in segments
// (VIRTIO_NET_F_HOST_ECN: neither), VLAN filter (all tags pass without it),
// announcements (the platform's business), indirect descriptors (chains are
// short, and each would cost the device another read).
#ifndef BULKHEAD_NIC_DRIVER_VIRTIO_NET_VIRTIO_NET_H_
#define BULKHEAD_NIC_DRIVER_VIRTIO_NET_VIRTIO_NET_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>

#include "absl/strings/string_view.h"
#include "nic_driver/framework/dma_memory.h"
#include "nic_driver/framework/driver.h"
#include "nic_driver/framework/registers.h"
#include "nic_driver/virtio_net/control_queue.h"
#include "nic_driver/virtio_net/drop_watch.h"
#include "nic_driver/virtio_net/pci_structures.h"
#include "nic_driver/virtio_net/queue_pair.h"
#include "nic_driver/virtio_net/virtio_net_regs.h"
#include "nic_driver/virtio_net/virtqueue.h"

namespace bulkhead::nic_driver {

class VirtioNet final : public Driver {
 public:
  static constexpr absl::string_view kName = "virtio_net";
  // The most entries that we use of a ring.
  static constexpr uint16_t kRxEntries = 1024;
  static constexpr uint16_t kTxEntries = 512;
  static constexpr uint16_t kControlEntries = 16;
  static constexpr uint32_t kMaxPairs = virtio_net::ControlQueue::kMaxPairs;

  static std::unique_ptr<VirtioNet> Create(const DriverContext& context);

  absl::Status Probe() override;
  Task<absl::StatusOr<NicFacts>> Attach() override;
  absl::Status Configure(const NicConfig& config) override;
  Task<absl::StatusOr<LinkStatus>> Start(uint32_t rx_buffer_bytes,
                                         uint32_t queues) override;
  Task<absl::StatusOr<StopReport>> Stop() override;

  Queue& queue(uint32_t index) override { return pairs_[index]; }
  uint32_t QueueOf(uint32_t vector) const override {
    return vector < PairCount() ? vector : kControl;
  }

  IrqResult HandleIrq(uint32_t vector) override;
  LinkStatus Link() override;
  DeviceStatistics ReadStatistics() override;

  Task<absl::Status> Detach() override;
  void Shutdown() override;

 private:
  explicit VirtioNet(const DriverContext& context) : context_(context) {}

  bool Has(uint64_t feature) const { return (features_ & feature) != 0; }
  bool HasAll(uint64_t features) const {
    return (features_ & features) == features;
  }
  uint32_t PairCount() const { return static_cast<uint32_t>(pairs_.size()); }
  uint32_t OtherVector() const { return PairCount(); }

  absl::Status FindStructures();
  Task<absl::Status> Reset();
  absl::Status ReadFeatures();
  uint32_t AgreeOnPairs();
  absl::Status SetFeatures();
  absl::Status FindQueues(uint32_t pairs, uint16_t control_index);
  absl::StatusOr<virtio_net::QueueFacts> FindQueue(uint16_t index,
                                                   uint16_t most,
                                                   uint16_t least);
  absl::StatusOr<NicFacts> ReadFacts();
  Task<absl::Status> AllocRings();
  void InitRx(uint32_t pair);
  void InitTx(uint32_t pair);
  void InitIrq();
  void InitQueue(uint16_t index, const virtio_net::Virtqueue& queue,
                 uint32_t vector);
  absl::Status GoLive();
  Task<absl::Status> UsePairs();

  // Gives the rx ring chains of another length (2.6.1).
  void RebuildRx(uint32_t pair);

  void SendConfig();
  void SendFilter();
  void PublishControl();
  void AskStatistics();
  void TakeStatistics();
  bool Starving() const;

  DriverContext context_;
  std::optional<Registers> common_;
  std::optional<Registers> config_regs_;
  virtio_net::PciStructures structures_;
  uint64_t features_ = 0;
  bool features_set_ = false;  // Since the last reset.

  DmaMemory memory_;  // Each pair's, then the control queue's.
  std::unique_ptr<virtio_net::DropWatch> drops_;  // With F_DEVICE_STATS.
  std::deque<virtio_net::QueuePair> pairs_;       // Never moved.
  virtio_net::QueueFacts control_facts_;
  std::unique_ptr<virtio_net::ControlQueue> control_;
  uint32_t running_ = 1;  // Pairs that Start turned on.

  NicConfig config_;
  bool started_ = false;
  bool resend_config_ = false;
};

}  // namespace bulkhead::nic_driver

#endif  // BULKHEAD_NIC_DRIVER_VIRTIO_NET_VIRTIO_NET_H_
