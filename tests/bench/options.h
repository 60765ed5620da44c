// The command line of a benchmark: --json, --bin_dir and its own numbers.
#ifndef BULKHEAD_TESTS_BENCH_OPTIONS_H_
#define BULKHEAD_TESTS_BENCH_OPTIONS_H_

#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"

namespace bulkhead::bench {

struct Options {
  bool json = false;
  std::string bin_dir;
  std::map<std::string, int> numbers;  // Given by --NAME N or --NAME=N.
  std::vector<std::string> words;      // What is no option: names of cases.

  // `numbers` has the known options with their defaults. Ends the process with
  // status 2 on anything else.
  static Options Parse(int argc, char** argv,
                       std::map<std::string, int> numbers) {
    Options options;
    options.numbers = std::move(numbers);
    for (int i = 1; i < argc; ++i) {
      const std::string argument = argv[i];
      if (argument.rfind("--", 0) != 0) {
        options.words.push_back(argument);
        continue;
      }
      std::pair<std::string, std::string> parts =
          absl::StrSplit(argument.substr(2), absl::MaxSplits('=', 1));
      if (parts.first == "json") {
        options.json = true;
        continue;
      }
      if (parts.second.empty() && i + 1 < argc) parts.second = argv[++i];
      const auto number = options.numbers.find(parts.first);
      if (parts.first == "bin_dir") {
        options.bin_dir = parts.second;
      } else if (number == options.numbers.end() ||
                 !absl::SimpleAtoi(parts.second, &number->second)) {
        options.EndWithUsage(argv[0]);
      }
    }
    return options;
  }

  int operator[](const std::string& name) const { return numbers.at(name); }

 private:
  [[noreturn]] void EndWithUsage(const char* program) const {
    std::fprintf(stderr, "usage: %s [--json] [--bin_dir DIR]", program);
    for (const auto& [name, value] : numbers) {
      std::fprintf(stderr, " [--%s N]", name.c_str());
    }
    std::fprintf(stderr, "\n");
    std::exit(2);
  }
};

}  // namespace bulkhead::bench

#endif  // BULKHEAD_TESTS_BENCH_OPTIONS_H_
