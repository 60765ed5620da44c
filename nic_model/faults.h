// Test faults of a simulated NIC, by the names that ModelSpec.fault takes:
// what a hostile or broken card can do, for tests of drivers and platform.
#ifndef BULKHEAD_NIC_MODEL_FAULTS_H_
#define BULKHEAD_NIC_MODEL_FAULTS_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace bulkhead::nic_model {

struct Faults {
  bool never_complete = false;        // Descriptors are taken, never written.
  bool complete_twice = false;        // The one before is written again.
  bool length_beyond_buffer = false;  // Received lengths exceed the buffer.
  bool interrupt_storm = false;
  bool no_interrupt = false;
  bool all_ones = false;          // Registers read as all ones.
  bool reset_never_ends = false;  // CTRL.RST stays set.
  bool link_flap = false;         // Down and up every 100 ms.
  bool head_backwards = false;    // RDH and TDH read as less than they were.
  bool corrupt_payload = false;   // Flipped bytes, checksums said to be good.
  bool garbage_replies = false;   // Malformed vfio-user.
  bool die_on_reset = false;      // The model exits.
  bool stray_dma = false;         // Writes outside the map, with each frame.
  bool identity_change = false;   // Another MAC after every other reset.
  bool looping_capabilities = false;  // The list in config space has no end.
  bool absurd_bar = false;            // BAR0 is said to have 2^62 bytes.
  // A virtio device that lacks what is optional: features not offered.
  bool split_rings = false;     // VIRTIO_F_RING_PACKED
  bool no_event_index = false;  // VIRTIO_F_EVENT_IDX
  bool bare = false;            // Everything that a driver can do without.
};

// Turns the fault called `name` on. InvalidArgument lists the names.
absl::Status SetFault(absl::string_view name, Faults* faults);

}  // namespace bulkhead::nic_model

#endif  // BULKHEAD_NIC_MODEL_FAULTS_H_
