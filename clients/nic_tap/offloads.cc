#include "clients/nic_tap/offloads.h"

#include <linux/if_tun.h>

#include "clients/nic_tap/checksum.h"
#include "clients/nic_tap/tcp_headers.h"
#include "packet_stream/layout.h"

namespace bulkhead::nic_tap {
namespace {

using packet_stream::kOffloadTxChecksum;
using packet_stream::kOffloadTxTcpSegmentation;
using packet_stream::kOffloadTxWholeSegments;

// RFC 768, RFC 9293: where the checksum lies in its header.
constexpr uint32_t kUdpChecksum = 6;
// What every NIC that sums at all can reach.
constexpr uint32_t kMaxChecksumPosition = 255;
constexpr uint32_t kMaxSegmentHeaderBytes = 255;

TxPath TranslateChecksum(const VirtioHeader& header, size_t frame_bytes,
                         uint32_t offloads, TxRequest& request) {
  const uint32_t position =
      uint32_t{header.csum_start} + uint32_t{header.csum_offset};
  if (position + 2 > frame_bytes) return TxPath::kUnintelligible;
  if ((offloads & kOffloadTxChecksum) == 0 || position > kMaxChecksumPosition ||
      (header.csum_offset != kTcpChecksum &&
       header.csum_offset != kUdpChecksum)) {
    return TxPath::kSumHere;
  }
  request = {.flags = packet_stream::kChecksumNeeded,
             .checksum_start = header.csum_start,
             .checksum_offset = header.csum_offset};
  return TxPath::kSend;
}

TxPath TranslateSegment(const VirtioHeader& header, std::span<uint8_t> head,
                        size_t frame_bytes, uint32_t offloads,
                        TxRequest& request) {
  TcpHeaders tcp;
  if ((header.flags & kNeedsChecksum) == 0 ||
      header.csum_offset != kTcpChecksum || header.gso_size == 0 ||
      !FindTcpHeaders(head, header.csum_start, tcp) ||
      tcp.header_bytes >= frame_bytes ||
      frame_bytes > packet_stream::kMaxSegmentedBytes) {
    return TxPath::kUnintelligible;
  }
  // Congestion window reduced belongs into the first segment only, which the
  // NIC does not know.
  if ((header.gso_type & kGsoEcn) != 0 || tcp.vlan || tcp.ip_options ||
      (offloads & kOffloadTxTcpSegmentation) == 0 ||
      header.gso_size < packet_stream::kMinSegmentPayload ||
      tcp.header_bytes > kMaxSegmentHeaderBytes) {
    return TxPath::kSegmentHere;
  }
  if ((offloads & kOffloadTxWholeSegments) == 0) {
    ForgetLengths(head, tcp, static_cast<uint32_t>(frame_bytes));
  }
  request = {
      .flags = static_cast<uint16_t>(packet_stream::kChecksumNeeded |
                                     (tcp.ipv6 ? packet_stream::kSegmentTcp6
                                               : packet_stream::kSegmentTcp4)),
      .checksum_start = header.csum_start,
      .checksum_offset = header.csum_offset,
      .segments = packet_stream::MakeSegments(
          static_cast<uint16_t>(tcp.header_bytes), header.gso_size)};
  return TxPath::kSend;
}

}  // namespace

TxPath TranslateTx(const VirtioHeader& header, std::span<uint8_t> head,
                   size_t frame_bytes, uint32_t offloads, TxRequest& request) {
  request = {};
  switch (header.gso_type & ~kGsoEcn) {
    case kGsoNone:
      return (header.flags & kNeedsChecksum) == 0
                 ? TxPath::kSend
                 : TranslateChecksum(header, frame_bytes, offloads, request);
    case kGsoTcp4:
    case kGsoTcp6:
      return TranslateSegment(header, head, frame_bytes, offloads, request);
    default:
      return TxPath::kUnintelligible;  // We never told the kernel to.
  }
}

unsigned TapOffloads(uint32_t offloads) {
  // Without checksums the kernel does not accept segmentation.
  if ((offloads & kOffloadTxChecksum) == 0) return 0;
  unsigned wanted = TUN_F_CSUM;
  if ((offloads & kOffloadTxTcpSegmentation) != 0) {
    wanted |= TUN_F_TSO4 | TUN_F_TSO6;
  }
  return wanted;
}

}  // namespace bulkhead::nic_tap
