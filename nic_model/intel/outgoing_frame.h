// A frame on its way out: gathered from descriptors, then sent whole or cut up.
#ifndef BULKHEAD_NIC_MODEL_INTEL_OUTGOING_FRAME_H_
#define BULKHEAD_NIC_MODEL_INTEL_OUTGOING_FRAME_H_

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "nic_model/counters.h"
#include "nic_model/dma_map.h"
#include "nic_model/intel/segmentation.h"
#include "nic_model/intel/statistics.h"
#include "nic_model/network/network.h"

namespace bulkhead::nic_model::intel {

// Begin, Append for each descriptor, one of the Finishes, Send until it is
// gone; then the next. It ends as tx_frames, tx_bad or network_dropped (S8),
// and so does each that it is cut into.
class OutgoingFrame {
 public:
  OutgoingFrame(DmaMap& dma, Statistics& statistics, PortCounters& counters)
      : dma_(dma), statistics_(statistics), counters_(counters) {}

  void set_network(Network* network) { network_ = network; }

  // True: no descriptor of this frame came before.
  bool Begin();
  // `to_be_cut`: it may be longer than the wire's longest. What lies outside
  // the DMA map, or is too long, spoils the frame.
  void Append(uint64_t buffer, uint32_t bytes, bool to_be_cut);
  // It cannot be sent.
  void Spoil() { spoilt_ = true; }
  // A descriptor could not be read: whether the frame ends there is unknown,
  // and what was begun is lost.
  void Lose();

  std::span<uint8_t> bytes() { return std::span(frame_).first(bytes_); }

  // It is all there. `pad`: to the wire's shortest.
  void FinishWhole(bool pad);
  void FinishCut(const TxContext& how);
  // It waits for the network.
  bool finished() const { return finished_; }

  // True: it is gone, one way or another. False: the network is busy; the next
  // call goes on from there.
  bool Send(bool link_up);
  // It is forgotten, counted nowhere.
  void Reset();

 private:
  bool SendSegments(bool link_up);
  bool SendOnWire(std::span<uint8_t> frame, bool link_up);

  // Headers of one byte's length at most, and IP's limit of the payload.
  static constexpr size_t kMaxSegmentedBytes = 255 + 65535;

  DmaMap& dma_;
  Statistics& statistics_;
  PortCounters& counters_;
  Network* network_ = nullptr;
  std::array<uint8_t, kMaxSegmentedBytes> frame_;
  std::array<uint8_t, kMaxFrameBytes> segment_;
  size_t bytes_ = 0;
  bool begun_ = false;
  bool spoilt_ = false;
  bool finished_ = false;
  std::optional<TxContext> cut_;  // How it is cut up, if it is.
  size_t cut_at_ = 0;             // So much of its payload was sent.
};

}  // namespace bulkhead::nic_model::intel

#endif  // BULKHEAD_NIC_MODEL_INTEL_OUTGOING_FRAME_H_
