#include "nic_model/82576/rss.h"

#include <algorithm>
#include <cstring>

#include "nic_model/82576/registers.h"
#include "nic_model/frames/bytes.h"

namespace bulkhead::nic_model::i82576 {
namespace {

constexpr size_t kEthernetBytes = 14;
constexpr size_t kPortBytes = 4;  // Both.
constexpr uint8_t kTcp = 6;
constexpr uint8_t kUdp = 17;
constexpr uint32_t kRetaWords = 32;

// 7.1.5: the RSS type of a descriptor.
enum Type : uint32_t {
  kNone,
  kTypeTcpIpv4,
  kTypeIpv4,
  kTypeTcpIpv6,
  kTypeIpv6Ex,
  kTypeIpv6,
  kTypeTcpIpv6Ex,
  kTypeUdpIpv4,
  kTypeUdpIpv6,
  kTypeUdpIpv6Ex,
};

}  // namespace

bool Rss::Holds(uint32_t offset) {
  return offset == kMrqc ||
         (offset >= kReta && offset < kReta + kRetaWords * 4) ||
         (offset >= kRssrk && offset < kRssrk + kKeyBytes);
}

bool Rss::Enabled(uint32_t fields) const { return regs_.Has(kMrqc, fields); }

void Rss::Update() {
  on_ = (regs_[kMrqc] & kMrqcModeMask) == kMrqcModeRss;
  for (uint32_t i = 0; i < kKeyBytes; i += 4) {
    const uint32_t word = regs_[kRssrk + i];
    std::memcpy(&key_[i], &word, 4);
  }
  used_queues_ = 1;
  for (uint32_t i = 0; on_ && i < kRetaWords; ++i) {
    for (uint32_t shift = 0; shift < 32; shift += 8) {
      used_queues_ |= 1u << (regs_[kReta + 4 * i] >> shift & kRetaQueue);
    }
  }
}

// 7.1.2.8.1, as Microsoft defined it: for each bit of the input that is set,
// the 32 bits of the key that begin at its position.
uint32_t Rss::Hash(std::span<const uint8_t> input) const {
  uint32_t window = uint32_t{key_[0]} << 24 | uint32_t{key_[1]} << 16 |
                    uint32_t{key_[2]} << 8 | key_[3];
  uint32_t hash = 0;
  for (size_t i = 0; i < input.size(); ++i) {
    for (int bit = 7; bit >= 0; --bit) {
      if ((input[i] >> bit & 1) != 0) hash ^= window;
      window = window << 1 | (key_[i + 4] >> bit & 1);
    }
  }
  return hash;
}

RssResult Rss::Classify(std::span<const uint8_t> frame) const {
  if (!on_ || frame.size() < kEthernetBytes) return {};
  const auto packet = frame.subspan(kEthernetBytes);
  RssResult result;
  switch (Load16(frame, 12)) {
    case 0x0800:
      result = ClassifyIpv4(packet);
      break;
    case 0x86dd:
      result = ClassifyIpv6(packet);
      break;
  }
  if (result.type == kNone) return {};
  const uint32_t index = result.hash % 128;
  result.queue = regs_[kReta + index / 4 * 4] >> index % 4 * 8 & kRetaQueue;
  return result;
}

// Both addresses lie together; so do both ports, behind the header. Ports of a
// fragment are not looked at: only the first has any.
RssResult Rss::ClassifyIpv4(std::span<const uint8_t> packet) const {
  constexpr size_t kAddresses = 12, kAddressBytes = 8;
  if (packet.size() < 20 || packet[0] >> 4 != 4) return {};
  const size_t header = (packet[0] & 0xf) * 4u;
  if (header < 20 || header + kPortBytes > packet.size()) return {};
  std::array<uint8_t, kAddressBytes + kPortBytes> input;
  std::memcpy(input.data(), &packet[kAddresses], kAddressBytes);
  std::memcpy(&input[kAddressBytes], &packet[header], kPortBytes);
  const bool fragment = (Load16(packet, 6) & 0x3fff) != 0;
  const uint8_t protocol = fragment ? 0 : packet[9];
  RssResult result;
  if (protocol == kTcp && Enabled(kMrqcTcpIpv4)) {
    result.type = kTypeTcpIpv4;
  } else if (protocol == kUdp && Enabled(kMrqcUdpIpv4)) {
    result.type = kTypeUdpIpv4;
  } else if (Enabled(kMrqcIpv4)) {
    result.type = kTypeIpv4;
  }
  result.hash = Hash(std::span(input).first(
      result.type == kTypeIpv4 ? kAddressBytes : input.size()));
  return result;
}

// The Ex kinds differ where extension headers hold other addresses: such
// headers are not looked for.
RssResult Rss::ClassifyIpv6(std::span<const uint8_t> packet) const {
  constexpr size_t kHeader = 40, kAddresses = 8, kAddressBytes = 32;
  if (packet.size() < kHeader + kPortBytes || packet[0] >> 4 != 6) return {};
  std::array<uint8_t, kAddressBytes + kPortBytes> input;
  std::memcpy(input.data(), &packet[kAddresses], kAddressBytes);
  std::memcpy(&input[kAddressBytes], &packet[kHeader], kPortBytes);
  const uint8_t protocol = packet[6];
  RssResult result;
  if (protocol == kTcp && Enabled(kMrqcTcpIpv6Ex | kMrqcTcpIpv6)) {
    result.type = Enabled(kMrqcTcpIpv6Ex) ? kTypeTcpIpv6Ex : kTypeTcpIpv6;
  } else if (protocol == kUdp && Enabled(kMrqcUdpIpv6Ex | kMrqcUdpIpv6)) {
    result.type = Enabled(kMrqcUdpIpv6Ex) ? kTypeUdpIpv6Ex : kTypeUdpIpv6;
  } else if (Enabled(kMrqcIpv6Ex | kMrqcIpv6)) {
    result.type = Enabled(kMrqcIpv6Ex) ? kTypeIpv6Ex : kTypeIpv6;
  }
  const bool addresses_only =
      result.type == kTypeIpv6 || result.type == kTypeIpv6Ex;
  result.hash = Hash(
      std::span(input).first(addresses_only ? kAddressBytes : input.size()));
  return result;
}

}  // namespace bulkhead::nic_model::i82576
