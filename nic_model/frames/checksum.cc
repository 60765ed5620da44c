#include "nic_model/frames/checksum.h"

#include <array>
#include <cstring>

#include "nic_model/frames/bytes.h"

namespace bulkhead::nic_model {
namespace {

constexpr size_t kEthernetBytes = 14;
constexpr size_t kIpv6Bytes = 40;
constexpr uint16_t kTypeIpv4 = 0x0800;
constexpr uint16_t kTypeIpv6 = 0x86dd;
constexpr uint8_t kTcp = 6;
constexpr uint8_t kUdp = 17;

// `payload` is the segment, `addresses` both IP addresses.
void CheckL4(std::span<const uint8_t> payload,
             std::span<const uint8_t> addresses, uint8_t protocol,
             RxChecksum* result) {
  const bool udp = protocol == kUdp;
  if (!udp && protocol != kTcp) return;
  if (payload.size() < (udp ? 8u : 20u)) return;
  if (udp) {
    const size_t bytes = Load16(payload, 4);
    if (Load16(payload, 6) == 0) return;  // Sent without a checksum.
    if (bytes < 8 || bytes > payload.size()) return;
    payload = payload.first(bytes);
  }
  const uint32_t pseudo = OnesSum(addresses) + protocol +
                          static_cast<uint32_t>(payload.size() & 0xffff) +
                          static_cast<uint32_t>(payload.size() >> 16);
  result->l4_checked = true;
  result->l4_is_udp = udp;
  result->l4_good = OnesSum(payload, pseudo) == 0xffff;
}

void CheckIpv4(std::span<const uint8_t> packet, RxChecksum* result) {
  if (packet.size() < 20 || packet[0] >> 4 != 4) return;
  const size_t header = (packet[0] & 0xf) * 4u;
  const size_t total = Load16(packet, 2);
  if (header < 20 || header > packet.size() || total < header ||
      total > packet.size()) {
    return;
  }
  result->ip_checked = true;
  result->ip_good = OnesSum(packet.first(header)) == 0xffff;
  const bool fragment = (Load16(packet, 6) & 0x3fff) != 0;
  if (fragment) return;
  CheckL4(packet.subspan(header, total - header), packet.subspan(12, 8),
          packet[9], result);
}

void CheckIpv6(std::span<const uint8_t> packet, RxChecksum* result) {
  if (packet.size() < kIpv6Bytes || packet[0] >> 4 != 6) return;
  const size_t bytes = Load16(packet, 4);
  if (bytes > packet.size() - kIpv6Bytes) return;
  CheckL4(packet.subspan(kIpv6Bytes, bytes), packet.subspan(8, 32), packet[6],
          result);
}

}  // namespace

uint16_t OnesSum(std::span<const uint8_t> bytes, uint32_t seed) {
  // Four bytes at a time in host order: the sum's bytes come out swapped.
  uint64_t sum = 0;
  while (bytes.size() >= 4) {
    uint32_t word;
    std::memcpy(&word, bytes.data(), 4);
    sum += word;
    bytes = bytes.subspan(4);
  }
  uint32_t last = 0;
  if (!bytes.empty()) std::memcpy(&last, bytes.data(), bytes.size());
  sum += last;
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  uint32_t folded = __builtin_bswap16(static_cast<uint16_t>(sum)) + seed;
  while (folded >> 16 != 0) folded = (folded & 0xffff) + (folded >> 16);
  return static_cast<uint16_t>(folded);
}

bool InsertChecksum(std::span<uint8_t> frame, size_t start, size_t end,
                    size_t at) {
  if (end == 0) end = frame.empty() ? 0 : frame.size() - 1;
  if (start > end || end >= frame.size() || at + 2 > frame.size()) return false;
  const auto sum =
      static_cast<uint16_t>(~OnesSum(frame.subspan(start, end - start + 1)));
  frame[at] = static_cast<uint8_t>(sum >> 8);
  frame[at + 1] = static_cast<uint8_t>(sum);
  return true;
}

uint32_t FrameCheckSequence(std::span<const uint8_t> frame) {
  static constexpr std::array<uint32_t, 256> kTable = [] {
    std::array<uint32_t, 256> table = {};
    for (uint32_t i = 0; i < 256; ++i) {
      uint32_t value = i;
      for (int bit = 0; bit < 8; ++bit) {
        value = (value >> 1) ^ ((value & 1) != 0 ? 0xedb88320 : 0);
      }
      table[i] = value;
    }
    return table;
  }();
  uint32_t crc = ~0u;
  for (const uint8_t byte : frame) {
    crc = kTable[(crc ^ byte) & 0xff] ^ (crc >> 8);
  }
  return ~crc;
}

RxChecksum CheckFrame(std::span<const uint8_t> frame) {
  RxChecksum result;
  if (frame.size() < kEthernetBytes) return result;
  const auto packet = frame.subspan(kEthernetBytes);
  switch (Load16(frame, 12)) {
    case kTypeIpv4:
      CheckIpv4(packet, &result);
      break;
    case kTypeIpv6:
      CheckIpv6(packet, &result);
      break;
  }
  return result;
}

}  // namespace bulkhead::nic_model
