#include "clients/nic_tap/frame_pump.h"

#include <algorithm>
#include <cerrno>

#include "base/errno_status.h"
#include "clients/nic_tap/checksum.h"
#include "clients/nic_tap/tcp_headers.h"

namespace bulkhead::nic_tap {

using packet_stream::Descriptor;
using packet_stream::kMore;
using packet_stream::RxPiece;
using packet_stream::TxBuffer;

namespace {

// Buffers for a frame of the longest kind, if all have the capacity that the
// session's geometry leaves them.
size_t BuffersPerFrame(uint32_t capacity) {
  return (packet_stream::kMaxSegmentedBytes + capacity - 1) / capacity;
}

}  // namespace

FramePump::FramePump(packet_stream::Session* session, int tap)
    : session_(session), tap_(tap), frame_buffers_(1) {
  // The capacity is known when there is a buffer.
  if (session_->AllocTx({pool_.data(), 1}) == 1) {
    pool_size_ = 1;
    frame_buffers_ = std::min(kMaxPieces, BuffersPerFrame(pool_[0].capacity));
  }
  gathered_.resize(frame_buffers_ * pool_[0].capacity);
}

FramePump::~FramePump() { session_->ReturnTx({pool_.data(), pool_size_}); }

bool FramePump::FillPool() {
  if (pool_size_ < frame_buffers_) {
    pool_size_ += session_->AllocTx(
        {pool_.data() + pool_size_, frame_buffers_ - pool_size_});
  }
  return pool_size_ == frame_buffers_;
}

size_t FramePump::ToNic() {
  size_t frames = 0;
  starved_ = false;
  while (frames < kBatch) {
    // Room for the longest frame: a shorter read would cut it off.
    if (!FillPool()) {
      starved_ = true;
      break;
    }
    VirtioHeader header;
    std::array<iovec, kMaxPieces + 1> into;
    into[0] = {&header, sizeof(header)};
    for (size_t i = 0; i < pool_size_; ++i) {
      into[i + 1] = {pool_[i].data, pool_[i].capacity};
    }
    const ssize_t got =
        ::readv(tap_, into.data(), static_cast<int>(pool_size_ + 1));
    if (got <= static_cast<ssize_t>(sizeof(header))) {
      // EIO: the interface was deleted; EBADFD: it is another's by now.
      if (got < 0 && errno != EAGAIN && errno != EINTR) {
        tap_status_ = ErrnoStatus("read the TAP device; was it deleted?");
      }
      break;
    }
    ++frames;
    const size_t bytes = static_cast<size_t>(got) - sizeof(header);
    Submit(header, bytes);
  }
  return frames;
}

size_t FramePump::PiecesOf(size_t bytes) {
  size_t count = 0;
  while (bytes > 0) {
    const size_t length = std::min<size_t>(bytes, pool_[count].capacity);
    bytes -= length;
    pieces_[count] = {.offset = pool_[count].offset,
                      .length = static_cast<uint16_t>(length),
                      .flags = bytes > 0 ? uint16_t{kMore} : uint16_t{0}};
    ++count;
  }
  return count;
}

void FramePump::Submit(const VirtioHeader& header, size_t bytes) {
  const size_t count = PiecesOf(bytes);
  TxRequest request;
  switch (TranslateTx(header, {pool_[0].data, pieces_[0].length}, bytes,
                      offloads_, request)) {
    case TxPath::kUnintelligible:
      ++counters_.to_nic_unintelligible;
      return;
    case TxPath::kSegmentHere:
      return SegmentHere(header, bytes, count);
    case TxPath::kSumHere:
      SumHere(header, count);
      break;
    case TxPath::kSend:
      pieces_[0].flags |= request.flags;
      pieces_[0].checksum_start = request.checksum_start;
      pieces_[0].checksum_offset = request.checksum_offset;
      pieces_[0].segments = request.segments;
      break;
  }
  session_->SubmitTx({pieces_.data(), count});
  Use(count);
  ++counters_.to_nic;
  counters_.to_nic_bytes += bytes;
  if (request.segments != 0) ++counters_.to_nic_segments;
}

// The first `count` buffers of the pool are the session's now.
void FramePump::Use(size_t count) {
  pool_size_ -= count;
  std::copy_n(pool_.begin() + count, pool_size_, pool_.begin());
}

void FramePump::SumHere(const VirtioHeader& header, size_t count) {
  ChecksumSum sum;
  const size_t position = size_t{header.csum_start} + header.csum_offset;
  size_t start = 0;  // Of the piece in the frame.
  for (size_t i = 0; i < count; ++i) {
    const std::span<const uint8_t> bytes(pool_[i].data, pieces_[i].length);
    const size_t skip = header.csum_start > start
                            ? std::min(header.csum_start - start, bytes.size())
                            : 0;
    sum.Add(bytes.subspan(skip));
    start += bytes.size();
  }
  const uint16_t checksum = sum.Checksum();
  const size_t capacity = pool_[0].capacity;
  pool_[position / capacity].data[position % capacity] =
      static_cast<uint8_t>(checksum >> 8);
  pool_[(position + 1) / capacity].data[(position + 1) % capacity] =
      static_cast<uint8_t>(checksum);
}

void FramePump::SegmentHere(const VirtioHeader& header, size_t bytes,
                            size_t count) {
  size_t at = 0;
  for (size_t i = 0; i < count; ++i) {
    std::copy_n(pool_[i].data, pieces_[i].length, &gathered_[at]);
    at += pieces_[i].length;
  }
  const std::span<const uint8_t> segment(gathered_.data(), bytes);
  TcpHeaders tcp;
  if (!FindTcpHeaders(segment, header.csum_start, tcp) ||
      size_t{tcp.header_bytes} + header.gso_size > pool_[0].capacity) {
    ++counters_.to_nic_unintelligible;
    return;
  }
  TcpCutter cutter(segment, tcp, header.gso_size);
  while (!cutter.done()) {
    if (pool_size_ == 0) FillPool();
    if (pool_size_ == 0) {
      // The rest is lost, as in any full queue.
      ++counters_.to_nic_cut_short;
      return;
    }
    pieces_[0] = {.offset = pool_[0].offset,
                  .length = static_cast<uint16_t>(cutter.next_bytes())};
    cutter.Next({pool_[0].data, pool_[0].capacity});
    session_->SubmitTx({pieces_.data(), 1});
    Use(1);
  }
  ++counters_.to_nic;
  ++counters_.to_nic_cut_here;
  counters_.to_nic_bytes += bytes;
}

size_t FramePump::FromNic() {
  std::array<RxPiece, kBatch> pieces;
  const size_t taken = session_->Receive(pieces);
  size_t frames = 0;
  for (size_t start = 0, i = 0; i < taken; ++i) {
    if ((pieces[i].flags & kMore) != 0) continue;
    WriteFrame({&pieces[start], i + 1 - start});
    start = i + 1;
    ++frames;
  }
  session_->Release({pieces.data(), taken});
  return frames;
}

void FramePump::WriteFrame(std::span<const RxPiece> pieces) {
  VirtioHeader header =
      RxHeader((pieces[0].flags & packet_stream::kChecksumGood) != 0);
  std::array<iovec, kMaxPieces + 1> from;
  from[0] = {&header, sizeof(header)};
  size_t bytes = 0;
  for (size_t i = 0; i < pieces.size(); ++i) {
    from[i + 1] = {const_cast<uint8_t*>(pieces[i].data), pieces[i].length};
    bytes += pieces[i].length;
  }
  if (::writev(tap_, from.data(), static_cast<int>(pieces.size() + 1)) < 0) {
    ++counters_.from_nic_refused;
    return;
  }
  ++counters_.from_nic;
  counters_.from_nic_bytes += bytes;
}

}  // namespace bulkhead::nic_tap
