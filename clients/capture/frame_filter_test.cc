#include "clients/capture/frame_filter.h"

#include <gtest/gtest.h>

#include <vector>

namespace bulkhead::capture {
namespace {

std::vector<uint8_t> Frame(uint16_t type) {
  std::vector<uint8_t> frame(60);
  frame[12] = static_cast<uint8_t>(type >> 8);
  frame[13] = static_cast<uint8_t>(type);
  return frame;
}

TEST(FrameFilter, LetsThroughWhatItSays) {
  const auto filter = FrameFilter::Compile("arp and greater 60");
  ASSERT_TRUE(filter.ok()) << filter.status();
  EXPECT_TRUE(filter->Passes(Frame(0x0806), 60));
  EXPECT_FALSE(filter->Passes(Frame(0x0800), 60));
  EXPECT_FALSE(filter->Passes(Frame(0x0806), 59));
  // Where the frame was cut off, nothing is read.
  EXPECT_FALSE(filter->Passes({}, 60));
}

TEST(FrameFilter, NoneLetsEverythingThrough) {
  const auto filter = FrameFilter::Compile("");
  ASSERT_TRUE(filter.ok());
  EXPECT_TRUE(filter->Passes({}, 0));
}

TEST(FrameFilter, AMistakeIsNamed) {
  const auto filter = FrameFilter::Compile("tcp prot 80");
  ASSERT_FALSE(filter.ok());
  EXPECT_NE(filter.status().message().find("tcp prot 80"), std::string::npos);
}

}  // namespace
}  // namespace bulkhead::capture
