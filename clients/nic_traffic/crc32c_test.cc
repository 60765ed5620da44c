// Shows that both ways to compute CRC-32C give the published values.
#include "clients/nic_traffic/crc32c.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace bulkhead::nic_traffic {
namespace {

std::span<const uint8_t> Bytes(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

TEST(Crc32c, GivesTheValuesOfRfc3720) {
  EXPECT_EQ(Crc32c(Bytes("123456789")), 0xe3069283u);
  EXPECT_EQ(Crc32c(Bytes(std::string(32, '\0'))), 0x8a9136aau);
  EXPECT_EQ(Crc32c(Bytes(std::string(32, '\xff'))), 0x62a8ab43u);
}

TEST(Crc32c, InstructionAndTableAgreeAtEveryLengthAndSplit) {
  std::vector<uint8_t> bytes(67);
  for (size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<uint8_t>(i * 37 + 11);
  }
  for (size_t size = 0; size <= bytes.size(); ++size) {
    const std::span<const uint8_t> all(bytes.data(), size);
    EXPECT_EQ(Crc32c(all), Crc32cPortable(all)) << size;
    const std::span<const uint8_t> head = all.first(size / 3);
    EXPECT_EQ(Crc32c(all.subspan(size / 3), Crc32c(head)), Crc32c(all));
  }
}

}  // namespace
}  // namespace bulkhead::nic_traffic
