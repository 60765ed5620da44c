// TCP segmentation as the 82574 (7.3) and the 82576 (7.2.4) do it: one frame of
// the host becomes many on the wire. Pure functions of hostile input.
#ifndef BULKHEAD_NIC_MODEL_INTEL_SEGMENTATION_H_
#define BULKHEAD_NIC_MODEL_INTEL_SEGMENTATION_H_

#include <cstddef>
#include <cstdint>
#include <span>

namespace bulkhead::nic_model::intel {

// What a context descriptor said last, in the 82574's terms (7.2.10.1).
struct TxContext {
  uint8_t ipcss = 0, ipcso = 0, tucss = 0, tucso = 0;
  uint16_t ipcse = 0, tucse = 0;
  uint32_t payload_bytes = 0;
  uint8_t header_bytes = 0;
  uint16_t segment_bytes = 0;
  bool ipv4 = false;
  bool tcp = false;
};

// Whether `frame` can be cut up as `context` says: its headers lie within it
// and are of the kinds that the context names.
bool CanSegment(const TxContext& context, std::span<const uint8_t> frame);

// Writes to `out` the frame on the wire whose payload begins `at` bytes into
// that of `frame`; returns its length. 0: it does not fit.
// Requires: CanSegment; `at` is a multiple of segment_bytes within the payload.
size_t CutSegment(const TxContext& context, std::span<const uint8_t> frame,
                  size_t at, std::span<uint8_t> out);

}  // namespace bulkhead::nic_model::intel

#endif  // BULKHEAD_NIC_MODEL_INTEL_SEGMENTATION_H_
