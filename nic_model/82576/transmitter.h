// The transmit path of one queue: descriptor ring, contexts, frame assembly,
// checksum insertion. Datasheet 7.2.
#ifndef BULKHEAD_NIC_MODEL_82576_TRANSMITTER_H_
#define BULKHEAD_NIC_MODEL_82576_TRANSMITTER_H_

#include <array>
#include <cstdint>
#include <span>

#include "nic_model/82576/interrupts.h"
#include "nic_model/82576/registers.h"
#include "nic_model/counters.h"
#include "nic_model/dma_map.h"
#include "nic_model/faults.h"
#include "nic_model/intel/outgoing_frame.h"
#include "nic_model/intel/register_file.h"
#include "nic_model/intel/ring.h"
#include "nic_model/intel/statistics.h"
#include "nic_model/network/network.h"

namespace bulkhead::nic_model::i82576 {

// A descriptor that is malformed or that lies outside the DMA map spoils its
// frame, and the ring goes on behind it. Legacy descriptors are not offered:
// they are malformed.
class Transmitter {
 public:
  Transmitter(uint32_t queue, intel::RegisterFile& regs, DmaMap& dma,
              Interrupts& interrupts, intel::Statistics& statistics,
              PortCounters& counters, const Faults& faults)
      : queue_(queue),
        regs_(regs),
        interrupts_(interrupts),
        ring_(regs, OfQueue(queue, kTdbal), dma, faults),
        frame_(dma, statistics, counters) {}

  void set_network(Network* network) {
    network_ = network;
    frame_.set_network(network);
  }

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

  bool waiting() const;
  // False: the network is busy, the descriptor stays.
  bool HandleDescriptor(bool link_up);
  void TakeContext(uint64_t low, uint64_t high);
  bool segmented() const;
  void FinishFrame();
  // Finds out how the frame is cut up, or that it cannot be.
  void FinishSegments(const Context& context);
  void InsertL4(std::span<uint8_t> frame, const Context& context);
  void Report(uint64_t high);

  const uint32_t queue_;
  intel::RegisterFile& regs_;
  Interrupts& interrupts_;
  Network* network_ = nullptr;
  intel::Ring ring_;
  intel::OutgoingFrame frame_;
  std::array<Context, 2> contexts_;
  bool busy_ = false;
  uint64_t first_high_ = 0;  // The frame's first descriptor.
  uint64_t held_high_ = 0;   // The last descriptor of a frame that waits.
  bool reported_ = false;    // Since the last interrupt.
  uint64_t descriptors_done_ = 0;
};

}  // namespace bulkhead::nic_model::i82576

#endif  // BULKHEAD_NIC_MODEL_82576_TRANSMITTER_H_
