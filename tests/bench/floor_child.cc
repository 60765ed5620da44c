// The least that a supervised process can be: static, protobuf-lite, one
// message, then it waits for the end of its channel.
#include <poll.h>

#include "base/seqpacket.h"
#include "supervisor/api/child.pb.h"

int main() {
  bulkhead::SeqpacketChannel channel(bulkhead::UniqueFd(3));
  bulkhead::supervisor::FromChild hello;
  hello.mutable_ready();
  if (!channel.Send(hello).ok()) return 1;
  pollfd wait = {channel.fd(), POLLIN, 0};
  ::poll(&wait, 1, -1);
  return 0;
}
