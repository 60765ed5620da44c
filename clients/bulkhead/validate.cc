#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "clients/bulkhead/commands.h"
#include "clients/bulkhead/json_view.h"
#include "clients/bulkhead/scenario_file.h"

namespace bulkhead::cli {
namespace {

std::string Count(size_t number, const char* noun) {
  return absl::StrCat(number, " ", noun, number == 1 ? "" : "s");
}

std::string Summary(const policy::Scenario& scenario) {
  return absl::StrCat(Count(scenario.simulated.size(), "simulated NIC"), ", ",
                      Count(scenario.drivers.size(), "driver rule"));
}

}  // namespace

absl::Status RunCommand(const ValidateOptions& options,
                        const Context& context) {
  const Console& console = context.console;
  Json list = Json::array();
  bool all_ok = true;
  for (const std::string& file : options.files) {
    const policy::ParsedScenario parsed = ParseFile(file, context);
    all_ok = all_ok && parsed.ok();
    if (console.json) {
      list.push_back({{"file", file},
                      {"ok", parsed.ok()},
                      {"errors", Json::parse(policy::ToJson(parsed.diagnostics),
                                             nullptr, false)}});
    } else if (parsed.ok()) {
      console.out << file << ": " << console.Paint(Colour::kGood, "ok") << ": "
                  << Summary(parsed.scenario) << "\n";
    } else {
      console.err << policy::ToText(parsed.diagnostics);
    }
  }
  if (console.json) console.out << Dump(list) << "\n";
  return all_ok ? absl::OkStatus() : AlreadyReported();
}

}  // namespace bulkhead::cli
