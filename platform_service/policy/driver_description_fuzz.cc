// Fuzz entry: any bytes as a driver description. Whatever they say, the parser
// returns, and what it accepts keeps what driver_description.h promises.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "platform_service/policy/driver_description.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using bulkhead::policy::ParsedDescription;
  using bulkhead::policy::RegisterWitness;
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  const ParsedDescription parsed =
      bulkhead::policy::ParseDriverDescription(text, "fuzz.yaml");
  if (parsed.diagnostics.size() > 101) abort();
  if (!parsed.ok()) return 0;
  for (const RegisterWitness& witness : parsed.description.reset.witness) {
    const uint32_t width = witness.place.width;
    if (width != 1 && width != 2 && width != 4) abort();
    if (witness.place.bar > 5 || witness.place.offset % width != 0) abort();
    if (witness.mask == 0 || (witness.value & ~witness.mask) != 0) abort();
  }
  return 0;
}
