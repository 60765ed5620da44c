#include "nic_driver/virtio_net/queue_pair.h"

#include <algorithm>

namespace bulkhead::nic_driver::virtio_net {
namespace {

// Ethernet header and one VLAN tag around the mtu's payload.
constexpr uint32_t kFrameOverheadBytes = 14 + 4;
constexpr size_t kHeaderBytes = 16;  // A header's place: 12, aligned.

}  // namespace

QueuePair::QueuePair(PciDevice& device, int notify_bar, const QueueFacts& rx,
                     const QueueFacts& tx)
    : device_(device),
      notify_bar_(notify_bar),
      rx_facts_(rx),
      tx_facts_(tx),
      rx_slots_(rx.size / 2),
      tx_slots_(tx.size / 2) {
  rx_free_.reserve(rx_slots_.size());
  tx_free_.reserve(tx_slots_.size());
  rx_spares_.reserve(rx.size + kMaxFramePieces);
  ForgetBuffers();
}

size_t QueuePair::MemoryBytes(const RingKind& kind) const {
  return kind.Bytes(rx_facts_.size) + kind.Bytes(tx_facts_.size) +
         (rx_slots_.size() + tx_slots_.size() + 1) * kHeaderBytes;
}

void QueuePair::Attach(const DmaMemory& memory, size_t offset,
                       const RingKind& kind, DropWatch* drops) {
  memory_ = &memory;
  drops_ = drops;
  const size_t tx_ring = offset + kind.Bytes(rx_facts_.size);
  rx_headers_ = tx_ring + kind.Bytes(tx_facts_.size);
  tx_headers_ = rx_headers_ + rx_slots_.size() * kHeaderBytes;
  rx_ = kind.Make(memory, offset, rx_facts_.size);
  tx_ = kind.Make(memory, tx_ring, tx_facts_.size);
}

void QueuePair::Detach() {
  rx_.reset();
  tx_.reset();
}

void QueuePair::Notify(const QueueFacts& queue) {
  device_.WriteDoorbell16(notify_bar_, queue.notify_offset, queue.index);
}

uint32_t QueuePair::PiecesOf(uint32_t mtu) const {
  const uint32_t frame = mtu + kFrameOverheadBytes;
  return std::min<uint32_t>((frame + rx_buffer_bytes_ - 1) / rx_buffer_bytes_,
                            kMaxFramePieces);
}

void QueuePair::Expect(uint32_t rx_buffer_bytes, uint32_t mtu) {
  rx_buffer_bytes_ = rx_buffer_bytes;
  rx_chain_ = PiecesOf(mtu);
  rx_chain_max_ = PiecesOf(kMaxMtu);
  rx_buffers_.resize(rx_slots_.size() * rx_chain_max_);
}

// ---- Receive.

size_t QueuePair::RxRoom() const {
  const size_t chains =
      std::min<size_t>(rx_->room() / (1 + rx_chain_), rx_free_.size());
  const size_t buffers = chains * rx_chain_;
  return buffers > rx_spares_.size() ? buffers - rx_spares_.size() : 0;
}

void QueuePair::RxRefill(std::span<const RxBuffer> buffers) {
  rx_spares_.insert(rx_spares_.end(), buffers.begin(), buffers.end());
  PostSpares();
}

void QueuePair::PostSpares() {
  const bool starved = rx_in_flight_ == 0;
  while (rx_spares_.size() >= rx_chain_ && rx_->room() > rx_chain_ &&
         !rx_free_.empty()) {
    PostChain(rx_chain_);
  }
  // A session with fewer buffers than a frame may need: some is better than
  // none.
  if (rx_in_flight_ == 0 && !rx_spares_.empty()) {
    PostChain(static_cast<uint32_t>(rx_spares_.size()));
  }
  if (starved && rx_in_flight_ != 0) starving_.store(false);
  if (rx_->Publish()) Notify(rx_facts_);
}

void QueuePair::PostChain(uint32_t buffers) {
  const uint16_t cookie = rx_free_.back();
  rx_free_.pop_back();
  rx_slots_[cookie].buffers = static_cast<uint16_t>(buffers);
  std::array<Segment, 1 + kMaxFramePieces> segments;
  segments[0] = {memory_->iova(rx_headers_ + cookie * kHeaderBytes),
                 sizeof(NetHeader), true};
  for (uint32_t i = 0; i < buffers; ++i) {
    const RxBuffer buffer = rx_spares_.back();
    rx_spares_.pop_back();
    rx_buffers_[cookie * rx_chain_max_ + i] = buffer;
    segments[1 + i] = {buffer.iova, rx_buffer_bytes_, true};
  }
  rx_->Add(std::span(segments).first(1 + buffers), cookie);
  ++rx_in_flight_;
}

size_t QueuePair::RxHarvest(std::span<RxPiece> out) {
  if (!rx_rescued_.empty()) return HarvestRescued(out);
  size_t count = 0;
  Completion completion;
  bool popped = false;
  while (rx_->Peek(&completion)) {
    const RxSlot& slot = rx_slots_[completion.cookie];
    if (count + slot.buffers > out.size()) break;
    rx_->Pop();
    popped = true;
    count += EmitFrame(completion, out.subspan(count));
  }
  if (popped && armed_) rx_->ArmInterrupt();
  if (rx_spares_.size() >= rx_chain_ ||
      (rx_in_flight_ == 0 && !rx_spares_.empty())) {
    PostSpares();
  }
  if (count != 0 && rx_in_flight_ == 0) {
    starving_.store(true);
    if (drops_ != nullptr) drops_->Starved();
  }
  return count;
}

// RebuildRx left whole frames here.
size_t QueuePair::HarvestRescued(std::span<RxPiece> out) {
  size_t count = 0;
  while (count < rx_rescued_.size() && count < out.size()) {
    out[count] = rx_rescued_[count];
    ++count;
  }
  while (count > 0 && out[count - 1].more) --count;
  rx_rescued_.erase(rx_rescued_.begin(), rx_rescued_.begin() + count);
  return count;
}

// The device's word is checked as any other's (S7): a length beyond the buffers
// would make the client read a neighbour's bytes.
size_t QueuePair::EmitFrame(const Completion& completion,
                            std::span<RxPiece> out) {
  const uint16_t cookie = completion.cookie;
  const uint32_t buffers = rx_slots_[cookie].buffers;
  const RxBuffer* const buffer = &rx_buffers_[cookie * rx_chain_max_];
  rx_free_.push_back(cookie);
  --rx_in_flight_;
  uint32_t left = completion.bytes - static_cast<uint32_t>(sizeof(NetHeader));
  const bool good = completion.bytes > sizeof(NetHeader) &&
                    left <= uint64_t{buffers} * rx_buffer_bytes_ &&
                    left <= UINT16_MAX;
  const uint32_t pieces =
      good ? (left + rx_buffer_bytes_ - 1) / rx_buffer_bytes_ : 1;
  for (uint32_t i = 0; i < pieces; ++i) {
    const uint32_t length = std::min(left, rx_buffer_bytes_);
    // What the header says is not looked at: without VIRTIO_NET_F_GUEST_CSUM it
    // says nothing (5.1.6.4.2).
    out[i] = {.buffer = buffer[i].buffer,
              .length = static_cast<uint16_t>(good ? length : 0),
              .more = i + 1 < pieces,
              .status = good ? RxStatus::kGood : RxStatus::kDeviceError};
    left -= length;
  }
  for (uint32_t i = pieces; i < buffers; ++i) rx_spares_.push_back(buffer[i]);
  return pieces;
}

void QueuePair::ReclaimRx() {
  std::vector<bool> free(rx_slots_.size(), false);
  for (const uint16_t cookie : rx_free_) free[cookie] = true;
  for (size_t cookie = 0; cookie < rx_slots_.size(); ++cookie) {
    if (free[cookie]) continue;
    for (uint16_t i = 0; i < rx_slots_[cookie].buffers; ++i) {
      rx_spares_.push_back(rx_buffers_[cookie * rx_chain_max_ + i]);
    }
    rx_free_.push_back(static_cast<uint16_t>(cookie));
  }
  rx_in_flight_ = 0;
  starving_.store(true);
  rx_->Reset();
}

void QueuePair::RebuildRx(uint32_t mtu) {
  Completion completion;
  std::array<RxPiece, kMaxFramePieces> pieces;
  while (rx_->Peek(&completion)) {
    rx_->Pop();
    const size_t count = EmitFrame(completion, pieces);
    rx_rescued_.insert(rx_rescued_.end(), pieces.begin(),
                       pieces.begin() + count);
  }
  ReclaimRx();
  FitNewChains(mtu);
}

// ---- Transmit.

size_t QueuePair::TxRoom() const {
  return std::min<size_t>(tx_->room() / 2, tx_free_.size());
}

// Of a frame that begins with `first`, and asks for something.
NetHeader QueuePair::HeaderOf(const TxPiece& first) {
  const uint8_t gso = first.ipv6 ? NetHeader::GSO_TCPV6 : NetHeader::GSO_TCPV4;
  return {.flags = NetHeader::NEEDS_CSUM,
          .gso_type = first.segment_bytes != 0 ? gso : NetHeader::GSO_NONE,
          .hdr_len = first.header_bytes,
          .gso_size = first.segment_bytes,
          .csum_start = first.checksum_start,
          .csum_offset = static_cast<uint16_t>(first.checksum_position -
                                               first.checksum_start),
          .num_buffers = 0};
}

// 5.1.6.2.
void QueuePair::TxSubmit(std::span<const TxPiece> pieces) {
  std::array<Segment, 1 + kMaxFramePieces> segments;
  size_t parts = 0;
  uint16_t cookie = 0;
  for (const TxPiece& piece : pieces) {
    if (parts == 0) {
      cookie = tx_free_.back();
      tx_free_.pop_back();
      size_t header = tx_slots_.size();  // The shared one.
      if (piece.checksum) {
        header = cookie;
        memory_->As<NetHeader>(tx_headers_ + header * kHeaderBytes, 1)[0] =
            HeaderOf(piece);
      }
      segments[0] = {memory_->iova(tx_headers_ + header * kHeaderBytes),
                     sizeof(NetHeader), false};
    }
    tx_slots_[cookie].part[parts++] = {piece.buffer, piece.length};
    segments[parts] = {piece.iova, piece.length, false};
    if (piece.more) continue;
    tx_slots_[cookie].parts = static_cast<uint16_t>(parts);
    tx_->Add(std::span(segments).first(1 + parts), cookie);
    parts = 0;
  }
  if (tx_->Publish()) Notify(tx_facts_);
}

// A device reports no error of a frame: what it gives back counts as sent.
size_t QueuePair::TxReap(std::span<TxDone> out) {
  size_t count = 0;
  Completion completion;
  while (tx_->Peek(&completion)) {
    const TxSlot& slot = tx_slots_[completion.cookie];
    if (count + slot.parts > out.size()) break;
    tx_->Pop();
    tx_free_.push_back(completion.cookie);
    for (uint16_t i = 0; i < slot.parts; ++i) {
      out[count++] = {.buffer = slot.part[i].buffer,
                      .length = slot.part[i].length,
                      .more = i + 1 < slot.parts,
                      .good = true};
    }
  }
  if (count != 0 && armed_) tx_->ArmInterrupt();
  return count;
}

// ---- Interrupts, the end.

// Both queues have the same vector.
//
// An event index is for what comes next. What is taken after it was armed, by
// the second look of who goes to sleep, may have come before: the device is not
// going to tell, nor is it of what follows, whose index is another. So whoever
// takes something while armed arms anew.
IrqResult QueuePair::HandleIrq(uint32_t) {
  armed_ = false;
  rx_->DisarmInterrupt();
  tx_->DisarmInterrupt();
  return {.traffic = true};
}

void QueuePair::ArmIrqs() {
  armed_ = true;
  rx_->ArmInterrupt();
  tx_->ArmInterrupt();
}

// Sees the rings as the data path would have.
StopReport QueuePair::TakeLeftovers() {
  StopReport report;
  std::array<TxDone, kBatchPieces> sent;
  while (const size_t count = TxReap(sent)) {
    for (const TxDone& piece : std::span(sent).first(count)) {
      report.tx_sent_bytes += piece.length;
      if (!piece.more) ++report.tx_sent_frames;
    }
  }
  report.tx_unsent_frames = tx_slots_.size() - tx_free_.size();
  for (const RxPiece& piece : rx_rescued_) {
    if (!piece.more) ++report.rx_unclaimed_frames;
  }
  Completion completion;
  std::array<RxPiece, kMaxFramePieces> received;
  while (rx_->Peek(&completion)) {
    rx_->Pop();
    static_cast<void>(EmitFrame(completion, received));
    ++report.rx_unclaimed_frames;
  }
  return report;
}

void QueuePair::Clear() {
  rx_->Reset();
  tx_->Reset();
  ForgetBuffers();
}

void QueuePair::ForgetBuffers() {
  rx_free_.clear();
  for (size_t i = rx_slots_.size(); i > 0; --i) {
    rx_free_.push_back(static_cast<uint16_t>(i - 1));
  }
  tx_free_.clear();
  for (size_t i = tx_slots_.size(); i > 0; --i) {
    tx_free_.push_back(static_cast<uint16_t>(i - 1));
  }
  rx_spares_.clear();
  rx_rescued_.clear();
  rx_in_flight_ = 0;
  starving_.store(true);
}

}  // namespace bulkhead::nic_driver::virtio_net
