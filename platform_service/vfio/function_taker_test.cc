// Plays the kernel over a tree of files: shows that a function changes hands
// whole or not at all, that it is given back by whoever finds its record, and
// that what must not be taken is refused with cause and remedy.
#include "platform_service/vfio/function_taker.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace bulkhead::platform {
namespace {

namespace fs = std::filesystem;

constexpr char kNic[] = "0000:01:00.0";

// Binds and unbinds as the kernel does.
class FakeKernel final : public Sysfs {
 public:
  explicit FakeKernel(const std::string& root) : Sysfs(root), root_(root) {}

  absl::Status Write(absl::string_view path, absl::string_view text) override {
    ++writes_;
    if (writes_ == fail_at_) return absl::InternalError("the kernel refuses");
    if (absl::EndsWith(path, "/unbind")) {
      fs::remove(Device(text) + "/driver");
    } else if (absl::EndsWith(path, "/bind")) {
      Bind(text, fs::path(std::string(path)).parent_path().filename());
    } else if (path == "bus/pci/drivers_probe") {
      if (vfio_refuses_) return absl::OkStatus();
      Bind(text,
           *Read(absl::StrCat("bus/pci/devices/", text, "/driver_override")));
    } else {
      const absl::string_view line = absl::StripSuffix(text, "\n");
      std::ofstream(Full(path)) << (line.empty() ? "(null)" : line) << "\n";
    }
    return absl::OkStatus();
  }
  std::string Device(absl::string_view address) {
    return absl::StrCat(root_, "/bus/pci/devices/", address);
  }
  void Bind(absl::string_view address, const std::string& driver) {
    fs::remove(Device(address) + "/driver");
    fs::create_symlink(root_ + "/bus/pci/drivers/" + driver,
                       Device(address) + "/driver");
  }
  void Add(absl::string_view address, absl::string_view group,
           const std::string& driver, absl::string_view pci_class) {
    const std::string dir = Device(address);
    const std::string group_dir =
        absl::StrCat(root_, "/kernel/iommu_groups/", group);
    fs::create_directories(dir);
    fs::create_directories(absl::StrCat(group_dir, "/devices/", address));
    std::ofstream(dir + "/driver_override") << "(null)\n";
    std::ofstream(dir + "/reset_method") << "pm bus\n";
    std::ofstream(dir + "/class") << pci_class << "\n";
    if (!group.empty()) fs::create_symlink(group_dir, dir + "/iommu_group");
    fs::create_directories(root_ + "/bus/pci/drivers/" + driver);
    if (!driver.empty()) Bind(address, driver);
  }

  int writes_ = 0;
  int fail_at_ = -1;
  bool vfio_refuses_ = false;

 private:
  const std::string root_;
};

class FunctionTakerTest : public testing::Test {
 protected:
  void SetUp() override {
    root_ = absl::StrCat(
        testing::TempDir(), "/sys-",
        testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(root_);
    auto kernel = std::make_unique<FakeKernel>(root_);
    kernel_ = kernel.get();
    kernel_->Add(kNic, "12", "e1000e", "0x020000");
    fs::create_directories(root_ + "/bus/pci/drivers/vfio-pci");
    fs::create_directories(root_ + "/module/vfio_iommu_type1");
    taker_ = std::make_unique<FunctionTaker>(
        std::move(kernel), root_ + "/taken", [this] { return network_; });
  }
  void TearDown() override { fs::remove_all(root_); }

  absl::StatusOr<int> Take(const std::string& address) {
    return taker_->Take(address, InUse::kLeft);
  }
  std::string DriverOf(absl::string_view address) {
    return kernel_->LinkName(
        absl::StrCat("bus/pci/devices/", address, "/driver"));
  }
  std::string OverrideOf(absl::string_view address) {
    return *kernel_->Read(
        absl::StrCat("bus/pci/devices/", address, "/driver_override"));
  }
  std::string WhyNot() { return std::string(taker_->Check(kNic).message()); }

  using InUse = FunctionTaker::InUse;

  std::string root_;
  FakeKernel* kernel_;
  // Idle: the kernel's driver has made an interface, and nobody uses it.
  std::vector<pci::HostInterface> network_ = {
      {"eth1", kNic, {}, false, false, {}}};
  std::unique_ptr<FunctionTaker> taker_;
};

TEST_F(FunctionTakerTest, S10_WhatIsTakenIsGivenBack) {
  const auto group = Take(kNic);
  ASSERT_TRUE(group.ok()) << group.status();
  EXPECT_EQ(*group, 12);
  EXPECT_EQ(DriverOf(kNic), "vfio-pci");
  EXPECT_EQ(taker_->Taken(), std::vector<std::string>{kNic});
  ASSERT_TRUE(taker_->GiveBack(kNic).ok());
  EXPECT_EQ(DriverOf(kNic), "e1000e");
  EXPECT_EQ(OverrideOf(kNic), "(null)");
  EXPECT_TRUE(taker_->Taken().empty());
}

TEST_F(FunctionTakerTest, S10_AFailureHalfWayLeavesTheMachineAsItWas) {
  for (int step = 1; step <= 3; ++step) {
    kernel_->writes_ = 0;
    kernel_->fail_at_ = step;
    EXPECT_FALSE(Take(kNic).ok()) << step;
    kernel_->fail_at_ = -1;
    EXPECT_EQ(DriverOf(kNic), "e1000e") << step;
    EXPECT_EQ(OverrideOf(kNic), "(null)") << step;
    EXPECT_TRUE(taker_->Taken().empty()) << step;
  }
}

TEST_F(FunctionTakerTest, S10_AFunctionThatVfioDoesNotTakeGoesBack) {
  kernel_->vfio_refuses_ = true;
  const auto taken = Take(kNic);
  EXPECT_TRUE(absl::StrContains(taken.status().message(), "did not bind"));
  EXPECT_EQ(DriverOf(kNic), "e1000e");
}

TEST_F(FunctionTakerTest, S10_TheNextSystemHonoursTheRecordOfAKilledOne) {
  ASSERT_TRUE(Take(kNic).ok());
  // Killed; its successor takes the same function, and gives back what the
  // first one found.
  FunctionTaker next(std::make_unique<FakeKernel>(root_), root_ + "/taken",
                     [this] { return network_; });
  ASSERT_TRUE(next.Take(kNic, InUse::kLeft).ok());
  ASSERT_TRUE(next.GiveBack(kNic).ok());
  EXPECT_EQ(DriverOf(kNic), "e1000e");
}

TEST_F(FunctionTakerTest, S10_GivingBackThatFailedCanBeRepeated) {
  ASSERT_TRUE(Take(kNic).ok());
  kernel_->writes_ = 0;
  ASSERT_TRUE(taker_->GiveBack(kNic).ok());
  const int binds_at = kernel_->writes_;  // The last one.
  ASSERT_TRUE(Take(kNic).ok());
  kernel_->writes_ = 0;
  kernel_->fail_at_ = binds_at;
  EXPECT_FALSE(taker_->GiveBack(kNic).ok());
  EXPECT_EQ(taker_->Taken().size(), 1u);
  kernel_->fail_at_ = -1;
  EXPECT_TRUE(taker_->GiveBack(kNic).ok());
  EXPECT_EQ(DriverOf(kNic), "e1000e");
}

TEST_F(FunctionTakerTest, OneThatWasPulledOutIsForgotten) {
  ASSERT_TRUE(Take(kNic).ok());
  fs::remove_all(kernel_->Device(kNic));
  EXPECT_TRUE(taker_->GiveBack(kNic).ok());
  EXPECT_TRUE(taker_->Taken().empty());
}

TEST_F(FunctionTakerTest, ADriverOverrideOfTheOperatorComesBack) {
  std::ofstream(kernel_->Device(kNic) + "/driver_override") << "e1000e\n";
  ASSERT_TRUE(Take(kNic).ok());
  ASSERT_TRUE(taker_->GiveBack(kNic).ok());
  EXPECT_EQ(OverrideOf(kNic), "e1000e");
}

TEST_F(FunctionTakerTest, S3_AGroupThatOthersHoldIsRefusedWithItsMembers) {
  kernel_->Add("0000:01:00.1", "12", "igb", "0x020000");
  kernel_->Add("0000:00:1c.0", "12", "pcieport", "0x060400");
  EXPECT_TRUE(absl::StrContains(WhyNot(), "0000:01:00.1 (driver igb)"));
  EXPECT_FALSE(absl::StrContains(WhyNot(), "0000:00:1c.0")) << "a bridge";
  EXPECT_EQ(DriverOf(kNic), "e1000e");
}

// The kernel lets a group have one opener, so that one who waits with vfio-pci
// is in nobody's way, unless it is an instance of this very system.
TEST_F(FunctionTakerTest, S3_OfOneGroupOneCardIsDriven) {
  constexpr char kOther[] = "0000:01:00.1";
  kernel_->Add(kOther, "12", "vfio-pci", "0x020000");
  EXPECT_EQ(WhyNot(), "");
  ASSERT_TRUE(Take(kNic).ok());
  const absl::Status other = taker_->Check(kOther);
  EXPECT_TRUE(absl::StrContains(
      other.message(), "also holds 0000:01:00.0, which another instance has"))
      << other;
}

// Pulled out and put in anew, a card comes to the kernel's driver, and may be
// configured before Bulkhead sees it.
TEST_F(FunctionTakerTest, S9_OneThatIsPutInAnewAndUsedIsLeft) {
  ASSERT_TRUE(Take(kNic).ok());
  kernel_->Bind(kNic, "e1000e");
  std::ofstream(kernel_->Device(kNic) + "/driver_override") << "(null)\n";
  network_[0].addresses = {"10.0.0.2/24"};
  kernel_->writes_ = 0;
  const auto again = Take(kNic);
  EXPECT_TRUE(
      absl::StrContains(again.status().message(), "eth1 carries 10.0.0.2/24"))
      << again.status();
  EXPECT_FALSE(taker_->Reserve(kNic).ok());
  EXPECT_EQ(kernel_->writes_, 0);
  EXPECT_EQ(DriverOf(kNic), "e1000e");
  // In plain words.
  EXPECT_TRUE(taker_->Take(kNic, InUse::kTaken).ok());
  EXPECT_EQ(DriverOf(kNic), "vfio-pci");
}

TEST_F(FunctionTakerTest, S9_OneWhoseInterfaceIsInAnotherNamespaceIsLeft) {
  network_.clear();
  EXPECT_TRUE(absl::StrContains(Take(kNic).status().message(),
                                "in another network namespace"));
  EXPECT_EQ(DriverOf(kNic), "e1000e");
}

TEST_F(FunctionTakerTest, OneThatIsBackIsReservedForVfio) {
  ASSERT_TRUE(Take(kNic).ok());
  std::ofstream(kernel_->Device(kNic) + "/driver_override") << "(null)\n";
  ASSERT_TRUE(taker_->Reserve(kNic).ok());
  EXPECT_EQ(OverrideOf(kNic), "vfio-pci");
}

// Nobody makes it anew, so that it is told when the card is taken.
TEST_F(FunctionTakerTest, S10_WhatStandsOnTheInterfaceIsNamed) {
  network_[0].belongs_to = {"bond bond0", "interface eth1.5"};
  EXPECT_EQ(taker_->StandsOn(kNic), std::vector<std::string>{"eth1.5"});
  EXPECT_TRUE(taker_->StandsOn("0000:01:00.1").empty());
}

TEST_F(FunctionTakerTest, EachObstacleIsNamedWithItsRemedy) {
  fs::remove(kernel_->Device(kNic) + "/iommu_group");
  EXPECT_TRUE(absl::StrContains(WhyNot(), "intel_iommu=on"));
  fs::remove_all(root_ + "/bus/pci/drivers/vfio-pci");
  EXPECT_TRUE(absl::StrContains(WhyNot(), "modprobe -a vfio-pci"));
  EXPECT_TRUE(absl::IsNotFound(taker_->Check("0000:09:00.0")));
  EXPECT_TRUE(absl::IsNotFound(taker_->Check("../..")));
}

TEST_F(FunctionTakerTest, UnsafeInterruptsAreRefused) {
  const std::string dir = root_ + "/module/vfio_iommu_type1/parameters";
  fs::create_directories(dir);
  std::ofstream(dir + "/allow_unsafe_interrupts") << "Y\n";
  EXPECT_TRUE(absl::StrContains(WhyNot(), "unsafe interrupts"));
}

TEST(TakenRecord, OnlyWhatWeWroteIsARecord) {
  TakenRecord record = {kNic, "e1000e", "", "pm bus", "eth1", {}};
  record.settings.up = true;
  record.settings.mtu = 1400;
  record.settings.mac = {2, 0, 0, 0, 0, 7};
  record.settings.master = "br0";
  // As the kernel sends it: an RTM_NEWROUTE (24) of 120 bytes.
  record.settings.routes = {std::string("\x78\0\0\0\x18\0", 6) +
                            std::string(114, 'x')};
  const auto parsed = ParseRecord(kNic, RecordText(record));
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(*parsed, record);
  EXPECT_FALSE(ParseRecord(kNic, RecordText(record) + "more=1\n").ok());
  EXPECT_FALSE(ParseRecord(kNic, RecordText(record) + "route=00\n").ok());
  EXPECT_FALSE(ParseRecord(kNic, "").ok());
  EXPECT_FALSE(ParseRecord(kNic, "driver=e1000e\n").ok());
  EXPECT_FALSE(ParseRecord(kNic,
                           "driver=../../x\ndriver_override=\n"
                           "reset_method=\ninterface=\ninterface_up=0\n")
                   .ok());
  EXPECT_FALSE(ParseRecord("../x", RecordText(record)).ok());
}

}  // namespace
}  // namespace bulkhead::platform
