// Shows that a text comes back as it was, whatever its size and encoding.
#include "platform_service/parking/parked_text.h"

#include <gtest/gtest.h>

namespace bulkhead::platform {
namespace {

TEST(ParkedText, S5_AnyTextComesBack) {
  for (const std::string& text :
       {std::string(), std::string("a: b # caf\xe9\0\n", 13),
        std::string(1 << 20, '#')}) {
    const auto fd = StoreText(text);
    ASSERT_TRUE(fd.ok()) << fd.status();
    const auto loaded = LoadText(fd->get());
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    EXPECT_EQ(*loaded, text);
  }
}

TEST(ParkedText, NoDescriptorIsAnError) { EXPECT_FALSE(LoadText(-1).ok()); }

}  // namespace
}  // namespace bulkhead::platform
