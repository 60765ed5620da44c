// The register language: a device's registers are declared once, as types, and
// the compiler refuses what the datasheet forbids.
//
//   struct CTRL : Register<0x00000, ReadWrite> {   // 10.2.2.1
//     static constexpr Bit<CTRL, 6> SLU{};
//     static constexpr Bit<CTRL, 26> RST{};
//   };
//   struct STATUS : Register<0x00008, ReadOnly> { … };
//
//   regs.Write(CTRL::SLU(1) | CTRL::RST(1));
//   if (regs.Read<STATUS>()[STATUS::LU]) …
//   regs.Write(STATUS::LU(1));                     // Does not compile.
//
// Access modes:
//   ReadOnly         Read
//   ReadWrite        Read, Write
//   WriteOnly        Write
//   WriteOneToClear  Read, Clear: ones clear, zeros leave alone
//   ReadToClear      ReadAndClear: the read itself changes the device
//
// Tracing costs nothing when it is off, since it is another PciDevice in front
// of the device: see trace.h.
#ifndef BULKHEAD_NIC_DRIVER_FRAMEWORK_REGISTERS_H_
#define BULKHEAD_NIC_DRIVER_FRAMEWORK_REGISTERS_H_

#include <cstdint>
#include <span>
#include <utility>

#include "absl/status/status.h"
#include "nic_driver/framework/pci_device.h"

namespace bulkhead::nic_driver {

struct ReadOnly {
  static constexpr bool kRead = true, kWrite = false, kClear = false,
                        kReadAndClear = false;
};
struct ReadWrite {
  static constexpr bool kRead = true, kWrite = true, kClear = false,
                        kReadAndClear = false;
};
struct WriteOnly {
  static constexpr bool kRead = false, kWrite = true, kClear = false,
                        kReadAndClear = false;
};
struct WriteOneToClear {
  static constexpr bool kRead = true, kWrite = false, kClear = true,
                        kReadAndClear = false;
};
struct ReadToClear {
  static constexpr bool kRead = false, kWrite = false, kClear = false,
                        kReadAndClear = true;
};

// The base of each register type. kOffset is in bytes within the register
// block; WordType is the register's width: uint32_t, uint16_t or uint8_t.
template <uint32_t kByteOffset, typename AccessMode,
          typename WordType = uint32_t>
struct Register {
  static_assert(kByteOffset % sizeof(WordType) == 0 && sizeof(WordType) <= 4);
  using Access = AccessMode;
  using Word = WordType;
  static constexpr uint32_t kOffset = kByteOffset;
  static constexpr uint32_t kCount = 1;
  static constexpr uint32_t kStride = 4;
};

// kEntries equal registers, kByteStride bytes apart.
template <uint32_t kByteOffset, typename AccessMode, uint32_t kEntries,
          uint32_t kByteStride = 4>
struct RegisterArray : Register<kByteOffset, AccessMode> {
  static constexpr uint32_t kCount = kEntries;
  static constexpr uint32_t kStride = kByteStride;
};

template <typename R, unsigned kLow, unsigned kWidth>
struct Field;

// The contents of register R. Contents of different registers do not mix.
template <typename R>
class Value {
 public:
  constexpr Value() = default;
  constexpr explicit Value(uint32_t bits) : bits_(bits) {}

  constexpr uint32_t bits() const { return bits_; }

  template <unsigned kLow, unsigned kWidth>
  constexpr uint32_t operator[](Field<R, kLow, kWidth> field) const {
    return (bits_ & field.kMask) >> kLow;
  }
  // The same contents with one field replaced.
  template <unsigned kLow, unsigned kWidth>
  constexpr Value With(Field<R, kLow, kWidth> field, uint32_t value) const {
    return Value((bits_ & ~field.kMask) | field(value).bits());
  }

  constexpr Value operator|(Value other) const {
    return Value(bits_ | other.bits_);
  }
  constexpr bool operator==(const Value&) const = default;

 private:
  uint32_t bits_ = 0;
};

// Bits kLow … kLow + kWidth - 1 of register R.
template <typename R, unsigned kLow, unsigned kWidth>
struct Field {
  static_assert(kWidth >= 1 && kLow + kWidth <= 32);
  static constexpr uint32_t kMask =
      static_cast<uint32_t>(((uint64_t{1} << kWidth) - 1) << kLow);

  // The contents with this field set to `value` and all else 0. A value that is
  // too large for the field loses its upper bits, as in the hardware.
  constexpr Value<R> operator()(uint32_t value) const {
    return Value<R>((value << kLow) & kMask);
  }
};

template <typename R, unsigned kPosition>
using Bit = Field<R, kPosition, 1>;

template <typename R>
concept Readable = R::Access::kRead;
template <typename R>
concept Writable = R::Access::kWrite;
template <typename R>
concept Clearable = R::Access::kClear;
template <typename R>
concept ClearedByRead = R::Access::kReadAndClear;
template <typename B, typename A>
concept NeighbourOf = B::kOffset == A::kOffset + 4;

// A block of registers: one BAR of a device, or what begins `base` bytes into
// it.
//
// Requires: `device` outlives it.
class Registers {
 public:
  Registers(PciDevice& device, int bar, uint32_t base = 0)
      : device_(&device), bar_(bar), base_(base) {}

  template <Readable R>
  Value<R> Read(uint32_t index = 0) const {
    if constexpr (sizeof(typename R::Word) == 4) {
      return Value<R>(device_->Read32(bar_, Offset<R>(index)));
    } else {
      return Value<R>(
          device_->Read(bar_, Offset<R>(index), sizeof(typename R::Word)));
    }
  }

  // Equal-sized neighbours from R on, at the price of one.
  template <Readable R>
  void ReadRun(std::span<uint32_t> out) const {
    device_->ReadRun(bar_, Offset<R>(0), sizeof(typename R::Word), out);
  }

  // Two neighbours at the price of one.
  template <Readable A, Readable B>
  std::pair<Value<A>, Value<B>> ReadPair() const {
    static_assert(NeighbourOf<B, A>);
    const auto [a, b] = device_->ReadPair32(bar_, Offset<A>(0));
    return {Value<A>(a), Value<B>(b)};
  }

  template <ClearedByRead R>
  Value<R> ReadAndClear(uint32_t index = 0) const {
    return Value<R>(device_->Read32(bar_, Offset<R>(index)));
  }

  template <Writable R>
  void Write(Value<R> value, uint32_t index = 0) const {
    if constexpr (sizeof(typename R::Word) == 4) {
      device_->Write32(bar_, Offset<R>(index), value.bits());
    } else {
      device_->Write(bar_, Offset<R>(index), sizeof(typename R::Word),
                     value.bits());
    }
  }

  template <Clearable R>
  void Clear(Value<R> ones, uint32_t index = 0) const {
    device_->Write32(bar_, Offset<R>(index), ones.bits());
  }

  // See PciDevice::HoldWrites.
  void HoldWrites() const { device_->HoldWrites(); }

  // A write that may overtake, and be overtaken by, accesses to other
  // registers: see PciDevice::WriteDoorbell32.
  template <Writable R>
  void Ring(Value<R> value, uint32_t index = 0) const {
    device_->WriteDoorbell32(bar_, Offset<R>(index), value.bits());
  }

 private:
  template <typename R>
  uint32_t Offset(uint32_t index) const {
    return base_ + R::kOffset + index * R::kStride;
  }

  PciDevice* device_;
  int bar_;
  uint32_t base_;
};

// What a surprise-removed device answers to every read (PCIe: no completion).
template <typename R>
constexpr bool ReadsAsGone(Value<R> value) {
  return value.bits() == static_cast<typename R::Word>(~uint32_t{0});
}
inline absl::Status GoneError() {
  return absl::UnavailableError("the NIC is gone: its registers read all ones");
}

// An address of 64 bits, for two registers of 32.
constexpr uint32_t Low(uint64_t address) {
  return static_cast<uint32_t>(address);
}
constexpr uint32_t High(uint64_t address) {
  return static_cast<uint32_t>(address >> 32);
}

}  // namespace bulkhead::nic_driver

#endif  // BULKHEAD_NIC_DRIVER_FRAMEWORK_REGISTERS_H_
