// Where the rings lie in a control area.
#ifndef BULKHEAD_PACKET_STREAM_CONTROL_AREA_H_
#define BULKHEAD_PACKET_STREAM_CONTROL_AREA_H_

#include <cstdint>

#include "packet_stream/geometry.h"
#include "packet_stream/layout.h"

namespace bulkhead::packet_stream {

// `Header` is ControlHeader or const ControlHeader: the start of the area.
template <typename Header, typename Byte, typename Entry>
Entry* EntriesAt(Header* header, size_t offset) {
  return reinterpret_cast<Entry*>(reinterpret_cast<Byte*>(header) + offset);
}

inline Descriptor* SubmitEntries(ControlHeader* header) {
  return EntriesAt<ControlHeader, uint8_t, Descriptor>(
      header, SessionGeometry::SubmitRingOffset());
}
inline const Descriptor* SubmitEntries(const ControlHeader* header) {
  return EntriesAt<const ControlHeader, const uint8_t, const Descriptor>(
      header, SessionGeometry::SubmitRingOffset());
}
inline Ack* AckEntries(ControlHeader* header, uint32_t submit_entries) {
  return EntriesAt<ControlHeader, uint8_t, Ack>(
      header, SessionGeometry::AckRingOffset(submit_entries));
}
inline const Ack* AckEntries(const ControlHeader* header,
                             uint32_t submit_entries) {
  return EntriesAt<const ControlHeader, const uint8_t, const Ack>(
      header, SessionGeometry::AckRingOffset(submit_entries));
}

}  // namespace bulkhead::packet_stream

#endif  // BULKHEAD_PACKET_STREAM_CONTROL_AREA_H_
