// Shows that a label never holds more than its limit, that refusals say what
// was asked and what is left, and that every byte comes back.
#include "platform_service/sessions/quota_ledger.h"

#include <gtest/gtest.h>

#include <optional>
#include <utility>

namespace bulkhead::platform {
namespace {

TEST(QuotaLedger, RefusalSaysWhatWasAskedAndWhatIsLeft) {
  QuotaLedger ledger;
  const auto first = ledger.Charge("probe", 3000, 4096);
  ASSERT_TRUE(first.ok());
  const auto second = ledger.Charge("probe", 2000, 4096);
  ASSERT_TRUE(absl::IsResourceExhausted(second.status()));
  const std::string text(second.status().message());
  EXPECT_NE(text.find("2000"), std::string::npos) << text;
  EXPECT_NE(text.find("1096"), std::string::npos) << text;
  EXPECT_NE(text.find("4096"), std::string::npos) << text;
}

TEST(QuotaLedger, S10_ChargesComeBackOnce) {
  QuotaLedger ledger;
  {
    auto charge = ledger.Charge("probe", 4096, 4096);
    ASSERT_TRUE(charge.ok());
    QuotaCharge moved = *std::move(charge);
    QuotaCharge assigned;
    assigned = std::move(moved);
    EXPECT_EQ(ledger.used("probe"), 4096u);
  }
  EXPECT_EQ(ledger.used("probe"), 0u);
  EXPECT_TRUE(ledger.Charge("probe", 4096, 4096).ok());
}

TEST(QuotaLedger, LabelsDoNotShare) {
  QuotaLedger ledger;
  const auto one = ledger.Charge("one", 4096, 4096);
  const auto two = ledger.Charge("two", 4096, 4096);
  EXPECT_TRUE(one.ok());
  EXPECT_TRUE(two.ok());
}

TEST(QuotaLedger, LimitLoweredBelowUseLeavesNothing) {
  QuotaLedger ledger;
  const auto held = ledger.Charge("probe", 8192, 8192);
  EXPECT_FALSE(ledger.Charge("probe", 1, 4096).ok());
}

TEST(QuotaLedger, NoLimitIsCountedAllTheSame) {
  QuotaLedger ledger;
  const auto held = ledger.Charge("probe", uint64_t{1} << 40, 0);
  EXPECT_EQ(ledger.used("probe"), uint64_t{1} << 40);
}

}  // namespace
}  // namespace bulkhead::platform
