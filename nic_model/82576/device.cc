#include "nic_model/82576/device.h"

#include <cerrno>
#include <utility>

#include "base/errno_status.h"
#include "nic_model/82576/registers.h"
#include "nic_model/82576/reset_values.h"

namespace bulkhead::nic_model::i82576 {
namespace {

// Chapter 9; the subsystem is Intel's own dual-port adapter.
constexpr intel::ConfigLayout kConfigLayout = {.device = 0x10c9,
                                               .subsystem = 0xa03c,
                                               .revision = 1,
                                               .msix_vectors = kMsixVectors,
                                               .power_management = 0x40,
                                               .msi = 0x50,
                                               .pcie = 0xa0,
                                               .msix = 0x70};
constexpr uint32_t kPhyId = 0x02a80391;  // Its own.
constexpr uint32_t kPbaOffset = 0x2000;  // In BAR3.

}  // namespace

absl::StatusOr<std::unique_ptr<Intel82576>> Intel82576::Create(
    EventLoop& loop, PortCounters& counters, ModelOptions options) {
  ASSIGN_OR_RETURN(auto doorbells,
                   intel::Doorbells::Create(std::move(options.doorbell_page),
                                            {.tdt = kTdt,
                                             .rdt = kRdt,
                                             .queue_stride = kQueueStride,
                                             .queues = kQueues}));
  std::unique_ptr<Intel82576> device(
      new Intel82576(loop, counters, options, std::move(doorbells)));
  RETURN_IF_ERROR(device->Start());
  return device;
}

Intel82576::Intel82576(EventLoop& loop, PortCounters& counters,
                       const ModelOptions& options,
                       std::unique_ptr<intel::Doorbells> doorbells)
    : Controller(loop, counters, options, kConfigLayout, kPhyId,
                 std::move(doorbells)),
      msix_(kMsixVectors, faults(), counters),
      interrupts_(loop, regs(), msix_),
      receiver_(regs(), dma(), interrupts_, statistics(), counters, faults()) {
  for (uint32_t queue = 0; queue < kQueues; ++queue) {
    transmitters_.emplace_back(queue, regs(), dma(), interrupts_, statistics(),
                               counters, faults());
  }
}

void Intel82576::PlugIn(Network* network) {
  Controller::PlugIn(network);
  for (Transmitter& queue : transmitters_) queue.set_network(network);
}

uint64_t Intel82576::work_done() const {
  uint64_t done = receiver_.frames_done();
  for (const Transmitter& queue : transmitters_) {
    done += queue.descriptors_done();
  }
  return done;
}

void Intel82576::ResetQueuesAndRegisters() {
  for (Transmitter& queue : transmitters_) queue.Reset();
  receiver_.Reset();
  ResetRegisters(regs());
  receiver_.UpdateRss();
  interrupts_.Reset();
}

// ---- Data path.

void Intel82576::SyncTails() {
  for (uint32_t queue = 0; queue < kQueues; ++queue) {
    // Read once (S7). Sixteen bits.
    if (regs().Has(OfQueue(queue, kTxdctl), kQueueEnable)) {
      regs()[OfQueue(queue, kTdt)] = doorbells().tx_tail(queue) & 0xffff;
    }
    if (regs().Has(OfQueue(queue, kRxdctl), kQueueEnable)) {
      regs()[OfQueue(queue, kRdt)] = doorbells().rx_tail(queue) & 0xffff;
    }
  }
}

bool Intel82576::Send(uint32_t budget) {
  bool more = false;
  for (Transmitter& queue : transmitters_) {
    more |= queue.Process(budget, link_up());
  }
  return more;
}

void Intel82576::Receive(std::span<const uint8_t> frame) {
  receiver_.Receive(frame);
}

void Intel82576::ResumeSend() {
  for (Transmitter& queue : transmitters_) queue.Resume();
  Transmit();
}

// ---- Interrupts.

uint32_t Intel82576::ReadTable(uint32_t offset) const {
  return offset == kPbaOffset ? msix_.Pending() : msix_.ReadTable(offset);
}

void Intel82576::ConfigChanged() {
  msix_.set_open(config().bus_master() && config().msix_enabled() &&
                 !config().msix_masked());
}

void Intel82576::EnableArmedVectors() {
  if (msix_.armed()) config().set_msix_enabled(true);
}

uint32_t Intel82576::IrqCount(uint32_t index) const {
  return index == vfio_user::kMsixIrqIndex ? kMsixVectors : 0;
}

int Intel82576::ArmIrqs(uint32_t, uint32_t start,
                        std::vector<UniqueFd> events) {
  msix_.Arm(start, std::move(events));
  EnableArmedVectors();
  ConfigChanged();
  return 0;
}

void Intel82576::DisarmIrqs(uint32_t) {
  msix_.DisarmAll();
  config().set_msix_enabled(false);
  ConfigChanged();
}

int Intel82576::TriggerIrq(uint32_t, uint32_t vector) {
  return msix_.Signal(vector) ? 0 : EINVAL;
}

}  // namespace bulkhead::nic_model::i82576
