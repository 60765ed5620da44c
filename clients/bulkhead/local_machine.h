// This machine's devices, looked at without any running system.
#ifndef BULKHEAD_CLIENTS_BULKHEAD_LOCAL_MACHINE_H_
#define BULKHEAD_CLIENTS_BULKHEAD_LOCAL_MACHINE_H_

#include <string>

#include "absl/status/statusor.h"
#include "clients/bulkhead/console.h"
#include "platform_service/doctor/machine.h"

namespace bulkhead::cli {

// As doctor::Examine; what could not be read is a warning on the console.
absl::StatusOr<doctor::Machine> ExamineLocal(const std::string& root,
                                             const Console& console);

// The device that the operator means: "0000:03:00.0", "03:00.0" or the name of
// its interface, as an address; `text` itself when there is none.
std::string AddressOf(const doctor::Machine& machine, const std::string& text);

// Names the network cards that there are.
absl::Status NoSuchDevice(const doctor::Machine& machine,
                          const std::string& text);

}  // namespace bulkhead::cli

#endif  // BULKHEAD_CLIENTS_BULKHEAD_LOCAL_MACHINE_H_
