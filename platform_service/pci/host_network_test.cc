// Shows what counts as "the machine uses this interface" (S9) and how it is
// said, on a made-up /sys and /proc; and that this machine's own uplink, when
// it has one, is found to be used.
#include "platform_service/pci/host_network.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>

#include "base/testing/scratch_dir.h"

namespace bulkhead::pci {
namespace {

TEST(WhyUsed, S9_SaysWhatTheInterfaceCarries) {
  const struct {
    HostInterface interface;
    const char* why;
  } kCases[] = {
      {{"eth0", "", {}, false, false, {}}, ""},
      {{"eth0", "", {"10.0.0.2/24"}, true, false, {}},
       "eth0 carries 10.0.0.2/24 and the default route"},
      {{"eth0", "", {"fe80::1/64"}, false, false, {}},
       "eth0 carries fe80::1/64"},
      {{"eth0", "", {}, true, true, {}},
       "eth0 carries the default route and routes"},
      {{"eth0", "", {"1/8", "2/8", "3/8", "4/8", "5/8"}, true, false, {}},
       "eth0 carries 1/8, 2/8, 3/8, 2 more addresses and the default route"},
      {{"eth0", "", {}, false, false, {"bond bond0"}},
       "eth0 belongs to the bond bond0"},
      {{"eth0", "", {"1/8"}, false, false, {"bridge br0", "interface eth0.5"}},
       "eth0 carries 1/8 and belongs to the bridge br0 and carries the "
       "interface eth0.5"},
  };
  for (const auto& test : kCases) {
    EXPECT_EQ(WhyUsed(test.interface), test.why);
  }
}

TEST(NearestPciAddress, TakesTheLastFunctionOfAPath) {
  EXPECT_EQ(NearestPciAddress("/sys/devices/pci0000:00/0000:00:03.0/virtio2"),
            "0000:00:03.0");
  EXPECT_EQ(NearestPciAddress(
                "/sys/devices/pci0000:00/0000:00:1c.0/0000:03:00.1/net/eth1"),
            "0000:03:00.1");
  EXPECT_EQ(NearestPciAddress("/sys/devices/virtual/net/lo"), "");
  EXPECT_EQ(NearestPciAddress(""), "");
}

class FakeHost : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* folder : {"/class", "/class/net", "/devices", "/net"}) {
      Make(folder);
    }
  }
  void Make(const std::string& folder) {
    ASSERT_EQ(mkdir((root_ + folder).c_str(), 0700), 0);
  }
  // An interface on the PCI function at `address`.
  void Interface(const std::string& name, const std::string& address) {
    Make("/class/net/" + name);
    if (address.empty()) return;
    Make("/devices/" + address);
    ASSERT_EQ(symlink(("../../../devices/" + address).c_str(),
                      (root_ + "/class/net/" + name + "/device").c_str()),
              0);
  }
  ScratchDir folder_;
  const std::string root_ = folder_.path();
};

// The names end in "x9", so that no interface of this machine is meant.
TEST_F(FakeHost, S9_ReadsRoutesMembersAndStackedInterfaces) {
  Interface("upx9", "0000:01:00.0");
  Interface("gwx9", "0000:02:00.0");
  Interface("slavex9", "0000:03:00.0");
  Interface("freex9", "0000:04:00.0");
  Interface("brx9", "");
  Make("/class/net/brx9/bridge");
  ASSERT_EQ(
      symlink("../brx9", (root_ + "/class/net/slavex9/upper_brx9").c_str()), 0);
  std::ofstream(root_ + "/net/route")
      << "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\n"
      << "upx9\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
      << "freex9\t000200C0\t00000000\t0000\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
      << "torn line\n";
  std::ofstream(root_ + "/net/ipv6_route")
      << "20010db8000000000000000000000000 20 0 00 fe80 0400 2 0 0003 gwx9\n"
      << "fe800000000000000000000000000000 40 0 00 0000 0100 2 0 0001 freex9\n";
  const std::vector<HostInterface> found = ReadHostNetwork(root_, root_);
  const std::vector<HostInterface> expected = {
      {"brx9", "", {}, false, false, {}},
      {"freex9", "0000:04:00.0", {}, false, false, {}},
      {"gwx9", "0000:02:00.0", {}, false, true, {}},
      {"slavex9", "0000:03:00.0", {}, false, false, {"bridge brx9"}},
      {"upx9", "0000:01:00.0", {}, true, false, {}},
  };
  EXPECT_EQ(found, expected);
}

TEST(ThisMachine, S9_ItsUplinkIsUsed) {
  for (const HostInterface& interface : ReadHostNetwork()) {
    if (interface.default_route) {
      EXPECT_NE(WhyUsed(interface), "");
    }
    if (interface.name == "lo") {
      EXPECT_EQ(interface.pci_address, "");
    }
  }
}

}  // namespace
}  // namespace bulkhead::pci
