// Shows that a config space is read however hostile it is: loops, stray
// pointers, all ones and any truncation end in a finding, never in a hang or a
// read beyond the end.
#include "platform_service/pci/config_space.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace bulkhead::pci {
namespace {

using Config = std::vector<uint8_t>;

void Write32(Config* config, size_t at, uint32_t value) {
  for (size_t i = 0; i < 4; ++i) {
    (*config)[at + i] = static_cast<uint8_t>(value >> 8 * i);
  }
}

// An 82574L's lists: PM c8 -> MSI d0 -> PCIe e0 -> MSI-X a0; AER 100 -> DSN
// 140.
Config GoodConfig() {
  Config config(kExtendedBytes, 0);
  Write32(&config, 0x00, 0x10d38086);
  Write32(&config, 0x04, 0x00100007);
  config[0x34] = 0xc8;
  Write32(&config, 0xc8, 0xd001);
  Write32(&config, 0xd0, 0xe005);
  Write32(&config, 0xe0, 0xa010);
  Write32(&config, 0xa0, 0x0011);
  Write32(&config, 0x100, 0x14010001);
  Write32(&config, 0x140, 0x00010003);
  Write32(&config, 0x144, 0xffaabbcc);
  Write32(&config, 0x148, 0x001b21ff);
  return config;
}

TEST(ConfigSpace, ReadsTheSerialNumberAsLspciDoes) {
  EXPECT_EQ(SerialNumber(GoodConfig()), "00-1b-21-ff-ff-aa-bb-cc");
  EXPECT_TRUE(ConfigOddities(GoodConfig()).empty());
}

TEST(ConfigSpace, NoSerialNumberWithoutTheExtendedPart) {
  Config config = GoodConfig();
  config.resize(kConventionalBytes);
  EXPECT_EQ(SerialNumber(config), "");
  EXPECT_TRUE(ConfigOddities(config).empty());
}

struct Odd {
  const char* name;
  size_t at;
  uint32_t value;
  const char* finding;
};

class ConfigSpaceOdd : public testing::TestWithParam<Odd> {};

TEST_P(ConfigSpaceOdd, IsNamed) {
  Config config = GoodConfig();
  Write32(&config, GetParam().at, GetParam().value);
  EXPECT_EQ(ConfigOddities(config),
            std::vector<std::string>{GetParam().finding});
}

INSTANTIATE_TEST_SUITE_P(
    Table, ConfigSpaceOdd,
    testing::Values(
        Odd{"Loop", 0xa0, 0xc811, "capability list loops at 0xc8"},
        Odd{"LoopToItself", 0xa0, 0xa011, "capability list loops at 0xa0"},
        Odd{"IntoHeader", 0xa0, 0x1011,
            "capability list points into the header, to 0x10"},
        Odd{"Nothing", 0xa0, 0xffffffff,
            "capability list ends in nothing at 0xa0"},
        Odd{"ExtendedLoop", 0x140, 0x10010003,
            "extended capability list loops at 0x100"},
        Odd{"ExtendedIntoHeader", 0x140, 0x04010003,
            "extended capability list points into the header, to 0x40"},
        Odd{"HeaderType", 0x0c, 0x00050000, "unknown header type 0x05"}),
    [](const auto& info) { return info.param.name; });

TEST(ConfigSpace, AllOnesIsADeviceThatIsGone) {
  const Config config(kExtendedBytes, 0xff);
  EXPECT_EQ(ConfigOddities(config),
            std::vector<std::string>{"config space reads as all ones: the "
                                     "device does not answer"});
  EXPECT_EQ(SerialNumber(config), "");
}

TEST(ConfigSpace, AbsurdBarsAreNamed) {
  EXPECT_TRUE(BarOddities({0x20000, 0x80000, 32, 0x4000, 0, 0}).empty());
  EXPECT_EQ(BarOddities({0, 0x30, 0, 0, 0, uint64_t{1} << 63}),
            (std::vector<std::string>{
                "BAR1 has 0x30 bytes, which is no power of two",
                "BAR5 has 0x8000000000000000 bytes, more than any machine can "
                "address"}));
}

// Every length, and random bytes at every length: the sanitizers look on.
TEST(ConfigSpace, AnyBytesOfAnyLengthEnd) {
  std::mt19937 random(7);
  for (size_t length = 0; length <= kExtendedBytes; length += 3) {
    Config config = GoodConfig();
    config.resize(length);
    (void)ConfigOddities(config);
    (void)SerialNumber(config);
    for (uint8_t& byte : config) byte = static_cast<uint8_t>(random());
    // Lists that are followed: status bit set, low ids.
    if (length > 0x40) config[0x06] |= 0x10;
    (void)ConfigOddities(config);
    (void)SerialNumber(config);
  }
}

}  // namespace
}  // namespace bulkhead::pci
