#include "nic_model/virtio_net/virtqueue.h"

#include <algorithm>

namespace bulkhead::nic_model::virtio_net {
namespace {

uint64_t Sum(std::span<const Segment> segments) {
  uint64_t bytes = 0;
  for (const Segment& segment : segments) bytes += segment.bytes;
  return bytes;
}

// Calls access(iova, part) for each contiguous part; false: it did, or the
// segments are too short.
template <typename Byte, typename Access>
bool ForEachPart(std::span<const Segment> segments, uint64_t offset,
                 std::span<Byte> data, Access access) {
  for (const Segment& segment : segments) {
    if (data.empty()) return true;
    if (offset >= segment.bytes) {
      offset -= segment.bytes;
      continue;
    }
    const std::span<Byte> part =
        data.first(std::min<uint64_t>(data.size(), segment.bytes - offset));
    if (!access(segment.iova + offset, part)) return false;
    data = data.subspan(part.size());
    offset = 0;
  }
  return data.empty();
}

}  // namespace

uint64_t Chain::readable_bytes() const { return Sum(readable); }
uint64_t Chain::writable_bytes() const { return Sum(writable); }

void Chain::Clear() {
  id = slots = 0;
  readable.clear();
  writable.clear();
}

bool ReadSegments(DmaMap& dma, std::span<const Segment> segments,
                  uint64_t offset, std::span<uint8_t> out) {
  return ForEachPart(segments, offset, out,
                     [&dma](uint64_t iova, std::span<uint8_t> part) {
                       return dma.Read(iova, part);
                     });
}

bool WriteSegments(DmaMap& dma, std::span<const Segment> segments,
                   uint64_t offset, std::span<const uint8_t> data) {
  return ForEachPart(segments, offset, data,
                     [&dma](uint64_t iova, std::span<const uint8_t> part) {
                       return dma.Write(iova, part);
                     });
}

}  // namespace bulkhead::nic_model::virtio_net
