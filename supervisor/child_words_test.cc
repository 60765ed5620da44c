// Shows that what a child says of itself can neither grow beyond what is told
// on to the platform service nor reach a terminal as more than text.
#include "supervisor/child_words.h"

#include "absl/strings/match.h"
#include "supervisor/testing/fixture.h"

namespace bulkhead::supervisor {
namespace {

TEST(ChildWords, ShortTextStays) {
  EXPECT_EQ(Harmless("no link: \xc3\xa4", 64), "no link: \xc3\xa4");
}

TEST(ChildWords, LongTextIsCutBetweenCharacters) {
  EXPECT_EQ(Harmless("abcdef", 4), "abc~");
  EXPECT_EQ(Harmless("ab\xc3\xa4xyz", 4), "ab~");
}

TEST(ChildWords, ControlCharactersAreMasked) {
  EXPECT_EQ(Harmless("a\x1b[31m\nb\x7f", 64), "a?[31m b?");
  EXPECT_EQ(Harmless("\xc2\x9b"
                     "31m",
                     64),
            "?31m");
}

class ChildWordsTest : public SupervisorFixture {};

// Shows that a child that fails with 128 KiB of reason, which the platform
// service would be told twice in one message, does not cost the platform
// service its channel: the next one hears of the death, too.
TEST_F(ChildWordsTest, S5_LongFailureDoesNotCutThePlatformOff) {
  ProcessSpec spec = Spec("nic0");
  spec.mutable_restart()->set_park_after(1);
  Run(spec, "fail_at_length");
  ASSERT_TRUE(UntilPhase("nic0", ProcessState::PARKED));
  ASSERT_FALSE(died_["nic0"].empty());
  EXPECT_TRUE(absl::StrContains(died_["nic0"][0].cause(), "?[31m"));
  EXPECT_LT(died_["nic0"][0].ByteSizeLong(), 8192u);
  ConnectPlatform();
  ASSERT_TRUE(Until([this] { return restored_ == 2; }));
  Run(Spec("nic1"));
  EXPECT_EQ(State("nic1").phase(), ProcessState::RUNNING);
}

// Shows the same of a child that is ready in as many words, of which every
// state message tells.
TEST_F(ChildWordsTest, S5_LongReadyDoesNotCutThePlatformOff) {
  Define(Spec("nic0", {"ready_at_length"}));
  Begin("nic0");
  ASSERT_TRUE(Until([this] { return HasEvent("nic0", "ready"); }));
  Run(Spec("nic1"));
  EXPECT_EQ(State("nic1").phase(), ProcessState::RUNNING);
  EXPECT_LT(State("nic0").ByteSizeLong(), 16384u);
}

}  // namespace
}  // namespace bulkhead::supervisor
