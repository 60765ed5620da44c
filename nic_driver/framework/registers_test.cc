// Shows that the register language allows what each access mode allows, refuses
// the rest at compile time, and that fields read and write their own bits only.
#include "nic_driver/framework/registers.h"

#include <gtest/gtest.h>

#include "nic_driver/framework/fake_device.h"
#include "nic_driver/framework/trace.h"

namespace bulkhead::nic_driver {
namespace {

struct CONTROL : Register<0x00, ReadWrite> {
  static constexpr Bit<CONTROL, 0> ENABLE{};
  static constexpr Field<CONTROL, 4, 3> MODE{};
  static constexpr Bit<CONTROL, 31> RESET{};
};
struct STATE : Register<0x08, ReadOnly> {
  static constexpr Bit<STATE, 1> UP{};
};
struct COMMAND : Register<0x10, WriteOnly> {};
struct CAUSE : Register<0x18, WriteOneToClear> {
  static constexpr Bit<CAUSE, 2> LINK{};
};
struct DROPS : Register<0x20, ReadToClear> {};
struct TABLE : RegisterArray<0x40, ReadWrite, 8> {};

template <typename R>
concept CanRead = requires(Registers regs) {
  regs.Read<R>();
};
template <typename R>
concept CanWrite = requires(Registers regs) {
  regs.Write(Value<R>());
};
template <typename R>
concept CanClear = requires(Registers regs) {
  regs.Clear(Value<R>());
};
template <typename R>
concept CanReadAndClear = requires(Registers regs) {
  regs.ReadAndClear<R>();
};
template <typename R>
concept CanRing = requires(Registers regs) {
  regs.Ring(Value<R>());
};

// Writing a read-only register does not compile, and so on for each mode.
static_assert(CanRead<STATE> && !CanWrite<STATE> && !CanClear<STATE> &&
              !CanReadAndClear<STATE> && !CanRing<STATE>);
static_assert(CanRead<CONTROL> && CanWrite<CONTROL> && !CanClear<CONTROL> &&
              !CanReadAndClear<CONTROL> && CanRing<CONTROL>);
static_assert(!CanRead<COMMAND> && CanWrite<COMMAND> && !CanClear<COMMAND>);
static_assert(CanRead<CAUSE> && !CanWrite<CAUSE> && CanClear<CAUSE>);
static_assert(!CanRead<DROPS> && CanReadAndClear<DROPS> && !CanWrite<DROPS>);

// Neither does mixing one register's contents with another's.
template <typename A, typename B>
concept CanMix = requires(Value<A> a, Value<B> b) {
  a | b;
};
static_assert(CanMix<CONTROL, CONTROL> && !CanMix<CONTROL, STATE>);
template <typename R, typename F>
concept HasField = requires(Value<R> value, F field) {
  value[field];
};
static_assert(HasField<STATE, decltype(STATE::UP)> &&
              !HasField<CONTROL, decltype(STATE::UP)>);

static_assert(CONTROL::MODE.kMask == 0x70);
static_assert(CONTROL::RESET.kMask == 0x80000000);
static_assert((CONTROL::ENABLE(1) | CONTROL::MODE(5)).bits() == 0x51);
static_assert(CONTROL::MODE(0xff).bits() == 0x70);
static_assert(Value<CONTROL>(0xffffffff).With(CONTROL::MODE, 2).bits() ==
              0xffffffaf);
static_assert(Value<CONTROL>(0x51)[CONTROL::MODE] == 5);

TEST(Registers, ReadAndWriteTheirOffset) {
  FakeDevice device;
  const Registers regs(device, 0);
  regs.Write(CONTROL::ENABLE(1) | CONTROL::RESET(1));
  EXPECT_EQ(device[0x00], 0x80000001u);
  device[0x08] = 2;
  EXPECT_EQ(regs.Read<STATE>()[STATE::UP], 1u);
  regs.Clear(CAUSE::LINK(1));
  EXPECT_EQ(device[0x18], 4u);
  device[0x20] = 7;
  EXPECT_EQ(regs.ReadAndClear<DROPS>().bits(), 7u);
}

TEST(Registers, ArraysStepByTheirStride) {
  FakeDevice device;
  const Registers regs(device, 0);
  regs.Write(Value<TABLE>(9), 3);
  EXPECT_EQ(device[0x4c], 9u);
}

TEST(Registers, RingIsADoorbell) {
  FakeDevice device;
  Registers(device, 0).Ring(Value<CONTROL>(5));
  EXPECT_EQ(device.CountDoorbells(), 1u);
  EXPECT_EQ(device.CountWrites(), 0u);
}

TEST(Registers, ADeviceThatIsGoneReadsAllOnes) {
  FakeDevice device;
  device.Remove();
  EXPECT_TRUE(ReadsAsGone(Registers(device, 0).Read<STATE>()));
}

TEST(TracingDevice, KeepsTheLastAccesses) {
  FakeDevice device;
  TracingDevice trace(device);
  const Registers regs(trace, 0);
  for (uint32_t i = 0; i < TracingDevice::kKept; ++i) {
    regs.Write(Value<COMMAND>(i));
  }
  device[0x08] = 0x1234;
  (void)regs.Read<STATE>();
  regs.Ring(Value<CONTROL>(7));
  EXPECT_EQ(trace.count(), TracingDevice::kKept + 2);
  const TracingDevice::Entry& read = trace.entry(trace.count() - 2);
  EXPECT_EQ(read.access, TracingDevice::Access::kRead);
  EXPECT_EQ(read.offset, 0x08u);
  EXPECT_EQ(read.value, 0x1234u);
  const std::string text = trace.Text();
  EXPECT_NE(text.find("read  bar0+0x00008 0x00001234"), std::string::npos)
      << text;
  EXPECT_NE(text.find("ring  bar0+0x00000 0x00000007"), std::string::npos);
  // The first two writes were overwritten.
  EXPECT_EQ(text.find("write bar0+0x00010 0x00000001\n"), std::string::npos);
  EXPECT_NE(text.find("write bar0+0x00010 0x00000002\n"), std::string::npos);
}

}  // namespace
}  // namespace bulkhead::nic_driver
