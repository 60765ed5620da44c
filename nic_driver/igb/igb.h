// The driver of the Intel 82576 (8086:10c9).
//
// As many queue pairs of the sixteen as a session may have lanes, up to eight,
// over which RSS spreads flows; advanced descriptors, rx frames in buffers of
// one piece each; a context descriptor before a frame that asks for another
// checksum or segmentation than the one before; an MSI-X vector for each queue
// pair, and one for everything else.
//
// Not here, because: more queues (each costs rings, and a grant has room for so
// many descriptors), virtual functions and VMDq (config space is the
// platform's, S3), the EEPROM, flow control, VLAN offload, header split (nobody
// looks at headers), time stamps, IPsec and MACsec (frames pass as they are),
// wake-up and manageability (the machine's firmware owns them). The PHY is left
// alone but for one that was never told to negotiate, see shared_phy.h.
#ifndef BULKHEAD_NIC_DRIVER_IGB_IGB_H_
#define BULKHEAD_NIC_DRIVER_IGB_IGB_H_

#include <cstdint>
#include <deque>
#include <memory>

#include "absl/strings/string_view.h"
#include "nic_driver/framework/dma_memory.h"
#include "nic_driver/framework/driver.h"
#include "nic_driver/framework/registers.h"
#include "nic_driver/igb/igb_queue.h"
#include "nic_driver/igb/igb_regs.h"
#include "nic_driver/igb/shared_phy.h"
#include "nic_driver/intel/descriptor_rings.h"
#include "nic_driver/intel/multicast_table.h"

namespace bulkhead::nic_driver {

class Igb final : public Driver {
 public:
  static constexpr absl::string_view kName = "igb";
  static constexpr uint32_t kRxEntries = intel::kRxEntries;
  static constexpr uint32_t kTxEntries = intel::kTxEntries;
  static constexpr uint32_t kContextReserve = intel::kContextReserve;
  static constexpr uint32_t kMaxQueues = 8;

  static std::unique_ptr<Igb> Create(const DriverContext& context);

  absl::Status Probe() override;
  Task<absl::StatusOr<NicFacts>> Attach() override;
  absl::Status Configure(const NicConfig& config) override;
  Task<absl::StatusOr<LinkStatus>> Start(uint32_t rx_buffer_bytes,
                                         uint32_t queues) override;
  Task<absl::StatusOr<StopReport>> Stop() override;

  Queue& queue(uint32_t index) override { return queues_[index]; }
  uint32_t QueueOf(uint32_t vector) const override {
    return vector < QueueCount() ? vector : kControl;
  }

  IrqResult HandleIrq(uint32_t vector) override;
  LinkStatus Link() override;
  DeviceStatistics ReadStatistics() override;

  Task<absl::Status> Detach() override;
  void Shutdown() override;

 private:
  explicit Igb(const DriverContext& context);

  uint32_t QueueCount() const { return static_cast<uint32_t>(queues_.size()); }
  uint32_t OtherVector() const { return QueueCount(); }
  uint32_t OtherBit() const { return 1u << OtherVector(); }

  Task<absl::Status> Reset();
  Task<absl::Status> RaiseLink();
  Task<absl::Status> EmptyQueues();
  void ForgetRings();
  Task<absl::Status> EnableQueues();
  Task<absl::Status> DisableBusMaster();
  void ShutDmaOff();
  void InitRx();
  void InitTx();
  void InitIrq();
  void WriteModeration();
  Value<igb::RCTL> ReceiveControl() const;
  void WriteMaxLength();
  void SpreadFlows();
  Value<igb::RXCSUM> RxChecksum() const;
  void ExpectFrames();

  DriverContext context_;
  Registers regs_;
  igb::SharedPhy phy_;
  DmaMemory memory_;                  // Each queue's rings.
  std::deque<igb::IgbQueue> queues_;  // Never moved: others refer to them.
  uint32_t running_ = 1;              // Queues that Start turned on.

  NicConfig config_;
  uint32_t rx_buffer_bytes_ = 2048;
  bool started_ = false;
  bool reset_drops_link_ = false;  // RaiseLink had to.
  Value<igb::CTRL> ctrl_;          // As last written.
  Value<igb::TCTL> tctl_;          // As a reset leaves it.
  Value<igb::RCTL> rctl_;          // As last written.
  Value<igb::MRQC> mrqc_;          // As last written.
  intel::MulticastTable<igb::MTA, igb::STATUS> multicast_;

  bool other_fired_ = false;  // And was not armed since.
};

}  // namespace bulkhead::nic_driver

#endif  // BULKHEAD_NIC_DRIVER_IGB_IGB_H_
