// A network that sends the frames of a pcap file, as fast as the NIC takes
// them, and discards what the NIC sends.
#ifndef BULKHEAD_NIC_MODEL_NETWORK_PCAP_REPLAY_H_
#define BULKHEAD_NIC_MODEL_NETWORK_PCAP_REPLAY_H_

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "base/event_loop.h"
#include "base/unique_fd.h"
#include "nic_model/network/network.h"
#include "nic_model/network/pcap_file.h"

namespace bulkhead::nic_model {

class PcapReplay : public Network {
 public:
  static constexpr size_t kMaxFileBytes = 64 << 20;

  // Reads the whole file. InvalidArgument: no such capture, too large, or
  // without a frame.
  static absl::StatusOr<std::unique_ptr<PcapReplay>> Create(EventLoop& loop,
                                                            Port& port,
                                                            UniqueFd file,
                                                            bool repeat);
  ~PcapReplay() override;

  SendResult Send(std::span<uint8_t>) override { return SendResult::kSent; }
  void PortReady() override { bursting_ = true; }

 private:
  PcapReplay(EventLoop& loop, Port& port, std::vector<uint8_t> bytes,
             PcapFile file, bool repeat);

  bool Burst();

  EventLoop& loop_;
  Port& port_;
  const std::vector<uint8_t> bytes_;
  PcapFile file_;
  const bool repeat_;
  bool ended_ = false;
  bool bursting_ = false;
  EventLoop::PollerId poller_ = 0;
};

}  // namespace bulkhead::nic_model

#endif  // BULKHEAD_NIC_MODEL_NETWORK_PCAP_REPLAY_H_
