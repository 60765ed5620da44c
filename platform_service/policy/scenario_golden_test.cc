// Shows that each wrong scenario in testdata/ gets exactly the diagnostics that
// stand in the .txt file beside it: every error, its place, its cause and what
// mends it, in one pass.
//
// To write the .txt files anew after a change of wording, run the test binary
// with BULKHEAD_WRITE_GOLDEN set to the testdata folder, and read the diff.
#include <dirent.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "platform_service/policy/scenario_parser.h"

namespace bulkhead::policy {
namespace {

std::string Folder() {
  const char* write = std::getenv("BULKHEAD_WRITE_GOLDEN");
  return write != nullptr ? write : "platform_service/policy/testdata";
}

std::string Read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::vector<std::string> Names() {
  std::vector<std::string> names;
  DIR* folder = opendir(Folder().c_str());
  if (folder == nullptr) return names;
  while (const dirent* entry = readdir(folder)) {
    absl::string_view name = entry->d_name;
    if (absl::ConsumeSuffix(&name, ".yaml")) names.emplace_back(name);
  }
  closedir(folder);
  std::sort(names.begin(), names.end());
  return names;
}

class ScenarioGolden : public testing::TestWithParam<std::string> {};

TEST_P(ScenarioGolden, DiagnosticsAreExact) {
  const std::string name = GetParam();
  const DriverCatalog drivers = {{"e1000e", {}}};
  const ModelCatalog models = {{"82574l", {}}};
  const ParsedScenario parsed =
      ParseScenario(Read(Folder() + "/" + name + ".yaml"), name + ".yaml",
                    {&drivers, &models});
  const std::string text = ToText(parsed.diagnostics);
  EXPECT_FALSE(parsed.ok());
  if (std::getenv("BULKHEAD_WRITE_GOLDEN") != nullptr) {
    std::ofstream(Folder() + "/" + name + ".txt") << text;
  }
  EXPECT_EQ(text, Read(Folder() + "/" + name + ".txt"));
}

INSTANTIATE_TEST_SUITE_P(Testdata, ScenarioGolden, testing::ValuesIn(Names()),
                         [](const auto& info) { return info.param; });

TEST(ScenarioGoldenFiles, AreThere) { EXPECT_GE(Names().size(), 20u); }

}  // namespace
}  // namespace bulkhead::policy
