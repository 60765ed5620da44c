#include "platform_service/devices/vfio_user_owner.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/errno_status.h"

namespace bulkhead::platform {
namespace {

using vfio_user::kConfigRegion;
using vfio_user::kMsixIrqIndex;

// PCI Local Bus 3.0, section 6.1, and PCI Express Base 2.0, section 7.7.2.
constexpr uint32_t kCommand = 0x04;
constexpr uint16_t kCommandMemory = 1 << 1;
constexpr uint16_t kCommandBusMaster = 1 << 2;
constexpr uint16_t kCommandIntxDisable = 1 << 10;
constexpr uint32_t kStatus = 0x06;
constexpr uint16_t kStatusCapabilities = 1 << 4;
constexpr uint32_t kCapabilityPointer = 0x34;
constexpr uint8_t kMsixCapability = 0x11;
constexpr uint16_t kMsixEnable = 1 << 15;
constexpr uint16_t kMsixFunctionMask = 1 << 14;

// The 192 bytes behind the header hold at most this many capabilities of four
// bytes: a longer chain is a loop.
constexpr int kMostCapabilities = 48;

// A NIC has one vector per queue and one for the rest; the grant's descriptors
// must fit into one message.
constexpr uint32_t kMostIrqs = 16;

constexpr uint16_t kQuiet = kCommandMemory | kCommandIntxDisable;

absl::Status Contradiction(absl::string_view what) {
  return absl::DataLossError(absl::StrCat("device answers nonsense: ", what));
}

}  // namespace

absl::StatusOr<std::unique_ptr<VfioUserOwner>> VfioUserOwner::Create(
    std::unique_ptr<vfio_user::Client> connection) {
  std::unique_ptr<VfioUserOwner> owner(
      new VfioUserOwner(std::move(connection)));
  ASSIGN_OR_RETURN(owner->config_, owner->ReadConfigSpace());
  RETURN_IF_ERROR(owner->Identify());
  RETURN_IF_ERROR(owner->FindMsix());
  return owner;
}

absl::Status VfioUserOwner::Identify() {
  identity_ = FirstConfig(0, 4);
  if ((identity_ & 0xffff) == 0xffff || (identity_ & 0xffff) == 0) {
    return Contradiction(
        absl::StrFormat("vendor 0x%04x is no vendor", identity_ & 0xffff));
  }
  return absl::OkStatus();
}

absl::Status VfioUserOwner::FindMsix() {
  ASSIGN_OR_RETURN(irq_count_, connection_->GetIrqCount(kMsixIrqIndex));
  irq_count_ = std::min(irq_count_, kMostIrqs);
  const uint32_t status = FirstConfig(kStatus, 2);
  if ((status & kStatusCapabilities) == 0) return absl::OkStatus();
  uint32_t offset = FirstConfig(kCapabilityPointer, 1);
  for (int i = 0; offset != 0; ++i) {
    if (i == kMostCapabilities) {
      return Contradiction("its list of capabilities has a loop");
    }
    offset &= 0xfc;
    if (offset < 0x40) {
      return Contradiction("its list of capabilities leaves config space");
    }
    const uint32_t header = FirstConfig(offset, 4);
    if ((header & 0xff) == kMsixCapability) {
      msix_offset_ = static_cast<uint16_t>(offset);
      msix_control_ = static_cast<uint16_t>(header >> 16);
      return absl::OkStatus();
    }
    offset = (header >> 8) & 0xff;
  }
  return absl::OkStatus();
}

// Requires: offset + width <= 256.
uint32_t VfioUserOwner::FirstConfig(uint32_t offset, uint32_t width) const {
  uint32_t value = 0;
  for (uint32_t i = 0; i < width; ++i) {
    value |= uint32_t{config_[offset + i]} << (8 * i);
  }
  return value;
}

absl::Status VfioUserOwner::PostConfig16(uint32_t offset, uint16_t value) {
  const uint8_t bytes[2] = {static_cast<uint8_t>(value),
                            static_cast<uint8_t>(value >> 8)};
  return connection_->PostWrite(kConfigRegion, offset, bytes);
}

absl::StatusOr<std::vector<uint8_t>> VfioUserOwner::ReadConfigSpace() {
  ASSIGN_OR_RETURN(const vfio_user::RegionInfo region,
                   connection_->GetRegionInfo(kConfigRegion));
  if (region.bytes != 256 && region.bytes != 4096) {
    return Contradiction(
        absl::StrCat("config space of ", region.bytes, " bytes"));
  }
  std::vector<uint8_t> bytes(region.bytes);
  RETURN_IF_ERROR(connection_->Read(kConfigRegion, 0, bytes));
  return bytes;
}

absl::Status VfioUserOwner::EnableBusMaster() {
  return PostConfig16(kCommand, kQuiet | kCommandBusMaster);
}

absl::Status VfioUserOwner::ClearBusMaster() {
  return PostConfig16(kCommand, kQuiet);
}

absl::Status VfioUserOwner::ResetAndVerify(const StepRecorder& record) {
  // The reset and its proof in one round trip.
  RETURN_IF_ERROR(connection_->PostReset());
  uint8_t bytes[8] = {};
  RETURN_IF_ERROR(connection_->Read(kConfigRegion, 0, bytes));
  const uint32_t identity = uint32_t{bytes[0]} | uint32_t{bytes[1]} << 8 |
                            uint32_t{bytes[2]} << 16 | uint32_t{bytes[3]} << 24;
  if (identity != identity_) {
    return Contradiction(absl::StrFormat(
        "it was %04x:%04x and is %04x:%04x after a reset", identity_ & 0xffff,
        identity_ >> 16, identity & 0xffff, identity >> 16));
  }
  if ((bytes[kCommand] & kCommandBusMaster) != 0) {
    return Contradiction("bus mastering is on after a reset");
  }
  // Registers answer again; bus mastering stays off until EnableDma.
  RETURN_IF_ERROR(ClearBusMaster());
  if (record) record("reset", "device reset and verified");
  return absl::OkStatus();
}

absl::Status VfioUserOwner::MapAt(uint64_t iova, uint64_t bytes, int memory_fd,
                                  DeviceAccess access) {
  return connection_->MapDma(iova, bytes, memory_fd, 0,
                             access == DeviceAccess::kWrite);
}

absl::Status VfioUserOwner::UnmapAt(uint64_t iova, uint64_t bytes) {
  return connection_->UnmapDma(iova, bytes);
}

absl::Status VfioUserOwner::ArmIrqs(std::span<const int> events) {
  RETURN_IF_ERROR(connection_->SetIrqs(kMsixIrqIndex, events));
  return RestoreIrqs();
}

absl::Status VfioUserOwner::RestoreIrqs() {
  if (msix_offset_ == 0) return absl::OkStatus();
  const uint16_t control =
      static_cast<uint16_t>((msix_control_ | kMsixEnable) & ~kMsixFunctionMask);
  return PostConfig16(msix_offset_ + 2, control);
}

}  // namespace bulkhead::platform
