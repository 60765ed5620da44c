// Shows on config spaces of the cards that have drivers, and on ones that lie,
// which part of a BAR a driver is handed.
#include "platform_service/vfio/msix_pages.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace bulkhead::platform {
namespace {

// Power management at 0x40, MSI-X with five vectors at 0x50.
std::string Config(uint32_t table, uint32_t pending) {
  std::string config(256, '\0');
  const auto put = [&config](size_t at, uint32_t value, int width) {
    for (int i = 0; i < width; ++i) {
      config[at + i] = static_cast<char>(value >> (8 * i));
    }
  };
  put(0x06, 1 << 4, 2);
  put(0x34, 0x40, 1);
  put(0x40, 0x5001, 2);
  put(0x50, 0x0011, 2);
  put(0x52, 4, 2);
  put(0x54, table, 4);
  put(0x58, pending, 4);
  return config;
}

// 82574 datasheet 9.2.4: table and pending bits are all that BAR 3 holds.
TEST(MsixPages, S3_ABarOfVectorsIsNotGranted) {
  const auto places = FindMsix(Config(0x3, 0x2003));
  EXPECT_EQ(places, (std::vector<MsixPlace>{{3, 0}, {3, 0x2000}}));
  EXPECT_EQ(BytesBeforeMsix(0, 128 << 10, places), 128u << 10);
  EXPECT_EQ(BytesBeforeMsix(3, 16 << 10, places), 0u);
}

TEST(MsixPages, S3_WhatLiesInFrontOfTheVectorsIs) {
  const auto places = FindMsix(Config(0x3080 | 0, 0x2000 | 0));
  EXPECT_EQ(BytesBeforeMsix(0, 16 << 10, places), 0x2000u);
  const auto in_a_page = FindMsix(Config(0x3080 | 0, 0x3800 | 0));
  EXPECT_EQ(BytesBeforeMsix(0, 16 << 10, in_a_page), 0x3000u);
}

TEST(MsixPages, WithoutVectorsAllIsGranted) {
  EXPECT_TRUE(FindMsix("").empty());
  EXPECT_TRUE(FindMsix(std::string(256, '\0')).empty());
  EXPECT_EQ(BytesBeforeMsix(0, 128 << 10, {}), 128u << 10);
}

TEST(MsixPages, AConfigSpaceThatLiesIsSurvived) {
  std::string loops = Config(0x3, 0x2003);
  loops[0x41] = 0x40;
  EXPECT_TRUE(FindMsix(loops).empty());
  std::string beyond = Config(0x3, 0x2003);
  beyond[0x41] = static_cast<char>(0xf8);
  EXPECT_TRUE(FindMsix(beyond).empty());
  EXPECT_TRUE(FindMsix(std::string(4096, '\xff')).empty());
  EXPECT_TRUE(FindMsix(std::string(0x40, '\xff')).empty());
  // There is no BAR 7: nothing is held back.
  EXPECT_EQ(BytesBeforeMsix(5, 4096, FindMsix(Config(0x7, 0x2007))), 4096u);
}

}  // namespace
}  // namespace bulkhead::platform
