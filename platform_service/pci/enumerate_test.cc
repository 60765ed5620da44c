// Shows that the three sources (this machine, a simulated tree, a recorded
// dump) are enumerated through libpci, that a hostile tree or dump ends in a
// status, and that the NIC of this machine's own uplink carries its reason
// (S9).
#include "platform_service/pci/enumerate.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>

#include "absl/strings/match.h"
#include "base/testing/scratch_dir.h"
#include "platform_service/pci/host_network.h"
#include "platform_service/pci/libpci_access.h"
#include "platform_service/pci/simulated_bus.h"

namespace bulkhead::pci {
namespace {

constexpr std::array<uint64_t, 6> kBars = {0x20000, 0x80000, 32, 0x4000, 0, 0};

// The header of an 82574L, with a serial number.
std::vector<uint8_t> Config() {
  std::vector<uint8_t> config(4096, 0);
  const uint8_t header[] = {0x86, 0x80, 0xd3, 0x10, 0x06, 0x00, 0x10,
                            0x00, 0x02, 0x00, 0x00, 0x02, 0x10, 0x00,
                            0x00, 0x00, 0x00, 0x00, 0xfc, 0xfe, 0x00,
                            0x00, 0xf0, 0xfe, 0x01, 0xe0};
  std::copy(std::begin(header), std::end(header), config.begin());
  const uint8_t subsystem[] = {0x86, 0x80, 0x1f, 0xa0};
  std::copy(std::begin(subsystem), std::end(subsystem), config.begin() + 0x2c);
  const uint8_t serial[] = {0x03, 0x00, 0x01, 0x00, 0xcc, 0xbb,
                            0xaa, 0xff, 0xff, 0x21, 0x1b, 0x00};
  std::copy(std::begin(serial), std::end(serial), config.begin() + 0x100);
  return config;
}

class Bus : public testing::Test {
 protected:
  SimulatedBus Create() {
    auto bus = SimulatedBus::Create(folder_ + "/bus");
    EXPECT_TRUE(bus.ok()) << bus.status();
    return *bus;
  }
  ScratchDir scratch_;
  const std::string folder_ = scratch_.path();
};

TEST_F(Bus, ShowsWhatWasPutOnIt) {
  SimulatedBus bus = Create();
  ASSERT_TRUE(bus.Add(SimulatedAddress(1), "port1", Config(), kBars).ok());
  ASSERT_TRUE(bus.Add(SimulatedAddress(0), "port0", Config(), kBars).ok());
  auto devices = bus.Enumerate();
  ASSERT_TRUE(devices.ok()) << devices.status();
  ASSERT_EQ(devices->size(), 2u);
  PciDeviceInfo expected;
  expected.address = "1000:01:00.0";
  expected.source = Source::kSimulated;
  expected.name = "port0";
  expected.vendor = 0x8086;
  expected.device = 0x10d3;
  expected.subsystem_vendor = 0x8086;
  expected.subsystem_device = 0xa01f;
  expected.class_code = 0x020000;
  expected.revision = 2;
  expected.serial = "00-1b-21-ff-ff-aa-bb-cc";
  EXPECT_EQ((*devices)[0], expected);
  EXPECT_EQ((*devices)[1].address, "1000:02:00.0");
  EXPECT_EQ((*devices)[1].name, "port1");

  FillNames(&expected);
  EXPECT_EQ(expected.vendor_name, "Intel Corporation");
  EXPECT_EQ(expected.device_name, "82574L Gigabit Network Connection");
  EXPECT_EQ(expected.class_name, "Ethernet controller");
}

TEST_F(Bus, EnumeratesOnlyWhatIsAskedFor) {
  SimulatedBus bus = Create();
  for (size_t i = 0; i < 3; ++i) {
    ASSERT_TRUE(bus.Add(SimulatedAddress(i), "port", Config(), kBars).ok());
  }
  auto devices = bus.Enumerate({SimulatedAddress(1), SimulatedAddress(9)});
  ASSERT_TRUE(devices.ok()) << devices.status();
  ASSERT_EQ(devices->size(), 1u);
  EXPECT_EQ((*devices)[0].address, SimulatedAddress(1));
}

TEST_F(Bus, ReplacesAndRemoves) {
  SimulatedBus bus = Create();
  ASSERT_TRUE(bus.Add(SimulatedAddress(0), "port0", Config(), kBars).ok());
  std::vector<uint8_t> other = Config();
  other[2] = 0xd4;
  ASSERT_TRUE(bus.Add(SimulatedAddress(0), "port9", other, kBars).ok());
  auto devices = bus.Enumerate();
  ASSERT_TRUE(devices.ok());
  ASSERT_EQ(devices->size(), 1u);
  EXPECT_EQ((*devices)[0].device, 0x10d4);
  EXPECT_EQ((*devices)[0].name, "port9");
  ASSERT_TRUE(bus.Remove(SimulatedAddress(0)).ok());
  ASSERT_TRUE(bus.Remove(SimulatedAddress(0)).ok());
  EXPECT_TRUE(bus.Enumerate()->empty());
}

TEST_F(Bus, CreateClearsWhatAnEarlierRunLeft) {
  ASSERT_TRUE(Create().Add(SimulatedAddress(0), "a", Config(), kBars).ok());
  EXPECT_TRUE(Create().Enumerate()->empty());
}

TEST_F(Bus, RefusesWhatIsNoDevice) {
  SimulatedBus bus = Create();
  for (const char* address :
       {"", "../../etc", "0000:01:00.0/..", "0000:01:00", " 000:01:00.0"}) {
    EXPECT_EQ(bus.Add(address, "port0", Config(), kBars).code(),
              absl::StatusCode::kInvalidArgument)
        << address;
  }
  const std::vector<uint8_t> torn(63, 0);
  EXPECT_EQ(bus.Add(SimulatedAddress(0), "port0", torn, kBars).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(bus.Enumerate()->empty());
}

TEST_F(Bus, SixtyFourNicsHaveTheirOwnAddresses) {
  SimulatedBus bus = Create();
  for (size_t i = 0; i < 64; ++i) {
    ASSERT_TRUE(bus.Add(SimulatedAddress(i), "p", Config(), kBars).ok());
  }
  EXPECT_EQ(bus.Enumerate()->size(), 64u);
  EXPECT_EQ(SimulatedAddress(255), "1000:01:01.0");
}

// REFERENCE §8, 33 and 36, all the way through libpci.
TEST_F(Bus, SurvivesLyingConfigSpaces) {
  SimulatedBus bus = Create();
  std::vector<uint8_t> loop = Config();
  loop[0x34] = 0x40;
  loop[0x40] = 0x01;
  loop[0x41] = 0x40;
  loop[0x103] = 0x10;  // The extended list's first points to itself.
  ASSERT_TRUE(bus.Add(SimulatedAddress(0), "loop", loop, kBars).ok());
  const std::vector<uint8_t> gone(256, 0xff);
  ASSERT_TRUE(bus.Add(SimulatedAddress(1), "gone", gone, kBars).ok());
  ASSERT_TRUE(bus.Add(SimulatedAddress(2), "bars", Config(),
                      {0x123, uint64_t{1} << 60, ~uint64_t{0}, 0, 0, 0})
                  .ok());
  auto devices = bus.Enumerate();
  ASSERT_TRUE(devices.ok()) << devices.status();
  ASSERT_EQ(devices->size(), 3u);
  EXPECT_EQ((*devices)[0].oddities.size(), 2u);
  EXPECT_EQ((*devices)[1].oddities.size(), 1u);
  EXPECT_EQ((*devices)[2].oddities.size(), 3u);
}

TEST_F(Bus, ATreeOfSomethingElseIsRefused) {
  EXPECT_EQ(EnumerateSimulated(folder_ + "/nowhere").status().code(),
            absl::StatusCode::kNotFound);
  SimulatedBus bus = Create();
  ASSERT_EQ(mkdir((bus.path() + "/devices/not-an-address").c_str(), 0700), 0);
  EXPECT_EQ(bus.Enumerate().status().message(),
            "cannot list PCI devices in " + bus.path() +
                "/devices: `not-an-address` is no device; remove it");
}

// libpci's own answer to these is to end the process. They go past the checks
// of enumerate.cc, again and again.
TEST_F(Bus, AFatalErrorOfLibpciComesBack) {
  for (int i = 0; i < 100; ++i) {
    LibpciAccess tree;
    ASSERT_TRUE(tree.Configure(PCI_ACCESS_SYS_BUS_PCI, "sysfs.path",
                               folder_ + "/nowhere")
                    .ok());
    EXPECT_TRUE(absl::StartsWith(tree.Scan().message(),
                                 "cannot list PCI devices: Cannot open"))
        << tree.Scan();
    LibpciAccess dump;
    ASSERT_TRUE(
        dump.Configure(PCI_ACCESS_DUMP, "dump.name", folder_ + "/nowhere")
            .ok());
    EXPECT_TRUE(absl::StartsWith(dump.Scan().message(),
                                 "cannot open the PCI bus: dump: Cannot open"));
    EXPECT_FALSE(dump.Configure(PCI_ACCESS_DUMP, "no.such", "value").ok());
  }
}

TEST_F(Bus, MissingAndHostileFilesCostOnlyTheirDevice) {
  SimulatedBus bus = Create();
  ASSERT_TRUE(bus.Add(SimulatedAddress(0), "port0", Config(), kBars).ok());
  ASSERT_TRUE(bus.Add(SimulatedAddress(1), "port1", Config(), kBars).ok());
  const std::string folder = bus.path() + "/devices/" + SimulatedAddress(0);
  for (const char* file : {"config", "resource", "vendor", "class", "label"}) {
    for (const std::string& content :
         {std::string(), std::string("nonsense"), std::string(5000, 'x')}) {
      std::ofstream(folder + "/" + file, std::ios::trunc) << content;
      auto devices = bus.Enumerate();
      if (!devices.ok()) continue;
      ASSERT_EQ(devices->size(), 2u);
      EXPECT_EQ((*devices)[1].name, "port1");
    }
    ASSERT_EQ(unlink((folder + "/" + file).c_str()), 0);
    (void)bus.Enumerate();
  }
}

TEST(Recorded, TheExampleMachine) {
  auto listing = EnumerateRecorded("configs/recorded_machine.lspci");
  ASSERT_TRUE(listing.ok()) << listing.status();
  std::vector<std::string> lines;
  for (const PciDeviceInfo& device : listing->devices) {
    EXPECT_TRUE(device.oddities.empty()) << device.oddities[0];
    EXPECT_EQ(device.source, Source::kRecorded);
    lines.push_back(device.address + " " + device.class_name + ": " +
                    device.device_name + " [" + device.serial + "]");
  }
  EXPECT_EQ(
      lines,
      (std::vector<std::string>{
          "0000:00:05.0 Ethernet controller: Virtio 1.0 network device []",
          "0000:00:1c.0 PCI bridge: 7 Series/C216 Chipset Family PCI Express "
          "Root Port 1 []",
          "0000:01:00.0 Ethernet controller: 82574L Gigabit Network Connection "
          "[00-1b-21-ff-ff-3c-5a-10]",
          "0000:02:00.0 Ethernet controller: 82574L Gigabit Network Connection "
          "[00-1b-21-ff-ff-3c-5a-11]"}));
}

TEST(Recorded, NotADump) {
  const auto listing = EnumerateRecorded("configs/recorded_machine.yaml");
  EXPECT_EQ(listing.status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(ThisMachine, S9_TheNicOfTheUplinkIsUsed) {
  const auto listing = EnumerateMachine();
  if (!listing.ok()) GTEST_SKIP() << "no PCI bus here: " << listing.status();
  for (const HostInterface& interface : ReadHostNetwork()) {
    if (interface.pci_address.empty() || WhyUsed(interface).empty()) continue;
    bool found = false;
    for (const PciDeviceInfo& device : listing->devices) {
      if (device.address != interface.pci_address) continue;
      found = true;
      EXPECT_TRUE(absl::StrContains(device.used_by, interface.name))
          << device.used_by;
    }
    EXPECT_TRUE(found) << interface.name;
  }
}

}  // namespace
}  // namespace bulkhead::pci
