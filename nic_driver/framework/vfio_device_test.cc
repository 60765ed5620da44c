// Shows register access over mapped BARs, on a memfd in the place of a device:
// widths, borders, a device that is gone.
#include "nic_driver/framework/vfio_device.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cstring>

#include "base/shared_memory.h"

namespace bulkhead::nic_driver {
namespace {

class VfioDeviceTest : public testing::Test {
 protected:
  void SetUp() override {
    auto memory = CreateSealedMemory("bars", 2 * kPageBytes);
    ASSERT_TRUE(memory.ok());
    auto view =
        Mapping::MapAny(memory->get(), 0, 2 * kPageBytes, Access::kReadWrite);
    ASSERT_TRUE(view.ok());
    view_ = *std::move(view);
    fd_ = memory->get();
    VfioGrant grant;
    grant.device = *std::move(memory);
    grant.bars = {{0, 0, kPageBytes}, {4, kPageBytes, kPageBytes}};
    grant.config_space = std::string("\x86\x80\xd3\x10", 4);
    auto device = VfioDevice::Create(std::move(grant));
    ASSERT_TRUE(device.ok()) << device.status();
    device_ = *std::move(device);
  }

  int fd_ = -1;
  Mapping view_;  // Both BARs, as the device sees them.
  std::unique_ptr<VfioDevice> device_;
};

TEST_F(VfioDeviceTest, EachWidthReachesItsRegister) {
  device_->Write32(0, 0x10, 0x44332211);
  EXPECT_EQ(device_->Read(0, 0x12, 1), 0x33u);
  EXPECT_EQ(device_->Read(0, 0x12, 2), 0x4433u);
  EXPECT_EQ(device_->Read(0, 0x10, 4), 0x44332211u);
  device_->Write(4, 0x14, 1, 0x0f);
  device_->Write(4, 0x16, 2, 0xbeef);
  device_->WriteDoorbell16(4, 0x20, 3);
  EXPECT_EQ(*view_.As<uint32_t>(kPageBytes + 0x14), 0xbeef000fu);
  EXPECT_EQ(*view_.As<uint16_t>(kPageBytes + 0x20), 3u);
  device_->WriteDoorbell32(0, 0x18, 7);
  EXPECT_EQ(*view_.As<uint32_t>(0x18), 7u);
}

TEST_F(VfioDeviceTest, S3_TheDescriptorIsClosedOnceTheBarsAreMapped) {
  EXPECT_EQ(::fcntl(fd_, F_GETFD), -1);
}

TEST_F(VfioDeviceTest, NothingOutsideTheGrantedBarsIsReached) {
  EXPECT_EQ(device_->Read32(0, kPageBytes - 2), ~0u);
  EXPECT_EQ(device_->Read32(1, 0), ~0u);
  device_->Write32(1, 0, 1);
  device_->Write32(4, kPageBytes, 1);
  EXPECT_FALSE(device_->gone());
}

TEST_F(VfioDeviceTest, ARegisterOfAllOnesIsNoRemovalByItself) {
  *view_.As<uint32_t>(0x30) = ~0u;
  EXPECT_EQ(device_->Read32(0, 0x30), ~0u);
  EXPECT_FALSE(device_->gone());
  std::memset(view_.data(), 0xff, kPageBytes);
  EXPECT_EQ(device_->Read32(0, 0x30), ~0u);
  EXPECT_TRUE(device_->gone());
}

TEST_F(VfioDeviceTest, ConfigSpaceIsTheSnapshotOfTheGrant) {
  EXPECT_EQ(device_->ReadConfig(0, 4).value(), 0x10d38086u);
  EXPECT_EQ(device_->ReadConfig(2, 2).value(), 0x10d3u);
  EXPECT_FALSE(device_->ReadConfig(2, 4).ok());
  EXPECT_FALSE(device_->ReadConfig(0, 3).ok());
}

}  // namespace
}  // namespace bulkhead::nic_driver
