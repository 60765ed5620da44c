// The process of a simulated NIC: started by the supervisor, told what to be by
// a ModelSpec, plugged into its network, served over vfio-user.
#ifndef BULKHEAD_NIC_MODEL_RUN_MODEL_H_
#define BULKHEAD_NIC_MODEL_RUN_MODEL_H_

#include "absl/strings/string_view.h"
#include "nic_model/model.h"

namespace bulkhead::nic_model {

// A model's whole main(). `name` is that of its folder, which ModelSpec.model
// must be. Returns the exit code.
int RunModel(absl::string_view name, MakeModel make);

}  // namespace bulkhead::nic_model

#endif  // BULKHEAD_NIC_MODEL_RUN_MODEL_H_
