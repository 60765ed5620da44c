// What Intel's gigabit controllers 82574 and 82576 have alike: config space,
// BARs, general registers, the link and resets, as a vfio-user device. Sections
// are those of the 82574's datasheet.
#ifndef BULKHEAD_NIC_MODEL_INTEL_CONTROLLER_H_
#define BULKHEAD_NIC_MODEL_INTEL_CONTROLLER_H_

#include <cstdint>
#include <memory>
#include <span>

#include "absl/status/status.h"
#include "base/event_loop.h"
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
#include "nic_model/network/network.h"

namespace bulkhead::nic_model::intel {

// A controller derives from it once, and adds its queues, its interrupts and
// the registers of both.
//
// Threading: the loop's thread. `loop` and `counters` outlive the device; so
// does `network`, once it is plugged in.
class Controller : public Model {
 public:
  ~Controller() override;

  void PlugIn(Network* network) override { network_ = network; }

  bool link_up() const { return link_up_; }

  // vfio_user::DeviceOps.
  vfio_user::RegionInfo Region(uint32_t index) const override;
  std::span<const vfio_user::DoorbellOffer> Doorbells(
      uint32_t region) const override;
  int ReadRegion(uint32_t region, uint64_t offset,
                 std::span<uint8_t> data) override;
  int WriteRegion(uint32_t region, uint64_t offset,
                  std::span<const uint8_t> data) override;
  int MapDma(uint64_t iova, uint64_t bytes, UniqueFd memory, uint64_t fd_offset,
             bool device_may_read, bool device_may_write) override;
  int UnmapDma(uint64_t iova, uint64_t bytes) override;
  void UnmapAllDma() override { dma_.UnmapAll(); }
  void Reset() override;

 protected:
  Controller(EventLoop& loop, PortCounters& counters,
             const ModelOptions& options, const ConfigLayout& config,
             uint32_t phy_id, std::unique_ptr<intel::Doorbells> doorbells);

  // Power-on: after the constructor of the derived class.
  absl::Status Start();

  // ---- What the derived class adds.

  // A register of BAR0 that is not a statistic. What is not its own goes to
  // ReadGeneral and WriteGeneral.
  virtual uint32_t ReadRegister(uint32_t offset) = 0;
  virtual void WriteRegister(uint32_t offset, uint32_t value) = 0;
  // A word of BAR3: the MSI-X table and the pending bits.
  virtual uint32_t ReadTable(uint32_t offset) const = 0;
  virtual void WriteTable(uint32_t offset, uint32_t value) = 0;
  // Sets causes of ICR.
  virtual void Raise(uint32_t causes) = 0;
  // Config space changed what interrupts may do.
  virtual void ConfigChanged() = 0;
  // Config space was reset: vectors that are armed stay enabled, as after a
  // reset through VFIO.
  virtual void EnableArmedVectors() = 0;
  // Stops the queues and gives every register its value after power-on.
  virtual void ResetQueuesAndRegisters() = 0;

  // Copies the tails as the driver wrote them last.
  virtual void SyncTails() = 0;
  // Handles up to `budget` transmit descriptors of each queue; true when more
  // wait.
  virtual bool Send(uint32_t budget) = 0;
  // Moves frames from the packet buffer to descriptors that became free.
  virtual void DrainPacketBuffer() = 0;
  // The receiver's registers or the link changed.
  virtual void UpdateReceiver() = 0;

  // ---- For the derived class.

  uint32_t ReadGeneral(uint32_t offset);
  void WriteGeneral(uint32_t offset, uint32_t value);
  // RDH or TDH.
  uint32_t ReadHead(uint32_t offset) const;

  // One batch of transmit work; true when more waits.
  bool Transmit();
  // Descriptors became free, or the receiver was turned on.
  void ReceiverReady();

  PortCounters& counters() { return counters_; }
  const Faults& faults() const { return faults_; }
  RegisterFile& regs() { return regs_; }
  const RegisterFile& regs() const { return regs_; }
  ConfigSpace& config() { return config_; }
  DmaMap& dma() { return dma_; }
  Statistics& statistics() { return statistics_; }
  intel::Doorbells& doorbells() { return *doorbells_; }

 private:
  // Any register of BAR0.
  uint32_t ReadWord(uint32_t offset);
  void WriteWord(uint32_t offset, uint32_t value);
  void WriteCtrl(uint32_t value);
  uint32_t Status() const;
  // CTRL.RST: everything but config space, the PHY and its link.
  void SoftwareReset();
  void LoadReceiveAddress();
  void ApplyConfig();
  void UpdateLink();
  void FlapLink();

  EventLoop& loop_;
  const Mac mac_;
  PortCounters& counters_;
  const Faults faults_;
  RegisterFile regs_;
  ConfigSpace config_;
  Nvm nvm_;
  Phy phy_;
  DmaMap dma_;
  Statistics statistics_;
  const std::unique_ptr<intel::Doorbells> doorbells_;
  Network* network_ = nullptr;
  bool link_up_ = false;
  bool more_to_send_ = false;
  EventLoop::WatchId tx_watch_ = 0;
  EventLoop::WatchId rx_watch_ = 0;
  EventLoop::PollerId poller_ = 0;
  EventLoop::TimerId link_timer_ = 0;
};

}  // namespace bulkhead::nic_model::intel

#endif  // BULKHEAD_NIC_MODEL_INTEL_CONTROLLER_H_
