#include "clients/nic_tap/mtu_setter.h"

#include <gtest/gtest.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <utility>

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

// What a child of ours ends with that cannot have namespaces or a TAP device.
constexpr int kSkipped = 77;

// In a network namespace of its own, where it may do as it likes until it gives
// that up.
int SetMtuWithoutPrivileges() {
  const int spaces =
      ::geteuid() == 0 ? CLONE_NEWNET : CLONE_NEWUSER | CLONE_NEWNET;
  if (::unshare(spaces) != 0) return kSkipped;
  auto setter = MtuSetter::Start("tap0", "");
  EXPECT_TRUE(setter.ok()) << setter.status();
  auto tap = TapDevice::Create("tap0");
  if (!setter.ok() || !tap.ok()) return kSkipped;
  EXPECT_TRUE(KeepOnly(0).ok());

  EXPECT_TRUE(absl::IsPermissionDenied(tap->SetMtu(1400)));
  tap->UseForMtu(*std::move(setter));
  EXPECT_TRUE(tap->SetMtu(1400).ok());
  EXPECT_EQ(MtuOf("tap0"), 1400);
  EXPECT_FALSE(tap->SetMtu(20).ok());  // Less than the kernel takes.
  EXPECT_FALSE(tap->SetMtu(1u << 20).ok());
  EXPECT_TRUE(tap->SetMtu(9000).ok());
  EXPECT_EQ(MtuOf("tap0"), 9000);
  EXPECT_FALSE(tap->SetUp().ok()) << "this one keeps its privileges for itself";
  return 0;
}

// A process that has given up its privileges still sets the MTU of its
// interface, and nothing else. In a child: the test's own process needs its
// privileges to write its report.
TEST(MtuSetter, SetsTheMtuAfterPrivilegesAreGone) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const int result = SetMtuWithoutPrivileges();
    ::_exit(HasFailure() ? 1 : result);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
  if (WEXITSTATUS(status) == kSkipped) {
    GTEST_SKIP() << "no namespaces or no TAP devices of our own here";
  }
  EXPECT_EQ(WEXITSTATUS(status), 0) << "see what the child said";
}

}  // namespace
}  // namespace bulkhead::nic_tap
