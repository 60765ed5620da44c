// Shows that a checksum that was left out is put in, on frames whose right sum
// is computed here another way, and that nothing else is touched.
#include "nic_driver/af_packet/missing_checksum.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

namespace bulkhead::nic_driver {
namespace {

using Frame = std::vector<uint8_t>;

void Put16(Frame& frame, size_t at, uint32_t value) {
  frame[at] = static_cast<uint8_t>(value >> 8);
  frame[at + 1] = static_cast<uint8_t>(value);
}

uint32_t Fold(uint32_t sum) {
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

// Of 16-bit words, an odd byte padded.
uint32_t Add(const Frame& frame, size_t at, size_t bytes) {
  uint32_t sum = 0;
  for (size_t i = 0; i < bytes; ++i) {
    sum += i % 2 == 0 ? frame[at + i] << 8 : frame[at + i];
  }
  return sum;
}

// With `payload` bytes after the L4 header, the field as a sender with checksum
// offload leaves it. `tags`: VLAN tags.
Frame Make(bool ipv6, uint8_t protocol, size_t payload, size_t tags) {
  const size_t l3 = 14 + 4 * tags;
  const size_t l4 = l3 + (ipv6 ? 40 : 20);
  const size_t header = protocol == 6 ? 20 : 8;
  Frame frame(l4 + header + payload);
  for (size_t i = 0; i < frame.size(); ++i) {
    frame[i] = static_cast<uint8_t>(i * 7 + 3);
  }
  for (size_t i = 0; i < tags; ++i) Put16(frame, 12 + 4 * i, 0x8100);
  Put16(frame, l3 - 2, ipv6 ? 0x86dd : 0x0800);
  const uint32_t length = static_cast<uint32_t>(header + payload);
  uint32_t pseudo = protocol + length;
  if (ipv6) {
    frame[l3] = 0x60;
    Put16(frame, l3 + 4, length);
    frame[l3 + 6] = protocol;
    pseudo += Add(frame, l3 + 8, 32);
  } else {
    frame[l3] = 0x45;
    Put16(frame, l3 + 2, 20 + length);
    Put16(frame, l3 + 6, 0x4000);
    frame[l3 + 9] = protocol;
    pseudo += Add(frame, l3 + 12, 8);
  }
  Put16(frame, l4 + (protocol == 6 ? 16 : 6), Fold(pseudo));
  return frame;
}

TEST(MissingChecksum, IsPutIn) {
  for (const bool ipv6 : {false, true}) {
    for (const uint8_t protocol : {6, 17}) {
      for (const size_t payload : {0, 1, 2, 999, 1400}) {
        for (const size_t tags : {0, 1, 2}) {
          const Frame before = Make(ipv6, protocol, payload, tags);
          Frame frame = before;
          ASSERT_TRUE(CompleteChecksum(frame));
          const size_t l4 = 14 + 4 * tags + (ipv6 ? 40 : 20);
          const size_t field = l4 + (protocol == 6 ? 16 : 6);
          // Pseudo header, which the field held, and segment sum to all ones.
          const uint32_t pseudo = before[field] << 8 | before[field + 1];
          EXPECT_EQ(Fold(pseudo + Add(frame, l4, frame.size() - l4)), 0xffffu);
          Put16(frame, field, pseudo);
          EXPECT_EQ(frame, before) << "only the field may differ";
        }
      }
    }
  }
}

TEST(MissingChecksum, WhatItIsNotForStaysAsItIs) {
  const Frame good = Make(false, 6, 100, 0);
  std::vector<Frame> others(6, good);
  Put16(others[0], 12, 0x0806);      // ARP.
  others[1][14 + 9] = 1;             // ICMP.
  Put16(others[2], 14 + 6, 0x2001);  // A later fragment.
  Put16(others[3], 14 + 2, 4000);    // Longer than the frame.
  others[4][14] = 0x4f;              // Options beyond its end.
  Put16(others[4], 14 + 2, 40);
  others[5].resize(20);  // Cut off.
  for (const Frame& before : others) {
    Frame frame = before;
    EXPECT_FALSE(CompleteChecksum(frame));
    EXPECT_EQ(frame, before);
  }
}

}  // namespace
}  // namespace bulkhead::nic_driver
