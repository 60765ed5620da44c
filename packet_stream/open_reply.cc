#include "packet_stream/open_reply.h"

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/errno_status.h"
#include "packet_stream/geometry_message.h"

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
  ClientGrant grant;
  grant.geometry = ReadGeometry(reply.grant().geometry());
  RETURN_IF_ERROR(CheckGeometry(grant.geometry));
  const size_t wanted = ClientGrant::FdCount(grant.geometry.lanes);
  if (fds.size() != wanted) {
    return absl::InternalError(
        absl::StrCat("open a session: the grant came with ", fds.size(),
                     " descriptors, not ", wanted));
  }
  grant.session_id = reply.grant().session_id();
  grant.epoch = reply.grant().epoch();
  grant.client_control = std::move(fds[0]);
  grant.provider_control = std::move(fds[1]);
  grant.tx_data = std::move(fds[2]);
  grant.rx_data = std::move(fds[3]);
  grant.status = std::move(fds[4]);
  for (size_t i = ClientGrant::kAreas; i < wanted; i += 2) {
    grant.bells.push_back({std::move(fds[i]), std::move(fds[i + 1])});
  }
  return grant;
}

}  // namespace bulkhead::packet_stream
