#include "nic_model/82574l/device.h"

#include <sys/epoll.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/errno_status.h"
#include "base/log.h"
#include "nic_model/82574l/registers.h"
#include "nic_model/82574l/reset_values.h"

namespace bulkhead::nic_model::i82574 {
namespace {

using std::chrono::milliseconds;

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

// Descriptors handled before other events get their turn.
constexpr uint32_t kTxBudget = 256;
// A PHY that was reset needs time to negotiate. The real one takes seconds;
// what matters to a driver is that it must wait.
constexpr milliseconds kNegotiation(10);
constexpr milliseconds kFlapPeriod(100);

// 10.2: registers are accessed as whole words. (The server checked the access
// against the BAR; what the BAR is said to have can be a test fault.)
bool IsRegisterAccess(uint64_t offset, size_t bytes) {
  return offset % 4 == 0 && bytes % 4 == 0 && bytes <= kBar0Bytes &&
         offset <= kBar0Bytes - bytes;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Intel82574>> Intel82574::Create(
    EventLoop& loop, PortCounters& counters, Options options) {
  ASSIGN_OR_RETURN(auto doorbells,
                   intel::Doorbells::Create(std::move(options.doorbell_page),
                                            {.tdt = kTdt, .rdt = kRdt}));
  std::unique_ptr<Intel82574> device(
      new Intel82574(loop, counters, options, std::move(doorbells)));
  RETURN_IF_ERROR(device->Watch());
  return device;
}

Intel82574::Intel82574(EventLoop& loop, PortCounters& counters,
                       const Options& options,
                       std::unique_ptr<intel::Doorbells> doorbells)
    : loop_(loop),
      mac_(options.mac),
      counters_(counters),
      faults_(options.faults),
      config_(kConfigLayout, mac_, options.serial),
      nvm_(mac_, kConfigLayout.device, kConfigLayout.subsystem),
      phy_(kPhyId),
      dma_(counters),
      statistics_(regs_),
      interrupts_(loop, regs_, config_, counters),
      receiver_(regs_, dma_, interrupts_, statistics_, counters, faults_),
      transmitter_(regs_, dma_, interrupts_, statistics_, counters, faults_),
      doorbells_(std::move(doorbells)) {
  ResetRegisters(regs_);
  LoadReceiveAddress();
  interrupts_.set_mute(faults_.no_interrupt);
  interrupts_.set_storm(faults_.interrupt_storm);
  if (faults_.looping_capabilities) config_.LoopCapabilities();
}

Intel82574::~Intel82574() {
  loop_.Unwatch(tx_watch_);
  loop_.Unwatch(rx_watch_);
  loop_.RemovePoller(poller_);
  loop_.Cancel(link_timer_);
}

absl::Status Intel82574::Watch() {
  // Edge triggered: each ring of a doorbell is one event, and its counter need
  // never be read.
  ASSIGN_OR_RETURN(tx_watch_,
                   loop_.Watch(doorbells_->tx_event(), EPOLLIN | EPOLLET,
                               [this](uint32_t) { Transmit(); }));
  ASSIGN_OR_RETURN(rx_watch_,
                   loop_.Watch(doorbells_->rx_event(), EPOLLIN | EPOLLET,
                               [this](uint32_t) { ReceiverReady(); }));
  poller_ = loop_.AddPoller([this] { return more_to_send_ && Transmit(); });
  if (faults_.link_flap) FlapLink();
  return absl::OkStatus();
}

void Intel82574::PlugIn(Network* network) {
  network_ = network;
  transmitter_.set_network(network);
}

// ---- Data path.

void Intel82574::SyncTails() {
  // Read once (S7). 10.2.5.9: sixteen bits.
  regs_[kTdt] = doorbells_->tx_tail() & 0xffff;
  regs_[kRdt] = doorbells_->rx_tail() & 0xffff;
}

bool Intel82574::Transmit() {
  SyncTails();
  more_to_send_ = transmitter_.Process(kTxBudget, link_up_);
  // What an echo gave back.
  receiver_.EndBatch();
  return more_to_send_;
}

void Intel82574::ReceiverReady() {
  SyncTails();
  receiver_.DrainFifo();
  receiver_.EndBatch();
  network_->PortReady();
}

void Intel82574::Receive(std::span<const uint8_t> frame) {
  receiver_.Receive(frame);
}

void Intel82574::EndReceive() { receiver_.EndBatch(); }

bool Intel82574::CanReceive() const { return receiver_.HasFreeDescriptors(); }

void Intel82574::ResumeSend() {
  transmitter_.Resume();
  Transmit();
}

// ---- Link and reset.

void Intel82574::UpdateLink() {
  const bool up = phy_.link() && regs_.Has(kCtrl, kCtrlSlu);
  const bool changed = up != link_up_;
  link_up_ = up;
  receiver_.Update(up);
  if (changed) interrupts_.Raise(kIcrLsc);
}

void Intel82574::FlapLink() {
  link_timer_ = loop_.After(kFlapPeriod, [this] {
    phy_.set_link(!phy_.link());
    UpdateLink();
    FlapLink();
  });
}

void Intel82574::LoadReceiveAddress() {
  uint16_t high;
  std::memcpy(&regs_[kRal0], mac_.data(), 4);
  std::memcpy(&high, mac_.data() + 4, 2);
  if (faults_.identity_change && counters_.resets % 2 == 1) high ^= 0x100;
  regs_[kRah0] = high | kRahValid;
}

void Intel82574::SoftwareReset() {
  if (faults_.die_on_reset) {
    LogError("test fault die_on_reset: exiting");
    std::_Exit(1);
  }
  Bump(counters_.resets);
  transmitter_.Reset();
  receiver_.Reset();
  // The PHY was not reset, and its link goes on.
  const uint32_t phy_was_reset = regs_[kStatus] & kStatusPhyra;
  ResetRegisters(regs_);
  regs_[kStatus] = (regs_[kStatus] & ~kStatusPhyra) | phy_was_reset;
  LoadReceiveAddress();
  interrupts_.Reset();
  doorbells_->ClearTails();
  more_to_send_ = false;
  link_up_ = false;  // SLU is clear, and no interrupt tells of a reset.
  if (faults_.reset_never_ends) regs_[kCtrl] |= kCtrlRst;
}

void Intel82574::Reset() {
  SoftwareReset();
  config_.Reset();
  dma_.set_bus_master(config_.bus_master());
  interrupts_.RestoreEnables();
}

void Intel82574::WriteCtrl(uint32_t value) {
  if ((value & kCtrlRst) != 0) return SoftwareReset();
  const bool phy_reset_was_on = regs_.Has(kCtrl, kCtrlPhyRst);
  const bool phy_reset = (value & kCtrlPhyRst) != 0;
  if (faults_.reset_never_ends) value |= regs_[kCtrl] & kCtrlRst;
  regs_[kCtrl] = value;
  if (phy_reset && !phy_reset_was_on) {
    phy_.Reset();
    phy_.set_link(false);
    regs_[kStatus] |= kStatusPhyra;
  } else if (!phy_reset && phy_reset_was_on) {
    loop_.Cancel(link_timer_);
    link_timer_ = loop_.After(kNegotiation, [this] {
      phy_.set_link(true);
      UpdateLink();
    });
  }
  UpdateLink();
}

uint32_t Intel82574::Status() const {
  uint32_t status = regs_[kStatus] | kStatusFd | kStatusSpeed1000;
  if (link_up_) status |= kStatusLu;
  if (!regs_.Has(kCtrl, kCtrlGioMasterDisable)) {
    status |= kStatusGioMasterEnable;
  }
  return status;
}

// ---- vfio-user.

vfio_user::RegionInfo Intel82574::Region(uint32_t index) const {
  switch (index) {
    case 0:
      return {faults_.absurd_bar ? uint64_t{1} << 62 : kBar0Bytes, true, true};
    case 3:
      return {kBar3Bytes, true, true};
    case vfio_user::kConfigRegion:
      return {ConfigSpace::kBytes, true, true};
    default:
      return {};
  }
}

std::span<const vfio_user::DoorbellOffer> Intel82574::Doorbells(
    uint32_t region) const {
  if (region != 0) return {};
  return doorbells_->offers();
}

uint32_t Intel82574::IrqCount(uint32_t index) const {
  return Interrupts::VectorCount(index);
}

int Intel82574::ReadRegion(uint32_t region, uint64_t offset,
                           std::span<uint8_t> data) {
  const auto at = static_cast<uint32_t>(offset);
  if (region == vfio_user::kConfigRegion) {
    config_.Read(at, data);
    if (faults_.all_ones) std::memset(data.data(), 0xff, data.size());
    return 0;
  }
  if (!IsRegisterAccess(offset, data.size())) return EINVAL;
  if (region == 3) {
    interrupts_.ReadTable(at, data);
    return 0;
  }
  for (uint32_t i = 0; i < data.size(); i += 4) {
    const uint32_t value = ReadRegister(at + i);
    std::memcpy(data.data() + i, &value, 4);
  }
  return 0;
}

int Intel82574::WriteRegion(uint32_t region, uint64_t offset,
                            std::span<const uint8_t> data) {
  const auto at = static_cast<uint32_t>(offset);
  if (region == vfio_user::kConfigRegion) {
    const bool asleep = config_.power_state() == 3;
    config_.Write(at, data);
    // 5.2.2.3: leaving D3 resets the function.
    if (asleep && config_.power_state() == 0) SoftwareReset();
    dma_.set_bus_master(config_.bus_master());
    interrupts_.ConfigChanged();
    return 0;
  }
  if (!IsRegisterAccess(offset, data.size())) return EINVAL;
  if (region == 3) {
    interrupts_.WriteTable(at, data);
    return 0;
  }
  for (uint32_t i = 0; i < data.size(); i += 4) {
    uint32_t value;
    std::memcpy(&value, data.data() + i, 4);
    WriteRegister(at + i, value);
  }
  return 0;
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

int Intel82574::MapDma(uint64_t iova, uint64_t bytes, UniqueFd memory,
                       uint64_t fd_offset, bool device_may_read,
                       bool device_may_write) {
  return dma_.Map(iova, bytes, std::move(memory), fd_offset, device_may_read,
                  device_may_write);
}

// One thread: no access is under way while these run (S4).
int Intel82574::UnmapDma(uint64_t iova, uint64_t bytes) {
  return dma_.Unmap(iova, bytes);
}

void Intel82574::UnmapAllDma() { dma_.UnmapAll(); }

}  // namespace bulkhead::nic_model::i82574
