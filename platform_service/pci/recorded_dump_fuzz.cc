// Fuzz entry: any bytes as a recorded dump. Either the check before libpci
// refuses them, or libpci reads them: its fatal errors are never reached.
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"
#include "platform_service/pci/enumerate.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const bulkhead::UniqueFd file(memfd_create("dump", MFD_CLOEXEC));
  if (write(file.get(), data, size) != static_cast<ssize_t>(size)) return 0;
  const auto listing = bulkhead::pci::EnumerateRecorded(
      absl::StrCat("/proc/self/fd/", file.get()));
  if (!listing.ok() && !absl::IsInvalidArgument(listing.status())) {
    fprintf(stderr, "%s\n", listing.status().ToString().c_str());
    abort();
  }
  return 0;
}
