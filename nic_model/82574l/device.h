// The Intel 82574L Gigabit Ethernet controller (8086:10d3) as a vfio-user
// device.
//
// Source: Intel 82574 GbE Controller Family Datasheet. Not modelled: flash,
// manageability, wake-up, time stamps, the second queue pair, RSS, VLAN
// filtering and stripping, packet split.
#ifndef BULKHEAD_NIC_MODEL_82574L_DEVICE_H_
#define BULKHEAD_NIC_MODEL_82574L_DEVICE_H_

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "nic_model/82574l/interrupts.h"
#include "nic_model/82574l/receiver.h"
#include "nic_model/82574l/transmitter.h"
#include "nic_model/intel/controller.h"

namespace bulkhead::nic_model::i82574 {

class Intel82574 : public intel::Controller {
 public:
  static absl::StatusOr<std::unique_ptr<Intel82574>> Create(
      EventLoop& loop, PortCounters& counters, ModelOptions options);

  void PlugIn(Network* network) override;

  uint64_t work_done() const override {
    return transmitter_.descriptors_done() + receiver_.frames_done();
  }

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
  bool PausesPartner() const override { return receiver_.PausesPartner(); }
  bool ObeysPause() const override { return regs().Has(kCtrl, kCtrlRfce); }
  void ResumeSend() override;

 private:
  Intel82574(EventLoop& loop, PortCounters& counters,
             const ModelOptions& options,
             std::unique_ptr<intel::Doorbells> doorbells);

  // intel::Controller.
  uint32_t ReadRegister(uint32_t offset) override;
  void WriteRegister(uint32_t offset, uint32_t value) override;
  uint32_t ReadTable(uint32_t offset) const override {
    return interrupts_.ReadTable(offset);
  }
  void WriteTable(uint32_t offset, uint32_t value) override {
    interrupts_.WriteTable(offset, value);
  }
  void Raise(uint32_t causes) override { interrupts_.Raise(causes); }
  void ConfigChanged() override { interrupts_.ConfigChanged(); }
  void EnableArmedVectors() override { interrupts_.RestoreEnables(); }
  void ResetQueuesAndRegisters() override;
  void SyncTails() override;
  bool Send(uint32_t budget) override;
  void DrainPacketBuffer() override { receiver_.DrainFifo(); }
  void UpdateReceiver() override { receiver_.Update(link_up()); }

  Interrupts interrupts_;
  Receiver receiver_;
  Transmitter transmitter_;
};

}  // namespace bulkhead::nic_model::i82574

#endif  // BULKHEAD_NIC_MODEL_82574L_DEVICE_H_
