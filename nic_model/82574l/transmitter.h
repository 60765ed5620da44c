// The transmit path: descriptor ring, frame assembly, checksum insertion, TCP
// segmentation. Datasheet 7.2 and 7.3.
#ifndef BULKHEAD_NIC_MODEL_82574L_TRANSMITTER_H_
#define BULKHEAD_NIC_MODEL_82574L_TRANSMITTER_H_

#include <array>
#include <cstdint>
#include <span>

#include "nic_model/82574l/interrupts.h"
#include "nic_model/82574l/registers.h"
#include "nic_model/counters.h"
#include "nic_model/dma_map.h"
#include "nic_model/faults.h"
#include "nic_model/intel/register_file.h"
#include "nic_model/intel/segmentation.h"
#include "nic_model/intel/statistics.h"
#include "nic_model/network/network.h"

namespace bulkhead::nic_model::i82574 {

// Every frame ends as tx_frames, tx_bad or network_dropped (S8), and so does
// each that one of the host's is cut into. A descriptor
// that is malformed or that lies outside the DMA map spoils its frame, and the
// ring goes on behind it.
class Transmitter {
 public:
  Transmitter(RegisterFile& regs, DmaMap& dma, Interrupts& interrupts,
              Statistics& statistics, PortCounters& counters,
              const Faults& faults)
      : regs_(regs),
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

  bool waiting() const;
  uint64_t descriptors_done() const { return descriptors_done_; }

 private:
  uint32_t RingCount() const;
  // False: the network is busy, the descriptor stays.
  bool HandleDescriptor(uint64_t descriptor, bool link_up);
  void Gather(uint64_t buffer, uint32_t bytes);
  void FinishFrame(uint64_t high);
  // True: the frame is gone, one way or another.
  bool SendFrame(bool link_up);
  bool SendSegments(bool link_up);
  // False: the network is busy.
  bool SendOnWire(std::span<uint8_t> frame, bool link_up);
  void Report(uint64_t descriptor, uint64_t high);

  RegisterFile& regs_;
  DmaMap& dma_;
  Interrupts& interrupts_;
  Statistics& statistics_;
  PortCounters& counters_;
  const Faults& faults_;
  Network* network_ = nullptr;
  // Headers of HDRLEN bytes at most, and PAYLEN's limit of IP (7.3.4).
  static constexpr size_t kMaxSegmentedBytes = 255 + 65535;

  TxContext context_;
  std::array<uint8_t, kMaxSegmentedBytes> frame_;
  std::array<uint8_t, kMaxFrameBytes> segment_;
  size_t bytes_ = 0;
  bool started_ = false;    // frame_ holds the beginning of a frame.
  bool bad_ = false;        // The frame under way cannot be sent.
  bool assembled_ = false;  // The whole frame waits for the network.
  bool busy_ = false;
  bool segmented_ = false;  // The frame under way is cut up.
  size_t cut_at_ = 0;       // So much of its payload was sent.
  uint8_t popts_ = 0;       // Of the frame's first data descriptor.
  uint64_t held_high_ = 0;  // The last descriptor of the assembled frame.
  uint32_t causes_ = 0;
  uint32_t delayed_causes_ = 0;
  uint64_t descriptors_done_ = 0;
};

}  // namespace bulkhead::nic_model::i82574

#endif  // BULKHEAD_NIC_MODEL_82574L_TRANSMITTER_H_
