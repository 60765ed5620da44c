#include "nic_driver/af_packet/af_packet.h"

#include <linux/if_packet.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "nic_driver/af_packet/missing_checksum.h"
#include "nic_driver/framework/task_status.h"

namespace bulkhead::nic_driver {
namespace {

// Two addresses, after which a VLAN tag goes (IEEE 802.1Q).
constexpr size_t kAddressBytes = 12;
constexpr size_t kTagBytes = 4;

}  // namespace

absl::Status AfPacket::Probe() {
  if (interface_ != nullptr) return absl::OkStatus();
  return absl::FailedPreconditionError(
      "af_packet drives Linux interfaces; this is a PCI device");
}

Task<absl::StatusOr<NicFacts>> AfPacket::Attach() {
  NicFacts facts;
  facts.mac = interface_->mac();
  facts.max_mtu = interface_->state().mtu;
  facts.offloads = packet_stream::kOffloadRxChecksum;
  co_return facts;
}

// The interface itself is made promiscuous by the platform service; the socket
// then gets what others may see, too.
absl::Status AfPacket::Configure(const NicConfig& config) {
  promiscuous_ = config.promiscuous;
  return absl::OkStatus();
}

absl::StatusOr<AfPacket::Open> AfPacket::MapRings(SessionSocket socket) const {
  auto* rings = std::get_if<PacketRings>(&socket.rings);
  if (rings == nullptr) {
    return absl::InvalidArgumentError("start: the socket has no packet rings");
  }
  Open open;
  const size_t rx_bytes = size_t{rings->rx_block_bytes} * rings->rx_blocks;
  const size_t tx_bytes = size_t{rings->tx_frame_bytes} * rings->tx_frames;
  ASSIGN_OR_RETURN(open.rings,
                   Mapping::MapAny(socket.socket.get(), 0, rx_bytes + tx_bytes,
                                   Access::kReadWrite));
  ASSIGN_OR_RETURN(
      open.tx_data,
      Mapping::MapSealed(rings->tx_data.get(), socket.geometry.TxDataBytes(),
                         Access::kReadOnly));
  ASSIGN_OR_RETURN(
      open.rx_data,
      Mapping::MapSealed(rings->rx_data.get(), socket.geometry.RxDataBytes(),
                         Access::kReadWrite));
  const std::span<uint8_t> all(open.rings.data(), open.rings.bytes());
  open.rx =
      std::make_unique<RxBlocks>(all.first(rx_bytes), rings->rx_block_bytes);
  open.tx =
      std::make_unique<TxFrames>(all.subspan(rx_bytes), rings->tx_frame_bytes,
                                 rings->tx_frames, socket.geometry.tx_buffers);
  open.buffers = socket.geometry.rx_buffers;
  open.free.reserve(open.buffers);
  open.buffer_bytes = socket.geometry.buffer_bytes;
  open.socket = std::move(socket.socket);
  return open;
}

Task<absl::StatusOr<LinkStatus>> AfPacket::Start(uint32_t, uint32_t) {
  std::vector<SessionSocket> sockets = interface_->TakeSockets();
  if (!sockets.empty()) {
    absl::StatusOr<Open> open = MapRings(std::move(sockets.front()));
    if (!open.ok()) co_return open.status();
    open_.emplace(*std::move(open));
  }
  co_return interface_->state().link;
}

Task<absl::StatusOr<StopReport>> AfPacket::Stop() {
  StopReport report;
  if (open_.has_value()) {
    std::array<TxDone, kBatchPieces> done;
    while (const size_t count = open_->tx->Reap(done)) {
      for (const TxDone& piece : std::span(done).first(count)) {
        if (piece.more) continue;
        ++(piece.good ? report.tx_sent_frames : report.tx_unsent_frames);
        if (piece.good) report.tx_sent_bytes += piece.length;
      }
    }
    report.rx_unclaimed_frames = open_->rx->Waiting();
    report.statistics = ReadStatistics();
    open_.reset();
  }
  co_return report;
}

// --- Receive --------------------------------------------------------------

size_t AfPacket::RxRoom() const {
  return open_ ? open_->buffers - open_->free.size() : 0;
}

void AfPacket::RxRefill(std::span<const RxBuffer> buffers) {
  open_->free.insert(open_->free.end(), buffers.begin(), buffers.end());
}

// False: there is no room for the frame, which stays where it is.
bool AfPacket::Copy(BlockFrame frame, std::span<RxPiece> out, size_t* count) {
  const size_t tag = frame.vlan_tag.has_value() ? kTagBytes : 0;
  const size_t bytes = frame.bytes.size() + tag;
  const size_t pieces = (bytes + open_->buffer_bytes - 1) / open_->buffer_bytes;
  const bool whole = frame.wire_bytes == frame.bytes.size() &&
                     pieces <= kMaxFramePieces &&
                     frame.bytes.size() >= kAddressBytes;
  const size_t needed = whole ? pieces : 1;
  if (out.size() - *count < needed || open_->free.size() < needed) return false;
  if (!whole) {
    out[(*count)++] = {.buffer = open_->free.back().buffer,
                       .status = RxStatus::kTooLong};
    open_->free.pop_back();
    return true;
  }
  if (frame.checksum_missing) {
    frame.checksum_good = CompleteChecksum(frame.bytes);
  }
  // The frame as it was on the wire: head, tag, rest.
  const uint8_t tag_bytes[kTagBytes] = {
      static_cast<uint8_t>(frame.vlan_protocol >> 8),
      static_cast<uint8_t>(frame.vlan_protocol),
      static_cast<uint8_t>(frame.vlan_tag.value_or(0) >> 8),
      static_cast<uint8_t>(frame.vlan_tag.value_or(0))};
  std::span<const uint8_t> parts[] = {
      frame.bytes.first(kAddressBytes),
      std::span<const uint8_t>(tag_bytes).first(tag),
      frame.bytes.subspan(kAddressBytes)};
  size_t part = 0;
  for (size_t i = 0; i < pieces; ++i) {
    const RxBuffer buffer = open_->free.back();
    open_->free.pop_back();
    size_t filled = 0;
    while (part < std::size(parts) && filled < open_->buffer_bytes) {
      const size_t now =
          std::min(parts[part].size(), open_->buffer_bytes - filled);
      std::memcpy(open_->rx_data.data() + buffer.iova + filled,
                  parts[part].data(), now);
      filled += now;
      parts[part] = parts[part].subspan(now);
      if (parts[part].empty()) ++part;
    }
    out[(*count)++] = {.buffer = buffer.buffer,
                       .length = static_cast<uint16_t>(filled),
                       .more = i + 1 < pieces,
                       .checksum_good = frame.checksum_good};
  }
  return true;
}

size_t AfPacket::RxHarvest(std::span<RxPiece> out) {
  if (!open_) return 0;
  size_t count = 0;
  while (const std::optional<BlockFrame> frame = open_->rx->Peek()) {
    const bool wanted = promiscuous_ || !frame->for_others;
    if (wanted && !Copy(*frame, out, &count)) break;
    open_->rx->Next();
  }
  return count;
}

// --- Transmit -------------------------------------------------------------

size_t AfPacket::TxRoom() const { return open_ ? open_->tx->Room() : 0; }

void AfPacket::TxSubmit(std::span<const TxPiece> pieces) {
  const std::span<const uint8_t> data(open_->tx_data.data(),
                                      open_->tx_data.bytes());
  for (size_t start = 0, i = 0; i < pieces.size(); ++i) {
    if (pieces[i].more) continue;
    open_->tx->Put(pieces.subspan(start, i + 1 - start), data);
    start = i + 1;
  }
  Kick();
}

// Once a batch. What the kernel has no room for now, it takes at a later turn.
void AfPacket::Kick() {
  const auto send = [this] {
    return ::send(open_->socket.get(), nullptr, 0, MSG_DONTWAIT) >= 0 ||
           errno == EAGAIN || errno == ENOBUFS || errno == EINTR;
  };
  if (send()) return;
  // Perhaps the word of an interface that was down meanwhile: it is told once.
  int error;
  socklen_t bytes = sizeof(error);
  ::getsockopt(open_->socket.get(), SOL_SOCKET, SO_ERROR, &error, &bytes);
  // The interface is down or gone.
  if (!send()) open_->tx->Cancel();
}

size_t AfPacket::TxReap(std::span<TxDone> out) {
  if (!open_) return 0;
  const size_t count = open_->tx->Reap(out);
  if (count == 0 && open_->tx->Untaken()) Kick();
  return count;
}

DeviceStatistics AfPacket::ReadStatistics() {
  tpacket_stats_v3 statistics = {};
  socklen_t bytes = sizeof(statistics);
  if (!open_ || ::getsockopt(open_->socket.get(), SOL_PACKET, PACKET_STATISTICS,
                             &statistics, &bytes) != 0) {
    return {};
  }
  return {statistics.tp_drops};
}

Task<absl::Status> AfPacket::Detach() {
  open_.reset();
  co_return absl::OkStatus();
}

}  // namespace bulkhead::nic_driver
