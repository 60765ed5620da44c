// A session's geometry as it travels.
#ifndef BULKHEAD_PACKET_STREAM_GEOMETRY_MESSAGE_H_
#define BULKHEAD_PACKET_STREAM_GEOMETRY_MESSAGE_H_

#include "packet_stream/geometry.h"
#include "packet_stream/session.pb.h"

namespace bulkhead::packet_stream {

inline void WriteGeometry(const SessionGeometry& geometry, Geometry* message) {
  message->set_tx_buffers(geometry.tx_buffers);
  message->set_rx_buffers(geometry.rx_buffers);
  message->set_buffer_bytes(geometry.buffer_bytes);
  message->set_lanes(geometry.lanes);
}

// Unchecked: CheckGeometry follows.
inline SessionGeometry ReadGeometry(const Geometry& message) {
  return {.tx_buffers = message.tx_buffers(),
          .rx_buffers = message.rx_buffers(),
          .buffer_bytes = message.buffer_bytes(),
          .lanes = message.lanes() == 0 ? 1 : message.lanes()};
}

}  // namespace bulkhead::packet_stream

#endif  // BULKHEAD_PACKET_STREAM_GEOMETRY_MESSAGE_H_
