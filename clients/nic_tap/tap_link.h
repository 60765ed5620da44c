// A TAP device and a session, joined: frames, carrier, address, offloads, and
// what there is to report of them.
#ifndef BULKHEAD_CLIENTS_NIC_TAP_TAP_LINK_H_
#define BULKHEAD_CLIENTS_NIC_TAP_TAP_LINK_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "clients/nic_tap/carrier.h"
#include "clients/nic_tap/frame_pump.h"
#include "clients/nic_tap/tap_device.h"
#include "packet_stream/client.h"

namespace bulkhead::nic_tap {

// Replacements of the driver, as the frames lived through them: from the last
// frame that passed, either way, before one was noticed to the first that was
// received after it.
struct Pauses {
  uint64_t count = 0;
  uint64_t longest_ns = 0;
};

// Requires: both outlive it.
// Threading: one thread.
class TapLink {
 public:
  TapLink(packet_stream::Session* session, TapDevice* tap);

  // Passes frames until `stop_fd` is readable. Errors: the session or the
  // interface is gone for good.
  absl::Status Run(int stop_fd);

  const FramePump& pump() const { return pump_; }
  const Pauses& pauses() const { return pauses_; }

 private:
  // Makes the interface what the status page says the NIC is.
  void FollowStatus(uint64_t now_ns);
  void FollowNic(const packet_stream::SessionStatus& status);
  void NoteFrames(bool received, uint64_t now_ns);
  void Sleep(int stop_fd);

  packet_stream::Session* session_;
  TapDevice* tap_;
  FramePump pump_;
  Carrier carrier_;
  bool carrier_told_ = false;
  packet_stream::SessionStatus followed_;
  Pauses pauses_;
  uint64_t recoveries_ = 0;     // Noticed.
  uint64_t last_frame_ns_ = 0;  // Before the recovery that goes on.
  bool paused_ = false;
  bool stopped_ = false;
};

// One JSON document.
std::string ReportJson(const TapLink& link,
                       const packet_stream::SessionCounters& session);

}  // namespace bulkhead::nic_tap

#endif  // BULKHEAD_CLIENTS_NIC_TAP_TAP_LINK_H_
