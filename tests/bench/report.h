// What a benchmark prints: one JSON object a line for programs, or a table for
// people.
#ifndef BULKHEAD_TESTS_BENCH_REPORT_H_
#define BULKHEAD_TESTS_BENCH_REPORT_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace bulkhead::bench {

// Values of one measurement; any order.
struct Samples {
  std::vector<double> values;

  void Add(double value) { values.push_back(value); }
  size_t count() const { return values.size(); }
  // The value below which `share` (0 … 1) of the samples lie: nearest rank. 0
  // when there are none.
  double Percentile(double share) const;
  double Median() const { return Percentile(0.5); }
  double Min() const { return Percentile(0); }
  double Max() const { return Percentile(1); }
};

// One figure. `ratio` is value / against_value.
struct Row {
  std::string name = "";  // "warm_p50"
  double value = 0;
  std::string unit = "";
  // What it is held against: a floor or a peer of the same run, or a budget.
  // Empty: nothing.
  std::string against = "";
  double against_value = 0;
  double min = 0;  // Spread of the repetitions; both 0: a single figure.
  double max = 0;
  std::string note = "";  // For people; goes into the JSON as "note".
};

// Prints each row as it is added.
class Report {
 public:
  Report(absl::string_view bench, bool json) : bench_(bench), json_(json) {}

  void Add(const Row& row);
  // A row whose value is the median of `samples`.
  void AddMedian(absl::string_view name, const Samples& samples,
                 absl::string_view unit, absl::string_view against = "",
                 double against_value = 0);
  // A line for people only.
  void Say(absl::string_view line);

 private:
  std::string bench_;
  bool json_;
  bool header_printed_ = false;
};

}  // namespace bulkhead::bench

#endif  // BULKHEAD_TESTS_BENCH_REPORT_H_
