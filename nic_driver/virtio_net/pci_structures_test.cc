// Shows that the structures of the model and of a device with other BARs are
// found, and that a list of capabilities that lies is an error with a remedy.
#include "nic_driver/virtio_net/pci_structures.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>

#include "nic_model/virtio_net/config_space.h"
#include "nic_model/virtio_net/layout.h"

namespace bulkhead::nic_driver::virtio_net {
namespace {

using Config = std::array<uint8_t, 256>;

Config Model() {
  const std::array<uint8_t, 6> mac = {2, 0, 0, 0, 0, 1};
  const nic_model::virtio_net::ConfigSpace space(mac, 0);
  Config config;
  space.Read(0, config);
  return config;
}

TEST(PciStructures, FindsThoseOfTheModel) {
  const auto found = FindPciStructures(Model());
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->common.offset, nic_model::virtio_net::kCommonOffset);
  EXPECT_EQ(found->device.offset, nic_model::virtio_net::kDeviceOffset);
  EXPECT_EQ(found->notify.offset, nic_model::virtio_net::kNotifyOffset);
  EXPECT_EQ(found->notify_multiplier, nic_model::virtio_net::kNotifyMultiplier);
}

TEST(PciStructures, S7_ListsThatLieEndWithAReason) {
  struct Case {
    const char* what;
    void (*spoil)(Config& config);
  };
  const Case cases[] = {
      {"no list", [](Config& c) { c[0x06] = 0; }},
      {"empty list", [](Config& c) { c[0x34] = 0; }},
      {"loop", [](Config& c) { c[0x34] = 0x40, c[0x41] = 0x40; }},
      {"reserved BAR", [](Config& c) { c[0x54] = 6; }},
      {"common too short", [](Config& c) { c[0x5c] = 8; }},
      {"offset beyond any BAR", [](Config& c) { c[0x5b] = 0xff; }},
      {"all zeroes", [](Config& c) { c.fill(0); }},
      {"all ones", [](Config& c) { c.fill(0xff); }},
  };
  for (const Case& c : cases) {
    Config config = Model();
    c.spoil(config);
    const auto found = FindPciStructures(config);
    ASSERT_FALSE(found.ok()) << c.what;
    EXPECT_NE(found.status().message().find("no usable"), std::string::npos)
        << c.what;
  }
}

}  // namespace
}  // namespace bulkhead::nic_driver::virtio_net
