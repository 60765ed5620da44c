#include "nic_driver/igb/igb_queue.h"

#include <algorithm>

namespace bulkhead::nic_driver::igb {
namespace {

// MACLEN of a context.
constexpr uint32_t kMacHeaderBytes = 14;
// Where TCP has its checksum: what L4T stands for.
constexpr uint32_t kTcpChecksumOffset = 16;

}  // namespace

void IgbQueue::Attach(const DmaMemory& memory, size_t offset) {
  rx_iova_ = memory.iova(offset);
  rx_.Attach(memory, offset);
  tx_.Attach(memory, offset + intel::kRxRingBytes);
}

void IgbQueue::Detach() {
  rx_.Detach();
  tx_.Detach();
}

void IgbQueue::Forget() {
  fired_ = false;
  rx_.Forget();
  tx_.Forget();
  tx_context_ = TxContext();
}

void IgbQueue::Clear() {
  rx_.Clear();
  tx_.Clear();
}

StopReport IgbQueue::TakeLeftovers() {
  return intel::CountLeftovers(rx_, Format(), rx_buffer_bytes_, tx_,
                               tx::kErrors);
}

void IgbQueue::RxRefill(std::span<const RxBuffer> buffers) {
  rx_.Refill(buffers);
  regs_.Ring(Value<RDT>(rx_.tail()), index_);
}

intel::RxFormat IgbQueue::Format() const {
  if (!rx_checksum_) return {.frame_errors = rx::kFrameErrors};
  return {.frame_errors = rx::kFrameErrors,
          .checksum_checked = rx::L4CS | rx::UDPCS,
          .checksum_doubted = rx::L4E};
}

size_t IgbQueue::RxHarvest(std::span<RxPiece> out) {
  return rx_.Harvest(Format(), rx_buffer_bytes_, out);
}

// RS is set in the last descriptor of every frame, not only of the batch: each
// frame is acknowledged as soon as it is sent, so that the fewest are in doubt
// when we die (S8). It costs the device a write of 16 bytes per frame.
void IgbQueue::TxSubmit(std::span<const TxPiece> pieces) {
  for (const TxPiece& piece : pieces) {
    const bool first = tx_.at_frame_start();
    if (first && piece.checksum) PutContext(piece);
    uint64_t command = piece.length | tx::DEXT | tx::DTYP_DATA | tx::IFCS;
    if (!piece.more) command |= tx::EOP | tx::RS;
    if (piece.segment_bytes != 0) command |= tx::TSE;
    if (first) command |= FrameOptions(piece);
    tx_.Put(piece, command);
  }
  regs_.Ring(Value<TDT>(tx_.tail()), index_);
}

// 7.2.2.3: POPTS and PAYLEN, which count in a frame's first descriptor. PAYLEN
// is without the headers when they are copied before each segment.
uint64_t IgbQueue::FrameOptions(const TxPiece& first) {
  if (!first.checksum) return tx::Paylen(first.frame_bytes);
  if (first.segment_bytes == 0) {
    return tx::Paylen(first.frame_bytes) | tx::TXSM;
  }
  return tx::Paylen(first.frame_bytes - first.header_bytes) | tx::TXSM |
         (first.ipv6 ? 0 : tx::IXSM);
}

// 7.2.2.2: a queue keeps its context until another comes. A session asks for
// the same one mostly.
//
// Of a checksum alone, where the L4 header begins is all that matters:
// TUCMD.IPV4 is for header checksums and segmentation.
void IgbQueue::PutContext(const TxPiece& first) {
  const TxContext wanted = {.checksum_start = first.checksum_start,
                            .checksum_position = first.checksum_position,
                            .segment_bytes = first.segment_bytes,
                            .header_bytes = first.header_bytes,
                            .ipv6 = first.ipv6};
  if (wanted == tx_context_) return;
  tx_context_ = wanted;
  const uint32_t l4 = first.checksum_start;
  const uint32_t mac_bytes = std::min(l4, kMacHeaderBytes);
  const bool tcp = first.checksum_position - l4 == kTcpChecksumOffset;
  uint64_t command =
      tx::DEXT | tx::DTYP_CONTEXT | (tcp ? tx::L4T_TCP : tx::L4T_UDP);
  if (first.segment_bytes != 0) {
    command |= tx::L4Len(first.header_bytes - l4) |
               tx::Mss(first.segment_bytes) | (first.ipv6 ? 0 : tx::TUCMD_IPV4);
  }
  tx_.PutContext(tx::Lengths(mac_bytes, l4 - mac_bytes), command);
}

size_t IgbQueue::TxReap(std::span<TxDone> out) {
  return tx_.Reap(tx::kErrors, out);
}

IrqResult IgbQueue::HandleIrq(uint32_t) {
  // It should have masked itself. Emulations may not, and a device that lies
  // will not.
  if (fired_) regs_.Write(EIMC::VECTORS(1u << index_));
  fired_ = true;
  return {.traffic = true};
}

void IgbQueue::ArmIrqs() {
  if (!fired_) return;
  fired_ = false;
  regs_.Write(EIMS::VECTORS(1u << index_));
}

}  // namespace bulkhead::nic_driver::igb
