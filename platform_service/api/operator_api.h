// What an operator may ask of the platform service, without gRPC.
#ifndef BULKHEAD_PLATFORM_SERVICE_API_OPERATOR_API_H_
#define BULKHEAD_PLATFORM_SERVICE_API_OPERATOR_API_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "platform_service/api/platform.pb.h"
#include "platform_service/pci/device.h"
#include "platform_service/policy/scenario.h"

namespace bulkhead::platform {

// A scenario that was read, and the devices that it will meet: everything that
// takes time and touches files, done before the loop's thread is asked.
struct PreparedScenario {
  policy::Scenario scenario;
  std::string text;
  std::vector<pci::PciDeviceInfo> devices;
};

// Threading: the loop's thread. No call waits.
class OperatorApi {
 public:
  virtual ~OperatorApi() = default;

  virtual std::vector<v1::Device> ListDevices() = 0;
  virtual std::vector<v1::Instance> ListInstances() = 0;
  virtual std::vector<v1::Session> ListSessions() = 0;
  virtual v1::Status GetStatus() = 0;
  // The pid that got the signal; 0: SIGKILL.
  virtual absl::StatusOr<int> Kill(const std::string& name, int signal) = 0;
  virtual absl::Status Restart(const std::string& name) = 0;
  // The actions, one a line.
  virtual absl::StatusOr<std::vector<std::string>> Apply(
      const PreparedScenario& scenario, bool dry_run) = 0;
  // Calls `done` with the number of processes that were ended.
  virtual void Down(std::function<void(uint32_t stopped)> done) = 0;
  // Asks the router for one of its tables; `done` is called later, or at once.
  virtual void QueryRouter(
      const std::string& what, const std::string& question,
      std::function<void(absl::StatusOr<v1::RouterTable>)> done) = 0;
  // After the answer to Down went out.
  virtual void ShutDown() = 0;
};

}  // namespace bulkhead::platform

#endif  // BULKHEAD_PLATFORM_SERVICE_API_OPERATOR_API_H_
