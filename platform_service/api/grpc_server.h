// bulkhead.platform.v1 on `platform.sock`. The .cc beside it is the one file
// that knows gRPC.
#ifndef BULKHEAD_PLATFORM_SERVICE_API_GRPC_SERVER_H_
#define BULKHEAD_PLATFORM_SERVICE_API_GRPC_SERVER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "platform_service/api/event_feed.h"
#include "platform_service/api/mailbox.h"
#include "platform_service/api/operator_api.h"

namespace bulkhead::platform {

// Accepts connections itself, lets in the user who runs the system and root
// (SO_PEERCRED; gRPC knows no peer of a Unix socket), and hands the others'
// sockets a refusal by closing them.
//
// Threading: threads of its own, which reach the core through the mailbox and
// wait there for their answer; the core never waits for them. Everything slow
// (building the server, reading a scenario, naming devices) happens in them.
class GrpcServer {
 public:
  struct Options {
    std::string bin_dir;  // For the names of drivers in a scenario.
  };

  // `listener`: a listening stream socket. Returns at once; connections wait in
  // the socket until the server is built.
  static std::unique_ptr<GrpcServer> Start(UniqueFd listener, Options options,
                                           OperatorApi& api, Mailbox& mailbox,
                                           EventFeed& feed);
  virtual ~GrpcServer() = default;

  virtual int listener() const = 0;
};

// Listens on `path`, mode 0600; a stale socket there is replaced.
absl::StatusOr<UniqueFd> ListenStream(const std::string& path);

}  // namespace bulkhead::platform

#endif  // BULKHEAD_PLATFORM_SERVICE_API_GRPC_SERVER_H_
