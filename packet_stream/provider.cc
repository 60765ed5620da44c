#include "packet_stream/provider.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "packet_stream/control_area.h"
#include "packet_stream/lane_mapping.h"

namespace bulkhead::packet_stream {
namespace {

// What a tx descriptor may say.
constexpr uint16_t kSegment = kSegmentTcp4 | kSegmentTcp6;
constexpr uint16_t kTxFlags = kMore | kChecksumNeeded | kSegment;

// A sleeping provider is woken for rx acknowledgements only when it has fewer
// than 1/4 of its rx buffers left: with more it can refill its device at the
// next frame just as well.
bool WantsAcks(uint32_t free, uint32_t all) { return free < all / 4 + 1; }

// Ethernet, IP and TCP without options.
bool GoodSegments(const Descriptor& first, uint32_t frame_bytes) {
  constexpr uint32_t kTcpBytes = 20;
  constexpr uint32_t kTcpChecksum = 16;
  const bool ipv4 = (first.flags & kSegmentTcp4) != 0;
  const bool ipv6 = (first.flags & kSegmentTcp6) != 0;
  const uint32_t header = SegmentHeaderBytes(first.segments);
  return ipv4 != ipv6 && (first.flags & kChecksumNeeded) != 0 &&
         first.checksum_start >= 14 + (ipv4 ? 20 : 40) &&
         first.checksum_offset == kTcpChecksum &&
         header >= first.checksum_start + kTcpBytes && header <= first.length &&
         header < frame_bytes &&
         SegmentPayloadBytes(first.segments) >= kMinSegmentPayload &&
         frame_bytes <= kMaxSegmentedBytes;
}

// Only the first piece asks for anything.
bool GoodOffloadRequest(std::span<const Descriptor> frame) {
  uint32_t bytes = frame[0].length;
  for (const Descriptor& piece : frame.subspan(1)) {
    if ((piece.flags & (kChecksumNeeded | kSegment)) != 0) return false;
    bytes += piece.length;
  }
  const Descriptor& first = frame[0];
  if ((first.flags & kSegment) != 0) return GoodSegments(first, bytes);
  return (first.flags & kChecksumNeeded) == 0 ||
         uint32_t{first.checksum_start} + first.checksum_offset + 2 <= bytes;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ProviderEnd>> ProviderEnd::Create(
    ProviderGrant grant) {
  if (grant.geometry.lanes != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("provide a session: it has ", grant.geometry.lanes,
                     " lanes; this provider serves one"));
  }
  ASSIGN_OR_RETURN(auto lanes, CreateLanes(std::move(grant)));
  return std::move(lanes.front());
}

absl::StatusOr<std::vector<std::unique_ptr<ProviderEnd>>>
ProviderEnd::CreateLanes(ProviderGrant grant) {
  const SessionGeometry& g = grant.geometry;
  RETURN_IF_ERROR(CheckGeometry(g));
  if (grant.epoch == 0) {
    return absl::InvalidArgumentError(
        "provide a session: epoch 0 is none; the platform counts from 1");
  }
  if (grant.bells.size() != g.lanes) {
    return absl::InvalidArgumentError(
        absl::StrCat("provide a session: doorbells for ", grant.bells.size(),
                     " lanes of ", g.lanes));
  }
  const size_t own_bytes = g.LaneProviderControlBytes();
  const size_t client_bytes = g.LaneClientControlBytes();
  std::vector<std::unique_ptr<ProviderEnd>> ends;
  for (uint32_t lane = 0; lane < g.lanes; ++lane) {
    ASSIGN_OR_RETURN(Mapping own, MapLane(grant.provider_control.get(), g.lanes,
                                          lane, own_bytes, Access::kReadWrite));
    ASSIGN_OR_RETURN(Mapping client,
                     MapLane(grant.client_control.get(), g.lanes, lane,
                             client_bytes, Access::kReadOnly));
    LaneBells& bells = grant.bells[lane];
    ASSIGN_OR_RETURN(DoorbellWaiter waiter,
                     DoorbellWaiter::Create(std::move(bells.tx_doorbell)));
    auto end = std::make_unique<ProviderEnd>(
        ProviderMemory{own.As<ControlHeader>(), client.As<ControlHeader>()}, g,
        grant.session_id, grant.epoch, std::move(waiter),
        DoorbellRinger(std::move(bells.rx_doorbell)));
    end->own_mapping_ = std::move(own);
    end->client_mapping_ = std::move(client);
    ends.push_back(std::move(end));
  }
  return ends;
}

ProviderEnd::ProviderEnd(ProviderMemory memory, const SessionGeometry& geometry,
                         uint64_t session_id, uint32_t epoch,
                         DoorbellWaiter tx_doorbell, DoorbellRinger rx_doorbell)
    : geometry_(geometry),
      session_id_(session_id),
      epoch_(epoch),
      own_(memory.own),
      client_(memory.client),
      tx_doorbell_(std::move(tx_doorbell)),
      rx_doorbell_(std::move(rx_doorbell)),
      tx_shape_(geometry.tx_buffers, geometry.buffer_bytes),
      tx_(&client_->submit_tail, SubmitEntries(client_), geometry.tx_buffers),
      tx_acks_(&own_->ack_tail, AckEntries(own_, geometry.rx_buffers),
               geometry.tx_buffers),
      tx_owner_(std::make_unique<uint8_t[]>(geometry.tx_buffers)),
      rx_shape_(geometry.rx_buffers, geometry.buffer_bytes),
      rx_(&own_->submit_tail, SubmitEntries(own_), geometry.rx_buffers),
      rx_acks_(&client_->ack_tail, AckEntries(client_, geometry.tx_buffers),
               geometry.rx_buffers),
      rx_owner_(std::make_unique<uint8_t[]>(geometry.rx_buffers)),
      rx_free_(geometry.rx_buffers) {}

bool ProviderEnd::Ready() {
  if (ready_) return true;
  // Pairs with ClientEnd's release of its epoch: its tails start from 0.
  if (client_->epoch.load(std::memory_order_acquire) != epoch_) return false;
  rx_.Reset();
  tx_acks_.Reset();
  TakeSleepBack(own_);
  // The client believes our tails from here on; pairs with its acquire.
  own_->epoch.store(epoch_, std::memory_order_release);
  ready_ = true;
  return true;
}

// Loops of the data path copy ring, shape and owners into locals: stores into
// shared memory could alias our members, which the compiler would read again.

inline bool ProviderEnd::GoodTxPiece(const DescriptorCopy& piece) const {
  return tx_shape_.Contains(piece.offset(), piece.length()) &&
         (piece.flags() & ~kTxFlags) == 0 &&
         (piece.segments() == 0 || (piece.flags() & kSegment) != 0) &&
         tx_owner_[tx_shape_.BufferOf(piece.offset())] == kClientTx;
}

size_t ProviderEnd::TakeTx(std::span<Descriptor> out) {
  if (!serving()) return 0;
  const auto room =
      static_cast<uint32_t>(std::min<size_t>(out.size(), geometry_.tx_buffers));
  if (!tx_.Poll(room)) {
    BreakOnTail("tx submit", tx_.head(), tx_.claimed_tail());
    return 0;
  }
  const uint32_t ready = std::min(tx_.ready(), room);
  const SubmitConsumer ring = tx_;
  const BufferShape shape = tx_shape_;
  uint8_t* const owner = tx_owner_.get();
  uint32_t used = 0;
  uint32_t taken = 0;
  ring.Prefetch(ready);
  while (used < ready) {
    const DescriptorCopy piece = ring.Read(used);
    const uint32_t buffer = shape.BufferOf(piece.offset());
    // The common frame: one piece, no flags.
    if (piece.flags() == 0 && piece.segments() == 0 &&
        shape.Contains(piece.offset(), piece.length()) &&
        owner[buffer] == kClientTx) [[likely]] {
      owner[buffer] = kOurTx;
      piece.WriteTo(&out[taken++]);
      ++used;
      continue;
    }
    const TakenFrame frame =
        TakeFrame(piece, used, out.subspan(taken, room - taken));
    if (frame.verdict == Frame::kBreach) return 0;
    if (frame.verdict == Frame::kDoesNotFit) break;
    used += frame.pieces;
    const auto pieces = out.subspan(taken, frame.pieces);
    if (GoodOffloadRequest(pieces)) {
      taken += frame.pieces;
    } else {
      DropFrame(pieces);
    }
  }
  tx_.Advance(used);
  tx_held_ += taken;
  return taken;
}

ProviderEnd::TakenFrame ProviderEnd::TakeFrame(DescriptorCopy piece,
                                               uint32_t at,
                                               std::span<Descriptor> out) {
  for (uint32_t pieces = 0;; piece = tx_.Read(at + pieces)) {
    if (!GoodTxPiece(piece)) {
      BreakOnDescriptor(piece);
      return {Frame::kBreach, 0};
    }
    tx_owner_[tx_shape_.BufferOf(piece.offset())] = kOurTx;
    piece.WriteTo(&out[pieces++]);
    if ((piece.flags() & kMore) == 0) return {Frame::kWhole, pieces};
    if (pieces == kMaxFramePieces) {
      Break(
          absl::StrCat("a tx frame of more than ", kMaxFramePieces, " pieces"));
      return {Frame::kBreach, 0};
    }
    // ready() ends at a tail that the client published.
    if (at + pieces == tx_.ready()) {
      Break("published a part of a tx frame");
      return {Frame::kBreach, 0};
    }
    if (pieces == out.size()) {
      for (const Descriptor& copied : out) {
        tx_owner_[tx_shape_.BufferOf(copied.offset)] = kClientTx;
      }
      return {Frame::kDoesNotFit, 0};
    }
  }
}

void ProviderEnd::DropFrame(std::span<const Descriptor> pieces) {
  ++tx_refused_frames_;
  for (const Descriptor& piece : pieces) {
    const uint32_t buffer = tx_shape_.BufferOf(piece.offset);
    tx_owner_[buffer] = kClientTx;
    tx_acks_.Put(MakeAck(buffer, AckStatus::kInvalid));
  }
}

void ProviderEnd::AckTx(std::span<const Ack> acks) {
  if (!serving()) return;
  AckProducer ring = tx_acks_;
  uint8_t* const owner = tx_owner_.get();
  const uint32_t last = geometry_.tx_buffers - 1;
  for (const Ack ack : acks) {
    const uint32_t buffer = AckBuffer(ack) & last;
    assert(owner[buffer] == kOurTx);
    owner[buffer] = kClientTx;
    ring.Put(ack);
  }
  tx_acks_ = ring;
  tx_held_ -= static_cast<uint32_t>(acks.size());
}

size_t ProviderEnd::TakeFreeRx(std::span<uint32_t> out) {
  if (!serving()) return 0;
  if (rx_free_.size() < out.size()) {
    CollectRxAcks();
    if (broken_) return 0;
  }
  const auto count =
      static_cast<uint32_t>(std::min<size_t>(out.size(), rx_free_.size()));
  const uint32_t* const buffers = rx_free_.Take(count);
  uint8_t* const owner = rx_owner_.get();
  for (uint32_t i = 0; i < count; ++i) {
    const uint32_t buffer = buffers[i];
    owner[buffer] = kTakenRx;
    out[i] = buffer;
  }
  return count;
}

void ProviderEnd::ReturnFreeRx(std::span<const uint32_t> buffers) {
  if (!serving()) return;
  for (const uint32_t buffer : buffers) {
    assert(rx_owner_[buffer] == kTakenRx);
    rx_owner_[buffer] = kFreeRx;
    rx_free_.Push(buffer);
  }
}

void ProviderEnd::SubmitRx(std::span<const Descriptor> descriptors) {
  if (!serving()) return;
  SubmitProducer ring = rx_;
  uint8_t* const owner = rx_owner_.get();
  const uint32_t last = geometry_.rx_buffers - 1;
  for (const Descriptor& piece : descriptors) {
    assert(rx_shape_.Contains(piece.offset, piece.length));
    const uint32_t buffer = rx_shape_.BufferOf(piece.offset) & last;
    assert(owner[buffer] == kTakenRx);
    owner[buffer] = kClientRx;
    ring.Put(piece);
  }
  rx_ = ring;
}

void ProviderEnd::CollectRxAcks() {
  if (!rx_acks_.Poll(geometry_.rx_buffers)) {
    BreakOnTail("rx ack", rx_acks_.head(), rx_acks_.claimed_tail());
    return;
  }
  const AckConsumer ring = rx_acks_;
  const uint32_t ready = ring.ready();
  const uint32_t buffers = geometry_.rx_buffers;
  uint8_t* const owner = rx_owner_.get();
  uint32_t* const free = rx_free_.End();
  for (uint32_t i = 0; i < ready; ++i) {
    const Ack ack = ring.Read(i);
    // Only the status kDone makes a number below `buffers`.
    if (ack >= buffers || owner[ack] != kClientRx) [[unlikely]] {
      Break(absl::StrCat("acknowledged rx buffer ", AckBuffer(ack), " of ",
                         buffers, " with status ",
                         static_cast<uint32_t>(StatusOf(ack)),
                         ", which it does not hold or must not say"));
      return;
    }
    owner[ack] = kFreeRx;
    free[i] = ack;
  }
  rx_free_.Grow(ready);
  rx_acks_.Advance(ready);
}

void ProviderEnd::Flush() {
  if (!serving()) return;
  uint32_t published = 0;
  if (rx_.has_unpublished()) {
    rx_.Publish();
    published |= kWakeForFrames;
  }
  if (tx_acks_.has_unpublished()) {
    tx_acks_.Publish();
    published |= kWakeForAcks;
  }
  if (published != 0 && MustRing(client_, published)) rx_doorbell_.Ring();
}

bool ProviderEnd::ArmDoorbell(bool tx_room) {
  if (broken_) return true;
  if (!ready_) {
    AnnounceSleep(own_, kWakeForFrames);
    if (client_->epoch.load(std::memory_order_seq_cst) != epoch_) return true;
    TakeSleepBack(own_);
    return false;
  }
  const bool rx_room = WantsAcks(rx_free_.size(), geometry_.rx_buffers);
  AnnounceSleep(own_,
                (tx_room ? kWakeForFrames : 0) | (rx_room ? kWakeForAcks : 0));
  if (tx_room && !tx_.PollBeforeSleep()) {
    BreakOnTail("tx submit", tx_.head(), tx_.claimed_tail());
  } else if (!rx_acks_.PollBeforeSleep()) {
    // Also when none are wanted: a driver whose rings are full would never see
    // that its client lies.
    BreakOnTail("rx ack", rx_acks_.head(), rx_acks_.claimed_tail());
  }
  const bool acks_wait = rx_acks_.ready() > 0;
  const bool frames_wait = tx_room && tx_.ready() > 0;
  if (!broken_ && !acks_wait && !frames_wait) return true;
  TakeSleepBack(own_);
  // Here and now, so that a caller that needs no rx buffers does not find the
  // same acknowledgements waiting for ever.
  if (!broken_ && acks_wait) CollectRxAcks();
  return false;
}

void ProviderEnd::DisarmDoorbell() {
  TakeSleepBack(own_);
  tx_doorbell_.Silence();
}

void ProviderEnd::Break(std::string breach) {
  broken_ = true;
  breach_ = absl::StrCat("the client broke the session's protocol: ", breach);
}

void ProviderEnd::BreakOnDescriptor(const DescriptorCopy& piece) {
  const uint32_t buffer = tx_shape_.BufferOf(piece.offset());
  const bool ours =
      buffer < geometry_.tx_buffers && tx_owner_[buffer] == kOurTx;
  Break(absl::StrCat(
      "a tx descriptor of offset ", piece.offset(), ", length ", piece.length(),
      ", flags ", piece.flags(), ", segments ", piece.segments(),
      ours ? ": it submitted that buffer before and has not got it back"
           : ": it must lie in one of its buffers and use known flags"));
}

void ProviderEnd::BreakOnTail(const char* ring, uint32_t head, uint32_t tail) {
  Break(absl::StrCat("its ", ring, " tail says ", tail, " while we are at ",
                     head, ": it went back, or further ahead than the ring"));
}

}  // namespace bulkhead::packet_stream
