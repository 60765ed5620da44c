// For fuzz entries: takes values off the input; zeros when it is used up.
#ifndef BULKHEAD_PACKET_STREAM_FUZZ_INPUT_H_
#define BULKHEAD_PACKET_STREAM_FUZZ_INPUT_H_

#include <cstddef>
#include <cstdint>

#include "packet_stream/layout.h"

namespace bulkhead::packet_stream {

class FuzzInput {
 public:
  FuzzInput(const uint8_t* data, size_t size) : data_(data), size_(size) {}

  bool empty() const { return size_ == 0; }
  uint8_t Byte() {
    if (size_ == 0) return 0;
    --size_;
    return *data_++;
  }
  uint32_t Word() {
    uint32_t word = 0;
    for (int i = 0; i < 4; ++i) word = word << 8 | Byte();
    return word;
  }
  // Mostly small steps from `near`, sometimes anything.
  uint32_t IndexNear(uint32_t near) {
    const uint8_t byte = Byte();
    return byte == 0xff ? Word() : near + byte % 12 - 1;
  }
  // Mostly a piece that could be good, in `buffers` buffers of 256 bytes.
  Descriptor Piece(uint32_t buffers) {
    Descriptor piece = {.offset = Byte() % buffers * 256, .length = 60};
    switch (Byte() % 8) {
      case 0:
        piece.offset = Word();
        break;
      case 1:
        piece.length = static_cast<uint16_t>(Word());
        break;
      case 2:
        piece.flags = Byte();
        piece.checksum_start = Byte();
        piece.checksum_offset = static_cast<uint16_t>(Word());
        break;
      case 3:
        piece.flags = kMore;
        break;
      case 4:
        piece.segments = Byte();
        break;
      default:
        break;
    }
    return piece;
  }
  Ack AnyAck(uint32_t buffers) {
    const uint8_t byte = Byte();
    return byte == 0xff ? Word() : byte % buffers | (byte / 16 % 5) << 24;
  }

 private:
  const uint8_t* data_;
  size_t size_;
};

// A failed check is a finding.
inline void FuzzCheck(bool good) {
  if (!good) __builtin_trap();
}

}  // namespace bulkhead::packet_stream

#endif  // BULKHEAD_PACKET_STREAM_FUZZ_INPUT_H_
