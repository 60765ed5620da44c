// One frame into a port's buffers.
#include <algorithm>
#include <cstring>

#include "nic_router/engine/engine_core.h"

namespace bulkhead::nic_router {

// Makes the pool hold buffers for a frame of so many bytes.
bool EngineCore::FillPool(Line& line, uint32_t bytes) {
  for (;;) {
    uint32_t room = 0;
    const uint32_t there = line.pool_end - line.pool_begin;
    for (uint32_t i = 0; i < std::min<uint32_t>(there, kMaxFramePieces); ++i) {
      room += line.pool[line.pool_begin + i].capacity;
      if (room >= bytes) return true;
    }
    if (line.starved || there >= kMaxFramePieces) return false;
    std::move(line.pool.begin() + line.pool_begin,
              line.pool.begin() + line.pool_end, line.pool.begin());
    line.pool_end -= line.pool_begin;
    line.pool_begin = 0;
    const size_t got =
        line.port->Alloc(std::span(line.pool).subspan(line.pool_end));
    line.pool_end += static_cast<uint32_t>(got);
    line.starved = line.pool_end < line.pool.size();
    if (got == 0) return false;
  }
}

void EngineCore::SubmitQueued(Line& line) {
  if (line.queued_count == 0) return;
  line.port->Send(std::span(line.queued).first(line.queued_count));
  line.queued_count = 0;
}

namespace {

// Writes to the buffers of a frame one after the other.
class BufferWriter {
 public:
  explicit BufferWriter(const TxBuffer* buffer) : buffer_(buffer) {}

  void Write(const uint8_t* from, uint32_t bytes) {
    while (bytes > 0) {
      if (filled_ == buffer_->capacity) {
        ++buffer_;
        filled_ = 0;
      }
      const uint32_t part = std::min(bytes, buffer_->capacity - filled_);
      std::memcpy(buffer_->data + filled_, from, part);
      from += part;
      bytes -= part;
      filled_ += part;
    }
  }

 private:
  const TxBuffer* buffer_;
  uint32_t filled_ = 0;
};

}  // namespace

DropReason EngineCore::Send(uint16_t number, const uint8_t* head,
                            uint32_t head_bytes, const RxPiece* rest,
                            uint32_t rest_skip, uint32_t bytes) {
  Attachment& out = attachments_[number];
  const uint16_t line_number = LineOf(out);
  if (line_number == kNoLine || !lines_[line_number]->up) {
    return DropReason::kNoLink;
  }
  Line& line = *lines_[line_number];
  if (bytes > line.mtu + kEthernetBytes) return DropReason::kPktTooBig;
  const bool tagged = out.vlan != 0;
  const uint32_t total = bytes + (tagged ? kVlanTagBytes : 0);
  line.used = true;
  if (line.pool_begin == line.pool_end ||
      line.pool[line.pool_begin].capacity < total) [[unlikely]] {
    if (!FillPool(line, total)) {
      full_line_ = line_number;
      if (line.full_since_ns == 0) line.full_since_ns = now_ns_;
      return DropReason::kFullRing;
    }
  }
  line.full_since_ns = 0;
  if (line.queued_count + kMaxFramePieces > line.queued.size()) {
    SubmitQueued(line);
  }
  head_bytes = std::min(head_bytes, bytes);
  BufferWriter writer(&line.pool[line.pool_begin]);
  if (tagged) [[unlikely]] {
    uint8_t tag[kVlanTagBytes];
    Store16(tag, kEtherTypeVlan);
    Store16(tag + 2, out.vlan);
    writer.Write(head, 2 * kMacBytes);
    writer.Write(tag, sizeof(tag));
    writer.Write(head + 2 * kMacBytes, head_bytes - 2 * kMacBytes);
  } else {
    writer.Write(head, head_bytes);
  }
  for (uint32_t left = bytes - head_bytes; left > 0; ++rest, rest_skip = 0) {
    const uint32_t part = std::min<uint32_t>(left, rest->length - rest_skip);
    writer.Write(rest->data + rest_skip, part);
    left -= part;
  }
  for (uint32_t left = total; left > 0;) {
    const TxBuffer& buffer = line.pool[line.pool_begin++];
    const uint32_t part = std::min(left, buffer.capacity);
    left -= part;
    line.queued[line.queued_count++] = {.buffer = buffer.buffer,
                                        .length = static_cast<uint16_t>(part),
                                        .more = left > 0};
  }
  Traffic& domain = members_[out.domain].traffic;
  ++out.traffic.tx_frames;
  out.traffic.tx_bytes += bytes;
  ++domain.tx_frames;
  domain.tx_bytes += bytes;
  ++counters_.sent;
  return DropReason::kNone;
}

DropReason EngineCore::SendFrameOn(uint16_t attachment, const Frame& frame,
                                   uint32_t bytes) {
  return Send(attachment, frame.head(), frame.head_bytes, frame.rest,
              frame.rest_skip, bytes);
}

void EngineCore::SendOwn(uint16_t attachment, std::span<const uint8_t> frame) {
  // As if its head were all of it.
  const auto bytes = static_cast<uint32_t>(frame.size());
  if (Send(attachment, frame.data(), bytes, nullptr, 0, bytes) !=
      DropReason::kNone) {
    ++counters_.local_not_sent;
  }
}

void EngineCore::MakePrivate(Frame& frame) {
  if (frame.rest == &slow_piece_) return;
  uint32_t at = frame.head_bytes;
  const uint32_t bytes =
      std::min<uint32_t>(frame.bytes, static_cast<uint32_t>(kSlowBytes));
  std::memcpy(slow_.get(), frame.head(), at);
  const RxPiece* piece = frame.rest;
  for (uint32_t skip = frame.rest_skip; at < bytes; ++piece, skip = 0) {
    const uint32_t part = std::min<uint32_t>(bytes - at, piece->length - skip);
    std::memcpy(slow_.get() + at, piece->data + skip, part);
    at += part;
  }
  // Behind the head it is read from here; the length of a piece has 16 bits.
  slow_piece_ = {
      .data = slow_.get(),
      .length = static_cast<uint16_t>(std::min<uint32_t>(at, 65535))};
  frame.bytes = slow_piece_.length;
  frame.rest = &slow_piece_;
  frame.rest_skip = frame.head_bytes;
}

}  // namespace bulkhead::nic_router
