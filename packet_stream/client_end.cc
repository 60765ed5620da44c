#include "packet_stream/client_end.h"

#include <poll.h>

#include <algorithm>
#include <cassert>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "packet_stream/control_area.h"
#include "packet_stream/lane_mapping.h"
#include "packet_stream/session.pb.h"

namespace bulkhead::packet_stream {
namespace {

// What an rx descriptor may say.
constexpr uint16_t kRxFlags = kMore | kChecksumGood;

}  // namespace

absl::StatusOr<std::unique_ptr<ClientEnd>> ClientEnd::Create(
    ClientGrant grant, OnRestart on_restart, UniqueFd socket) {
  RETURN_IF_ERROR(CheckGeometry(grant.geometry));
  if (grant.epoch == 0) {
    return absl::InvalidArgumentError(
        "open a session: epoch 0 is none; the platform counts from 1");
  }
  if (grant.bells.size() != grant.geometry.lanes) {
    return absl::InvalidArgumentError(
        absl::StrCat("open a session: doorbells for ", grant.bells.size(),
                     " lanes of ", grant.geometry.lanes));
  }
  std::vector<std::unique_ptr<ClientEnd>> others;
  for (uint32_t lane = 1; lane < grant.geometry.lanes; ++lane) {
    UniqueFd copy = socket.Duplicate();
    if (socket.valid() && !copy.valid()) {
      return ErrnoStatus("duplicate a session's socket");
    }
    ASSIGN_OR_RETURN(std::unique_ptr<ClientEnd> other,
                     CreateLane(grant, lane, on_restart, std::move(copy)));
    others.push_back(std::move(other));
  }
  ASSIGN_OR_RETURN(std::unique_ptr<ClientEnd> end,
                   CreateLane(grant, 0, on_restart, std::move(socket)));
  end->others_ = std::move(others);
  return end;
}

absl::StatusOr<std::unique_ptr<ClientEnd>> ClientEnd::CreateLane(
    ClientGrant& grant, uint32_t lane, OnRestart on_restart, UniqueFd socket) {
  const SessionGeometry& g = grant.geometry;
  const auto map = [lane, &g](const UniqueFd& area, size_t lane_bytes,
                              Access access) {
    return MapLane(area.get(), g.lanes, lane, lane_bytes, access);
  };
  constexpr auto kReadOnly = Access::kReadOnly;
  constexpr auto kReadWrite = Access::kReadWrite;
  ASSIGN_OR_RETURN(Mapping own, map(grant.client_control,
                                    g.LaneClientControlBytes(), kReadWrite));
  ASSIGN_OR_RETURN(
      Mapping provider,
      map(grant.provider_control, g.LaneProviderControlBytes(), kReadOnly));
  ASSIGN_OR_RETURN(Mapping tx_data,
                   map(grant.tx_data, g.LaneTxDataBytes(), kReadWrite));
  ASSIGN_OR_RETURN(Mapping rx_data,
                   map(grant.rx_data, g.LaneRxDataBytes(), kReadOnly));
  ASSIGN_OR_RETURN(
      Mapping status,
      Mapping::MapSealed(grant.status.get(), kStatusPageBytes, kReadOnly));
  LaneBells& bells = grant.bells[lane];
  ASSIGN_OR_RETURN(DoorbellWaiter waiter,
                   DoorbellWaiter::Create(std::move(bells.rx_doorbell)));
  if (socket.valid()) {
    RETURN_IF_ERROR(waiter.Add(socket.get(), kSocketTag));
  }
  const ClientMemory memory = {own.As<ControlHeader>(),
                               provider.As<ControlHeader>(), tx_data.data(),
                               rx_data.data(), status.As<StatusPage>()};
  auto end = std::make_unique<ClientEnd>(
      memory, g, grant.epoch, on_restart,
      DoorbellRinger(std::move(bells.tx_doorbell)), std::move(waiter));
  end->mappings_[0] = std::move(own);
  end->mappings_[1] = std::move(provider);
  end->mappings_[2] = std::move(tx_data);
  end->mappings_[3] = std::move(rx_data);
  end->mappings_[4] = std::move(status);
  end->socket_ = SeqpacketChannel(std::move(socket));
  end->lane_ = lane;
  return end;
}

ClientEnd::ClientEnd(ClientMemory memory, const SessionGeometry& geometry,
                     uint32_t epoch, OnRestart on_restart,
                     DoorbellRinger tx_doorbell, DoorbellWaiter rx_doorbell)
    : geometry_(geometry),
      on_restart_(on_restart),
      own_(memory.own),
      provider_(memory.provider),
      tx_data_(memory.tx_data),
      rx_data_(memory.rx_data),
      status_(memory.status),
      tx_doorbell_(std::move(tx_doorbell)),
      rx_doorbell_(std::move(rx_doorbell)),
      tx_shape_(geometry.tx_buffers, geometry.buffer_bytes),
      tx_(&own_->submit_tail, SubmitEntries(own_), geometry.tx_buffers),
      tx_acks_(&provider_->ack_tail, AckEntries(provider_, geometry.rx_buffers),
               geometry.tx_buffers),
      tx_colour_mask_(geometry.buffer_bytes < kMinColouredBytes ? 0
                                                                : kColours - 1),
      tx_owner_(std::make_unique<uint8_t[]>(geometry.tx_buffers)),
      tx_free_(geometry.tx_buffers),
      tx_patience_(std::min(kMaxPatience, geometry.tx_buffers / 4)),
      rx_shape_(geometry.rx_buffers, geometry.buffer_bytes),
      rx_(&provider_->submit_tail, SubmitEntries(provider_),
          geometry.rx_buffers),
      rx_acks_(&own_->ack_tail, AckEntries(own_, geometry.tx_buffers),
               geometry.rx_buffers),
      rx_owner_(std::make_unique<uint8_t[]>(geometry.rx_buffers)) {
  if (on_restart_ == OnRestart::kResubmit) {
    tx_sent_.resize(geometry.tx_buffers);
    tx_gathered_.reserve(geometry.tx_buffers);
  }
  tx_kept_.reserve(geometry.tx_buffers);
  StartEpoch(epoch);
}

// ---- To the provider

// Loops of the data path copy ring, shape and owners into locals: stores into
// shared memory could alias our members, which the compiler would read again.

size_t ClientEnd::AllocTx(std::span<TxBuffer> out) {
  if (tx_free_.size() < out.size() && InStep()) CollectTxAcks();
  const auto count =
      static_cast<uint32_t>(std::min<size_t>(out.size(), tx_free_.size()));
  const uint32_t* const buffers = tx_free_.Take(count);
  const BufferShape shape = tx_shape_;
  uint8_t* const owner = tx_owner_.get();
  uint8_t* const data = tx_data_;
  const uint32_t colours = tx_colour_mask_;
  const uint32_t capacity = shape.buffer_bytes() - colours * kColourBytes;
  for (uint32_t i = 0; i < count; ++i) {
    const uint32_t buffer = buffers[i];
    // The lowest bit of the number tells neighbours apart already.
    const uint32_t offset =
        shape.OffsetOf(buffer) + (buffer >> 1 & colours) * kColourBytes;
    PrefetchForWrite(data + offset);
    owner[buffer] = kAppTx;
    out[i] = {data + offset, offset, capacity};
  }
  tx_.PrepareToPut(count);
  return count;
}

void ClientEnd::ReturnTx(std::span<const TxBuffer> buffers) {
  for (const TxBuffer& returned : buffers) {
    const uint32_t buffer =
        tx_shape_.BufferOf(returned.offset) & (geometry_.tx_buffers - 1);
    assert(tx_owner_[buffer] == kAppTx);
    tx_owner_[buffer] = kFreeTx;
    tx_free_.Push(buffer);
  }
}

void ClientEnd::SubmitTx(std::span<const Descriptor> descriptors) {
  if (descriptors.empty()) return;
  PutAll(descriptors);
  tx_frame_open_ = (descriptors.back().flags & kMore) != 0;
  counters_.tx_submitted += descriptors.size();
  tx_in_flight_ += static_cast<uint32_t>(descriptors.size());
}

void ClientEnd::PutAll(std::span<const Descriptor> pieces) {
  SubmitProducer ring = tx_;
  const BufferShape shape = tx_shape_;
  uint8_t* const owner = tx_owner_.get();
  const uint32_t last = shape.count() - 1;
  for (const Descriptor& piece : pieces) {
    assert(shape.Contains(piece.offset, piece.length));
    const uint32_t buffer = shape.BufferOf(piece.offset) & last;
    assert(owner[buffer] == kAppTx || owner[buffer] == kKeptTx);
    owner[buffer] = kProviderTx;
    ring.Put(piece);
  }
  tx_ = ring;
  if (on_restart_ == OnRestart::kResubmit) {
    for (const Descriptor& piece : pieces) RememberSent(piece);
  }
}

void ClientEnd::RememberSent(const Descriptor& piece) {
  const uint32_t buffer =
      tx_shape_.BufferOf(piece.offset) & (geometry_.tx_buffers - 1);
  tx_sent_[buffer] = {piece, tx_sequence_, tx_frame_};
  ++tx_sequence_;
  if ((piece.flags & kMore) == 0) tx_frame_ = tx_sequence_;
}

void ClientEnd::Flush() {
  if (!InStep() || broken_) return;
  uint32_t published = 0;
  // A frame is published whole.
  if (tx_.has_unpublished() && !tx_frame_open_) {
    tx_.Publish();
    published |= kWakeForFrames;
  }
  if (rx_acks_.has_unpublished()) {
    rx_acks_.Publish();
    published |= kWakeForAcks;
  }
  if (published != 0 && MustRing(provider_, published)) {
    tx_doorbell_.Ring();
    ++counters_.doorbells;
  }
  // Not after every frame: each look takes a line from the provider that it is
  // about to write again.
  if ((published & kWakeForFrames) == 0 || tx_in_flight_ >= tx_patience_) {
    CollectTxAcks();
  }
}

void ClientEnd::CollectTxAcks() {
  if (!Attached()) return;
  if (!tx_acks_.Poll(geometry_.tx_buffers)) {
    BreakOnTail("tx ack", tx_acks_.head(), tx_acks_.claimed_tail());
    return;
  }
  const AckConsumer ring = tx_acks_;
  const uint32_t ready = ring.ready();
  const uint32_t buffers = geometry_.tx_buffers;
  uint8_t* const owner = tx_owner_.get();
  uint32_t* const free = tx_free_.End();
  uint32_t count = 0;
  uint32_t failed = 0;
  // The provider must not acknowledge what it cannot have seen.
  if (tx_.has_unpublished()) MarkUnpublished(kQueuedTx);
  for (; count < ready; ++count) {
    const Ack ack = ring.Read(count);
    const uint32_t buffer = AckBuffer(ack);
    if (buffer >= buffers || owner[buffer] != kProviderTx ||
        StatusOf(ack) > AckStatus::kDeviceError) [[unlikely]] {
      Break(absl::StrCat("acknowledged tx buffer ", buffer, " of ", buffers,
                         " with status ", static_cast<uint32_t>(StatusOf(ack)),
                         ", which it does not hold or must not say"));
      break;
    }
    owner[buffer] = kFreeTx;
    free[count] = buffer;
    if (StatusOf(ack) != AckStatus::kDone) [[unlikely]] {
      ++failed;
      CountFailed(StatusOf(ack));
    }
  }
  if (tx_.has_unpublished()) MarkUnpublished(kProviderTx);
  tx_free_.Grow(count);
  tx_acks_.Advance(count);
  counters_.tx_done += count - failed;
  tx_in_flight_ -= count;
}

void ClientEnd::MarkUnpublished(TxOwner owner) {
  for (uint32_t i = 0; i < tx_.unpublished(); ++i) {
    tx_owner_[tx_shape_.BufferOf(tx_.Unpublished(i).offset)] = owner;
  }
}

void ClientEnd::CountFailed(AckStatus status) {
  switch (status) {
    case AckStatus::kDone:
      break;
    case AckStatus::kInvalid:
      ++counters_.tx_dropped_invalid;
      break;
    case AckStatus::kNoLink:
      ++counters_.tx_dropped_no_link;
      break;
    case AckStatus::kDeviceError:
      ++counters_.tx_dropped_device;
      break;
  }
}

// ---- From the provider

size_t ClientEnd::Receive(std::span<RxPiece> out) {
  InStep();
  if (!Attached() || out.empty()) return 0;
  const auto room =
      static_cast<uint32_t>(std::min<size_t>(out.size(), geometry_.rx_buffers));
  if (!rx_.Poll(room)) {
    BreakOnTail("rx submit", rx_.head(), rx_.claimed_tail());
    return 0;
  }
  const SubmitConsumer ring = rx_;
  const BufferShape shape = rx_shape_;
  uint8_t* const owner = rx_owner_.get();
  const uint8_t* const data = rx_data_;
  const uint32_t count = std::min(ring.ready(), room);
  uint32_t whole = 0;  // Pieces up to the end of the last whole frame.
  uint32_t frame_pieces = rx_frame_pieces_;
  ring.Prefetch(count);
  for (uint32_t i = 0; i < count; ++i) {
    const DescriptorCopy piece = ring.Read(i);
    const uint32_t buffer = shape.BufferOf(piece.offset());
    if (!shape.Contains(piece.offset(), piece.length()) ||
        (piece.flags() & ~kRxFlags) != 0 || piece.segments() != 0 ||
        owner[buffer] != kProviderRx) [[unlikely]] {
      BreakOnRx(piece);
      return 0;
    }
    PrefetchForRead(data + piece.offset());
    owner[buffer] = kAppRx;
    out[i] = {data + piece.offset(), buffer, piece.length(), piece.flags()};
    if ((piece.flags() & kMore) == 0) [[likely]] {
      whole = i + 1;
      frame_pieces = 0;
    } else if (++frame_pieces == kMaxFramePieces) {
      Break(absl::StrCat("an rx frame of more than ", kMaxFramePieces,
                         " pieces"));
      return 0;
    }
  }
  // ready() ends at a tail that the provider published.
  if (frame_pieces != 0 && count == ring.ready()) {
    Break("published a part of an rx frame");
    return 0;
  }
  uint32_t taken = count;
  if (whole != 0 && whole != count) {
    // The last frame does not fit: it waits for the next call.
    for (uint32_t i = whole; i < count; ++i) {
      owner[out[i].buffer] = kProviderRx;
    }
    taken = whole;
    frame_pieces = 0;
  }
  rx_frame_pieces_ = frame_pieces;
  rx_.Advance(taken);
  rx_held_ += taken;
  counters_.rx_received += taken;
  return taken;
}

void ClientEnd::Release(std::span<const RxPiece> pieces) {
  AckProducer ring = rx_acks_;
  uint8_t* const owner = rx_owner_.get();
  const uint32_t last = geometry_.rx_buffers - 1;
  for (const RxPiece& piece : pieces) {
    const uint32_t buffer = piece.buffer & last;
    assert(owner[buffer] == kAppRx);
    owner[buffer] = kProviderRx;
    ring.Put(MakeAck(buffer, AckStatus::kDone));
  }
  rx_acks_ = ring;
  rx_held_ -= static_cast<uint32_t>(pieces.size());
}

// ---- Sleeping

bool ClientEnd::NewsBeforeSleep() {
  const uint32_t epoch = status_->epoch.load(std::memory_order_seq_cst);
  if (epoch != epoch_) {
    if (Recover(epoch)) return true;
    // Waiting for the application to release pieces is no news to it.
    return Attached() && rx_.ready() > 0;
  }
  if (!Attached()) return false;
  if (!rx_.PollBeforeSleep()) {
    BreakOnTail("rx submit", rx_.head(), rx_.claimed_tail());
    return true;
  }
  if (!tx_acks_.PollBeforeSleep()) {
    BreakOnTail("tx ack", tx_acks_.head(), tx_acks_.claimed_tail());
    return true;
  }
  if (tx_acks_.ready() > 0) {
    // Here and now, so that an application that needs no buffers does not find
    // the same acknowledgements waiting for ever.
    CollectTxAcks();
    return true;
  }
  return rx_.ready() > 0;
}

bool ClientEnd::ArmWait() {
  if (tx_.has_unpublished() || rx_acks_.has_unpublished()) Flush();
  AnnounceSleep(own_, kWakeForFrames | kWakeForAcks);
  if (!NewsBeforeSleep()) return true;
  TakeSleepBack(own_);
  return false;
}

void ClientEnd::DisarmWait() {
  TakeSleepBack(own_);
  HandleEvents(rx_doorbell_.Wait(0));
}

void ClientEnd::Wait(int timeout_ms) {
  if (!ArmWait()) return;
  const uint32_t tags = rx_doorbell_.Wait(timeout_ms);
  TakeSleepBack(own_);
  HandleEvents(tags);
}

void ClientEnd::HandleEvents(uint32_t tags) {
  if ((tags & kSocketTag) == 0 || !closed_.ok()) return;
  if (lane_ != 0) return LookForPlatform();
  Closed closed;
  std::vector<UniqueFd> fds;
  const absl::StatusOr<bool> received = socket_.Receive(&closed, &fds, 0);
  if (!received.ok()) {
    closed_ = absl::UnavailableError(
        absl::StrCat("use a session: the platform service is gone (",
                     received.status().message(), "); open it again"));
  } else if (*received) {
    closed_ = absl::UnavailableError(
        absl::StrCat("use a session: it was closed: ", closed.reason()));
  }
}

// What the platform has to say, lane 0 reads, and the status page tells the
// others that the session was closed. What is left to see is whether anybody is
// there to write to it.
void ClientEnd::LookForPlatform() {
  pollfd state = {socket_.fd(), POLLRDHUP, 0};
  if (::poll(&state, 1, 0) != 1) return;
  closed_ = absl::UnavailableError(
      "use a session: it was closed, or the platform service is gone; open it "
      "again");
}

// ---- What is wrong

void ClientEnd::Break(std::string breach) {
  broken_ = true;
  breach = absl::StrCat("the provider broke the session's protocol: ", breach);
  breach_ = absl::DataLossError(breach);
  if (!socket_.valid()) return;
  // The platform decides what becomes of the provider. It hears of it once per
  // epoch; should its queue be full, it will see for itself.
  ClientReport report;
  report.set_epoch(epoch_);
  report.set_breach(std::move(breach));
  socket_.Send(report).IgnoreError();
}

void ClientEnd::BreakOnRx(const DescriptorCopy& piece) {
  const uint32_t buffer = rx_shape_.BufferOf(piece.offset());
  const bool held =
      buffer < geometry_.rx_buffers && rx_owner_[buffer] == kAppRx;
  Break(absl::StrCat(
      "an rx descriptor of offset ", piece.offset(), ", length ",
      piece.length(), ", flags ", piece.flags(), ", segments ",
      piece.segments(),
      held ? ": it submitted that buffer before and has not got it back"
           : ": it must lie in one of its buffers and use known flags"));
}

void ClientEnd::BreakOnTail(const char* ring, uint32_t head, uint32_t tail) {
  Break(absl::StrCat("its ", ring, " tail says ", tail, " while we are at ",
                     head, ": it went back, or further ahead than the ring"));
}

absl::Status ClientEnd::health() const {
  if (!closed_.ok()) return closed_;
  if (status_->state.load(std::memory_order_acquire) ==
      static_cast<uint32_t>(SessionState::kClosed)) {
    return absl::UnavailableError(
        "use a session: the platform service closed it; open it again");
  }
  return breach_;
}

SessionStatus ClientEnd::status() const {
  SessionStatus status;
  if (ReadStatus(*status_, &status)) last_status_ = status;
  return last_status_;
}

}  // namespace bulkhead::packet_stream
