// The receive ring of a packet socket: TPACKET_V3 (Linux,
// Documentation/networking/packet_mmap.rst). The kernel fills a block with
// frames and hands it over whole; we give it back whole.
#ifndef BULKHEAD_NIC_DRIVER_AF_PACKET_RX_BLOCKS_H_
#define BULKHEAD_NIC_DRIVER_AF_PACKET_RX_BLOCKS_H_

#include <cstdint>
#include <optional>
#include <span>

namespace bulkhead::nic_driver {

// A frame in a block; it stays until Next.
struct BlockFrame {
  std::span<uint8_t> bytes;  // As it is in the ring, which is ours meanwhile.
  uint32_t wire_bytes = 0;   // More than there are bytes: it was cut off.
  bool for_others = false;   // Not addressed to this interface.
  // The sender left its checksum to hardware that it never met.
  bool checksum_missing = false;
  bool checksum_good = false;
  std::optional<uint16_t> vlan_tag;  // Taken out by the kernel.
  uint16_t vlan_protocol = 0;        // In host order.
};

// Guarantees: a frame that a header places outside of its block is not there:
//   the block ends before it.
// Threading: one thread.
class RxBlocks {
 public:
  RxBlocks(std::span<uint8_t> ring, uint32_t block_bytes)
      : ring_(ring), block_bytes_(block_bytes) {}

  // The oldest frame that is not done with; nullopt: there is none.
  std::optional<BlockFrame> Peek();
  // Done with it.
  void Next();
  // Frames that were handed over and not done with.
  uint64_t Waiting();

 private:
  std::span<uint8_t> Block() const {
    return ring_.subspan(size_t{block_} * block_bytes_, block_bytes_);
  }
  bool Open();
  void Close();

  std::span<uint8_t> ring_;
  const uint32_t block_bytes_;
  uint32_t block_ = 0;   // The current one.
  uint32_t left_ = 0;    // Its frames that are not done with.
  uint32_t offset_ = 0;  // Of the next of these.
};

}  // namespace bulkhead::nic_driver

#endif  // BULKHEAD_NIC_DRIVER_AF_PACKET_RX_BLOCKS_H_
