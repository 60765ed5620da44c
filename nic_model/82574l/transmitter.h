// The transmit path: descriptor ring, frame assembly, checksum insertion, TCP
// segmentation. Datasheet 7.2 and 7.3.
#ifndef BULKHEAD_NIC_MODEL_82574L_TRANSMITTER_H_
#define BULKHEAD_NIC_MODEL_82574L_TRANSMITTER_H_

#include <cstdint>

#include "nic_model/82574l/interrupts.h"
#include "nic_model/82574l/registers.h"
#include "nic_model/counters.h"
#include "nic_model/dma_map.h"
#include "nic_model/faults.h"
#include "nic_model/intel/outgoing_frame.h"
#include "nic_model/intel/register_file.h"
#include "nic_model/intel/ring.h"
#include "nic_model/intel/segmentation.h"
#include "nic_model/intel/statistics.h"
#include "nic_model/network/network.h"

namespace bulkhead::nic_model::i82574 {

// A descriptor that is malformed or that lies outside the DMA map spoils its
// frame, and the ring goes on behind it.
class Transmitter {
 public:
  Transmitter(RegisterFile& regs, DmaMap& dma, Interrupts& interrupts,
              Statistics& statistics, PortCounters& counters,
              const Faults& faults)
      : regs_(regs),
        interrupts_(interrupts),
        ring_(regs, kTdbal, dma, faults),
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
  bool waiting() const;
  // False: the network is busy, the descriptor stays.
  bool HandleDescriptor(bool link_up);
  void FinishFrame(uint64_t high);
  void Report(uint64_t high);

  RegisterFile& regs_;
  Interrupts& interrupts_;
  Network* network_ = nullptr;
  Ring ring_;
  OutgoingFrame frame_;
  TxContext context_;
  bool busy_ = false;
  bool segmented_ = false;  // The frame under way is cut up.
  uint8_t popts_ = 0;       // Of the frame's first data descriptor.
  uint64_t held_high_ = 0;  // The last descriptor of a frame that waits.
  uint32_t causes_ = 0;
  uint32_t delayed_causes_ = 0;
  uint64_t descriptors_done_ = 0;
};

}  // namespace bulkhead::nic_model::i82574

#endif  // BULKHEAD_NIC_MODEL_82574L_TRANSMITTER_H_
