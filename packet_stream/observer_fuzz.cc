// Both ends write whatever they like while somebody looks on: each look ends,
// and hands out no more than there can be (S7).
#include "packet_stream/fuzz_input.h"
#include "packet_stream/local_session.h"
#include "packet_stream/observer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace bulkhead::packet_stream;  // NOLINT
  constexpr uint32_t kBuffers = 8;
  constexpr uint32_t kSnap = 300;
  LocalSession session(
      {.tx_buffers = kBuffers, .rx_buffers = kBuffers, .buffer_bytes = 256});
  DirectionObserver observer(
      {session.client_control(), session.tx_ring(), session.provider_control(),
       session.tx_acks(), session.tx_data()},
      kBuffers, 256, true, kSnap);
  FuzzInput input(data, size);
  auto& client = *session.client_control();
  auto& provider = *session.provider_control();
  client.epoch = provider.epoch = 1;
  observer.FollowFromHere();
  unsigned sum = 0;
  while (!input.empty()) {
    switch (input.Byte() % 6) {
      case 0:
        client.epoch = client.epoch + 1;
        break;
      case 1:
        provider.epoch = client.epoch.load();
        break;
      case 2:
        provider.ack_tail.value = input.IndexNear(provider.ack_tail.value);
        session.tx_acks()[input.Byte() % kBuffers] = input.AnyAck(kBuffers);
        break;
      default:
        session.tx_ring()[client.submit_tail.value % kBuffers] =
            input.Piece(kBuffers);
        client.submit_tail.value = input.IndexNear(client.submit_tail.value);
    }
    observer.Look([&sum](const ObservedFrame& frame) {
      FuzzCheck(frame.bytes.size() <= kSnap);
      FuzzCheck(frame.bytes.size() <= frame.length);
      FuzzCheck(frame.length <= kMaxFramePieces * 256);
      for (const uint8_t byte : frame.bytes) sum += byte;
    });
  }
  FuzzCheck(sum == 0);  // The frames are zeros.
  return 0;
}
