// A network that takes every frame and sends none.
#ifndef BULKHEAD_NIC_MODEL_NETWORK_SINK_H_
#define BULKHEAD_NIC_MODEL_NETWORK_SINK_H_

#include "nic_model/network/network.h"

namespace bulkhead::nic_model {

class Sink : public Network {
 public:
  SendResult Send(std::span<uint8_t>) override { return SendResult::kSent; }
};

}  // namespace bulkhead::nic_model

#endif  // BULKHEAD_NIC_MODEL_NETWORK_SINK_H_
