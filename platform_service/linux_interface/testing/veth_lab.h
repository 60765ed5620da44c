// Network namespaces and veth pairs of a test's own, which end with it. Nothing
// of the machine's own namespace is touched.
#ifndef BULKHEAD_PLATFORM_SERVICE_LINUX_INTERFACE_TESTING_VETH_LAB_H_
#define BULKHEAD_PLATFORM_SERVICE_LINUX_INTERFACE_TESTING_VETH_LAB_H_

#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace bulkhead::platform::testing {

// Requires root and iproute2; see usable().
class VethLab {
 public:
  // Makes `count` namespaces.
  explicit VethLab(int count) {
    for (int i = 0; i < count; ++i) {
      names_.push_back(absl::StrCat("bhtest-", ::getpid(), "-", i));
      usable_ &= Run(absl::StrCat("ip netns add ", names_.back()));
    }
  }
  ~VethLab() {
    for (const std::string& name : names_) {
      Run(absl::StrCat("ip netns del ", name));
    }
  }
  VethLab(const VethLab&) = delete;
  VethLab& operator=(const VethLab&) = delete;

  // False: this user may make no namespaces; the test is to be skipped.
  bool usable() const { return usable_; }
  const std::string& name(int index) const { return names_.at(index); }

  // `ip -n NAMESPACE ARGUMENTS`.
  bool Ip(int index, const std::string& arguments) const {
    return Run(absl::StrCat("ip -n ", name(index), " ", arguments));
  }
  // Any command in a namespace.
  bool In(int index, const std::string& command) const {
    return Run(absl::StrCat("ip netns exec ", name(index), " ", command));
  }
  // A pair, one end in each of two namespaces (or both in one), not up. Either
  // end receives and sends on `queues` queues.
  bool Pair(int a, const std::string& a_name, int b, const std::string& b_name,
            uint32_t queues = 1) const {
    const std::string has =
        absl::StrCat(" numrxqueues ", queues, " numtxqueues ", queues);
    return Ip(a, absl::StrCat("link add ", a_name, has, " type veth peer name ",
                              b_name, has, " netns ", name(b)));
  }

 private:
  static bool Run(const std::string& command) {
    // Where ip and ethtool are, which a test's PATH may leave out.
    return std::system(absl::StrCat("PATH=$PATH:/usr/sbin:/sbin; ", command,
                                    " >/dev/null 2>&1")
                           .c_str()) == 0;
  }

  std::vector<std::string> names_;
  bool usable_ = ::geteuid() == 0;
};

}  // namespace bulkhead::platform::testing

#endif  // BULKHEAD_PLATFORM_SERVICE_LINUX_INTERFACE_TESTING_VETH_LAB_H_
