// What a client believes of the answer to its OpenRequest.
#ifndef BULKHEAD_PACKET_STREAM_OPEN_REPLY_H_
#define BULKHEAD_PACKET_STREAM_OPEN_REPLY_H_

#include <vector>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "packet_stream/client_end.h"
#include "packet_stream/session.pb.h"

namespace bulkhead::packet_stream {

// A grant with its descriptors, or the refusal in the provider's words.
// Descriptors of a refusal or of a malformed grant are closed.
absl::StatusOr<ClientGrant> ParseOpenReply(const OpenReply& reply,
                                           std::vector<UniqueFd> fds);

}  // namespace bulkhead::packet_stream

#endif  // BULKHEAD_PACKET_STREAM_OPEN_REPLY_H_
