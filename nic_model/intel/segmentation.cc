#include "nic_model/intel/segmentation.h"

#include <algorithm>
#include <cstring>

#include "nic_model/frames/checksum.h"

namespace bulkhead::nic_model::intel {
namespace {

constexpr size_t kIpv4Bytes = 20;
constexpr size_t kIpv6Bytes = 40;
constexpr size_t kTcpBytes = 20;
constexpr uint8_t kFin = 0x01;
constexpr uint8_t kPsh = 0x08;

uint16_t Load16(const uint8_t* at) {
  return static_cast<uint16_t>(at[0] << 8 | at[1]);
}
void Store16(uint8_t* at, size_t value) {
  at[0] = static_cast<uint8_t>(value >> 8);
  at[1] = static_cast<uint8_t>(value);
}

}  // namespace

bool CanSegment(const TxContext& context, std::span<const uint8_t> frame) {
  const size_t ip_bytes = context.ipv4 ? kIpv4Bytes : kIpv6Bytes;
  return context.tcp && context.segment_bytes != 0 &&
         frame.size() == size_t{context.header_bytes} + context.payload_bytes &&
         context.payload_bytes != 0 &&
         context.ipcss + ip_bytes <= context.tucss &&
         context.tucss + kTcpBytes <= context.header_bytes &&
         frame[context.ipcss] >> 4 == (context.ipv4 ? 4 : 6);
}

// 7.3.6.2: IP's length, identification and checksum, TCP's sequence number,
// flags and checksum differ from frame to frame.
size_t CutSegment(const TxContext& context, std::span<const uint8_t> frame,
                  size_t at, std::span<uint8_t> out) {
  const size_t header = context.header_bytes;
  const size_t payload =
      std::min<size_t>(context.segment_bytes, frame.size() - header - at);
  const size_t bytes = header + payload;
  if (bytes > out.size()) return 0;
  std::memcpy(out.data(), frame.data(), header);
  std::memcpy(out.data() + header, frame.data() + header + at, payload);
  uint8_t* const ip = out.data() + context.ipcss;
  uint8_t* const tcp = out.data() + context.tucss;
  if (context.ipv4) {
    Store16(ip + 2, bytes - context.ipcss);
    Store16(ip + 4, Load16(ip + 4) + at / context.segment_bytes);
    Store16(ip + 10, 0);
  } else {
    Store16(ip + 4, bytes - context.ipcss - kIpv6Bytes);
  }
  const uint32_t sequence =
      (uint32_t{Load16(tcp + 4)} << 16 | Load16(tcp + 6)) +
      static_cast<uint32_t>(at);
  Store16(tcp + 4, sequence >> 16);
  Store16(tcp + 6, sequence);
  const bool last = header + at + payload == frame.size();
  if (!last) tcp[13] &= static_cast<uint8_t>(~(kFin | kPsh));
  // The host's sum of the pseudo header is without the length.
  Store16(tcp + 16, OnesSum({}, Load16(tcp + 16) + static_cast<uint32_t>(
                                                       bytes - context.tucss)));
  const std::span<uint8_t> segment = out.first(bytes);
  static_cast<void>(InsertChecksum(segment, context.tucss, 0, context.tucso));
  if (context.ipv4) {
    static_cast<void>(
        InsertChecksum(segment, context.ipcss, context.ipcse, context.ipcso));
  }
  return bytes;
}

}  // namespace bulkhead::nic_model::intel
