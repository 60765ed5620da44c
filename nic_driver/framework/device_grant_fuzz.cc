// Any bytes as a device grant: refused or taken apart, never believed blindly.
#include <sys/eventfd.h>

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "nic_driver/framework/device_grant.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using bulkhead::UniqueFd;
  std::vector<UniqueFd> fds;
  for (int i = 0; i < 10; ++i) fds.emplace_back(::eventfd(0, EFD_CLOEXEC));
  (void)bulkhead::nic_driver::ParseDeviceGrant(
      {reinterpret_cast<const char*>(data), size}, std::move(fds));
  return 0;
}
