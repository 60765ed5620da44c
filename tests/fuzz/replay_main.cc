// Runs a fuzz entry without a fuzzer: each seed file of the command line, then
// as many seeded mutations of them as its first argument says, so that a
// failure replays.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

constexpr size_t kMaxBytes = 4096;

using Input = std::vector<uint8_t>;

void Run(const Input& input) {
  LLVMFuzzerTestOneInput(input.data(), input.size());
}

Input Mutate(Input input, std::mt19937& random) {
  const int edits = 1 + static_cast<int>(random() % 4);
  for (int i = 0; i < edits; ++i) {
    const size_t at = input.empty() ? 0 : random() % input.size();
    switch (random() % 5) {
      case 0:  // Flip a bit.
        if (!input.empty()) input[at] ^= uint8_t(1u << (random() % 8));
        break;
      case 1:  // A boundary value.
        if (!input.empty()) {
          constexpr uint8_t kEdges[] = {0, 1, 0x7f, 0x80, 0xff};
          input[at] = kEdges[random() % 5];
        }
        break;
      case 2:  // Insert.
        if (input.size() < kMaxBytes) {
          input.insert(input.begin() + static_cast<long>(at),
                       static_cast<uint8_t>(random()));
        }
        break;
      case 3:  // Cut off.
        input.resize(at);
        break;
      default:  // Repeat a tail.
        if (input.size() * 2 < kMaxBytes) {
          const Input tail(input.begin() + static_cast<long>(at), input.end());
          input.insert(input.end(), tail.begin(), tail.end());
        }
    }
  }
  return input;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<Input> seeds = {{}, Input(64, 0), Input(64, 0xff)};
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s MUTATIONS [SEED FILE]…\n", argv[0]);
    return 2;
  }
  const int mutations = std::atoi(argv[1]);
  for (int i = 2; i < argc; ++i) {
    std::ifstream file(argv[i], std::ios::binary);
    if (!file) {
      std::fprintf(stderr, "open seed %s: cannot be read\n", argv[i]);
      return 1;
    }
    seeds.emplace_back(std::istreambuf_iterator<char>(file),
                       std::istreambuf_iterator<char>());
  }
  for (const Input& seed : seeds) Run(seed);
  std::mt19937 random(1);
  for (int i = 0; i < mutations; ++i) {
    Run(Mutate(seeds[random() % seeds.size()], random));
  }
  std::printf("%zu seeds and %d mutations\n", seeds.size(), mutations);
  return 0;
}
