#include "platform_service/vfio/vfio_owner.h"

#include <linux/vfio.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <optional>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "base/clock.h"
#include "base/errno_status.h"
#include "base/log.h"

namespace bulkhead::platform {
namespace {

constexpr uint32_t kCommand = 0x04;
constexpr uint32_t kQuiet = 1 << 1 | 1 << 10;  // Memory; INTx disabled.
constexpr uint32_t kBusMaster = 1 << 2;
constexpr uint32_t kStatus = 0x06;
constexpr uint32_t kCapabilityPointer = 0x34;
constexpr uint32_t kVendorCapability = 0x09;
constexpr uint32_t kDeviceControl = 0x08;  // In the PCI Express capability.
constexpr uint32_t kReportErrors = 0xf;  // Correctable … unsupported request.
constexpr int kMostCapabilities = 48;

// As many as a grant carries; see vfio_user_owner.cc.
constexpr uint32_t kMostIrqs = 16;

// Writes there are interrupts, not memory (Intel SDM volume 3, section 11.11).
constexpr uint64_t kMsiWindow = 0xfee00000;
constexpr uint64_t kMsiWindowBytes = 0x100000;

// cfg_type of a virtio capability (Virtio 1.2, section 4.1.4).
std::optional<uint32_t> VirtioType(policy::RegisterPlace::Base base) {
  switch (base) {
    case policy::RegisterPlace::Base::kBar:
      return std::nullopt;
    case policy::RegisterPlace::Base::kVirtioCommon:
      return 1;
    case policy::RegisterPlace::Base::kVirtioNotify:
      return 2;
    case policy::RegisterPlace::Base::kVirtioIsr:
      return 3;
    case policy::RegisterPlace::Base::kVirtioDevice:
      return 4;
  }
  return std::nullopt;
}

}  // namespace

// What the ladder sees of the function.
class VfioOwner::Target final : public ResetTarget {
 public:
  explicit Target(VfioOwner& owner) : owner_(owner) {}

  absl::StatusOr<uint32_t> ReadConfig(uint32_t offset,
                                      uint32_t width) override {
    return owner_.device_.Read(owner_.config_, offset, width);
  }
  absl::Status WriteConfig(uint32_t offset, uint32_t width,
                           uint32_t value) override {
    return owner_.device_.Write(owner_.config_, offset, width, value);
  }
  absl::StatusOr<uint32_t> ReadRegister(
      const policy::RegisterPlace& place) override {
    ASSIGN_OR_RETURN(const Where where, Find(place));
    return owner_.device_.Read(where.bar, where.offset, place.width);
  }
  absl::Status WriteRegister(const policy::RegisterPlace& place,
                             uint32_t value) override {
    ASSIGN_OR_RETURN(const Where where, Find(place));
    return owner_.device_.Write(where.bar, where.offset, place.width, value);
  }
  std::vector<std::string> Methods() override {
    const auto text = owner_.sysfs_.Read(MethodFile());
    if (!text.ok()) return {};
    return absl::StrSplit(*text, ' ', absl::SkipEmpty());
  }
  // The kernel tries its methods in the order that this file has.
  absl::Status Reset(const std::string& method) override {
    ASSIGN_OR_RETURN(const std::string before,
                     owner_.sysfs_.Read(MethodFile()));
    RETURN_IF_ERROR(owner_.sysfs_.Write(MethodFile(), method));
    absl::Status status = owner_.device_.Reset();
    status.Update(owner_.sysfs_.Write(MethodFile(), before));
    return status;
  }
  uint64_t NowNs() override { return MonotonicNs(); }
  void SleepMs(uint32_t ms) override {
    std::this_thread::sleep_for(std::chrono::milliseconds(ms));
  }

 private:
  struct Where {
    VfioRegion bar;
    uint64_t offset = 0;
  };

  std::string MethodFile() const {
    return absl::StrCat("bus/pci/devices/", owner_.identity_.address,
                        "/reset_method");
  }

  absl::StatusOr<Where> Find(const policy::RegisterPlace& place) {
    const std::optional<uint32_t> type = VirtioType(place.base);
    if (!type.has_value()) return Where{owner_.bars_[place.bar], place.offset};
    ASSIGN_OR_RETURN(const uint32_t status, ReadConfig(kStatus, 2));
    if ((status & 1 << 4) == 0) return NoCapability();
    ASSIGN_OR_RETURN(uint32_t at, ReadConfig(kCapabilityPointer, 1));
    for (int i = 0; at >= 0x40 && i < kMostCapabilities; ++i) {
      at &= 0xfc;
      ASSIGN_OR_RETURN(const uint32_t header, ReadConfig(at, 4));
      if ((header & 0xff) == kVendorCapability && header >> 24 == *type) {
        ASSIGN_OR_RETURN(const uint32_t bar, ReadConfig(at + 4, 1));
        ASSIGN_OR_RETURN(const uint32_t start, ReadConfig(at + 8, 4));
        if (bar >= owner_.bars_.size()) return NoCapability();
        return Where{owner_.bars_[bar], uint64_t{start} + place.offset};
      }
      at = (header >> 8) & 0xff;
    }
    return NoCapability();
  }

  static absl::Status NoCapability() {
    return absl::DataLossError(
        "device answers nonsense: it has no virtio capability of this type");
  }

  VfioOwner& owner_;
};

absl::StatusOr<std::unique_ptr<VfioOwner>> VfioOwner::Create(
    VfioContainer container, VfioDeviceFd device, Identity identity,
    policy::ResetDescription reset, Sysfs& sysfs, ResetMemory& memory) {
  std::unique_ptr<VfioOwner> owner(
      new VfioOwner(std::move(container), std::move(device),
                    std::move(identity), std::move(reset), sysfs, memory));
  RETURN_IF_ERROR(owner->Look());
  RETURN_IF_ERROR(owner->AdoptMapping(kMsiWindow, kMsiWindowBytes));
  return owner;
}

// Not left to the closing of descriptors, which the supervisor holds as well: a
// session's memory lives on, and must be its client's alone from here on (S4).
VfioOwner::~VfioOwner() {
  ClearBusMaster().IgnoreError();
  if (const absl::Status status = container_.UnmapAll(); !status.ok()) {
    LogError(absl::StrCat(identity_.address, ": ", status.message()));
  }
}

absl::Status VfioOwner::Look() {
  ASSIGN_OR_RETURN(config_, device_.Region(VFIO_PCI_CONFIG_REGION_INDEX));
  for (uint32_t bar = 0; bar < bars_.size(); ++bar) {
    ASSIGN_OR_RETURN(bars_[bar],
                     device_.Region(VFIO_PCI_BAR0_REGION_INDEX + bar));
  }
  ASSIGN_OR_RETURN(const uint32_t now, device_.Read(config_, 0, 4));
  const uint32_t expected = identity_.vendor | uint32_t{identity_.device} << 16;
  if (now != expected) {
    return absl::DataLossError(absl::StrFormat(
        "device answers nonsense: it was enumerated as %04x:%04x and is "
        "%04x:%04x",
        identity_.vendor, identity_.device, now & 0xffff, now >> 16));
  }
  for (const uint32_t index :
       {VFIO_PCI_MSIX_IRQ_INDEX, VFIO_PCI_MSI_IRQ_INDEX}) {
    ASSIGN_OR_RETURN(irq_count_, device_.IrqCount(index));
    irq_index_ = index;
    if (irq_count_ != 0) break;
  }
  irq_count_ = std::min(irq_count_, kMostIrqs);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<uint8_t>> VfioOwner::ReadConfigSpace() {
  std::vector<uint8_t> bytes(std::min<uint64_t>(config_.bytes, 4096));
  for (uint32_t offset = 0; offset + 4 <= bytes.size(); offset += 4) {
    ASSIGN_OR_RETURN(const uint32_t value, device_.Read(config_, offset, 4));
    std::memcpy(bytes.data() + offset, &value, 4);
  }
  return bytes;
}

absl::Status VfioOwner::EnableBusMaster() {
  return device_.Write(config_, kCommand, 2, kQuiet | kBusMaster);
}

absl::Status VfioOwner::ClearBusMaster() {
  return device_.Write(config_, kCommand, 2, kQuiet);
}

absl::Status VfioOwner::ResetAndVerify(const StepRecorder& record) {
  Target target(*this);
  RETURN_IF_ERROR(ResetLadder::StopDma(target));
  ResetLadder ladder(reset_, identity_.vendor, identity_.device, memory_);
  const auto rung = ladder.Climb(target, record ? record : recorder_);
  if (!rung.ok()) return rung.status();
  LogInfo(absl::StrCat(identity_.address, ": reset by ", *rung));
  // Registers answer; bus mastering stays off until EnableDma.
  return ClearBusMaster();
}

absl::Status VfioOwner::MapAt(uint64_t iova, uint64_t bytes, int memory_fd,
                              DeviceAccess access) {
  return container_.Map(iova, bytes, memory_fd, access == DeviceAccess::kWrite);
}

absl::Status VfioOwner::UnmapAt(uint64_t iova, uint64_t bytes) {
  return container_.Unmap(iova, bytes);
}

absl::Status VfioOwner::ArmIrqs(std::span<const int> events) {
  return device_.SetIrqs(irq_index_, events);
}

absl::Status VfioOwner::ArmEvents(int error, int request) {
  for (const auto& [index, event] :
       {std::pair<uint32_t, int>{VFIO_PCI_ERR_IRQ_INDEX, error},
        {VFIO_PCI_REQ_IRQ_INDEX, request}}) {
    ASSIGN_OR_RETURN(const uint32_t count, device_.IrqCount(index));
    if (count == 0) continue;  // A function without AER.
    RETURN_IF_ERROR(device_.SetIrqs(index, {&event, 1}));
  }
  return ReportErrors();
}

// VFIO writes the register back as it was when it gives the function up.
absl::Status VfioOwner::ReportErrors() {
  Target target(*this);
  ASSIGN_OR_RETURN(const uint32_t express, FindExpress(target));
  if (express == 0) return absl::OkStatus();
  const uint32_t at = express + kDeviceControl;
  ASSIGN_OR_RETURN(const uint32_t control, target.ReadConfig(at, 2));
  return target.WriteConfig(at, 2, control | kReportErrors);
}

}  // namespace bulkhead::platform
