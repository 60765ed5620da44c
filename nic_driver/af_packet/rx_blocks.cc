#include "nic_driver/af_packet/rx_blocks.h"

#include <linux/if_ether.h>
#include <linux/if_packet.h>

#include <atomic>
#include <cstring>

namespace bulkhead::nic_driver {
namespace {

std::atomic_ref<uint32_t> Status(std::span<uint8_t> block) {
  auto* header = reinterpret_cast<tpacket_block_desc*>(block.data());
  return std::atomic_ref<uint32_t>(header->hdr.bh1.block_status);
}

}  // namespace

// Acquire: pairs with the kernel's barrier before it hands the block over.
bool RxBlocks::Open() {
  if (left_ != 0) return true;
  const std::span<uint8_t> block = Block();
  if ((Status(block).load(std::memory_order_acquire) & TP_STATUS_USER) == 0) {
    return false;
  }
  tpacket_block_desc header;
  std::memcpy(&header, block.data(), sizeof(header));
  left_ = header.hdr.bh1.num_pkts;
  offset_ = header.hdr.bh1.offset_to_first_pkt;
  if (left_ == 0) Close();  // It was handed over empty.
  return left_ != 0;
}

// Release: our reads of the block come before the kernel writes to it.
void RxBlocks::Close() {
  Status(Block()).store(TP_STATUS_KERNEL, std::memory_order_release);
  left_ = 0;
  block_ = (block_ + 1) % (ring_.size() / block_bytes_);
}

std::optional<BlockFrame> RxBlocks::Peek() {
  while (Open()) {
    const std::span<uint8_t> block = Block();
    tpacket3_hdr header;
    if (offset_ > block.size() - sizeof(header) - sizeof(sockaddr_ll)) {
      Close();
      continue;
    }
    std::memcpy(&header, block.data() + offset_, sizeof(header));
    const size_t room = block.size() - offset_;
    if (header.tp_mac > room || header.tp_snaplen > room - header.tp_mac) {
      Close();
      continue;
    }
    sockaddr_ll address;
    std::memcpy(&address,
                block.data() + offset_ + TPACKET_ALIGN(sizeof(tpacket3_hdr)),
                sizeof(address));
    BlockFrame frame;
    frame.bytes = block.subspan(offset_ + header.tp_mac, header.tp_snaplen);
    frame.wire_bytes = header.tp_len;
    frame.for_others = address.sll_pkttype == PACKET_OTHERHOST;
    frame.checksum_missing = (header.tp_status & TP_STATUS_CSUMNOTREADY) != 0;
    frame.checksum_good = (header.tp_status & TP_STATUS_CSUM_VALID) != 0;
    if ((header.tp_status & TP_STATUS_VLAN_VALID) != 0) {
      frame.vlan_tag = static_cast<uint16_t>(header.hv1.tp_vlan_tci);
      frame.vlan_protocol = (header.tp_status & TP_STATUS_VLAN_TPID_VALID) != 0
                                ? header.hv1.tp_vlan_tpid
                                : static_cast<uint16_t>(ETH_P_8021Q);
    }
    return frame;
  }
  return std::nullopt;
}

void RxBlocks::Next() {
  tpacket3_hdr header;
  std::memcpy(&header, Block().data() + offset_, sizeof(header));
  if (--left_ == 0 || header.tp_next_offset == 0) return Close();
  offset_ += header.tp_next_offset;
}

uint64_t RxBlocks::Waiting() {
  uint64_t frames = 0;
  while (Peek().has_value()) {
    ++frames;
    Next();
  }
  return frames;
}

}  // namespace bulkhead::nic_driver
