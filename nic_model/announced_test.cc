// Shows that a simulated NIC is what `bulkhead plan` expects it to be: what its
// model.yaml says and what its config space then says are the same.
#include "nic_model/announced_test.h"

#include <gtest/gtest.h>

#include <array>

#include "base/testing/scratch_dir.h"
#include "platform_service/pci/simulated_bus.h"
#include "platform_service/policy/expected_devices.h"

namespace bulkhead::nic_model {
namespace {

constexpr uint32_t kConfigBytes = 4096;

pci::PciDeviceInfo AsConfigSpaceSays(const policy::SimulatedNic& nic,
                                     const std::string& address) {
  auto loop = EventLoop::Create();
  PortCounters counters = {};
  auto model =
      TheModel().make(**loop, counters, {nic.mac, nic.serial, {}, UniqueFd()});
  EXPECT_TRUE(model.ok()) << model.status();
  std::array<uint8_t, kConfigBytes> config;
  EXPECT_EQ((*model)->ReadRegion(vfio_user::kConfigRegion, 0, config), 0);
  const ScratchDir folder;
  auto bus = pci::SimulatedBus::Create(folder.path());
  EXPECT_TRUE(bus.ok()) << bus.status();
  EXPECT_TRUE(bus->Add(address, nic.name, config, {}).ok());
  auto found = bus->Enumerate();
  EXPECT_TRUE(found.ok() && found->size() == 1) << found.status();
  pci::FillNames(&found->at(0));
  return found->at(0);
}

TEST(Announced, IsWhatConfigSpaceSays) {
  policy::Scenario scenario;
  scenario.simulated.resize(2);
  policy::SimulatedNic& nic = scenario.simulated[0];
  nic.name = "port0";
  nic.model = TheModel().name;
  nic.mac = {2, 0, 0, 0xaa, 0xbb, 0xcc};
  scenario.simulated[1] = nic;
  scenario.simulated[1].name = "port1";
  scenario.simulated[1].serial = 0x001b21ffffaabbcc;
  const auto expected =
      policy::ExpectedDevices(scenario, policy::ListModels("."));
  ASSERT_TRUE(expected.ok()) << expected.status();
  for (size_t i = 0; i < 2; ++i) {
    const pci::PciDeviceInfo& says = expected->devices.at(i);
    EXPECT_EQ(says, AsConfigSpaceSays(scenario.simulated[i], says.address));
  }
  EXPECT_EQ(expected->devices[0].serial, "02-00-00-ff-ff-aa-bb-cc");
  EXPECT_EQ(expected->devices[1].serial, "00-1b-21-ff-ff-aa-bb-cc");
}

}  // namespace
}  // namespace bulkhead::nic_model
