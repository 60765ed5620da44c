#include "clients/nic_tap/tcp_headers.h"

#include <algorithm>
#include <cstring>

#include "clients/nic_tap/checksum.h"

namespace bulkhead::nic_tap {
namespace {

constexpr uint32_t kEthernetBytes = 14;
constexpr uint32_t kVlanBytes = 4;
constexpr uint16_t kTypeIpv4 = 0x0800;
constexpr uint16_t kTypeIpv6 = 0x86dd;
constexpr uint16_t kTypeVlan = 0x8100;
constexpr uint32_t kIpv4Bytes = 20;
constexpr uint32_t kIpv6Bytes = 40;
constexpr uint32_t kTcpBytes = 20;
constexpr uint8_t kProtocolTcp = 6;

// RFC 791 3.1, from the start of the header.
constexpr uint32_t kIpv4Length = 2;
constexpr uint32_t kIpv4Identification = 4;
constexpr uint32_t kIpv4Protocol = 9;
constexpr uint32_t kIpv4Checksum = 10;
constexpr uint32_t kIpv4Addresses = 12;
// RFC 8200 3.
constexpr uint32_t kIpv6Length = 4;
constexpr uint32_t kIpv6NextHeader = 6;
constexpr uint32_t kIpv6Addresses = 8;
// RFC 9293 3.1.
constexpr uint32_t kTcpSequence = 4;
constexpr uint32_t kTcpDataOffset = 12;
constexpr uint32_t kTcpFlags = 13;
constexpr uint8_t kFin = 0x01;
constexpr uint8_t kPsh = 0x08;
constexpr uint8_t kCwr = 0x80;

}  // namespace

bool FindTcpHeaders(std::span<const uint8_t> frame, uint32_t tcp_start,
                    TcpHeaders& out) {
  out = {};
  if (frame.size() < kEthernetBytes + kVlanBytes + kIpv4Bytes + kTcpBytes) {
    return false;
  }
  uint16_t type = Load16(&frame[12]);
  out.vlan = type == kTypeVlan;
  if (out.vlan) type = Load16(&frame[16]);
  out.ip_start = kEthernetBytes + (out.vlan ? kVlanBytes : 0);
  out.ipv6 = type == kTypeIpv6;
  if (!out.ipv6 && type != kTypeIpv4) return false;
  const uint32_t least = out.ip_start + (out.ipv6 ? kIpv6Bytes : kIpv4Bytes);
  if (tcp_start < least || size_t{tcp_start} + kTcpBytes > frame.size()) {
    return false;
  }
  const uint8_t* ip = &frame[out.ip_start];
  out.ip_options = tcp_start != least;
  if (out.ipv6) {
    if (ip[0] >> 4 != 6 ||
        (!out.ip_options && ip[kIpv6NextHeader] != kProtocolTcp)) {
      return false;
    }
  } else if (ip[0] >> 4 != 4 || ip[kIpv4Protocol] != kProtocolTcp ||
             out.ip_start + (ip[0] & 0xfu) * 4 != tcp_start) {
    return false;
  }
  out.tcp_start = tcp_start;
  const uint32_t tcp_bytes = (frame[tcp_start + kTcpDataOffset] >> 4) * 4u;
  out.header_bytes = tcp_start + tcp_bytes;
  return tcp_bytes >= kTcpBytes && out.header_bytes <= frame.size();
}

void ForgetLengths(std::span<uint8_t> head, const TcpHeaders& tcp,
                   uint32_t frame_bytes) {
  uint8_t* sum = &head[tcp.tcp_start + kTcpChecksum];
  ChecksumSum without;
  without.AddWord(Load16(sum));
  // To subtract is to add the complement.
  ChecksumSum length;
  length.AddWord(frame_bytes - tcp.tcp_start);
  without.AddWord(static_cast<uint16_t>(~length.Folded()));
  Store16(sum, without.Folded());
  uint8_t* ip = &head[tcp.ip_start];
  if (tcp.ipv6) {
    Store16(ip + kIpv6Length, 0);
  } else {
    Store16(ip + kIpv4Length, 0);
    Store16(ip + kIpv4Checksum, 0);
  }
}

size_t TcpCutter::next_bytes() const {
  return std::min<size_t>(segment_.size() - at_,
                          size_t{tcp_.header_bytes} + payload_bytes_);
}

void TcpCutter::Next(std::span<uint8_t> out) {
  out = out.first(next_bytes());
  std::memcpy(out.data(), segment_.data(), tcp_.header_bytes);
  const size_t payload = out.size() - tcp_.header_bytes;
  std::memcpy(&out[tcp_.header_bytes], &segment_[tcp_.header_bytes + at_],
              payload);
  const bool last = at_ + tcp_.header_bytes + payload == segment_.size();
  FixIp(out);
  FixTcp(out, last);
  at_ += static_cast<uint32_t>(payload);
  ++index_;
}

void TcpCutter::FixIp(std::span<uint8_t> out) const {
  uint8_t* ip = &out[tcp_.ip_start];
  if (tcp_.ipv6) {
    Store16(ip + kIpv6Length,
            static_cast<uint32_t>(out.size() - tcp_.ip_start - kIpv6Bytes));
    return;
  }
  Store16(ip + kIpv4Length, static_cast<uint32_t>(out.size() - tcp_.ip_start));
  Store16(ip + kIpv4Identification, Load16(ip + kIpv4Identification) + index_);
  Store16(ip + kIpv4Checksum, 0);
  ChecksumSum sum;
  sum.Add({ip, tcp_.tcp_start - tcp_.ip_start});
  Store16(ip + kIpv4Checksum, sum.Checksum());
}

void TcpCutter::FixTcp(std::span<uint8_t> out, bool last) const {
  uint8_t* tcp = &out[tcp_.tcp_start];
  Store32(tcp + kTcpSequence, Load32(tcp + kTcpSequence) + at_);
  if (!last) tcp[kTcpFlags] &= static_cast<uint8_t>(~(kFin | kPsh));
  if (index_ > 0) tcp[kTcpFlags] &= static_cast<uint8_t>(~kCwr);
  const uint8_t* ip = &out[tcp_.ip_start];
  ChecksumSum sum;
  sum.Add(tcp_.ipv6 ? std::span(ip + kIpv6Addresses, 32)
                    : std::span(ip + kIpv4Addresses, 8));
  sum.AddWord(kProtocolTcp);
  sum.AddWord(static_cast<uint32_t>(out.size() - tcp_.tcp_start));
  Store16(tcp + kTcpChecksum, 0);
  sum.Add(out.subspan(tcp_.tcp_start));
  Store16(tcp + kTcpChecksum, sum.Checksum());
}

}  // namespace bulkhead::nic_tap
