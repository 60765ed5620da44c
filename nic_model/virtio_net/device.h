// A modern virtio network device (1af4:1041) as a vfio-user device.
//
// Source: Virtio 1.2. Split and packed rings, event indices, indirect
// descriptors, mergeable receive buffers, checksum offload both ways, link,
// MTU, TCP segmentation, eight queue pairs with automatic receive steering,
// control queue (receive modes, MAC table, offloads, queue pairs), ring reset;
// of 1.4 the receive queues' statistics. It is behind an IOMMU, and
// insists that its driver knows (VIRTIO_F_ACCESS_PLATFORM). Not modelled: INTx
// (MSI-X only), segments to the host, RSS, VLAN filtering, announcements.
#ifndef BULKHEAD_NIC_MODEL_VIRTIO_NET_DEVICE_H_
#define BULKHEAD_NIC_MODEL_VIRTIO_NET_DEVICE_H_

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "base/event_loop.h"
#include "nic_model/counters.h"
#include "nic_model/dma_map.h"
#include "nic_model/model.h"
#include "nic_model/msix.h"
#include "nic_model/virtio_net/common_config.h"
#include "nic_model/virtio_net/config_space.h"
#include "nic_model/virtio_net/control.h"
#include "nic_model/virtio_net/doorbells.h"
#include "nic_model/virtio_net/receiver.h"
#include "nic_model/virtio_net/steering.h"
#include "nic_model/virtio_net/transmitter.h"
#include "nic_model/virtio_net/virtqueue.h"

namespace bulkhead::nic_model::virtio_net {

// A ring that makes no sense, or lies outside the DMA map, stops the device
// until it is reset: DEVICE_NEEDS_RESET (2.1.2).
//
// Threading: the loop's thread. `loop` and `counters` outlive the device; so
// does the network, once it is plugged in.
class VirtioNet : public Model {
 public:
  static absl::StatusOr<std::unique_ptr<VirtioNet>> Create(
      EventLoop& loop, PortCounters& counters, ModelOptions options);
  ~VirtioNet() override;

  // Model.
  void PlugIn(Network* network) override { network_ = network; }
  uint64_t work_done() const override;

  // vfio_user::DeviceOps.
  vfio_user::RegionInfo Region(uint32_t index) const override;
  std::span<const vfio_user::DoorbellOffer> Doorbells(
      uint32_t region) const override;
  uint32_t IrqCount(uint32_t index) const override;
  int ReadRegion(uint32_t region, uint64_t offset,
                 std::span<uint8_t> data) override;
  int WriteRegion(uint32_t region, uint64_t offset,
                  std::span<const uint8_t> data) override;
  int ArmIrqs(uint32_t index, uint32_t start,
              std::vector<UniqueFd> events) override;
  void DisarmIrqs(uint32_t index) override;
  int TriggerIrq(uint32_t index, uint32_t vector) override;
  int MapDma(uint64_t iova, uint64_t bytes, UniqueFd memory, uint64_t fd_offset,
             bool device_may_read, bool device_may_write) override;
  int UnmapDma(uint64_t iova, uint64_t bytes) override;
  void UnmapAllDma() override { dma_.UnmapAll(); }
  void Reset() override;

  // Port.
  void Receive(std::span<const uint8_t> frame) override;
  void EndReceive() override;
  bool CanReceive() const override;
  bool PausesPartner() const override { return false; }
  bool ObeysPause() const override { return false; }
  void ResumeSend() override;

 private:
  VirtioNet(EventLoop& loop, PortCounters& counters, ModelOptions options,
            std::unique_ptr<virtio_net::Doorbells> doorbells);

  absl::Status Watch();

  // Registers.
  void ReadBar(uint32_t offset, std::span<uint8_t> data);
  void WriteBar(uint32_t offset, std::span<const uint8_t> data);
  void ReadTable(uint32_t offset, std::span<uint8_t> data) const;
  void WriteConfig(uint32_t offset, std::span<const uint8_t> data);
  std::array<uint8_t, kDeviceConfigBytes> DeviceConfig() const;

  // Life.
  void DeviceReset();
  void LoadMac();
  void StatusChanged();
  void OpenQueue(uint32_t index);
  void CloseQueue(uint32_t index);
  void UpdateLink();
  void FlapLink();
  void ConfigChanged();
  // The device cannot go on until it is reset.
  void Break();

  // Data path. Queues are given by number, see layout.h.
  bool running() const { return common_.live() && dma_.bus_master(); }
  void Kick(uint32_t queue);
  void ServeControl();
  // VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET; false: refused.
  bool SetPairs(uint32_t pairs);
  // One batch of transmit work for all pairs that have some; true when more
  // waits.
  bool Transmit();
  void TransmitOn(uint32_t pair);
  void ReceiverReady(uint32_t pair);
  void SetReceiversRunning();
  void Signal(uint32_t queue);

  EventLoop& loop_;
  const Mac permanent_mac_;
  Mac mac_;
  PortCounters& counters_;
  const Faults faults_;
  ConfigSpace config_;
  CommonConfig common_;
  Msix msix_;
  DmaMap dma_;
  RxFilter filter_;
  Steering steering_;
  std::deque<Receiver> receivers_;  // One for each pair.
  std::deque<Transmitter> transmitters_;
  Control control_;
  std::unique_ptr<virtio_net::Doorbells> doorbells_;
  std::array<std::unique_ptr<Virtqueue>, kQueues> queues_;
  Network* network_ = nullptr;
  bool link_up_ = true;
  bool flapped_ = false;
  uint32_t more_to_send_ = 0;  // A bit for each pair.
  uint8_t isr_ = 0;
  std::array<EventLoop::WatchId, virtio_net::Doorbells::kOffered> watches_ = {};
  EventLoop::PollerId poller_ = 0;
  EventLoop::TimerId link_timer_ = 0;
};

}  // namespace bulkhead::nic_model::virtio_net

#endif  // BULKHEAD_NIC_MODEL_VIRTIO_NET_DEVICE_H_
