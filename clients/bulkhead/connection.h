// The operator's API of one running system, as plain calls. The .cc is the only
// file here that knows gRPC.
#ifndef BULKHEAD_CLIENTS_BULKHEAD_CONNECTION_H_
#define BULKHEAD_CLIENTS_BULKHEAD_CONNECTION_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "clients/bulkhead/run_dir.h"
#include "platform_service/api/platform.pb.h"

namespace bulkhead::cli {

namespace api = ::bulkhead::platform::v1;

// Guarantees: no call waits longer than its deadline; a call that finds nobody
// fails with RunDir::NothingRuns.
// Threading: any thread.
class Connection {
 public:
  static constexpr uint32_t kDeadlineMs = 10'000;

  // Does not connect yet. `deadline_ms`: of each call but WatchEvents.
  static std::unique_ptr<Connection> Create(const RunDir& run_dir,
                                            uint32_t deadline_ms = kDeadlineMs);
  virtual ~Connection() = default;

  virtual absl::StatusOr<api::Status> GetStatus() = 0;
  virtual absl::StatusOr<api::ListInstancesResponse> ListInstances() = 0;
  virtual absl::StatusOr<api::ListDevicesResponse> ListDevices() = 0;
  virtual absl::StatusOr<api::KillResponse> Kill(
      const api::KillRequest& request) = 0;
  virtual absl::Status Restart(const api::RestartRequest& request) = 0;
  virtual absl::StatusOr<api::ApplyResponse> Apply(
      const api::ApplyRequest& request) = 0;
  virtual absl::StatusOr<api::RouterTable> QueryRouter(
      const api::QueryRouterRequest& request) = 0;
  virtual absl::StatusOr<api::DownResponse> Down() = 0;
  // Calls `event` until it returns false or the stream ends.
  virtual absl::Status WatchEvents(
      const api::WatchEventsRequest& request,
      const std::function<bool(const api::Event&)>& event) = 0;
};

}  // namespace bulkhead::cli

#endif  // BULKHEAD_CLIENTS_BULKHEAD_CONNECTION_H_
