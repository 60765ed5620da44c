#include "clients/arguments/arguments.h"

#include <iostream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace bulkhead::arguments {

std::string ParseDuration(const std::string& text, uint64_t& ms) {
  if (text.empty()) return "";
  absl::string_view number = text;
  double unit_ms = 1000;
  if (absl::ConsumeSuffix(&number, "ms")) {
    unit_ms = 1;
  } else if (absl::ConsumeSuffix(&number, "m")) {
    unit_ms = 60'000;
  } else {
    absl::ConsumeSuffix(&number, "s");
  }
  double value = 0;
  if (!absl::SimpleAtod(number, &value) || !(value >= 0) ||
      value * unit_ms > 1e10) {
    return absl::StrCat("'", text,
                        "' is no duration; write e.g. 5, 0.5s, 500ms or 2m");
  }
  ms = static_cast<uint64_t>(value * unit_ms);
  return "";
}

int SayWhatIsWrong(const CLI::App& app, const CLI::ParseError& error) {
  if (error.get_exit_code() == 0) return app.exit(error);
  std::cerr << app.get_name() << ": " << error.what() << "; see `"
            << app.get_name() << " --help`\n";
  return kUsage;
}

}  // namespace bulkhead::arguments
