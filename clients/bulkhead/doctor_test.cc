// Shows what `devices` and `doctor` print of recorded machines, and that both
// work without a running system.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "absl/strings/match.h"
#include "clients/bulkhead/commands.h"
#include "clients/bulkhead/json_view.h"
#include "platform_service/doctor/testing/recorded_tree.h"

namespace bulkhead::cli {
namespace {

class RecordedMachine : public testing::Test {
 protected:
  absl::Status Devices(const std::string& device = "", bool json = false) {
    DevicesOptions options;
    options.device = device;
    options.all = json;
    return Run(options, json);
  }
  absl::Status Doctor(const std::string& device = "", bool json = false) {
    DoctorOptions options;
    options.device = device;
    return Run(options, json);
  }
  template <typename Options>
  absl::Status Run(Options options, bool json) {
    out_.str("");
    err_.str("");
    options.root = tree_.root();
    const Context context = {
        .console = {.out = out_, .err = err_, .json = json},
        .run_dir = *RunDir::Resolve("/dev/null"),
        .bin_dir = "."};
    return RunCommand(options, context);
  }

  const doctor::RecordedTree tree_{doctor::RecordedTree::Load("good")};
  std::ostringstream out_;
  std::ostringstream err_;
};

TEST_F(RecordedMachine, DevicesListsItsNics) {
  ASSERT_TRUE(Devices().ok());
  EXPECT_EQ(out_.str(),
            "ADDRESS       ID         NAME                               "
            "CLASS                DRIVER    GROUP                NUMA  US"
            "ED BY                         STATE\n"
            "0000:01:00.0  8086:10d3  82574L Gigabit Network Connection  "
            "Ethernet controller  e1000e    1 with 0000:00:1c.0  0     et"
            "h0 carries the default route  the machine's own\n"
            "0000:02:00.0  8086:10d3  82574L Gigabit Network Connection  "
            "Ethernet controller  e1000e    2                    0     - "
            "                              idle: eth1\n"
            "0000:03:00.0  8086:10d3  82574L Gigabit Network Connection  "
            "Ethernet controller  vfio-pci  3                    1     - "
            "                              free\n");
  EXPECT_EQ(err_.str(), "");
}

TEST_F(RecordedMachine, DevicesShowsOneInDetail) {
  for (const char* name : {"0000:02:00.0", "02:00.0", "eth1"}) {
    ASSERT_TRUE(Devices(name).ok()) << name;
    EXPECT_TRUE(absl::StrContains(out_.str(), "\n  interfaces  eth1\n"))
        << out_.str();
    EXPECT_TRUE(absl::StrContains(out_.str(), "\n  IOMMU group 2\n"));
  }
  const absl::Status none = Devices("eth9");
  EXPECT_EQ(none.message(),
            "there is no device eth9; its network cards are 0000:01:00.0, "
            "0000:02:00.0, 0000:03:00.0");
}

TEST_F(RecordedMachine, DevicesAsJson) {
  ASSERT_TRUE(Devices("", true).ok());
  const Json list = Json::parse(out_.str());
  ASSERT_EQ(list.size(), 5u);
  EXPECT_EQ(list[2]["address"], "0000:01:00.0");
  EXPECT_EQ(list[2]["iommu_group"], 1);
  EXPECT_EQ(list[2]["iommu_group_members"],
            Json({"0000:00:1c.0", "0000:01:00.0"}));
  EXPECT_EQ(list[4]["numa_node"], 1);
  EXPECT_EQ(list[4]["kernel_driver"], "vfio-pci");
}

TEST_F(RecordedMachine, DoctorSaysWhatCanBeDrivenAndWhatIsKept) {
  ASSERT_TRUE(Doctor().ok());
  for (const char* line :
       {"this machine\n  ok        an IOMMU is in use, with 4 groups\n",
        "\n  kept      the machine uses it: eth0 carries the default route\n",
        "\ncan be driven: 0000:02:00.0, 0000:03:00.0\n"}) {
    EXPECT_TRUE(absl::StrContains(out_.str(), line)) << out_.str();
  }
}

TEST_F(RecordedMachine, DoctorEndsWithFailureAtAnObstacle) {
  EXPECT_TRUE(IsAlreadyReported(Doctor("eth0")));
  EXPECT_TRUE(absl::StrContains(out_.str(), "  obstacle  the machine uses it"))
      << out_.str();
  EXPECT_TRUE(absl::StrContains(out_.str(), "\n      mend  use another NIC"));
  EXPECT_TRUE(
      absl::StrContains(out_.str(), "\n      now   the kernel's e1000e"));
  EXPECT_TRUE(absl::StrContains(out_.str(), "nothing can be driven yet"));
}

TEST_F(RecordedMachine, DoctorAsJson) {
  EXPECT_FALSE(Doctor("01:00.0", true).ok());
  const Json json = Json::parse(out_.str());
  EXPECT_EQ(json["ok"], false);
  EXPECT_EQ(json["machine"]["blocked"], false);
  EXPECT_EQ(json["devices"][0]["findings"][0]["kind"], "in-use");
  EXPECT_EQ(json["devices"][0]["findings"][0]["weight"], "obstacle");
}

}  // namespace
}  // namespace bulkhead::cli
