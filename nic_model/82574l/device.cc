#include "nic_model/82574l/device.h"

#include <cerrno>
#include <utility>

#include "base/errno_status.h"
#include "nic_model/82574l/registers.h"
#include "nic_model/82574l/reset_values.h"

namespace bulkhead::nic_model::i82574 {
namespace {

// 9.3 and 9.4; the subsystem is Intel's own adapter.
constexpr intel::ConfigLayout kConfigLayout = {.device = 0x10d3,
                                               .subsystem = 0xa01f,
                                               .revision = 0,
                                               .msix_vectors = kMsixVectors,
                                               .power_management = 0xc8,
                                               .msi = 0xd0,
                                               .pcie = 0xe0,
                                               .msix = 0xa0};
constexpr uint32_t kPhyId = 0x01410cb1;  // Marvell 88E1149.

}  // namespace

absl::StatusOr<std::unique_ptr<Intel82574>> Intel82574::Create(
    EventLoop& loop, PortCounters& counters, ModelOptions options) {
  ASSIGN_OR_RETURN(auto doorbells,
                   intel::Doorbells::Create(std::move(options.doorbell_page),
                                            {.tdt = kTdt, .rdt = kRdt}));
  std::unique_ptr<Intel82574> device(
      new Intel82574(loop, counters, options, std::move(doorbells)));
  RETURN_IF_ERROR(device->Start());
  return device;
}

Intel82574::Intel82574(EventLoop& loop, PortCounters& counters,
                       const ModelOptions& options,
                       std::unique_ptr<intel::Doorbells> doorbells)
    : Controller(loop, counters, options, kConfigLayout, kPhyId,
                 std::move(doorbells)),
      interrupts_(loop, regs(), config(), counters),
      receiver_(regs(), dma(), interrupts_, statistics(), counters, faults()),
      transmitter_(regs(), dma(), interrupts_, statistics(), counters,
                   faults()) {
  interrupts_.set_mute(faults().no_interrupt);
  interrupts_.set_storm(faults().interrupt_storm);
}

void Intel82574::PlugIn(Network* network) {
  Controller::PlugIn(network);
  transmitter_.set_network(network);
}

void Intel82574::ResetQueuesAndRegisters() {
  transmitter_.Reset();
  receiver_.Reset();
  ResetRegisters(regs());
  interrupts_.Reset();
}

// ---- Data path.

void Intel82574::SyncTails() {
  // Read once (S7). 10.2.5.9: sixteen bits.
  regs()[kTdt] = doorbells().tx_tail() & 0xffff;
  regs()[kRdt] = doorbells().rx_tail() & 0xffff;
}

bool Intel82574::Send(uint32_t budget) {
  return transmitter_.Process(budget, link_up());
}

void Intel82574::Receive(std::span<const uint8_t> frame) {
  receiver_.Receive(frame);
}

void Intel82574::ResumeSend() {
  transmitter_.Resume();
  Transmit();
}

// ---- Interrupts.

uint32_t Intel82574::IrqCount(uint32_t index) const {
  return Interrupts::VectorCount(index);
}

int Intel82574::ArmIrqs(uint32_t index, uint32_t start,
                        std::vector<UniqueFd> events) {
  interrupts_.Arm(index, start, std::move(events));
  return 0;
}

void Intel82574::DisarmIrqs(uint32_t index) { interrupts_.Disarm(index); }

int Intel82574::TriggerIrq(uint32_t index, uint32_t vector) {
  return interrupts_.Signal(index, vector) ? 0 : EINVAL;
}

}  // namespace bulkhead::nic_model::i82574
