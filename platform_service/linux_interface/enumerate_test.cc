// Shows what is told of real interfaces, in network namespaces of the test's
// own: identity, and each reason for which the machine needs one (S9).
#include "platform_service/linux_interface/enumerate.h"

#include <gtest/gtest.h>

#include <string>

#include "platform_service/linux_interface/testing/veth_lab.h"

namespace bulkhead::platform {
namespace {

class Enumerate : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!lab_.usable()) GTEST_SKIP() << "needs root and `ip netns`";
    ASSERT_TRUE(lab_.Pair(0, "left", 1, "right"));
    ASSERT_TRUE(lab_.Ip(0, "link set left address 02:00:00:00:00:aa up"));
    ASSERT_TRUE(lab_.Ip(1, "link set right up"));
  }

  // Of the interface in the first namespace; no address: there is none.
  pci::PciDeviceInfo Look(const std::string& name) {
    const auto devices = EnumerateInterfaces(lab_.name(0));
    EXPECT_TRUE(devices.ok()) << devices.status();
    for (const pci::PciDeviceInfo& device : *devices) {
      if (device.interfaces.front() == name) return device;
    }
    return {};
  }

  testing::VethLab lab_{2};
};

TEST_F(Enumerate, AnInterfaceHasNameDriverAndMac) {
  const pci::PciDeviceInfo left = Look("left");
  EXPECT_EQ(left.address, lab_.name(0) + "/left");
  EXPECT_EQ(left.source, pci::Source::kLinux);
  EXPECT_EQ(left.network_namespace, lab_.name(0));
  EXPECT_EQ(left.kernel_driver, "veth");
  EXPECT_EQ(left.mac, "02:00:00:00:00:aa");
  EXPECT_GT(left.interface_index, 0);
  EXPECT_EQ(Look("lo").address, "") << "loopback has no Ethernet frames";
}

TEST_F(Enumerate, S9_OneThatIsOnlyUpIsNotUsed) {
  // The kernel gives it a link-local address by itself.
  EXPECT_EQ(Look("left").used_by, "");
}

TEST_F(Enumerate, S9_AnAddressIsAUse) {
  ASSERT_TRUE(lab_.Ip(0, "addr add 10.9.0.1/24 dev left"));
  EXPECT_EQ(Look("left").used_by, "left carries 10.9.0.1/24");
}

TEST_F(Enumerate, S9_ALinkLocalAddressThatSomebodyGaveIsAUse) {
  ASSERT_TRUE(lab_.Ip(0, "addr add fe80::1/64 dev left"));
  EXPECT_EQ(Look("left").used_by, "left carries fe80::1/64");
}

TEST_F(Enumerate, S9_ARouteIsAUse) {
  ASSERT_TRUE(lab_.Ip(0, "route add 10.8.0.0/24 dev left"));
  EXPECT_EQ(Look("left").used_by, "left carries routes");
  ASSERT_TRUE(lab_.Ip(0, "route add default dev left"));
  EXPECT_EQ(Look("left").used_by, "left carries the default route and routes");
}

TEST_F(Enumerate, S9_AMemberOfABridgeIsUsedAndSoIsTheBridge) {
  ASSERT_TRUE(lab_.Ip(0, "link add br0 type bridge"));
  ASSERT_TRUE(lab_.Ip(0, "link set left master br0"));
  EXPECT_EQ(Look("left").used_by, "left belongs to the bridge br0");
  EXPECT_EQ(Look("br0").used_by, "br0 is a bridge");
}

TEST_F(Enumerate, S9_OneThatAVlanStandsOnIsUsed) {
  if (!lab_.Ip(0, "link add link left name left.5 type vlan id 5") &&
      !lab_.Ip(0, "link add link left name left.5 type macvlan")) {
    GTEST_SKIP() << "this kernel has neither VLANs nor macvlan";
  }
  EXPECT_EQ(Look("left").used_by, "left carries the interface left.5");
}

TEST_F(Enumerate, ANamespaceThatIsNotThereIsNamed) {
  const auto devices = EnumerateInterfaces("bhtest-none");
  EXPECT_TRUE(absl::IsNotFound(devices.status()));
  EXPECT_NE(devices.status().message().find("bhtest-none"), std::string::npos);
}

}  // namespace
}  // namespace bulkhead::platform
