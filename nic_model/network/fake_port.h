// A NIC for network tests: keeps what arrives, takes as much as it is told to.
#ifndef BULKHEAD_NIC_MODEL_NETWORK_FAKE_PORT_H_
#define BULKHEAD_NIC_MODEL_NETWORK_FAKE_PORT_H_

#include <vector>

#include "nic_model/network/network.h"

namespace bulkhead::nic_model {

class FakePort : public Port {
 public:
  void Receive(std::span<const uint8_t> frame) override {
    received.emplace_back(frame.begin(), frame.end());
    if (room != 0) --room;
  }
  void EndReceive() override { ++batches; }
  bool CanReceive() const override { return room != 0; }
  bool PausesPartner() const override { return pauses; }
  bool ObeysPause() const override { return obeys; }
  void ResumeSend() override { ++resumes; }

  std::vector<std::vector<uint8_t>> received;
  size_t room = 1'000'000;
  bool pauses = false;
  bool obeys = true;
  int batches = 0;
  int resumes = 0;
};

}  // namespace bulkhead::nic_model

#endif  // BULKHEAD_NIC_MODEL_NETWORK_FAKE_PORT_H_
