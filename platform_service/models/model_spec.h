// What a model is told of itself: the payload of its Begin.
#ifndef BULKHEAD_PLATFORM_SERVICE_MODELS_MODEL_SPEC_H_
#define BULKHEAD_PLATFORM_SERVICE_MODELS_MODEL_SPEC_H_

#include "absl/status/statusor.h"
#include "nic_model/model.pb.h"
#include "platform_service/parking/parking_lot.h"
#include "platform_service/policy/scenario.h"

namespace bulkhead::platform {

struct ModelOrder {
  nic_model::ModelSpec spec;
  FdList fds;
};

// Everything but the sockets and the counters, which the caller adds. Opens the
// pcap file or the tap interface where the scenario names one; `wire_fd` is the
// NIC's end of its cable or switch.
absl::StatusOr<ModelOrder> MakeModelOrder(const policy::SimulatedNic& nic,
                                          int wire_fd);

}  // namespace bulkhead::platform

#endif  // BULKHEAD_PLATFORM_SERVICE_MODELS_MODEL_SPEC_H_
