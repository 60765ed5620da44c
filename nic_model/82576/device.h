// The Intel 82576 Gigabit Ethernet controller (8086:10c9), one port of it, as a
// vfio-user device.
//
// Source: Intel 82576EB Gigabit Ethernet Controller Datasheet, revision 2.87.
// Not modelled: virtual functions and VMDq, legacy descriptors, header split,
// head write-back, UDP segmentation, VLAN filtering and stripping, receive
// addresses 16 to 23, MSI and INTx, flash, manageability, wake-up, time stamps,
// IPsec and MACsec.
#ifndef BULKHEAD_NIC_MODEL_82576_DEVICE_H_
#define BULKHEAD_NIC_MODEL_82576_DEVICE_H_

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "base/event_loop.h"
#include "nic_model/82576/interrupts.h"
#include "nic_model/82576/receiver.h"
#include "nic_model/82576/registers.h"
#include "nic_model/82576/transmitter.h"
#include "nic_model/counters.h"
#include "nic_model/dma_map.h"
#include "nic_model/faults.h"
#include "nic_model/intel/config_space.h"
#include "nic_model/intel/doorbells.h"
#include "nic_model/intel/nvm.h"
#include "nic_model/intel/phy.h"
#include "nic_model/intel/register_file.h"
#include "nic_model/intel/statistics.h"
#include "nic_model/model.h"
#include "nic_model/msix.h"
#include "nic_model/network/network.h"

namespace bulkhead::nic_model::i82576 {

// Threading: the loop's thread. `loop` and `counters` outlive the device; so
// does `network`, once it is plugged in.
class Intel82576 : public Model {
 public:
  using Mac = nic_model::Mac;
  using Options = ModelOptions;

  static absl::StatusOr<std::unique_ptr<Intel82576>> Create(
      EventLoop& loop, PortCounters& counters, Options options);
  ~Intel82576() override;

  void PlugIn(Network* network) override;

  uint64_t work_done() const override;
  bool link_up() const { return link_up_; }

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
  void UnmapAllDma() override;
  void Reset() override;

  // Port.
  void Receive(std::span<const uint8_t> frame) override;
  void EndReceive() override;
  bool CanReceive() const override;
  // No flow control: nobody has asked for it.
  bool PausesPartner() const override { return false; }
  bool ObeysPause() const override { return false; }
  void ResumeSend() override;

 private:
  Intel82576(EventLoop& loop, PortCounters& counters, const Options& options,
             std::unique_ptr<intel::Doorbells> doorbells);

  absl::Status Watch();

  uint32_t ReadRegister(uint32_t offset);
  void WriteRegister(uint32_t offset, uint32_t value);
  void WriteCtrl(uint32_t value);
  uint32_t Status() const;
  // CTRL.RST: everything but config space, the PHY and its link.
  void SoftwareReset();
  void LoadReceiveAddress();
  // Config space changed what the device may do on the bus.
  void ConfigChanged();
  void UpdateLink();
  void FlapLink();

  // The tails as the driver wrote them last.
  void SyncTails();
  // One batch of transmit work; true when more waits.
  bool Transmit();
  // Descriptors became free, or the receiver was turned on.
  void ReceiverReady();

  EventLoop& loop_;
  const Mac mac_;
  PortCounters& counters_;
  const Faults faults_;
  intel::RegisterFile regs_;
  intel::ConfigSpace config_;
  intel::Nvm nvm_;
  intel::Phy phy_;
  DmaMap dma_;
  intel::Statistics statistics_;
  Msix msix_;
  Interrupts interrupts_;
  Receiver receiver_;
  std::deque<Transmitter> transmitters_;  // One for each queue.
  std::unique_ptr<intel::Doorbells> doorbells_;
  Network* network_ = nullptr;
  bool link_up_ = false;
  bool more_to_send_ = false;
  EventLoop::WatchId tx_watch_ = 0;
  EventLoop::WatchId rx_watch_ = 0;
  EventLoop::PollerId poller_ = 0;
  EventLoop::TimerId link_timer_ = 0;
};

}  // namespace bulkhead::nic_model::i82576

#endif  // BULKHEAD_NIC_MODEL_82576_DEVICE_H_
