#include "nic_driver/framework/vfio_user_device.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "base/log.h"

namespace bulkhead::nic_driver {
namespace {

// The protocol and PCIe are little-endian, and so is every machine we run on.
static_assert(std::endian::native == std::endian::little);

constexpr uint32_t kDoorbellBar = 0;
// A run of registers is a few words long.
constexpr size_t kMaxRunBytes = 256;

}  // namespace

absl::StatusOr<std::unique_ptr<VfioUserDevice>> VfioUserDevice::Create(
    UniqueFd connection) {
  ASSIGN_OR_RETURN(std::unique_ptr<vfio_user::Client> client,
                   vfio_user::Client::Create(std::move(connection)));
  std::unique_ptr<VfioUserDevice> device(new VfioUserDevice(std::move(client)));
  absl::StatusOr<std::vector<vfio_user::Doorbell>> offered =
      device->client_->GetDoorbells(kDoorbellBar);
  // A server that offers no doorbells is served by posted writes alone.
  if (absl::IsInvalidArgument(offered.status())) return device;
  if (!offered.ok()) return offered.status();
  RETURN_IF_ERROR(device->MapDoorbells(*std::move(offered)));
  return device;
}

absl::StatusOr<std::unique_ptr<VfioUserDevice>> VfioUserDevice::Adopt(
    UniqueFd connection, std::vector<vfio_user::Doorbell> doorbells) {
  ASSIGN_OR_RETURN(std::unique_ptr<vfio_user::Client> client,
                   vfio_user::Client::Adopt(std::move(connection)));
  std::unique_ptr<VfioUserDevice> device(new VfioUserDevice(std::move(client)));
  RETURN_IF_ERROR(device->MapDoorbells(std::move(doorbells)));
  return device;
}

absl::Status VfioUserDevice::MapDoorbells(
    std::vector<vfio_user::Doorbell> offered) {
  for (vfio_user::Doorbell& doorbell : offered) {
    if ((doorbell.bytes != 2 && doorbell.bytes != 4) ||
        doorbell.offset > UINT32_MAX || doorbell.shadow_offset % 4 != 0) {
      continue;
    }
    struct stat info;
    if (::fstat(doorbell.shadow.get(), &info) != 0) {
      return ErrnoStatus("stat a doorbell's shadow memory");
    }
    ASSIGN_OR_RETURN(Mapping page,
                     Mapping::MapSealed(doorbell.shadow.get(),
                                        static_cast<size_t>(info.st_size),
                                        Access::kReadWrite));
    if (uint64_t{doorbell.shadow_offset} + 4 > page.bytes()) {
      return absl::DataLossError(
          absl::StrCat("map a doorbell: its shadow at ", doorbell.shadow_offset,
                       " is outside its memory of ", page.bytes(), " bytes"));
    }
    MappedDoorbell mapped;
    mapped.offset = static_cast<uint32_t>(doorbell.offset);
    mapped.bytes = doorbell.bytes;
    mapped.event = std::move(doorbell.event);
    mapped.shadow = page.As<uint32_t>(doorbell.shadow_offset);
    mapped.page = std::move(page);
    doorbells_.push_back(std::move(mapped));
  }
  return absl::OkStatus();
}

VfioUserDevice::MappedDoorbell* VfioUserDevice::FindDoorbell(int bar,
                                                             uint32_t offset) {
  if (bar != kDoorbellBar) return nullptr;
  for (MappedDoorbell& doorbell : doorbells_) {
    if (doorbell.offset == offset) return &doorbell;
  }
  return nullptr;
}

uint32_t VfioUserDevice::Read32(int bar, uint32_t offset) {
  return Read(bar, offset, 4);
}

uint32_t VfioUserDevice::Read(int bar, uint32_t offset, int width) {
  uint32_t value;
  ReadRun(bar, offset, width, std::span(&value, 1));
  return value;
}

void VfioUserDevice::ReadRun(int bar, uint32_t offset, int width,
                             std::span<uint32_t> out) {
  std::array<uint8_t, kMaxRunBytes> bytes;
  const auto step = static_cast<size_t>(width);
  const std::span<uint8_t> run =
      std::span(bytes).first(std::min(out.size() * step, bytes.size()));
  const std::lock_guard lock(mutex_);
  if (gone_ || !client_->Read(bar, offset, run).ok()) {
    gone_ = true;
    std::fill(run.begin(), run.end(), 0xff);
  }
  for (size_t i = 0; i < out.size(); ++i) {
    out[i] = 0;
    if ((i + 1) * step <= run.size()) {
      std::memcpy(&out[i], &run[i * step], step);
    }
  }
}

std::array<uint32_t, 2> VfioUserDevice::ReadPair32(int bar, uint32_t offset) {
  std::array<uint8_t, 8> bytes;
  const std::lock_guard lock(mutex_);
  if (gone_ || !client_->Read(bar, offset, bytes).ok()) {
    gone_ = true;
    return {~uint32_t{0}, ~uint32_t{0}};
  }
  return std::bit_cast<std::array<uint32_t, 2>>(bytes);
}

void VfioUserDevice::Write32(int bar, uint32_t offset, uint32_t value) {
  // The server may still have an older ring of this doorbell in hand: it must
  // find the newer value in the shadow, or it would undo this write.
  if (MappedDoorbell* doorbell = FindDoorbell(bar, offset)) {
    std::atomic_ref(*doorbell->shadow).store(value, std::memory_order_release);
  }
  Post(bar, offset, std::bit_cast<std::array<uint8_t, 4>>(value));
}

void VfioUserDevice::Post(int bar, uint32_t offset,
                          std::span<const uint8_t> bytes) {
  const std::lock_guard lock(mutex_);
  if (gone_) return;
  if (!client_->PostWrite(bar, offset, bytes).ok()) gone_ = true;
}

void VfioUserDevice::Write(int bar, uint32_t offset, int width,
                           uint32_t value) {
  if (width == 4) {
    Write32(bar, offset, value);
    return;
  }
  const auto bytes = std::bit_cast<std::array<uint8_t, 4>>(value);
  Post(bar, offset, std::span(bytes).first(width));
}

void VfioUserDevice::WriteDoorbell32(int bar, uint32_t offset, uint32_t value) {
  MappedDoorbell* doorbell = FindDoorbell(bar, offset);
  if (doorbell == nullptr || doorbell->bytes != 4) {
    Write32(bar, offset, value);
    return;
  }
  Ring(*doorbell, value);
}

void VfioUserDevice::WriteDoorbell16(int bar, uint32_t offset, uint16_t value) {
  MappedDoorbell* doorbell = FindDoorbell(bar, offset);
  if (doorbell == nullptr || doorbell->bytes != 2) {
    Write(bar, offset, 2, value);
    return;
  }
  Ring(*doorbell, value);
}

void VfioUserDevice::Ring(MappedDoorbell& doorbell, uint32_t value) {
  // Release: pairs with the server's load of the shadow, after which it reads
  // the descriptors that we wrote before.
  std::atomic_ref(*doorbell.shadow).store(value, std::memory_order_release);
  const uint64_t one = 1;
  // A full eventfd is a rung doorbell.
  [[maybe_unused]] const ssize_t written =
      ::write(doorbell.event.get(), &one, sizeof(one));
}

absl::StatusOr<uint32_t> VfioUserDevice::ReadConfig(uint32_t offset,
                                                    int width) {
  if (width != 1 && width != 2 && width != 4) {
    return absl::InvalidArgumentError(absl::StrCat(
        "read config space: a width of ", width, " bytes; use 1, 2 or 4"));
  }
  std::array<uint8_t, 4> bytes = {};
  const std::lock_guard lock(mutex_);
  RETURN_IF_ERROR(client_->Read(vfio_user::kConfigRegion, offset,
                                std::span(bytes).first(width)));
  return std::bit_cast<uint32_t>(bytes);
}

}  // namespace bulkhead::nic_driver
