// Which devices the system sees, which it drives, and which it must not touch.
#include <set>
#include <thread>

#include "absl/strings/match.h"
#include "platform_service/pci/enumerate.h"
#include "tests/functional/fixture.h"

namespace bulkhead::functional {
namespace {

using bench::MakeScenario;

class Devices : public SystemTest {};

TEST_F(Devices, S1_EveryNicHasOneInstanceAndEveryInstanceOneNic) {
  Start(MakeScenario({{.nics = 4}}), 4);
  const auto devices = api_->ListDevices();
  ASSERT_TRUE(devices.ok()) << devices.status();
  std::set<std::string> instances;
  for (const v1::Device& device : *devices) {
    EXPECT_EQ(device.source(), "simulated");
    EXPECT_EQ(device.vendor(), 0x8086u);
    EXPECT_FALSE(device.device_name().empty());
    EXPECT_TRUE(instances.insert(device.instance()).second)
        << device.instance();
  }
  EXPECT_EQ(instances.size(), 4u);
}

// Every network card that this machine has is matched by the rule, listed, and
// refused with a reason; its kernel driver stays.
TEST_F(Devices, S9_MachinesOwnDevicesAreListedAndNotTaken) {
  const auto machine = pci::EnumerateMachine();
  ASSERT_TRUE(machine.ok()) << machine.status();
  Start(
      "apiVersion: bulkhead/v1\n"
      "devices: {sysfs: true}\n"
      "simulated:\n"
      "  - {name: port0, model: 82574l, network: {echo: {}}}\n"
      "drivers:\n"
      "  - match: {class: ethernet}\n"
      "    driver: e1000e\n"
      "    instance: nic{name}\n"
      "  - match: {address: \"0000:*\"}\n"
      "    driver: e1000e\n"
      "    instance: own{index}\n",
      1);
  const auto devices = api_->ListDevices();
  ASSERT_TRUE(devices.ok()) << devices.status();
  size_t own = 0;
  for (const v1::Device& device : *devices) {
    if (device.source() != "sysfs") continue;
    ++own;
    EXPECT_EQ(device.instance(), "") << device.address();
    EXPECT_NE(device.refused(), "") << device.address();
    for (const pci::PciDeviceInfo& real : machine->devices) {
      if (real.address != device.address()) continue;
      EXPECT_EQ(device.kernel_driver(), real.kernel_driver);
      EXPECT_EQ(device.used_by(), real.used_by);
      if (!real.used_by.empty()) {
        EXPECT_TRUE(absl::StrContains(device.refused(), real.used_by))
            << device.refused();
      }
    }
  }
  EXPECT_EQ(own, machine->devices.size());
  const auto after = pci::EnumerateMachine();
  ASSERT_TRUE(after.ok());
  EXPECT_EQ(after->devices, machine->devices);
}

TEST_F(Devices, WatchersSeeNicsComeAndGo) {
  Start(MakeScenario({{.nics = 1}}), 1);
  EXPECT_EQ(api_->WatchDevices(1).size(), 1u);
  std::vector<v1::DeviceChange> changes;
  std::thread watcher([&] { changes = api_->WatchDevices(100); });
  ApiClient other(system_->run_dir());
  EXPECT_TRUE(other.Apply(MakeScenario({{.nics = 2}})).ok());
  EXPECT_TRUE(other.Apply(MakeScenario({{.nics = 1}})).ok());
  watcher.join();
  bool added = false;
  bool removed = false;
  for (const v1::DeviceChange& change : changes) {
    if (change.device().name() != "port1") continue;
    added |= change.kind() == v1::DeviceChange::ADDED;
    removed |= change.kind() == v1::DeviceChange::REMOVED;
  }
  // A watcher that came late, or looked seldom, may have missed both; never one
  // of the two.
  EXPECT_EQ(added, removed);
}

}  // namespace
}  // namespace bulkhead::functional
