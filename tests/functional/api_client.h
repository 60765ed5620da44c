// The operator's API as a test calls it: plain functions and statuses.
#ifndef BULKHEAD_TESTS_FUNCTIONAL_API_CLIENT_H_
#define BULKHEAD_TESTS_FUNCTIONAL_API_CLIENT_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "platform_service/api/platform.pb.h"

namespace bulkhead::functional {

namespace v1 = ::bulkhead::platform::v1;

// Requires: the platform service listens in `run_dir`.
class ApiClient {
 public:
  explicit ApiClient(const std::string& run_dir);
  ~ApiClient();

  // The actions, as the answer has them.
  absl::StatusOr<std::vector<std::string>> Apply(const std::string& text,
                                                 bool dry_run = false);
  absl::StatusOr<std::vector<v1::Device>> ListDevices();
  absl::StatusOr<std::vector<v1::Session>> ListSessions();
  // Changes until `count` came or two seconds have passed.
  std::vector<v1::DeviceChange> WatchDevices(size_t count);
  absl::StatusOr<int> Kill(const std::string& name, int signal);

  // "SERVING", from the standard health service.
  std::string Health();
  // What the standard reflection service lists.
  std::vector<std::string> ReflectedServices();
  // Opens `count` streams that follow events, all at once; returns how many
  // were refused.
  int OpenStreams(int count);
  // Applies this many bytes that are no scenario.
  absl::Status ApplyOfSize(size_t bytes);

 private:
  struct Stubs;
  std::unique_ptr<Stubs> stubs_;
};

}  // namespace bulkhead::functional

#endif  // BULKHEAD_TESTS_FUNCTIONAL_API_CLIENT_H_
