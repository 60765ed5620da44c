// What a client makes of any answer to its OpenRequest, with any number of
// descriptors that are not what they should be (S7).
#include <fcntl.h>

#include <utility>
#include <vector>

#include "packet_stream/client_end.h"
#include "packet_stream/fuzz_input.h"
#include "packet_stream/open_reply.h"
#include "packet_stream/session.pb.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace bulkhead;                 // NOLINT
  using namespace bulkhead::packet_stream;  // NOLINT
  FuzzInput input(data, size);
  // Those of one lane more often than not.
  const uint8_t byte = input.Byte();
  const size_t count = byte % 2 == 0 ? ClientGrant::FdCount(1) : byte / 2 % 10;
  std::vector<UniqueFd> fds;
  for (size_t i = 0; i < count; ++i) {
    fds.emplace_back(::open("/dev/null", O_RDWR | O_CLOEXEC));
  }
  OpenReply reply;
  if (size > 0 && !reply.ParseFromArray(data + 1, static_cast<int>(size - 1))) {
    return 0;
  }
  auto grant = ParseOpenReply(reply, std::move(fds));
  if (!grant.ok()) return 0;
  FuzzCheck(CheckGeometry(grant->geometry).ok());
  FuzzCheck(!ClientEnd::Create(*std::move(grant),
                               OnRestart::kCountIndeterminate, UniqueFd())
                 .ok());
  return 0;
}
