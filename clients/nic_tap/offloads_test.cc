#include "clients/nic_tap/offloads.h"

#include <gtest/gtest.h>
#include <linux/if_tun.h>

#include <algorithm>
#include <vector>

#include "clients/nic_tap/checksum.h"
#include "clients/nic_tap/tcp_headers.h"
#include "packet_stream/layout.h"

namespace bulkhead::nic_tap {
namespace {

using packet_stream::kChecksumNeeded;
using packet_stream::kOffloadTxChecksum;
using packet_stream::kOffloadTxTcpSegmentation;
using packet_stream::kOffloadTxWholeSegments;
using packet_stream::kSegmentTcp4;
using packet_stream::kSegmentTcp6;

constexpr uint32_t kAll = kOffloadTxChecksum | kOffloadTxTcpSegmentation;
constexpr uint16_t kPayload = 1448;

struct Shape {
  bool ipv6 = false;
  bool vlan = false;
  size_t payload_bytes = 4000;
};

// A TCP segment as Linux hands it to a NIC: IP's length of the whole, the
// pseudo header's sum, TCP length included, in the checksum field.
std::vector<uint8_t> LinuxSegment(const Shape& shape) {
  const size_t ip = shape.vlan ? 18 : 14;
  const size_t tcp = ip + (shape.ipv6 ? 40 : 20);
  std::vector<uint8_t> frame(tcp + 32 + shape.payload_bytes);
  Store16(&frame[12], shape.vlan ? 0x8100 : shape.ipv6 ? 0x86dd : 0x0800);
  if (shape.vlan) Store16(&frame[16], shape.ipv6 ? 0x86dd : 0x0800);
  const auto tcp_bytes = static_cast<uint32_t>(frame.size() - tcp);
  ChecksumSum pseudo;
  if (shape.ipv6) {
    frame[ip] = 0x60;
    Store16(&frame[ip + 4], tcp_bytes);
    frame[ip + 6] = 6;
    for (size_t i = 8; i < 40; ++i) frame[ip + i] = static_cast<uint8_t>(i);
    pseudo.Add({&frame[ip + 8], 32});
  } else {
    frame[ip] = 0x45;
    Store16(&frame[ip + 2], static_cast<uint32_t>(frame.size() - ip));
    Store16(&frame[ip + 4], 0xfffe);
    frame[ip + 9] = 6;
    for (size_t i = 12; i < 20; ++i) frame[ip + i] = static_cast<uint8_t>(i);
    Store16(&frame[ip + 10], 0x1234);
    pseudo.Add({&frame[ip + 12], 8});
  }
  pseudo.AddWord(6);
  pseudo.AddWord(tcp_bytes);
  Store32(&frame[tcp + 4], 0xfffffff0);
  frame[tcp + 12] = 0x80;
  frame[tcp + 13] = 0x99;  // CWR, ACK, PSH, FIN.
  Store16(&frame[tcp + 16], pseudo.Folded());
  for (size_t i = tcp + 32; i < frame.size(); ++i) {
    frame[i] = static_cast<uint8_t>(i * 7);
  }
  return frame;
}

VirtioHeader SegmentHeader(const Shape& shape) {
  const int start = (shape.vlan ? 18 : 14) + (shape.ipv6 ? 40 : 20);
  return {.flags = kNeedsChecksum,
          .gso_type = shape.ipv6 ? kGsoTcp6 : kGsoTcp4,
          .gso_size = kPayload,
          .csum_start = static_cast<uint16_t>(start),
          .csum_offset = 16};
}

// Whether the checksum of the frame's TCP header is right, from the addresses.
bool TcpSumIsRight(std::span<const uint8_t> frame, const Shape& shape) {
  const size_t ip = shape.vlan ? 18 : 14;
  const size_t tcp = ip + (shape.ipv6 ? 40 : 20);
  ChecksumSum sum;
  sum.Add(shape.ipv6 ? frame.subspan(ip + 8, 32) : frame.subspan(ip + 12, 8));
  sum.AddWord(6);
  sum.AddWord(static_cast<uint32_t>(frame.size() - tcp));
  sum.Add(frame.subspan(tcp));
  return sum.Folded() == 0xffff;
}

// A frame that asks for nothing, and one that asks for a checksum that the NIC
// can do: the request says so, and the frame stays what it is.
TEST(Offloads, ChecksumOfAnOrdinaryFrame) {
  std::vector<uint8_t> frame(100, 0xaa);
  TxRequest request;
  EXPECT_EQ(TranslateTx({}, frame, 100, kAll, request), TxPath::kSend);
  EXPECT_EQ(request.flags, 0);
  const VirtioHeader header = {
      .flags = kNeedsChecksum, .csum_start = 34, .csum_offset = 6};
  EXPECT_EQ(TranslateTx(header, frame, 100, kAll, request), TxPath::kSend);
  EXPECT_EQ(request.flags, kChecksumNeeded);
  EXPECT_EQ(request.checksum_start, 34);
  EXPECT_EQ(request.checksum_offset, 6);
  EXPECT_EQ(request.segments, 0u);
  EXPECT_EQ(frame, std::vector<uint8_t>(100, 0xaa));
}

// What the NIC does not do, or not there, is done by us.
TEST(Offloads, ChecksumsThatTheNicCannotDo) {
  std::vector<uint8_t> frame(1000);
  TxRequest request;
  VirtioHeader header = {
      .flags = kNeedsChecksum, .csum_start = 34, .csum_offset = 16};
  EXPECT_EQ(TranslateTx(header, frame, 1000, 0, request), TxPath::kSumHere);
  header.csum_offset = 2;
  EXPECT_EQ(TranslateTx(header, frame, 1000, kAll, request), TxPath::kSumHere);
  header = {.flags = kNeedsChecksum, .csum_start = 300, .csum_offset = 16};
  EXPECT_EQ(TranslateTx(header, frame, 1000, kAll, request), TxPath::kSumHere);
  header.csum_start = 984;
  EXPECT_EQ(TranslateTx(header, frame, 1000, kAll, request),
            TxPath::kUnintelligible);
}

// A segment for the NIC: the length leaves the pseudo header's sum, IP's length
// and checksum become 0, nothing else changes.
TEST(Offloads, SegmentForTheNic) {
  for (const bool ipv6 : {false, true}) {
    const Shape shape = {.ipv6 = ipv6};
    std::vector<uint8_t> frame = LinuxSegment(shape);
    const std::vector<uint8_t> before = frame;
    const VirtioHeader header = SegmentHeader(shape);
    TxRequest request;
    ASSERT_EQ(TranslateTx(header, frame, frame.size(), kAll, request),
              TxPath::kSend);
    EXPECT_EQ(request.flags,
              kChecksumNeeded | (ipv6 ? kSegmentTcp6 : kSegmentTcp4));
    const uint32_t tcp = header.csum_start;
    EXPECT_EQ(request.segments, packet_stream::MakeSegments(
                                    static_cast<uint16_t>(tcp + 32), kPayload));
    ChecksumSum pseudo;
    pseudo.Add(ipv6 ? std::span(&before[22], 32) : std::span(&before[26], 8));
    pseudo.AddWord(6);
    EXPECT_EQ(Load16(&frame[tcp + 16]), pseudo.Folded());
    EXPECT_EQ(Load16(&frame[ipv6 ? 18 : 16]), 0);
    EXPECT_TRUE(ipv6 || Load16(&frame[24]) == 0);
    EXPECT_TRUE(std::equal(frame.begin() + tcp + 18, frame.end(),
                           before.begin() + tcp + 18));
  }
}

// A NIC that wants segments as whole packets gets them as Linux wrote them.
TEST(Offloads, WholeSegmentForTheNic) {
  for (const bool ipv6 : {false, true}) {
    const Shape shape = {.ipv6 = ipv6};
    std::vector<uint8_t> frame = LinuxSegment(shape);
    const std::vector<uint8_t> before = frame;
    TxRequest request;
    ASSERT_EQ(TranslateTx(SegmentHeader(shape), frame, frame.size(),
                          kAll | kOffloadTxWholeSegments, request),
              TxPath::kSend);
    EXPECT_EQ(request.flags,
              kChecksumNeeded | (ipv6 ? kSegmentTcp6 : kSegmentTcp4));
    EXPECT_EQ(frame, before);
  }
}

// Segments that no NIC of ours would take are left to us, and stay in Linux's
// form; what is no TCP segment is dropped.
TEST(Offloads, SegmentsThatTheNicCannotCut) {
  TxRequest request;
  std::vector<uint8_t> frame = LinuxSegment({});
  const std::vector<uint8_t> before = frame;
  const size_t bytes = frame.size();
  VirtioHeader header = SegmentHeader({});
  EXPECT_EQ(TranslateTx(header, frame, bytes, kOffloadTxChecksum, request),
            TxPath::kSegmentHere);
  header.gso_type |= kGsoEcn;
  EXPECT_EQ(TranslateTx(header, frame, bytes, kAll, request),
            TxPath::kSegmentHere);
  header = SegmentHeader({});
  header.gso_size = 40;
  EXPECT_EQ(TranslateTx(header, frame, bytes, kAll, request),
            TxPath::kSegmentHere);
  EXPECT_EQ(frame, before);
  std::vector<uint8_t> tagged = LinuxSegment({.vlan = true});
  EXPECT_EQ(TranslateTx(SegmentHeader({.vlan = true}), tagged, tagged.size(),
                        kAll, request),
            TxPath::kSegmentHere);

  header = SegmentHeader({});
  header.gso_size = 0;
  EXPECT_EQ(TranslateTx(header, frame, bytes, kAll, request),
            TxPath::kUnintelligible);
  header = SegmentHeader({});
  header.csum_start = 38;
  EXPECT_EQ(TranslateTx(header, frame, bytes, kAll, request),
            TxPath::kUnintelligible);
  header = SegmentHeader({});
  header.gso_type = 3;  // UDP fragmentation.
  EXPECT_EQ(TranslateTx(header, frame, bytes, kAll, request),
            TxPath::kUnintelligible);
}

// Cut up by us: each frame has headers of its own with right lengths, numbers
// and checksums, and the payloads together are the segment's.
TEST(TcpCutter, EachFrameStandsOnItsOwn) {
  for (const Shape shape : {Shape{}, Shape{.ipv6 = true}, Shape{.vlan = true},
                            Shape{.payload_bytes = kPayload}}) {
    const std::vector<uint8_t> segment = LinuxSegment(shape);
    const VirtioHeader header = SegmentHeader(shape);
    TcpHeaders tcp;
    ASSERT_TRUE(FindTcpHeaders(segment, header.csum_start, tcp));
    EXPECT_EQ(tcp.vlan, shape.vlan);
    TcpCutter cutter(segment, tcp, kPayload);
    std::vector<uint8_t> payload;
    uint32_t index = 0;
    while (!cutter.done()) {
      std::vector<uint8_t> frame(cutter.next_bytes());
      cutter.Next(frame);
      const bool last = cutter.done();
      EXPECT_TRUE(TcpSumIsRight(frame, shape)) << index;
      const uint8_t* ip = &frame[tcp.ip_start];
      if (!shape.ipv6) {
        ChecksumSum sum;
        sum.Add({ip, 20});
        EXPECT_EQ(sum.Folded(), 0xffff);
        EXPECT_EQ(Load16(ip + 2), frame.size() - tcp.ip_start);
        EXPECT_EQ(Load16(ip + 4), (0xfffe + index) & 0xffff);
      } else {
        EXPECT_EQ(Load16(ip + 4), frame.size() - tcp.tcp_start);
      }
      const uint8_t* head = &frame[tcp.tcp_start];
      EXPECT_EQ(Load32(head + 4),
                static_cast<uint32_t>(0xfffffff0 + payload.size()));
      EXPECT_EQ(head[13], (index == 0 ? 0x80 : 0) | 0x10 | (last ? 0x09 : 0));
      payload.insert(payload.end(), frame.begin() + tcp.header_bytes,
                     frame.end());
      ++index;
    }
    EXPECT_EQ(index, (shape.payload_bytes + kPayload - 1) / kPayload);
    EXPECT_TRUE(std::equal(payload.begin(), payload.end(),
                           segment.begin() + tcp.header_bytes, segment.end()));
  }
}

// The kernel is told of segmentation only together with checksums.
TEST(Offloads, WhatTheKernelIsTold) {
  EXPECT_EQ(TapOffloads(0), 0u);
  EXPECT_EQ(TapOffloads(kOffloadTxTcpSegmentation), 0u);
  EXPECT_EQ(TapOffloads(kOffloadTxChecksum), unsigned{TUN_F_CSUM});
  EXPECT_EQ(TapOffloads(kAll), unsigned{TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6});
}

}  // namespace
}  // namespace bulkhead::nic_tap
