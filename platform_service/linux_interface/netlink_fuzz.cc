// What the kernel never sends: lengths that lie, attributes cut short.
#include <cstddef>
#include <cstdint>
#include <span>

#include "platform_service/linux_interface/netlink.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace bulkhead::platform;
  ForEachMessage({data, size}, [](std::span<const uint8_t> message) {
    ReadLink(message);
    ReadAddress(message);
    ReadRoute(message);
  });
  ReadLink({data, size});
  ReadAddress({data, size});
  ReadRoute({data, size});
  return 0;
}
