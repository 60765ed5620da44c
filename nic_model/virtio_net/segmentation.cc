#include "nic_model/virtio_net/segmentation.h"

#include <algorithm>
#include <cstring>

#include "nic_model/frames/bytes.h"
#include "nic_model/frames/checksum.h"
#include "nic_model/network/network.h"

namespace bulkhead::nic_model::virtio_net {
namespace {

constexpr size_t kEthernetBytes = 14;
constexpr size_t kVlanBytes = 4;
constexpr size_t kIpv4Bytes = 20;
constexpr size_t kIpv6Bytes = 40;
constexpr size_t kTcpBytes = 20;
constexpr size_t kTcpChecksum = 16;
constexpr uint8_t kTcp = 6;
constexpr uint8_t kFin = 0x01;
constexpr uint8_t kPsh = 0x08;
constexpr uint8_t kCwr = 0x80;
// The least MSS that Linux ever uses: one of a byte would be a flood.
constexpr size_t kMinSegmentBytes = 48;

// RFC 791, RFC 8200: a header of the kind, without extensions of IPv6, whose
// length is that of the packet and which TCP follows.
bool GoodIp(std::span<const uint8_t> frame, const Segmentation& plan) {
  const size_t ip = plan.ip;
  if (plan.ipv6) {
    return Load16(frame, ip - 2) == 0x86dd && plan.tcp == ip + kIpv6Bytes &&
           frame[ip] >> 4 == 6 && frame[ip + 6] == kTcp &&
           Load16(frame, ip + 4) == frame.size() - plan.tcp;
  }
  return Load16(frame, ip - 2) == 0x0800 && plan.tcp >= ip + kIpv4Bytes &&
         frame[ip] >> 4 == 4 && plan.tcp == ip + (frame[ip] & 0xf) * 4u &&
         frame[ip + 9] == kTcp && Load16(frame, ip + 2) == frame.size() - ip;
}

}  // namespace

std::optional<Segmentation> PlanSegments(const NetHeader& header,
                                         std::span<const uint8_t> frame,
                                         uint64_t features) {
  const bool ipv4 = header.gso_type == kGsoTcpv4;
  if ((!ipv4 && header.gso_type != kGsoTcpv6) ||
      (features & (ipv4 ? kHostTso4 : kHostTso6)) == 0) {
    return std::nullopt;
  }
  Segmentation plan;
  plan.ipv6 = !ipv4;
  plan.tcp = header.csum_start;
  plan.segment_bytes = header.gso_size;
  if ((header.flags & kNeedsCsum) == 0 || header.csum_offset != kTcpChecksum ||
      plan.segment_bytes < kMinSegmentBytes ||
      frame.size() < kEthernetBytes + kVlanBytes + kIpv6Bytes ||
      plan.tcp + kTcpBytes > frame.size()) {
    return std::nullopt;
  }
  plan.ip = kEthernetBytes + (Load16(frame, 12) == 0x8100 ? kVlanBytes : 0);
  plan.payload = plan.tcp + (frame[plan.tcp + 12] >> 4) * 4u;
  if (!GoodIp(frame, plan) || plan.payload < plan.tcp + kTcpBytes ||
      plan.payload >= frame.size() ||
      plan.payload + plan.segment_bytes > kMaxFrameBytes) {
    return std::nullopt;
  }
  return plan;
}

// Between the frames differ IP's length, identification and checksum, and TCP's
// sequence number, flags and checksum.
size_t CutSegment(const Segmentation& plan, std::span<const uint8_t> frame,
                  size_t at, std::span<uint8_t> out) {
  const size_t payload =
      std::min(plan.segment_bytes, frame.size() - plan.payload - at);
  out = out.first(plan.payload + payload);
  std::memcpy(out.data(), frame.data(), plan.payload);
  std::memcpy(out.data() + plan.payload, frame.data() + plan.payload + at,
              payload);
  const std::span<uint8_t> ip = out.subspan(plan.ip);
  const std::span<uint8_t> tcp = out.subspan(plan.tcp);
  if (plan.ipv6) {
    Store16(ip, 4, tcp.size());
  } else {
    Store16(ip, 2, ip.size());
    Store16(ip, 4, Load16(ip, 4) + at / plan.segment_bytes);
    Store16(ip, 10, 0);
    static_cast<void>(InsertChecksum(out, plan.ip, plan.tcp - 1, plan.ip + 10));
  }
  const size_t sequence = (Load16(tcp, 4) << 16 | Load16(tcp, 6)) + at;
  Store16(tcp, 4, sequence >> 16);
  Store16(tcp, 6, sequence);
  const bool last = plan.payload + at + payload == frame.size();
  if (!last) tcp[13] &= static_cast<uint8_t>(~(kFin | kPsh));
  if (at != 0) tcp[13] &= static_cast<uint8_t>(~kCwr);
  // The sum of the pseudo header is the packet's: its length goes, the frame's
  // comes. To subtract is to add the complement.
  const auto whole = static_cast<uint32_t>(frame.size() - plan.tcp);
  Store16(tcp, kTcpChecksum,
          OnesSum({}, static_cast<uint32_t>(Load16(tcp, kTcpChecksum) +
                                            (~whole & 0xffff) + tcp.size())));
  static_cast<void>(InsertChecksum(out, plan.tcp, 0, plan.tcp + kTcpChecksum));
  return out.size();
}

}  // namespace bulkhead::nic_model::virtio_net
