// Requests as bytes, replies as bytes: what the handler grants, and that each
// malformed or forbidden request ends in an error and leaves the device alone.
#include "nic_model/vfio_user/message_handler.h"

#include <sys/eventfd.h>

#include <cstring>

#include "base/shared_memory.h"
#include "gtest/gtest.h"
#include "nic_model/vfio_user/fake_device.h"

namespace bulkhead::vfio_user {
namespace {

using Bytes = std::vector<uint8_t>;

template <typename... Parts>
Bytes Join(const Parts&... parts) {
  Bytes bytes;
  const auto add = [&bytes](const auto& part) {
    const auto* data = reinterpret_cast<const uint8_t*>(&part);
    bytes.insert(bytes.end(), data, data + sizeof(part));
  };
  (add(parts), ...);
  return bytes;
}

std::vector<UniqueFd> Memory(size_t count) {
  std::vector<UniqueFd> fds;
  for (size_t i = 0; i < count; ++i) {
    fds.push_back(*CreateSealedMemory("test", kPageBytes));
  }
  return fds;
}

std::vector<UniqueFd> Events(size_t count) {
  std::vector<UniqueFd> fds;
  for (size_t i = 0; i < count; ++i) {
    fds.emplace_back(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  }
  return fds;
}

class MessageHandlerTest : public ::testing::Test {
 protected:
  explicit MessageHandlerTest(Role role = Role::kOwner)
      : handler_(device_, role) {
    EXPECT_EQ(Ask(Command::kVersion, Join(Version{0, 1})), 0);
  }

  int Ask(Command command, const Bytes& body, std::vector<UniqueFd> fds = {}) {
    return AskRaw(static_cast<uint16_t>(command), kTypeCommand, body,
                  std::move(fds));
  }
  int AskRaw(uint16_t command, uint32_t flags, const Bytes& body,
             std::vector<UniqueFd> fds = {}) {
    const Header header = {7, command,
                           static_cast<uint32_t>(sizeof(Header) + body.size()),
                           flags, 0};
    handler_.Handle(header, body, std::move(fds), &reply_);
    return reply_.error;
  }
  template <typename T>
  T ReplyAs(size_t at = 0) {
    T value = {};
    EXPECT_GE(reply_.body_bytes, at + sizeof(T));
    std::memcpy(&value, reply_.body.data() + at, sizeof(T));
    return value;
  }

  FakeDevice device_;
  MessageHandler handler_;
  Reply reply_;
};

class DriverRoleTest : public MessageHandlerTest {
 protected:
  DriverRoleTest() : MessageHandlerTest(Role::kDriver) {}
};

TEST_F(MessageHandlerTest, NothingBeforeVersion) {
  MessageHandler fresh(device_, Role::kOwner);
  const Bytes body = Join(DeviceInfo{sizeof(DeviceInfo), 0, 0, 0});
  const Header header = {1, 4, 32, kTypeCommand, 0};
  fresh.Handle(header, body, {}, &reply_);
  EXPECT_EQ(reply_.error, EPROTO);
}

TEST_F(MessageHandlerTest, VersionNegotiates) {
  EXPECT_EQ(Ask(Command::kVersion, Join(Version{0, 9})), 0);
  EXPECT_EQ(ReplyAs<Version>().minor, kMinorVersion);
  EXPECT_EQ(reply_.body[reply_.body_bytes - 1], 0) << "JSON ends with NUL";
  EXPECT_EQ(Ask(Command::kVersion, Join(Version{1, 0})), EINVAL);
  EXPECT_EQ(Ask(Command::kVersion, {0, 0}), EINVAL);
}

TEST_F(MessageHandlerTest, InfoOfDeviceRegionsAndInterrupts) {
  ASSERT_EQ(Ask(Command::kGetInfo, Join(DeviceInfo{16, 0, 0, 0})), 0);
  EXPECT_EQ(ReplyAs<DeviceInfo>().region_count, kPciRegionCount);
  ASSERT_EQ(
      Ask(Command::kGetRegionInfo, Join(RegionInfoBody{32, 0, 0, 0, 0, 0})), 0);
  EXPECT_EQ(ReplyAs<RegionInfoBody>().bytes, FakeDevice::kBarBytes);
  ASSERT_EQ(Ask(Command::kGetIrqInfo, Join(IrqInfo{16, 0, 2, 0})), 0);
  EXPECT_EQ(ReplyAs<IrqInfo>().count, 5u);
}

TEST_F(MessageHandlerTest, AccessesStayInsideTheirRegion) {
  const struct {
    const char* name;
    uint64_t offset;
    uint32_t region, count;
    int error;
  } kCases[] = {
      {"a register", 8, 0, 4, 0},
      {"the last bytes", FakeDevice::kBarBytes - 4, 0, 4, 0},
      {"over the end", FakeDevice::kBarBytes - 3, 0, 4, EINVAL},
      {"behind the end", FakeDevice::kBarBytes, 0, 1, EINVAL},
      {"wraps", UINT64_MAX - 1, 0, 4, EINVAL},
      {"nothing", 0, 0, 0, EINVAL},
      {"more than a message holds", 0, 0, kServerMaxTransfer + 1, EINVAL},
      {"4 GiB", 0, 0, UINT32_MAX, EINVAL},
      {"no such region", 0, 9, 4, EINVAL},
      {"no such region, far off", 0, UINT32_MAX, 4, EINVAL},
      {"an empty region", 0, 2, 4, EINVAL},
  };
  for (const auto& c : kCases) {
    const RegionAccess access = {c.offset, c.region, c.count};
    EXPECT_EQ(Ask(Command::kRegionRead, Join(access)), c.error) << c.name;
    Bytes write = Join(access);
    write.resize(write.size() + std::min<uint32_t>(c.count, 8192));
    EXPECT_EQ(Ask(Command::kRegionWrite, write), c.error) << c.name;
  }
}

TEST_F(MessageHandlerTest, WriteMustBringItsData) {
  const RegionAccess access = {0, 0, 4};
  EXPECT_EQ(Ask(Command::kRegionWrite, Join(access)), EINVAL);
  EXPECT_EQ(Ask(Command::kRegionWrite, Join(access, uint16_t{1})), EINVAL);
  EXPECT_EQ(Ask(Command::kRegionWrite, Join(access, uint64_t{1})), EINVAL);
  EXPECT_EQ(Ask(Command::kRegionWrite, Join(RegionAccess{0, 1, 4}, 1)), EINVAL)
      << "region 1 is read-only";
  EXPECT_EQ(device_.writes, 0);
  EXPECT_EQ(Ask(Command::kRegionWrite, Join(access, uint32_t{77})), 0);
  ASSERT_EQ(Ask(Command::kRegionRead, Join(access)), 0);
  EXPECT_EQ(ReplyAs<uint32_t>(sizeof(access)), 77u);
}

TEST_F(MessageHandlerTest, WriteMulti) {
  const SingleWrite first = {0, 0, 4, {1}};
  const SingleWrite second = {8, 0, 8, {2}};
  EXPECT_EQ(
      Ask(Command::kRegionWriteMulti, Join(WriteMultiHeader{2}, first, second)),
      0);
  EXPECT_EQ(device_.writes, 2);
  EXPECT_EQ(Ask(Command::kRegionWriteMulti, Join(WriteMultiHeader{3}, first)),
            EINVAL);
  EXPECT_EQ(Ask(Command::kRegionWriteMulti,
                Join(WriteMultiHeader{UINT64_MAX / 24 + 1}, first)),
            EINVAL);
  EXPECT_EQ(Ask(Command::kRegionWriteMulti,
                Join(WriteMultiHeader{1}, SingleWrite{0, 0, 9, {}})),
            EINVAL);
  EXPECT_EQ(device_.writes, 2);
}

TEST_F(MessageHandlerTest, DmaMapAndUnmap) {
  const DmaMapRequest map = {32, 3, 0, 0x1000, 4096};
  EXPECT_EQ(Ask(Command::kDmaMap, Join(map)), EINVAL) << "no descriptor";
  EXPECT_EQ(Ask(Command::kDmaMap, Join(map), Memory(2)), EINVAL);
  DmaMapRequest bad = map;
  bad.bytes = 0;
  EXPECT_EQ(Ask(Command::kDmaMap, Join(bad), Memory(1)), EINVAL);
  bad = map;
  bad.iova = UINT64_MAX - 100;
  EXPECT_EQ(Ask(Command::kDmaMap, Join(bad), Memory(1)), EINVAL);
  bad = map;
  bad.fd_offset = UINT64_MAX - 100;
  EXPECT_EQ(Ask(Command::kDmaMap, Join(bad), Memory(1)), EINVAL);
  bad = map;
  bad.flags = 4;
  EXPECT_EQ(Ask(Command::kDmaMap, Join(bad), Memory(1)), EINVAL);
  EXPECT_TRUE(device_.maps.empty());
  ASSERT_EQ(Ask(Command::kDmaMap, Join(map), Memory(1)), 0);
  EXPECT_EQ(Ask(Command::kDmaUnmap, Join(DmaUnmapRequest{24, 0, 0x1000, 1})),
            ENOENT);
  EXPECT_EQ(Ask(Command::kDmaUnmap, Join(DmaUnmapRequest{24, 0, 0x1000, 4096})),
            0);
  ASSERT_EQ(Ask(Command::kDmaMap, Join(map), Memory(1)), 0);
  EXPECT_EQ(Ask(Command::kDmaUnmap, Join(DmaUnmapRequest{24, kUnmapAll, 0, 0})),
            0);
  EXPECT_TRUE(device_.maps.empty());
}

TEST_F(MessageHandlerTest, SetIrqs) {
  const auto ask = [this](uint32_t flags, uint32_t index, uint32_t start,
                          uint32_t count, size_t fds) {
    return Ask(Command::kSetIrqs,
               Join(SetIrqsRequest{20, flags, index, start, count}),
               Events(fds));
  };
  constexpr uint32_t kArm = kIrqDataEventfd | kIrqActionTrigger;
  constexpr uint32_t kNone = kIrqDataNone | kIrqActionTrigger;
  EXPECT_EQ(ask(kArm, 2, 0, 5, 5), 0);
  EXPECT_TRUE(device_.irqs[4].valid());
  EXPECT_EQ(ask(kNone, 2, 4, 1, 0), 0) << "the client triggers vector 4";
  EXPECT_EQ(ask(kArm, 2, 4, 1, 0), 0);
  EXPECT_FALSE(device_.irqs[4].valid()) << "no descriptors disarm";
  EXPECT_EQ(ask(kArm, 2, 0, 6, 6), EINVAL);
  EXPECT_EQ(ask(kArm, 2, 5, 1, 1), EINVAL);
  EXPECT_EQ(ask(kArm, 2, UINT32_MAX, 2, 2), EINVAL);
  EXPECT_EQ(ask(kArm, 2, 0, 2, 3), EINVAL);
  EXPECT_EQ(ask(kArm, 0, 0, 1, 1), EINVAL) << "this device has no INTx";
  EXPECT_EQ(ask(kArm, 77, 0, 1, 1), EINVAL);
  EXPECT_EQ(ask(kIrqDataNone | kIrqActionMask, 2, 0, 1, 0), EINVAL);
  EXPECT_EQ(ask(kNone, 2, 0, 0, 0), 0);
  EXPECT_EQ(device_.disarms, 1);
}

TEST_F(MessageHandlerTest, DoorbellsShareTheirShadow) {
  const std::vector<UniqueFd> events = Events(2);
  const std::vector<UniqueFd> shadow = Memory(1);
  device_.doorbells = {{0x10, 4, events[0].get(), shadow[0].get(), 0},
                       {0x20, 4, events[1].get(), shadow[0].get(), 64}};
  ASSERT_EQ(Ask(Command::kGetRegionIoFds, Join(RegionIoFds{16, 0, 0, 0})), 0);
  EXPECT_EQ(ReplyAs<RegionIoFds>().argsz, 16 + 2 * sizeof(IoEventFd));
  EXPECT_TRUE(reply_.fds.empty()) << "too small a buffer";
  ASSERT_EQ(Ask(Command::kGetRegionIoFds, Join(RegionIoFds{512, 0, 0, 0})), 0);
  EXPECT_EQ(reply_.fds.size(), 3u);
  const auto second = ReplyAs<IoEventFd>(16 + sizeof(IoEventFd));
  EXPECT_EQ(second.fd_index, 2u);
  EXPECT_EQ(second.shadow_fd_index, 1u);
  EXPECT_EQ(second.shadow_offset, 64u);
}

TEST_F(MessageHandlerTest, ForeignMessagesAreRefused) {
  EXPECT_EQ(AskRaw(4, kTypeReply, Join(DeviceInfo{16, 0, 0, 0})), EINVAL);
  EXPECT_EQ(AskRaw(0, kTypeCommand, {}), EOPNOTSUPP);
  EXPECT_EQ(AskRaw(11, kTypeCommand, {}), EOPNOTSUPP) << "DMA_READ is ours";
  EXPECT_EQ(AskRaw(UINT16_MAX, kTypeCommand, {}), EOPNOTSUPP);
  EXPECT_EQ(Ask(Command::kGetInfo, Join(DeviceInfo{16, 0, 0, 0}), Memory(3)),
            EINVAL)
      << "descriptors that nothing asked for";
}

TEST_F(MessageHandlerTest, ShortBodiesAreRefused) {
  for (uint16_t command = 1; command <= 18; ++command) {
    if (command == static_cast<uint16_t>(Command::kDeviceReset)) continue;
    EXPECT_NE(AskRaw(command, kTypeCommand, Bytes(3)), 0) << command;
  }
}

TEST_F(DriverRoleTest, S3_DriverConnectionIsRestricted) {
  EXPECT_EQ(
      Ask(Command::kDmaMap, Join(DmaMapRequest{32, 3, 0, 0, 4096}), Memory(1)),
      EPERM);
  EXPECT_EQ(Ask(Command::kDmaUnmap, Join(DmaUnmapRequest{24, 2, 0, 0})), EPERM);
  EXPECT_EQ(Ask(Command::kSetIrqs, Join(SetIrqsRequest{20, 33, 2, 0, 0})),
            EPERM);
  EXPECT_EQ(Ask(Command::kDeviceReset, {}), EPERM);
  // COMMAND, and with it bus mastering: not even in a batch of writes.
  EXPECT_EQ(Ask(Command::kRegionWrite,
                Join(RegionAccess{4, kConfigRegion, 4}, uint32_t{6})),
            EPERM);
  EXPECT_EQ(
      Ask(Command::kRegionWriteMulti,
          Join(WriteMultiHeader{1}, SingleWrite{4, kConfigRegion, 4, {}})),
      EPERM);
  EXPECT_EQ(handler_.refused(), 6u);
  EXPECT_EQ(device_.writes + device_.resets + device_.disarms, 0);
  EXPECT_TRUE(device_.maps.empty());
}

TEST_F(DriverRoleTest, DriverReachesBarsAndReadsConfigSpace) {
  EXPECT_EQ(Ask(Command::kRegionRead, Join(RegionAccess{0, kConfigRegion, 4})),
            0);
  EXPECT_EQ(
      Ask(Command::kRegionWrite, Join(RegionAccess{0, 0, 4}, uint32_t{1})), 0);
  EXPECT_EQ(Ask(Command::kGetRegionIoFds, Join(RegionIoFds{512, 0, 0, 0})), 0);
}

}  // namespace
}  // namespace bulkhead::vfio_user
