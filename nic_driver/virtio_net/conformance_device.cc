#include <array>
#include <string>
#include <vector>

#include "nic_driver/conformance/device_under_test.h"

namespace bulkhead::nic_driver {
namespace {

// The model's own capability in config space, see
// nic_model/virtio_net/config_space.h.
constexpr uint64_t kCable = 0xbf;

absl::Status SetLink(vfio_user::Client& owner, bool up) {
  const std::array<uint8_t, 1> pulled = {static_cast<uint8_t>(up ? 0 : 1)};
  return owner.Write(vfio_user::kConfigRegion, kCable, pulled);
}

// Which rings the model has: set by BUILD.
std::vector<std::string> Variant() {
  std::vector<std::string> variant;
#ifdef SPLIT_RINGS
  variant.push_back("split_rings");
#endif
#ifdef NO_EVENT_INDEX
  variant.push_back("no_event_index");
#endif
  return variant;
}

}  // namespace

const DeviceUnderTest& TheDevice() {
  static const DeviceUnderTest* const device =
      new DeviceUnderTest{.driver_program = "nic_driver/virtio_net/virtio_net",
                          .model_program = "nic_model/virtio_net/virtio_net",
                          .model = "virtio_net",
                          .variant = Variant(),
                          .vendor = 0x1af4,
                          .device = 0x1041,
                          .irq_vectors = 2,
                          .max_mtu = 9000,
                          .set_link = SetLink};
  return *device;
}

}  // namespace bulkhead::nic_driver
