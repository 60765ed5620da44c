#include "clients/nic_traffic/test_frame.h"

#include <bit>
#include <cstring>

#include "clients/nic_traffic/crc32c.h"

namespace bulkhead::nic_traffic {
namespace {

static_assert(std::endian::native == std::endian::little,
              "test frames are written in host order");

constexpr std::array<uint8_t, 4> kMagic = {'B', 'K', 'H', 'D'};
constexpr size_t kMagicAt = 14;
constexpr size_t kStreamAt = 18;
constexpr size_t kSequenceAt = 22;
constexpr size_t kSentAt = 30;
constexpr size_t kChecksumAt = 38;
constexpr size_t kPaddingAt = 42;

template <typename T>
void Put(std::span<uint8_t> out, size_t at, T value) {
  std::memcpy(out.data() + at, &value, sizeof(value));
}

template <typename T>
T Get(std::span<const uint8_t> bytes, size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof(value));
  return value;
}

uint32_t Checksum(std::span<const uint8_t> bytes) {
  const uint32_t head = Crc32c(bytes.subspan(kMagicAt, kChecksumAt - kMagicAt));
  return Crc32c(bytes.subspan(kPaddingAt), head);
}

}  // namespace

void WriteTestFrame(const TestFrame& frame, const MacAddress& destination,
                    const MacAddress& source, std::span<uint8_t> out) {
  std::memcpy(out.data(), destination.data(), destination.size());
  std::memcpy(out.data() + 6, source.data(), source.size());
  out[12] = kEtherType >> 8;
  out[13] = kEtherType & 0xff;
  std::memcpy(out.data() + kMagicAt, kMagic.data(), kMagic.size());
  Put(out, kStreamAt, frame.stream);
  Put(out, kSequenceAt, frame.sequence);
  Put(out, kSentAt, frame.sent_ns);
  std::memset(out.data() + kPaddingAt, static_cast<uint8_t>(frame.sequence),
              out.size() - kPaddingAt);
  Put(out, kChecksumAt, Checksum(out));
}

FrameKind ReadTestFrame(std::span<const uint8_t> bytes, TestFrame& frame) {
  if (bytes.size() < kPaddingAt || bytes[12] != kEtherType >> 8 ||
      bytes[13] != (kEtherType & 0xff) ||
      std::memcmp(bytes.data() + kMagicAt, kMagic.data(), kMagic.size()) != 0) {
    return FrameKind::kForeign;
  }
  if (Get<uint32_t>(bytes, kChecksumAt) != Checksum(bytes)) {
    return FrameKind::kCorrupt;
  }
  frame.stream = Get<uint32_t>(bytes, kStreamAt);
  frame.sequence = Get<uint64_t>(bytes, kSequenceAt);
  frame.sent_ns = Get<uint64_t>(bytes, kSentAt);
  return FrameKind::kTest;
}

}  // namespace bulkhead::nic_traffic
