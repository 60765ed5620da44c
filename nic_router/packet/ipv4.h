// IPv4 (RFC 791).
#ifndef BULKHEAD_NIC_ROUTER_PACKET_IPV4_H_
#define BULKHEAD_NIC_ROUTER_PACKET_IPV4_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

#include "nic_router/packet/bytes.h"
#include "nic_router/packet/checksum.h"

namespace bulkhead::nic_router {

constexpr size_t kIpv4Bytes = 20;
constexpr uint8_t kProtocolIcmp = 1;
constexpr uint8_t kProtocolTcp = 6;
constexpr uint8_t kProtocolUdp = 17;
constexpr uint8_t kProtocolIcmp6 = 58;
constexpr uint16_t kIpv4DontFragment = 0x4000;
constexpr uint16_t kIpv4MoreFragments = 0x2000;
constexpr uint16_t kIpv4OffsetMask = 0x1fff;

// The header alone: that the packet is as long as it says is for the caller to
// compare, who knows the frame.
template <typename Byte>
class BasicIpv4 {
 public:
  // nullopt: shorter than the header says, or not version 4.
  static std::optional<BasicIpv4> In(std::span<Byte> bytes) {
    if (bytes.size() < kIpv4Bytes || bytes[0] >> 4 != 4) return std::nullopt;
    const size_t header = (bytes[0] & 0xfu) * 4;
    if (header < kIpv4Bytes || header > bytes.size()) return std::nullopt;
    return BasicIpv4(bytes.data());
  }
  size_t header_bytes() const { return (at_[0] & 0xfu) * 4; }
  uint16_t total_bytes() const { return Load16(at_ + 2); }
  uint16_t identification() const { return Load16(at_ + 4); }
  bool dont_fragment() const {
    return (Load16(at_ + 6) & kIpv4DontFragment) != 0;
  }
  bool more_fragments() const {
    return (Load16(at_ + 6) & kIpv4MoreFragments) != 0;
  }
  // In bytes.
  uint32_t fragment_offset() const {
    return (Load16(at_ + 6) & kIpv4OffsetMask) * 8u;
  }
  uint8_t ttl() const { return at_[8]; }
  uint8_t protocol() const { return at_[9]; }
  uint16_t checksum() const { return Load16(at_ + 10); }
  Ipv4Address source() const { return Load32(at_ + 12); }
  Ipv4Address destination() const { return Load32(at_ + 16); }
  std::span<Byte> options() const {
    return {at_ + kIpv4Bytes, header_bytes() - kIpv4Bytes};
  }
  bool GoodChecksum() const {
    if (header_bytes() == kIpv4Bytes) [[likely]] {
      // The order of bytes does not matter to whether the sum is good.
      uint32_t words[kIpv4Bytes / 4];
      std::memcpy(words, at_, sizeof(words));
      uint64_t sum = 0;
      for (const uint32_t word : words) sum += word;
      return FoldSum(sum) == 0xffff;
    }
    ChecksumSum sum;
    sum.Add({at_, header_bytes()});
    return sum.Good();
  }

  void set_total_bytes(uint16_t bytes) { Store16(at_ + 2, bytes); }
  // The offset is in bytes, a multiple of 8; DF is not set.
  void set_fragment(uint32_t offset, bool more) {
    Store16(at_ + 6, static_cast<uint16_t>(offset / 8 |
                                           (more ? kIpv4MoreFragments : 0)));
  }
  void set_ttl(uint8_t ttl) { at_[8] = ttl; }
  void set_checksum(uint16_t checksum) { Store16(at_ + 10, checksum); }
  void set_source(Ipv4Address address) { Store32(at_ + 12, address); }
  void set_destination(Ipv4Address address) { Store32(at_ + 16, address); }
  void FillChecksum() {
    set_checksum(0);
    ChecksumSum sum;
    sum.Add({at_, header_bytes()});
    set_checksum(sum.Checksum());
  }

 private:
  explicit BasicIpv4(Byte* at) : at_(at) {}
  Byte* at_;
};
using Ipv4View = BasicIpv4<const uint8_t>;
using Ipv4Writer = BasicIpv4<uint8_t>;

// What is wrong with a header's options.
enum class Ipv4Options : uint8_t {
  kGood,
  kMalformed,    // A length of 0 or 1, or past the header's end.
  kSourceRoute,  // LSRR or SSRR: nobody honest sends them (RFC 7126 4.3).
};
Ipv4Options CheckIpv4Options(std::span<const uint8_t> options);

struct Ipv4Fields {
  Ipv4Address source = 0;
  Ipv4Address destination = 0;
  uint8_t protocol = 0;
  uint8_t ttl = 64;
  uint8_t type_of_service = 0;
  uint16_t identification = 0;
  bool dont_fragment = true;
};
// Writes a header of kIpv4Bytes for so many bytes of payload.
void WriteIpv4(std::span<uint8_t> bytes, const Ipv4Fields& fields,
               size_t payload_bytes);

}  // namespace bulkhead::nic_router

#endif  // BULKHEAD_NIC_ROUTER_PACKET_IPV4_H_
