// Runs the fuzz entry over the example dump, mutated by a fixed sequence.
#include <gtest/gtest.h>

#include <cstdint>
#include <fstream>
#include <random>
#include <sstream>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

TEST(RecordedDumpFuzz, MutationsOfTheExample) {
  std::ifstream file("configs/recorded_machine.lspci", std::ios::binary);
  std::stringstream whole;
  whole << file.rdbuf();
  const std::string seed = whole.str();
  ASSERT_FALSE(seed.empty());
  std::mt19937 random(1);
  constexpr int kRounds = 300;
  constexpr char kTokens[] = "0123456789abcdefF:. \n\r\t\0x";
  for (int round = 0; round < kRounds; ++round) {
    std::string text = seed;
    for (unsigned edits = 1 + random() % 8; edits > 0; --edits) {
      const size_t at = random() % text.size();
      switch (random() % 4) {
        case 0:  // A value that still is a value: libpci gets to see it.
          text[at] = text[at] == '0' ? 'f' : text[at];
          break;
        case 1:
          text[at] = kTokens[random() % (sizeof(kTokens) - 1)];
          break;
        case 2:
          text.erase(at, random() % 64);
          break;
        case 3:
          text.insert(at, text.substr(random() % text.size(), random() % 64));
          break;
      }
      if (text.empty()) text = "\n";
    }
    LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(text.data()),
                           text.size());
  }
}

}  // namespace
