// Shows that the platform's hold on a device believes nothing that the device
// says: loops, changed identities and resets that do not reset are errors.
#include "platform_service/devices/vfio_user_owner.h"

#include <gtest/gtest.h>

#include "base/shared_memory.h"
#include "platform_service/testing/fake_device.h"

namespace bulkhead::platform {
namespace {

absl::StatusOr<std::unique_ptr<VfioUserOwner>> Own(FakeDeviceState& state) {
  return VfioUserOwner::Create(std::make_unique<FakeDeviceClient>(state));
}

TEST(VfioUserOwner, S4_ResetIsVerified) {
  FakeDeviceState state;
  auto owner = Own(state);
  ASSERT_TRUE(owner.ok());
  ASSERT_TRUE((*owner)->EnableBusMaster().ok());
  EXPECT_TRUE(state.bus_master());
  ASSERT_TRUE((*owner)->ClearBusMaster().ok());
  ASSERT_TRUE((*owner)->ResetAndVerify({}).ok());
  EXPECT_FALSE(state.bus_master());
  EXPECT_LT(state.Find("bme_off"), state.Find("reset"));
  EXPECT_GT(state.Find("read", state.Find("reset")), 0);
}

TEST(VfioUserOwner, S4_ResetThatLeavesBusMasteringOnIsAnError) {
  FakeDeviceState state;
  auto owner = Own(state);
  ASSERT_TRUE(owner.ok());
  state.reset_keeps_dma = true;
  const absl::Status status = (*owner)->ResetAndVerify({});
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
}

TEST(VfioUserOwner, S4_MemoryWhoseUnmappingFailedIsKept) {
  FakeDeviceState state;
  auto owner = Own(state);
  ASSERT_TRUE(owner.ok());
  auto memory = CreateSealedMemory("test", 4096);
  const int fd = memory->get();
  const auto iova = (*owner)->Map(fd, 4096, DeviceAccess::kWrite);
  ASSERT_TRUE(iova.ok());
  state.fail = "unmap";
  EXPECT_FALSE((*owner)->Unmap(*iova, 4096, *std::move(memory)).ok());
  EXPECT_NE(::fcntl(fd, F_GETFD), -1);  // Still open, so still there.
  const auto next = (*owner)->Map(fd, 4096, DeviceAccess::kWrite);
  EXPECT_NE(*next, *iova);
  owner->reset();
  EXPECT_EQ(::fcntl(fd, F_GETFD), -1);
}

TEST(VfioUserOwner, IdentityThatChangesOverAResetIsAnError) {
  FakeDeviceState state;
  auto owner = Own(state);
  ASSERT_TRUE(owner.ok());
  state.changes_identity = true;
  const absl::Status status = (*owner)->ResetAndVerify({});
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
}

TEST(VfioUserOwner, CapabilityListThatLoopsEnds) {
  FakeDeviceState state;
  state.config[0x40] = 0x01;
  state.config[0x41] = 0x40;  // Its own successor.
  EXPECT_TRUE(absl::IsDataLoss(Own(state).status()));
}

TEST(VfioUserOwner, CapabilityListThatLeavesConfigSpaceEnds) {
  FakeDeviceState state;
  state.config[0x40] = 0x01;
  state.config[0x41] = 0x04;
  EXPECT_TRUE(absl::IsDataLoss(Own(state).status()));
}

TEST(VfioUserOwner, AllOnesIsNoDevice) {
  FakeDeviceState state;
  state.config.fill(0xff);
  EXPECT_TRUE(absl::IsDataLoss(Own(state).status()));
}

TEST(VfioUserOwner, AbsurdNumberOfInterruptsIsBounded) {
  FakeDeviceState state;
  state.irqs = 0xffffffff;
  auto owner = Own(state);
  ASSERT_TRUE(owner.ok());
  EXPECT_LE((*owner)->irq_count(), 16u);
}

TEST(VfioUserOwner, ArmingTurnsMsixOn) {
  FakeDeviceState state;
  auto owner = Own(state);
  ASSERT_TRUE(owner.ok());
  const int event = ::eventfd(0, 0);
  const int events[] = {event, event, event};
  ASSERT_TRUE((*owner)->ArmIrqs(events).ok());
  EXPECT_EQ(state.config[0x43] & 0x80, 0x80);
  ::close(event);
}

}  // namespace
}  // namespace bulkhead::platform
