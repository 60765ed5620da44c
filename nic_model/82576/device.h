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

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "nic_model/82576/interrupts.h"
#include "nic_model/82576/receiver.h"
#include "nic_model/82576/transmitter.h"
#include "nic_model/intel/controller.h"
#include "nic_model/msix.h"

namespace bulkhead::nic_model::i82576 {

class Intel82576 : public intel::Controller {
 public:
  static absl::StatusOr<std::unique_ptr<Intel82576>> Create(
      EventLoop& loop, PortCounters& counters, ModelOptions options);

  void PlugIn(Network* network) override;

  uint64_t work_done() const override;

  // vfio_user::DeviceOps.
  uint32_t IrqCount(uint32_t index) const override;
  int ArmIrqs(uint32_t index, uint32_t start,
              std::vector<UniqueFd> events) override;
  void DisarmIrqs(uint32_t index) override;
  int TriggerIrq(uint32_t index, uint32_t vector) override;

  // Port.
  void Receive(std::span<const uint8_t> frame) override;
  void EndReceive() override { receiver_.EndBatch(); }
  bool CanReceive() const override { return receiver_.HasFreeDescriptors(); }
  // No flow control: nobody has asked for it.
  bool PausesPartner() const override { return false; }
  bool ObeysPause() const override { return false; }
  void ResumeSend() override;

 private:
  Intel82576(EventLoop& loop, PortCounters& counters,
             const ModelOptions& options,
             std::unique_ptr<intel::Doorbells> doorbells);

  // intel::Controller.
  uint32_t ReadRegister(uint32_t offset) override;
  void WriteRegister(uint32_t offset, uint32_t value) override;
  uint32_t ReadTable(uint32_t offset) const override;
  void WriteTable(uint32_t offset, uint32_t value) override {
    msix_.WriteTable(offset, value);
  }
  void Raise(uint32_t causes) override { interrupts_.RaiseOther(causes); }
  void ConfigChanged() override;
  void EnableArmedVectors() override;
  void ResetQueuesAndRegisters() override;
  void SyncTails() override;
  bool Send(uint32_t budget) override;
  void DrainPacketBuffer() override { receiver_.DrainFifo(); }
  void UpdateReceiver() override { receiver_.Update(link_up()); }

  Msix msix_;
  Interrupts interrupts_;
  Receiver receiver_;
  std::deque<Transmitter> transmitters_;  // One for each queue.
};

}  // namespace bulkhead::nic_model::i82576

#endif  // BULKHEAD_NIC_MODEL_82576_DEVICE_H_
