#include "clients/nic_tap/mtu_setter.h"

#include <gtest/gtest.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <optional>

#include "clients/nic_tap/privileges.h"
#include "clients/nic_tap/tap_device.h"

namespace bulkhead::nic_tap {
namespace {

int MtuOf(const std::string& name) {
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request = {};
  std::strncpy(request.ifr_name, name.c_str(), IFNAMSIZ - 1);
  return ::ioctl(socket.get(), SIOCGIFMTU, &request) == 0 ? request.ifr_mtu : 0;
}

// In a network namespace of its own, where this process may do as it likes
// until it gives that up; therefore one test, which is the whole process.
TEST(MtuSetter, SetsTheMtuAfterPrivilegesAreGone) {
  const int spaces =
      ::geteuid() == 0 ? CLONE_NEWNET : CLONE_NEWUSER | CLONE_NEWNET;
  if (::unshare(spaces) != 0) GTEST_SKIP() << "no namespaces of our own here";
  auto setter = MtuSetter::Start("tap0", "");
  ASSERT_TRUE(setter.ok()) << setter.status();
  auto tap = TapDevice::Create("tap0");
  if (!tap.ok()) GTEST_SKIP() << tap.status();
  ASSERT_TRUE(KeepOnly(0).ok());

  EXPECT_TRUE(absl::IsPermissionDenied(tap->SetMtu(1400)));
  tap->UseForMtu(*std::move(setter));
  EXPECT_TRUE(tap->SetMtu(1400).ok());
  EXPECT_EQ(MtuOf("tap0"), 1400);
  EXPECT_FALSE(tap->SetMtu(20).ok());  // Less than the kernel takes.
  EXPECT_FALSE(tap->SetMtu(1u << 20).ok());
  EXPECT_TRUE(tap->SetMtu(9000).ok());
  EXPECT_EQ(MtuOf("tap0"), 9000);
  EXPECT_FALSE(tap->SetUp().ok()) << "this one keeps its privileges for itself";
}

}  // namespace
}  // namespace bulkhead::nic_tap
