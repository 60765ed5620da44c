#include "nic_model/intel/controller.h"

#include <sys/epoll.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/errno_status.h"
#include "base/log.h"
#include "nic_model/intel/registers.h"

namespace bulkhead::nic_model::intel {
namespace {

using std::chrono::milliseconds;

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

Controller::Controller(EventLoop& loop, PortCounters& counters,
                       const ModelOptions& options, const ConfigLayout& config,
                       uint32_t phy_id,
                       std::unique_ptr<intel::Doorbells> doorbells)
    : loop_(loop),
      mac_(options.mac),
      counters_(counters),
      faults_(options.faults),
      config_(config, mac_, options.serial),
      nvm_(mac_, config.device, config.subsystem),
      phy_(phy_id),
      dma_(counters),
      statistics_(regs_),
      doorbells_(std::move(doorbells)) {
  if (faults_.looping_capabilities) config_.LoopCapabilities();
}

Controller::~Controller() {
  loop_.Unwatch(tx_watch_);
  loop_.Unwatch(rx_watch_);
  loop_.RemovePoller(poller_);
  loop_.Cancel(link_timer_);
}

absl::Status Controller::Start() {
  ResetQueuesAndRegisters();
  LoadReceiveAddress();
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

// ---- Data path.

bool Controller::Transmit() {
  SyncTails();
  more_to_send_ = Send(kTxBudget);
  EndReceive();  // What an echo gave back.
  return more_to_send_;
}

void Controller::ReceiverReady() {
  SyncTails();
  DrainPacketBuffer();
  EndReceive();
  network_->PortReady();
}

// ---- Link and reset.

void Controller::UpdateLink() {
  const bool up = phy_.link() && regs_.Has(kCtrl, kCtrlSlu);
  const bool changed = up != link_up_;
  link_up_ = up;
  UpdateReceiver();
  if (changed) Raise(kIcrLsc);
}

void Controller::FlapLink() {
  link_timer_ = loop_.After(kFlapPeriod, [this] {
    phy_.set_link(!phy_.link());
    UpdateLink();
    FlapLink();
  });
}

void Controller::LoadReceiveAddress() {
  uint16_t high;
  std::memcpy(&regs_[kRal0], mac_.data(), 4);
  std::memcpy(&high, mac_.data() + 4, 2);
  if (faults_.identity_change && counters_.resets % 2 == 1) high ^= 0x100;
  regs_[kRah0] = high | kRahValid;
}

void Controller::SoftwareReset() {
  if (faults_.die_on_reset) {
    LogError("test fault die_on_reset: exiting");
    std::_Exit(1);
  }
  Bump(counters_.resets);
  // The PHY was not reset, and its link goes on.
  const uint32_t phy_was_reset = regs_[kStatus] & kStatusPhyra;
  ResetQueuesAndRegisters();
  regs_[kStatus] = (regs_[kStatus] & ~kStatusPhyra) | phy_was_reset;
  LoadReceiveAddress();
  doorbells_->ClearTails();
  more_to_send_ = false;
  link_up_ = false;  // SLU is clear, and no interrupt tells of a reset.
  if (faults_.reset_never_ends) regs_[kCtrl] |= kCtrlRst;
}

void Controller::Reset() {
  SoftwareReset();
  config_.Reset();
  EnableArmedVectors();
  ApplyConfig();
}

void Controller::ApplyConfig() {
  dma_.set_bus_master(config_.bus_master());
  ConfigChanged();
}

void Controller::WriteCtrl(uint32_t value) {
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

uint32_t Controller::Status() const {
  uint32_t status = regs_[kStatus] | kStatusFd | kStatusSpeed1000;
  if (link_up_) status |= kStatusLu;
  if (!regs_.Has(kCtrl, kCtrlGioMasterDisable)) {
    status |= kStatusGioMasterEnable;
  }
  return status;
}

// ---- Registers.

uint32_t Controller::ReadHead(uint32_t offset) const {
  const uint32_t head = regs_[offset];
  return faults_.head_backwards && head > 1 ? head - 2 : head;
}

uint32_t Controller::ReadGeneral(uint32_t offset) {
  switch (offset) {
    case kCtrlDuplicate:
      return regs_[kCtrl];
    case kStatus:
      return Status();
    case kSwsm:
      // 10.2.8.15: reading takes the semaphore SMBI; who reads 0 has it.
      return std::exchange(regs_[kSwsm], regs_[kSwsm] | 1);
    default:
      return regs_[offset];
  }
}

void Controller::WriteGeneral(uint32_t offset, uint32_t value) {
  switch (offset) {
    case kCtrl:
    case kCtrlDuplicate:
      return WriteCtrl(value);
    case kStatus:
      if ((value & kStatusPhyra) == 0) regs_[kStatus] &= ~kStatusPhyra;
      return;
    case kEecd:
      // Bit 7 grants what bit 6 asks for.
      regs_[kEecd] =
          kEecdPresent | kEecdAutoRead | (value & 0x4f) | ((value & 0x40) << 1);
      return;
    case kEerd:
      regs_[kEerd] = nvm_.Read(value);
      return;
    case kCtrlExt:
      regs_[kCtrlExt] = value & ~(kCtrlExtAsdchk | kCtrlExtEeRst);
      return;
    case kMdic:
      regs_[kMdic] = phy_.Access(value);
      if ((value & kMdicInterrupt) != 0) Raise(kIcrMdac);
      return;
    case kFwsm:
    case kEemngctl:
      return;  // Firmware's.
    default:
      regs_[offset] = value;
  }
}

uint32_t Controller::ReadWord(uint32_t offset) {
  if (faults_.all_ones) return UINT32_MAX;
  if (Statistics::Holds(offset)) return statistics_.Read(offset);
  return ReadRegister(offset);
}

void Controller::WriteWord(uint32_t offset, uint32_t value) {
  if (faults_.all_ones || Statistics::Holds(offset)) return;
  WriteRegister(offset, value);
}

// ---- vfio-user.

vfio_user::RegionInfo Controller::Region(uint32_t index) const {
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

std::span<const vfio_user::DoorbellOffer> Controller::Doorbells(
    uint32_t region) const {
  if (region != 0) return {};
  return doorbells_->offers();
}

int Controller::ReadRegion(uint32_t region, uint64_t offset,
                           std::span<uint8_t> data) {
  const auto at = static_cast<uint32_t>(offset);
  if (region == vfio_user::kConfigRegion) {
    config_.Read(at, data);
    if (faults_.all_ones) std::memset(data.data(), 0xff, data.size());
    return 0;
  }
  if (!IsRegisterAccess(offset, data.size())) return EINVAL;
  for (uint32_t i = 0; i < data.size(); i += 4) {
    const uint32_t value = region == 3 ? ReadTable(at + i) : ReadWord(at + i);
    std::memcpy(data.data() + i, &value, 4);
  }
  return 0;
}

int Controller::WriteRegion(uint32_t region, uint64_t offset,
                            std::span<const uint8_t> data) {
  const auto at = static_cast<uint32_t>(offset);
  if (region == vfio_user::kConfigRegion) {
    const bool asleep = config_.power_state() == 3;
    config_.Write(at, data);
    // 5.2.2.3: leaving D3 resets the function.
    if (asleep && config_.power_state() == 0) SoftwareReset();
    ApplyConfig();
    return 0;
  }
  if (!IsRegisterAccess(offset, data.size())) return EINVAL;
  for (uint32_t i = 0; i < data.size(); i += 4) {
    uint32_t value;
    std::memcpy(&value, data.data() + i, 4);
    if (region == 3) {
      WriteTable(at + i, value);
    } else {
      WriteWord(at + i, value);
    }
  }
  return 0;
}

int Controller::MapDma(uint64_t iova, uint64_t bytes, UniqueFd memory,
                       uint64_t fd_offset, bool device_may_read,
                       bool device_may_write) {
  return dma_.Map(iova, bytes, std::move(memory), fd_offset, device_may_read,
                  device_may_write);
}

// One thread: no access is under way while these run (S4).
int Controller::UnmapDma(uint64_t iova, uint64_t bytes) {
  return dma_.Unmap(iova, bytes);
}

}  // namespace bulkhead::nic_model::intel
