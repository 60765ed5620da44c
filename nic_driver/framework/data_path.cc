#include "nic_driver/framework/data_path.h"

#include <algorithm>
#include <bit>
#include <span>
#include <utility>

namespace bulkhead::nic_driver {

using packet_stream::Ack;
using packet_stream::AckStatus;
using packet_stream::Descriptor;
using packet_stream::kChecksumGood;
using packet_stream::kChecksumNeeded;
using packet_stream::kMore;
using packet_stream::kSegmentTcp6;
using packet_stream::MakeAck;
using packet_stream::SegmentHeaderBytes;
using packet_stream::SegmentPayloadBytes;

void CountStatistics(const DeviceStatistics& statistics,
                     DriverCounters& counters) {
  Bump(counters.rx_missed_errors, statistics.rx_missed);
  Bump(counters.rx_crc_errors, statistics.rx_crc);
  Bump(counters.rx_frame_errors, statistics.rx_frame);
  Bump(counters.rx_length_errors, statistics.rx_length);
  Bump(counters.multicast, statistics.multicast);
  Bump(counters.collisions, statistics.collisions);
  Bump(counters.rx_pause_frames, statistics.rx_pause);
  Bump(counters.tx_pause_frames, statistics.tx_pause);
}

void DataPath::Open(std::unique_ptr<packet_stream::ProviderEnd> session,
                    uint64_t tx_iova, uint64_t rx_iova) {
  session_ = std::move(session);
  tx_iova_ = tx_iova;
  rx_iova_ = rx_iova;
  buffer_shift_ = std::countr_zero(session_->geometry().buffer_bytes);
  tx_blocked_ = false;
  tx_frames_held_ = 0;
}

void DataPath::Close(const StopReport& report) {
  Bump(counters_.tx_packets, report.tx_sent_frames);
  Bump(counters_.tx_bytes, report.tx_sent_bytes);
  Bump(counters_.tx_device_errors, report.tx_unsent_frames);
  Bump(counters_.rx_no_session, report.rx_unclaimed_frames);
  CountStatistics(report.statistics, counters_);
  session_.reset();
  tx_blocked_ = false;
  tx_frames_held_ = 0;
}

bool DataPath::Poll() {
  if (session_ == nullptr || !session_->Ready()) return false;
  // Acknowledgements first, so that they and what they make room for leave in
  // one batch; new frames last, so that their answers find buffers.
  size_t moved = ReapTx();
  moved += HarvestRx();
  moved += RefillRx();
  moved += SubmitTx();
  if (moved == 0) return false;
  session_->Flush();
  CountPublished();
  return true;
}

// Only now: a driver that is killed before has handed nothing over, and its
// counters must not say that it has (S8).
void DataPath::CountPublished() {
  Bump(counters_.rx_packets, std::exchange(rx_unpublished_frames_, 0));
  Bump(counters_.rx_bytes, std::exchange(rx_unpublished_bytes_, 0));
}

size_t DataPath::ReapTx() {
  const size_t count = queue_.TxReap(done_);
  if (count == 0) return 0;
  uint64_t sent = 0, failed = 0, bytes = 0;
  for (size_t i = 0; i < count; ++i) {
    const TxDone& piece = done_[i];
    acks_[i] = MakeAck(piece.buffer,
                       piece.good ? AckStatus::kDone : AckStatus::kDeviceError);
    if (piece.good) bytes += piece.length;
    if (!piece.more) ++(piece.good ? sent : failed);
  }
  session_->AckTx(std::span(acks_).first(count));
  Bump(counters_.tx_packets, sent);
  Bump(counters_.tx_bytes, bytes);
  if (failed > 0) Bump(counters_.tx_device_errors, failed);
  Bump(tx_frames_held_, -(sent + failed));
  Bump(frames_moved_, sent + failed);
  return count;
}

size_t DataPath::SubmitTx() {
  // Room for the longest frame, so that whatever is taken can be submitted.
  if (queue_.TxRoom() < kBatchPieces) {
    tx_blocked_ = true;
    return 0;
  }
  tx_blocked_ = false;
  const uint64_t refused = session_->tx_refused_frames();
  const size_t count = session_->TakeTx(descriptors_);
  // The session refuses by itself what no device could send.
  const uint64_t nonsense = session_->tx_refused_frames() - refused;
  if (nonsense > 0) Bump(counters_.tx_dropped_invalid, nonsense);
  Bump(frames_moved_, nonsense);
  if (count == 0) return nonsense;
  to_device_count_ = to_device_frames_ = refused_count_ = 0;
  for (size_t start = 0, i = 0; i < count; ++i) {
    if ((descriptors_[i].flags & kMore) != 0) continue;
    SortFrame(std::span(descriptors_).subspan(start, i + 1 - start));
    start = i + 1;
  }
  if (to_device_count_ > 0) {
    queue_.TxSubmit(std::span(to_device_).first(to_device_count_));
    Bump(tx_frames_held_, to_device_frames_);
  }
  if (refused_count_ > 0) {
    session_->AckTx(std::span(acks_).first(refused_count_));
  }
  return count;
}

bool DataPath::ServesChecksum(const Descriptor& first) const {
  // RFC 768, RFC 9293.
  constexpr uint32_t kUdpOffset = 6, kTcpOffset = 16;
  const uint32_t position =
      uint32_t{first.checksum_start} + first.checksum_offset;
  return limits_.checksum && position <= limits_.max_checksum_position &&
         (!limits_.only_tcp_udp_checksums ||
          first.checksum_offset == kUdpOffset ||
          first.checksum_offset == kTcpOffset);
}

void DataPath::SortFrame(std::span<const Descriptor> frame) {
  uint32_t bytes = 0;
  for (const Descriptor& piece : frame) bytes += piece.length;
  const Descriptor& first = frame.front();
  const bool checksum = (first.flags & kChecksumNeeded) != 0;
  const uint32_t position =
      uint32_t{first.checksum_start} + first.checksum_offset;
  // The longest frame on the wire; the session checked what it is made of.
  const uint32_t header = SegmentHeaderBytes(first.segments);
  const uint32_t segment = SegmentPayloadBytes(first.segments);
  const uint32_t longest = segment != 0 ? header + segment : bytes;
  if (bytes < limits_.min_frame_bytes || longest > limits_.max_frame_bytes ||
      header > limits_.max_segment_header_bytes ||
      frame.size() > limits_.max_pieces ||
      (checksum && !ServesChecksum(first))) {
    Bump(counters_.tx_dropped_invalid);
    Refuse(frame, AckStatus::kInvalid);
    return;
  }
  if (!limits_.link_up) {
    Bump(counters_.tx_dropped_link);
    Refuse(frame, AckStatus::kNoLink);
    return;
  }
  for (const Descriptor& piece : frame) {
    to_device_[to_device_count_++] = {
        .iova = tx_iova_ + piece.offset,
        .buffer = piece.offset >> buffer_shift_,
        .length = piece.length,
        .more = (piece.flags & kMore) != 0,
        .checksum = checksum,
        .checksum_start = first.checksum_start,
        .checksum_position = static_cast<uint16_t>(checksum ? position : 0),
        .segment_bytes = static_cast<uint16_t>(segment),
        .header_bytes = static_cast<uint16_t>(header),
        .frame_bytes = bytes,
        .ipv6 = (first.flags & kSegmentTcp6) != 0};
  }
  ++to_device_frames_;
}

void DataPath::Refuse(std::span<const Descriptor> frame, AckStatus status) {
  for (const Descriptor& piece : frame) {
    acks_[refused_count_++] = MakeAck(piece.offset >> buffer_shift_, status);
  }
  Bump(frames_moved_);
}

size_t DataPath::HarvestRx() {
  const size_t count = queue_.RxHarvest(harvested_);
  if (count == 0) return 0;
  size_t filled_count = 0, unused_count = 0;
  uint64_t frames = 0, bytes = 0;
  for (const RxPiece& piece : std::span(harvested_).first(count)) {
    if (piece.status == RxStatus::kGood) {
      descriptors_[filled_count++] = {
          .offset = (piece.buffer << buffer_shift_) + piece.offset,
          .length = piece.length,
          .flags =
              static_cast<uint16_t>((piece.more ? kMore : 0) |
                                    (piece.checksum_good ? kChecksumGood : 0)),
          .checksum_start = 0,
          .checksum_offset = 0,
          .segments = 0};
      bytes += piece.length;
      if (!piece.more) ++frames;
      continue;
    }
    numbers_[unused_count++] = piece.buffer;
    if (piece.more) continue;
    Bump(piece.status == RxStatus::kTooLong ? counters_.rx_too_long
                                            : counters_.rx_errors);
  }
  if (filled_count > 0)
    session_->SubmitRx(std::span(descriptors_).first(filled_count));
  if (unused_count > 0) {
    session_->ReturnFreeRx(std::span(numbers_).first(unused_count));
  }
  rx_unpublished_frames_ += frames;
  rx_unpublished_bytes_ += bytes;
  Bump(frames_moved_, frames);
  return count;
}

size_t DataPath::RefillRx() {
  const size_t room = std::min(queue_.RxRoom(), numbers_.size());
  if (room == 0) return 0;
  const size_t count = session_->TakeFreeRx(std::span(numbers_).first(room));
  if (count == 0) return 0;
  for (size_t i = 0; i < count; ++i) {
    buffers_[i] = {rx_iova_ + (uint64_t{numbers_[i]} << buffer_shift_),
                   numbers_[i]};
  }
  queue_.RxRefill(std::span(buffers_).first(count));
  return count;
}

}  // namespace bulkhead::nic_driver
