#include "packet_stream/open_reply.h"

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/errno_status.h"

namespace bulkhead::packet_stream {
namespace {

absl::Status RefusalStatus(const OpenReply::Refusal& refusal) {
  const std::string text =
      absl::StrCat("open a session: refused: ",
                   absl::StripPrefix(refusal.text(), "open a session: "));
  switch (refusal.code()) {
    case OpenReply::Refusal::NO_SUCH_INSTANCE:
      return absl::NotFoundError(text);
    case OpenReply::Refusal::BUSY:
    case OpenReply::Refusal::QUOTA:
      return absl::ResourceExhaustedError(text);
    case OpenReply::Refusal::NOT_ALLOWED:
      return absl::PermissionDeniedError(text);
    case OpenReply::Refusal::BAD_GEOMETRY:
    case OpenReply::Refusal::BAD_REQUEST:
      return absl::InvalidArgumentError(text);
    case OpenReply::Refusal::PARKED:
      return absl::UnavailableError(text);
    default:
      return absl::UnknownError(text);
  }
}

}  // namespace

absl::StatusOr<ClientGrant> ParseOpenReply(const OpenReply& reply,
                                           std::vector<UniqueFd> fds) {
  if (reply.has_refusal()) return RefusalStatus(reply.refusal());
  if (!reply.has_grant()) {
    return absl::InternalError(
        "open a session: the reply is neither a grant nor a refusal");
  }
  if (fds.size() != ClientGrant::kFds) {
    return absl::InternalError(
        absl::StrCat("open a session: the grant came with ", fds.size(),
                     " descriptors, not ", ClientGrant::kFds));
  }
  ClientGrant grant;
  grant.session_id = reply.grant().session_id();
  grant.epoch = reply.grant().epoch();
  grant.geometry.tx_buffers = reply.grant().geometry().tx_buffers();
  grant.geometry.rx_buffers = reply.grant().geometry().rx_buffers();
  grant.geometry.buffer_bytes = reply.grant().geometry().buffer_bytes();
  RETURN_IF_ERROR(CheckGeometry(grant.geometry));
  grant.client_control = std::move(fds[0]);
  grant.provider_control = std::move(fds[1]);
  grant.tx_data = std::move(fds[2]);
  grant.rx_data = std::move(fds[3]);
  grant.status = std::move(fds[4]);
  grant.tx_doorbell = std::move(fds[5]);
  grant.rx_doorbell = std::move(fds[6]);
  return grant;
}

}  // namespace bulkhead::packet_stream
