// Makes rows of samples. Each line of standard input is
//   CASE UNIT VALUE AGAINST     AGAINST: another case, or -
// and a case has as many lines as it was measured times.
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "tests/bench/options.h"
#include "tests/bench/report.h"

int main(int argc, char** argv) {
  using namespace bulkhead::bench;
  const Options options = Options::Parse(argc, argv, {});
  struct Case {
    Samples samples;
    std::string unit;
    std::string against;
  };
  std::map<std::string, Case> cases;
  std::vector<std::string> order;
  std::string name, unit, against;
  double value = 0;
  while (std::cin >> name >> unit >> value >> against) {
    if (cases.find(name) == cases.end()) order.push_back(name);
    Case& measured = cases[name];
    measured.samples.Add(value);
    measured.unit = unit;
    measured.against = against;
  }
  Report report("linux", options.json);
  for (const std::string& each : order) {
    const Case& measured = cases[each];
    const auto other = cases.find(measured.against);
    const bool compared = other != cases.end() && measured.against != each;
    report.AddMedian(each, measured.samples, measured.unit,
                     compared ? measured.against : "",
                     compared ? other->second.samples.Median() : 0);
  }
  return order.empty() ? 1 : 0;
}
