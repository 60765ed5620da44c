// Shows that a simulated NIC is expected to be what its model then says it is,
// by putting the model's own config space on a simulated bus.
#include "platform_service/policy/expected_devices.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <string>

#include "base/testing/scratch_dir.h"
#include "nic_model/82574l/config_space.h"
#include "platform_service/pci/simulated_bus.h"

namespace bulkhead::policy {
namespace {

pci::PciDeviceInfo AsTheModelSays(const SimulatedNic& nic,
                                  const std::string& address) {
  const ScratchDir folder;
  auto bus = pci::SimulatedBus::Create(folder.path());
  EXPECT_TRUE(bus.ok());
  const nic_model::i82574::ConfigSpace model(nic.mac, nic.serial);
  std::array<uint8_t, nic_model::i82574::ConfigSpace::kBytes> config;
  model.Read(0, config);
  EXPECT_TRUE(bus->Add(address, nic.name, config, {}).ok());
  auto devices = bus->Enumerate();
  EXPECT_TRUE(devices.ok() && devices->size() == 1);
  pci::PciDeviceInfo device = devices->at(0);
  pci::FillNames(&device);
  return device;
}

TEST(ExpectedDevices, AreWhatTheModelSays) {
  Scenario scenario;
  scenario.simulated.resize(2);
  scenario.simulated[0].name = "port0";
  scenario.simulated[0].model = "82574l";
  scenario.simulated[0].mac = {2, 0, 0, 0xaa, 0xbb, 0xcc};
  scenario.simulated[1] = scenario.simulated[0];
  scenario.simulated[1].name = "port1";
  scenario.simulated[1].serial = 0x001b21ffffaabbcc;
  auto listing = ExpectedDevices(scenario, ListModels("."));
  ASSERT_TRUE(listing.ok()) << listing.status();
  ASSERT_EQ(listing->devices.size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(listing->devices[i],
              AsTheModelSays(scenario.simulated[i], pci::SimulatedAddress(i)));
  }
  EXPECT_EQ(listing->devices[0].serial, "02-00-00-ff-ff-aa-bb-cc");
  EXPECT_EQ(listing->devices[1].serial, "00-1b-21-ff-ff-aa-bb-cc");
}

// A NIC that leaves takes nobody's address with it, and the next one that comes
// gets the first free one.
TEST(ExpectedDevices, RunningNicsKeepTheirAddresses) {
  Scenario scenario;
  for (const char* name : {"port2", "port3", "port0"}) {
    scenario.simulated.emplace_back().name = name;
  }
  auto listing = ExpectedDevices(scenario, ListModels("."));
  ASSERT_TRUE(listing.ok()) << listing.status();
  KeepAddresses({{"port0", pci::SimulatedAddress(0)},
                 {"port1", pci::SimulatedAddress(1)},
                 {"port2", pci::SimulatedAddress(2)}},
                &listing->devices);
  EXPECT_EQ(listing->devices[0].address, pci::SimulatedAddress(2));
  EXPECT_EQ(listing->devices[1].address, pci::SimulatedAddress(3));
  EXPECT_EQ(listing->devices[2].address, pci::SimulatedAddress(0));
}

TEST(ExpectedDevices, AMissingDumpIsAnError) {
  Scenario scenario;
  scenario.devices.recorded = "nowhere.lspci";
  EXPECT_EQ(ExpectedDevices(scenario, {}).status().message(),
            "cannot open the recorded dump nowhere.lspci: No such file or "
            "directory");
}

}  // namespace
}  // namespace bulkhead::policy
