#include "tests/bench/report.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace bulkhead::bench {
namespace {

std::string Quoted(absl::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return out + "\"";
}

// Six significant digits say more than any of these figures knows.
std::string Number(double value) { return absl::StrFormat("%.6g", value); }

}  // namespace

double Samples::Percentile(double share) const {
  if (values.empty()) return 0;
  std::vector<double> sorted = values;
  std::sort(sorted.begin(), sorted.end());
  const double rank = std::ceil(share * static_cast<double>(sorted.size()));
  const size_t index = rank < 1 ? 0 : static_cast<size_t>(rank) - 1;
  return sorted[std::min(index, sorted.size() - 1)];
}

void Report::Add(const Row& row) {
  const double ratio =
      row.against_value != 0 ? row.value / row.against_value : 0;
  if (json_) {
    std::string line = absl::StrCat(
        "{\"bench\":", Quoted(bench_), ",\"case\":", Quoted(row.name),
        ",\"value\":", Number(row.value), ",\"unit\":", Quoted(row.unit),
        ",\"against\":",
        row.against.empty() ? std::string("null") : Quoted(row.against),
        ",\"against_value\":",
        row.against.empty() ? "null" : Number(row.against_value),
        ",\"ratio\":", row.against_value != 0 ? Number(ratio) : "null",
        ",\"min\":", Number(row.min), ",\"max\":", Number(row.max));
    if (!row.note.empty())
      absl::StrAppend(&line, ",\"note\":", Quoted(row.note));
    std::printf("%s}\n", line.c_str());
    std::fflush(stdout);
    return;
  }
  if (!header_printed_) {
    header_printed_ = true;
    std::printf("%-34s %12s %-6s %22s  %s\n", bench_.c_str(), "value", "unit",
                "min … max", "against");
  }
  std::string against;
  if (!row.against.empty()) {
    against = absl::StrCat(row.against, " ", Number(row.against_value));
    if (row.against_value != 0) {
      absl::StrAppendFormat(&against, " (%.3g×)", ratio);
    }
  }
  if (!row.note.empty()) {
    absl::StrAppend(&against, against.empty() ? "" : "; ", row.note);
  }
  const std::string spread =
      row.min == 0 && row.max == 0
          ? ""
          : absl::StrCat(Number(row.min), " … ", Number(row.max));
  std::printf("  %-32s %12s %-6s %22s  %s\n", row.name.c_str(),
              Number(row.value).c_str(), row.unit.c_str(), spread.c_str(),
              against.c_str());
  std::fflush(stdout);
}

void Report::AddMedian(absl::string_view name, const Samples& samples,
                       absl::string_view unit, absl::string_view against,
                       double against_value) {
  Add({.name = std::string(name),
       .value = samples.Median(),
       .unit = std::string(unit),
       .against = std::string(against),
       .against_value = against_value,
       .min = samples.Min(),
       .max = samples.Max(),
       .note = ""});
}

void Report::Say(absl::string_view line) {
  if (!json_) std::printf("%s\n", std::string(line).c_str());
}

}  // namespace bulkhead::bench
