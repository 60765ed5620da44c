// The transmit path of one queue: descriptor ring, contexts, frame assembly,
// checksum insertion. Datasheet 7.2.
#ifndef BULKHEAD_NIC_MODEL_82576_TRANSMITTER_H_
#define BULKHEAD_NIC_MODEL_82576_TRANSMITTER_H_

#include <array>
#include <cstdint>
#include <span>

#include "nic_model/82576/interrupts.h"
#include "nic_model/counters.h"
#include "nic_model/dma_map.h"
#include "nic_model/faults.h"
#include "nic_model/intel/register_file.h"
#include "nic_model/intel/segmentation.h"
#include "nic_model/intel/statistics.h"
#include "nic_model/network/network.h"

namespace bulkhead::nic_model::i82576 {

// Every frame ends as tx_frames, tx_bad or network_dropped (S8). A descriptor
// that is malformed or that lies outside the DMA map spoils its frame, and the
// ring goes on behind it. Legacy descriptors are not offered: they are
// malformed.
class Transmitter {
 public:
  Transmitter(uint32_t queue, intel::RegisterFile& regs, DmaMap& dma,
              Interrupts& interrupts, intel::Statistics& statistics,
              PortCounters& counters, const Faults& faults)
      : queue_(queue),
        regs_(regs),
        dma_(dma),
        interrupts_(interrupts),
        statistics_(statistics),
        counters_(counters),
        faults_(faults) {}

  void set_network(Network* network) { network_ = network; }

  // Handles up to `budget` descriptors, raises what interrupts are due, and
  // returns true when more wait.
  bool Process(uint32_t budget, bool link_up);
  // The network takes frames again.
  void Resume() { busy_ = false; }
  // Before the registers are reset. A frame under way is forgotten: the host
  // was not told that it was sent.
  void Reset();

  uint64_t descriptors_done() const { return descriptors_done_; }

 private:
  // What a context descriptor said last (7.2.2.2).
  struct Context {
    size_t mac_bytes = 0;
    size_t ip_bytes = 0;
    size_t l4_bytes = 0;
    uint16_t segment_bytes = 0;
    uint32_t l4_type = 0;
    bool ipv4 = false;
  };

  // A register of this queue.
  uint32_t& Reg(uint32_t of_queue_0) const {
    return regs_[OfQueue(queue_, of_queue_0)];
  }
  bool waiting() const;
  uint32_t RingCount() const;
  // False: the network is busy, the descriptor stays.
  bool HandleDescriptor(uint64_t descriptor, bool link_up);
  void TakeContext(uint64_t low, uint64_t high);
  void Gather(uint64_t buffer, uint32_t bytes);
  void FinishFrame();
  // Finds out how the frame is cut up, or that it cannot be.
  void PrepareSegments();
  bool segmented() const;
  void InsertL4(std::span<uint8_t> frame, const Context& context);
  // True: the frame is gone, one way or another.
  bool SendFrame(bool link_up);
  bool SendSegments(bool link_up);
  // False: the network is busy.
  bool SendOnWire(std::span<uint8_t> frame, bool link_up);
  void Report(uint64_t descriptor, uint64_t high);

  const uint32_t queue_;
  intel::RegisterFile& regs_;
  DmaMap& dma_;
  Interrupts& interrupts_;
  intel::Statistics& statistics_;
  PortCounters& counters_;
  const Faults& faults_;
  Network* network_ = nullptr;
  // Headers that the model cuts up, and PAYLEN's limit of IP.
  static constexpr size_t kMaxSegmentedBytes = 255 + 65535;

  std::array<Context, 2> contexts_;
  std::array<uint8_t, kMaxSegmentedBytes> frame_;
  std::array<uint8_t, kMaxFrameBytes> segment_;
  size_t bytes_ = 0;
  bool started_ = false;    // frame_ holds the beginning of a frame.
  bool bad_ = false;        // The frame under way cannot be sent.
  bool assembled_ = false;  // The whole frame waits for the network.
  bool busy_ = false;
  intel::TxContext cut_;     // How the frame under way is cut up.
  size_t cut_at_ = 0;        // So much of its payload was sent.
  uint64_t first_high_ = 0;  // The frame's first descriptor.
  uint64_t held_high_ = 0;   // The last descriptor of the assembled frame.
  bool reported_ = false;    // Since the last interrupt.
  uint64_t descriptors_done_ = 0;
};

}  // namespace bulkhead::nic_model::i82576

#endif  // BULKHEAD_NIC_MODEL_82576_TRANSMITTER_H_
