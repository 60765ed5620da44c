#include "nic_driver/conformance/testing/frames.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "nic_driver/conformance/testing/pci_bench.h"

namespace bulkhead::nic_driver::testing {
namespace {

using packet_stream::Descriptor;
using packet_stream::kMore;

constexpr size_t kHeaderBytes = 14;
constexpr size_t kNumberOffset = kHeaderBytes;
constexpr size_t kLengthOffset = kNumberOffset + 4;
constexpr size_t kPatternOffset = kLengthOffset + 2;
constexpr std::array<uint8_t, 6> kOther = {0x02, 0xb0, 0x1c, 0x4e, 0xad, 0xff};

uint8_t Pattern(uint32_t number, size_t offset) {
  return static_cast<uint8_t>(number * 31 + offset * 7 + (offset >> 8));
}

std::vector<uint8_t> Make(std::span<const uint8_t> destination,
                          std::span<const uint8_t> source, uint32_t number,
                          size_t bytes) {
  std::vector<uint8_t> frame(std::max(bytes, kPatternOffset));
  std::copy(destination.begin(), destination.end(), frame.begin());
  std::copy(source.begin(), source.end(), frame.begin() + 6);
  // Local experimental ethertype (IEEE 802).
  frame[12] = 0x88;
  frame[13] = 0xb5;
  const auto length = static_cast<uint16_t>(frame.size());
  std::memcpy(&frame[kNumberOffset], &number, 4);
  std::memcpy(&frame[kLengthOffset], &length, 2);
  for (size_t i = kPatternOffset; i < frame.size(); ++i) {
    frame[i] = Pattern(number, i);
  }
  return frame;
}

}  // namespace

const MacAddress& NicMac() { return ThePciBench().nic_mac; }

std::vector<uint8_t> MakeFrame(uint32_t number, size_t bytes) {
  return Make(kOther, NicMac(), number, bytes);
}

std::vector<uint8_t> MakeFrameToNic(uint32_t number, size_t bytes) {
  return Make(NicMac(), kOther, number, bytes);
}

std::optional<uint32_t> CheckFrame(std::span<const uint8_t> frame) {
  if (frame.size() < kPatternOffset) return std::nullopt;
  uint32_t number;
  uint16_t length;
  std::memcpy(&number, &frame[kNumberOffset], 4);
  std::memcpy(&length, &frame[kLengthOffset], 2);
  if (frame.size() != std::max<size_t>(length, 60)) return std::nullopt;
  for (size_t i = kPatternOffset; i < length; ++i) {
    if (frame[i] != Pattern(number, i)) return std::nullopt;
  }
  return number;
}

bool SendFrame(packet_stream::Session& session, std::span<const uint8_t> frame,
               size_t piece_bytes, uint16_t flags, uint16_t checksum_start,
               uint16_t checksum_offset, uint32_t segments) {
  std::vector<packet_stream::TxBuffer> buffers;
  std::vector<Descriptor> pieces;
  while (!frame.empty()) {
    packet_stream::TxBuffer& buffer = buffers.emplace_back();
    if (session.AllocTx({&buffer, 1}) == 0) {
      buffers.pop_back();
      session.ReturnTx(buffers);
      return false;
    }
    const std::span<const uint8_t> part =
        frame.first(std::min({frame.size(), size_t{buffer.capacity},
                              piece_bytes == 0 ? frame.size() : piece_bytes}));
    frame = frame.subspan(part.size());
    std::copy(part.begin(), part.end(), buffer.data);
    pieces.push_back({.offset = buffer.offset,
                      .length = static_cast<uint16_t>(part.size()),
                      .flags = static_cast<uint16_t>(frame.empty() ? 0 : kMore),
                      .checksum_start = 0,
                      .checksum_offset = 0,
                      .segments = 0});
  }
  pieces.front().flags |= flags;
  pieces.front().checksum_start = checksum_start;
  pieces.front().checksum_offset = checksum_offset;
  pieces.front().segments = segments;
  session.SubmitTx(pieces);
  return true;
}

std::vector<ReceivedFrame> TakeFrames(packet_stream::Session& session) {
  std::vector<ReceivedFrame> frames;
  std::array<packet_stream::RxPiece, 64> pieces;
  bool inside = false;
  while (const size_t count = session.Receive(pieces)) {
    for (const packet_stream::RxPiece& piece : std::span(pieces).first(count)) {
      if (!inside) frames.emplace_back();
      ReceivedFrame& frame = frames.back();
      frame.bytes.insert(frame.bytes.end(), piece.data,
                         piece.data + piece.length);
      frame.flags |= piece.flags;
      ++frame.pieces;
      inside = (piece.flags & kMore) != 0;
    }
    session.Release(std::span(pieces).first(count));
  }
  return frames;
}

}  // namespace bulkhead::nic_driver::testing
