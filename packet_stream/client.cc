// Session::Open: the handshake on the provider's socket.
#include "packet_stream/client.h"

#include <unistd.h>

#include <cstdlib>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "base/seqpacket.h"
#include "packet_stream/client_end.h"
#include "packet_stream/geometry_message.h"
#include "packet_stream/open_reply.h"
#include "packet_stream/session.pb.h"

namespace bulkhead::packet_stream {
namespace {

// The platform service answers within milliseconds, or, while it restarts,
// within a second or two.
constexpr int kReplyTimeoutMs = 10'000;

std::string DefaultSocket() {
  if (const char* run_dir = std::getenv("BULKHEAD_RUN_DIR")) {
    return absl::StrCat(run_dir, "/session.sock");
  }
  if (::geteuid() == 0) return "/run/bulkhead/session.sock";
  if (const char* runtime_dir = std::getenv("XDG_RUNTIME_DIR")) {
    return absl::StrCat(runtime_dir, "/bulkhead/session.sock");
  }
  return "/run/bulkhead/session.sock";
}

}  // namespace

absl::StatusOr<std::unique_ptr<Session>> Session::Open(
    const OpenOptions& options) {
  RETURN_IF_ERROR(CheckGeometry(options.geometry));
  const std::string path =
      options.socket.empty() ? DefaultSocket() : options.socket;
  absl::StatusOr<SeqpacketChannel> channel = SeqpacketChannel::Connect(path);
  if (!channel.ok()) {
    return absl::UnavailableError(absl::StrCat(
        "open a session: ", channel.status().message(),
        "; start the system with `bulkhead up`, or set BULKHEAD_RUN_DIR to its "
        "run directory"));
  }
  OpenRequest request;
  request.set_label(options.label);
  request.set_instance(options.instance);
  WriteGeometry(options.geometry, request.mutable_geometry());
  RETURN_IF_ERROR(channel->Send(request));
  OpenReply reply;
  std::vector<UniqueFd> fds;
  RETURN_IF_ERROR(
      channel->WaitReceive(&reply, &fds, kReplyTimeoutMs,
                           ClientGrant::FdCount(options.geometry.lanes)));
  ASSIGN_OR_RETURN(ClientGrant grant, ParseOpenReply(reply, std::move(fds)));
  ASSIGN_OR_RETURN(std::unique_ptr<ClientEnd> end,
                   ClientEnd::Create(std::move(grant), options.on_restart,
                                     channel->ReleaseFd()));
  return end;
}

}  // namespace bulkhead::packet_stream
