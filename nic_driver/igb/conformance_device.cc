#include <array>
#include <bit>
#include <cstdint>

#include "base/errno_status.h"
#include "nic_driver/conformance/device_under_test.h"
#include "nic_driver/igb/igb_regs.h"

namespace bulkhead::nic_driver {
namespace {

// A PHY that is held in reset has no link (8.2.1, CTRL.PHY_RST).
absl::Status SetLink(vfio_user::Client& owner, bool up) {
  using igb::CTRL;
  std::array<uint8_t, 4> bytes;
  RETURN_IF_ERROR(owner.Read(igb::kRegisterBar, CTRL::kOffset, bytes));
  const auto ctrl = Value<CTRL>(std::bit_cast<uint32_t>(bytes))
                        .With(CTRL::PHY_RST, up ? 0 : 1);
  bytes = std::bit_cast<std::array<uint8_t, 4>>(ctrl.bits());
  return owner.Write(igb::kRegisterBar, CTRL::kOffset, bytes);
}

}  // namespace

const DeviceUnderTest& TheDevice() {
  static const DeviceUnderTest* const device =
      new DeviceUnderTest{.driver_program = "nic_driver/igb/igb",
                          .model_program = "nic_model/82576/82576",
                          .model = "82576",
                          .vendor = 0x8086,
                          .device = 0x10c9,
                          .irq_vectors = 2,
                          .max_mtu = 9000,
                          .set_link = SetLink};
  return *device;
}

}  // namespace bulkhead::nic_driver
