// Checksums against the plain definition of RFC 1071, and the incremental ones
// against computing them anew.
#include "nic_router/packet/checksum.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "nic_router/packet/bytes.h"

namespace bulkhead::nic_router {
namespace {

uint16_t Plain(const std::vector<uint8_t>& bytes) {
  uint64_t sum = 0;
  for (size_t i = 0; i < bytes.size(); ++i) {
    sum += i % 2 == 0 ? bytes[i] << 8 : bytes[i];
  }
  while (sum > 0xffff) sum = (sum >> 16) + (sum & 0xffff);
  return static_cast<uint16_t>(~sum);
}

std::vector<uint8_t> Random(std::mt19937& random, size_t bytes) {
  std::vector<uint8_t> out(bytes);
  for (uint8_t& byte : out) byte = static_cast<uint8_t>(random());
  return out;
}

// RFC 1071 section 3's own example.
TEST(Checksum, TheExampleOfTheRfc) {
  const uint8_t bytes[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
  ChecksumSum sum;
  sum.Add(bytes);
  EXPECT_EQ(sum.Folded(), 0xddf2);
}

// Any length, whole and cut at any place, odd ones too, sums to the same.
TEST(Checksum, PiecesOfAnyLength) {
  std::mt19937 random(1);
  for (size_t bytes = 0; bytes < 80; ++bytes) {
    const auto data = Random(random, bytes);
    for (size_t cut = 0; cut <= bytes; ++cut) {
      ChecksumSum sum;
      sum.Add(std::span(data).first(cut));
      sum.Add(std::span(data).subspan(cut));
      ASSERT_EQ(sum.Checksum(), Plain(data)) << bytes << " cut at " << cut;
    }
  }
}

TEST(Checksum, LongRunsOfOnesDoNotOverflow) {
  const std::vector<uint8_t> data(65535, 0xff);
  ChecksumSum sum;
  sum.Add(data);
  EXPECT_EQ(sum.Checksum(), Plain(data));
}

// A changed word's delta gives what summing anew gives; the two zeros of one's
// complement are the same number.
TEST(Checksum, DeltaEqualsComputingAnew) {
  std::mt19937 random(2);
  for (int turn = 0; turn < 20000; ++turn) {
    auto data = Random(random, 20);
    // Extremes are where incremental updates of old went wrong (RFC 1624 3).
    if (turn % 4 == 0) std::fill(data.begin(), data.end(), 0xff);
    if (turn % 4 == 1) std::fill(data.begin() + 4, data.end(), 0);
    const uint16_t before = Plain(data);
    const uint32_t from = Load32(&data[4]);
    const uint32_t to = turn % 3 == 0 ? 0 : static_cast<uint32_t>(random());
    Store32(&data[4], to);
    ChecksumDelta delta;
    delta.Replace32(from, to);
    uint16_t after = delta.Apply(before);
    const uint16_t anew = Plain(data);
    ASSERT_TRUE(after == anew || (after ^ anew) == 0xffff) << turn;
    // Verifying does not tell them apart.
    Store16(&data[0], Load16(&data[0]));
    std::vector<uint8_t> covered = data;
    covered.push_back(static_cast<uint8_t>(after >> 8));
    covered.push_back(static_cast<uint8_t>(after));
    ChecksumSum sum;
    sum.Add(covered);
    ASSERT_TRUE(sum.Folded() == 0xffff || sum.Folded() == 0) << turn;
  }
}

// UDP: a checksum of 0 means none, and none is ever made of one.
TEST(Checksum, UdpKeepsNoneApart) {
  ChecksumDelta delta;
  delta.Replace16(1, 2);
  EXPECT_EQ(delta.ApplyUdp(0), 0);
  for (uint32_t checksum = 1; checksum <= 0xffff; ++checksum) {
    ASSERT_NE(delta.ApplyUdp(static_cast<uint16_t>(checksum)), 0);
  }
}

}  // namespace
}  // namespace bulkhead::nic_router
