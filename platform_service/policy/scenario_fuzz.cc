// Fuzz entry: any bytes as a scenario. Whatever they say, the parser returns,
// every diagnostic has a place within the text, and what parses cleanly parses
// the same again. scenario_fuzz_test.cc runs it over mutated seeds.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "platform_service/policy/scenario_parser.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using bulkhead::policy::Diagnostic;
  using bulkhead::policy::ParsedScenario;
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  const ParsedScenario parsed =
      bulkhead::policy::ParseScenario(text, "folder/fuzz.yaml");
  int lines = 1;
  for (char c : text) lines += c == '\n';
  if (parsed.diagnostics.size() > 101) abort();
  for (const Diagnostic& diagnostic : parsed.diagnostics) {
    if (diagnostic.line > lines || diagnostic.message.empty()) abort();
    const std::string shown = ToText(diagnostic) + ToJson(diagnostic);
    for (char c : shown) {
      if (static_cast<uint8_t>(c) < 0x20 && c != '\n') abort();
    }
  }
  if (parsed.ok()) {
    const ParsedScenario again =
        bulkhead::policy::ParseScenario(text, "folder/fuzz.yaml");
    if (again.scenario.drivers != parsed.scenario.drivers ||
        again.scenario.simulated != parsed.scenario.simulated) {
      abort();
    }
  }
  return 0;
}
