// TCP segmentation: one packet of the driver becomes many frames on the wire.
// Virtio 1.2, section 5.1.6.2. Pure functions of hostile input.
#ifndef BULKHEAD_NIC_MODEL_VIRTIO_NET_SEGMENTATION_H_
#define BULKHEAD_NIC_MODEL_VIRTIO_NET_SEGMENTATION_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "nic_model/virtio_net/layout.h"

namespace bulkhead::nic_model::virtio_net {

// IP's limit, behind an Ethernet header with a VLAN tag.
constexpr size_t kMaxSegmentedBytes = 65535 + 18;

struct Segmentation {
  size_t ip = 0;  // Where the headers begin,
  size_t tcp = 0;
  size_t payload = 0;  // and where they end.
  size_t segment_bytes = 0;
  bool ipv6 = false;
};

// What `header` asks for; nullopt, if that was not negotiated, or `frame` is
// not the packet that it says: TCP over IP, with the lengths of one packet. As
// the specification has it, hdr_len is a hint at most, and is not looked at.
std::optional<Segmentation> PlanSegments(const NetHeader& header,
                                         std::span<const uint8_t> frame,
                                         uint64_t features);

// Writes to `out` the frame on the wire whose payload begins `at` bytes into
// that of `frame`; returns its length.
// Requires: `plan` is of `frame`; `at` is a multiple of segment_bytes within
// the payload; `out` holds headers and segment_bytes.
size_t CutSegment(const Segmentation& plan, std::span<const uint8_t> frame,
                  size_t at, std::span<uint8_t> out);

}  // namespace bulkhead::nic_model::virtio_net

#endif  // BULKHEAD_NIC_MODEL_VIRTIO_NET_SEGMENTATION_H_
