// Runs the fuzz entry over the seeds, each cut at every place and mutated by a
// fixed sequence: a sample of what the fuzzer does, the same in every run.
#include <dirent.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

void Feed(const std::string& text) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(text.data()),
                         text.size());
}

std::vector<std::string> Seeds() {
  std::vector<std::string> paths;
  for (const char* folder : {"platform_service/policy/testdata", "configs"}) {
    DIR* open = opendir(folder);
    if (open == nullptr) continue;
    while (const dirent* entry = readdir(open)) {
      if (absl::EndsWith(entry->d_name, ".yaml")) {
        paths.push_back(std::string(folder) + "/" + entry->d_name);
      }
    }
    closedir(open);
  }
  std::sort(paths.begin(), paths.end());
  std::vector<std::string> seeds;
  for (const std::string& path : paths) {
    std::ifstream file(path, std::ios::binary);
    std::stringstream text;
    text << file.rdbuf();
    seeds.push_back(text.str());
  }
  return seeds;
}

TEST(ScenarioFuzz, SeedsCutAnywhere) {
  for (const std::string& seed : Seeds()) {
    for (size_t end = 0; end <= seed.size(); end += 3) {
      Feed(seed.substr(0, end));
    }
  }
}

TEST(ScenarioFuzz, SeedsMutated) {
  const std::vector<std::string> seeds = Seeds();
  ASSERT_GE(seeds.size(), 20u);
  std::mt19937 random(1);
  constexpr int kRounds = 3000;
  constexpr char kTokens[] =
      "{}[]:,-?&*!|>'\"%#@`~<\n\t \0\x80\xff"
      "0x1aZ.";
  for (int round = 0; round < kRounds; ++round) {
    std::string text = seeds[random() % seeds.size()];
    for (unsigned edits = 1 + random() % 4; edits > 0 && !text.empty();
         --edits) {
      const size_t at = random() % text.size();
      switch (random() % 4) {
        case 0:
          text[at] = kTokens[random() % (sizeof(kTokens) - 1)];
          break;
        case 1:
          text.insert(at, 1, kTokens[random() % (sizeof(kTokens) - 1)]);
          break;
        case 2:
          text.erase(at, 1 + random() % 8);
          break;
        case 3:
          text.insert(at, text.substr(random() % text.size(), random() % 64));
          break;
      }
    }
    Feed(text);
  }
}

}  // namespace
