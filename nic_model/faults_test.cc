// Shows that test faults are found by their names.
#include "nic_model/faults.h"

#include <string>

#include "gtest/gtest.h"

namespace bulkhead::nic_model {
namespace {

TEST(Faults, ByName) {
  Faults faults;
  EXPECT_TRUE(SetFault("all_ones", &faults).ok());
  EXPECT_TRUE(faults.all_ones);
  const absl::Status unknown = SetFault("all_twos", &faults);
  EXPECT_NE(unknown.message().find("reset_never_ends"), std::string::npos)
      << "lists what there is";
}

}  // namespace
}  // namespace bulkhead::nic_model
