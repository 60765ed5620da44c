#include "nic_model/virtio_net/steering.h"

#include <algorithm>

#include "nic_model/frames/bytes.h"

namespace bulkhead::nic_model::virtio_net {
namespace {

constexpr size_t kEthernetBytes = 14;
constexpr size_t kIpv4Bytes = 20;
constexpr size_t kIpv6Bytes = 40;
constexpr uint8_t kTcp = 6;
constexpr uint8_t kUdp = 17;

// The finaliser of MurmurHash3: every bit of the input changes half of the
// output's.
uint32_t Mix(uint32_t value) {
  value = (value ^ value >> 16) * 0x85ebca6b;
  value = (value ^ value >> 13) * 0xc2b2ae35;
  return value ^ value >> 16;
}

// The same whichever comes first.
uint32_t Symmetric(uint32_t hash, uint32_t a, uint32_t b) {
  return Mix(Mix(hash + std::min(a, b)) + std::max(a, b));
}

}  // namespace

void Steering::set_pairs(uint32_t pairs) {
  pairs_ = pairs;
  buckets_ = {};
}

std::optional<uint32_t> Steering::Hash(std::span<const uint8_t> frame) {
  if (frame.size() < kEthernetBytes) return std::nullopt;
  const std::span<const uint8_t> ip = frame.subspan(kEthernetBytes);
  const uint32_t type = Load16(frame, 12);
  uint32_t hash = type;
  size_t l4 = kIpv6Bytes;
  uint8_t protocol = 0;
  if (type == 0x0800 && ip.size() >= kIpv4Bytes) {
    hash = Symmetric(hash, Load16(ip, 12) << 16 | Load16(ip, 14),
                     Load16(ip, 16) << 16 | Load16(ip, 18));
    l4 = (ip[0] & 0xf) * 4u;
    // Only the first of a packet's fragments has ports.
    if ((Load16(ip, 6) & 0x3fff) == 0) protocol = ip[9];
  } else if (type == 0x86dd && ip.size() >= kIpv6Bytes) {
    uint32_t source = 0, destination = 0;
    for (size_t i = 0; i < 16; i += 2) {
      source = Mix(source + Load16(ip, 8 + i));
      destination = Mix(destination + Load16(ip, 24 + i));
    }
    hash = Symmetric(hash, source, destination);
    protocol = ip[6];
  } else {
    return std::nullopt;
  }
  if ((protocol != kTcp && protocol != kUdp) || l4 + 4 > ip.size()) return hash;
  return Symmetric(hash + protocol, Load16(ip, l4), Load16(ip, l4 + 2));
}

void Steering::Learn(std::span<const uint8_t> frame, uint32_t pair) {
  if (pairs_ == 1) return;
  const std::optional<uint32_t> hash = Hash(frame);
  if (!hash.has_value()) return;
  Bucket& bucket = buckets_[*hash % kBuckets];
  auto flow = std::find_if(bucket.begin(), bucket.end(), [&](const Flow& f) {
    return f.known && f.hash == *hash;
  });
  if (flow == bucket.end()) {
    flow = std::find_if(bucket.begin(), bucket.end(),
                        [](const Flow& f) { return !f.known; });
  }
  if (flow == bucket.end()) flow = bucket.begin() + next_way_++ % kWays;
  *flow = {*hash, pair, true};
}

uint32_t Steering::PairFor(std::span<const uint8_t> frame) const {
  if (pairs_ == 1) return 0;
  const std::optional<uint32_t> hash = Hash(frame);
  if (!hash.has_value()) return 0;
  for (const Flow& flow : buckets_[*hash % kBuckets]) {
    if (flow.known && flow.hash == *hash && flow.pair < pairs_) {
      return flow.pair;
    }
  }
  return *hash % pairs_;
}

}  // namespace bulkhead::nic_model::virtio_net
