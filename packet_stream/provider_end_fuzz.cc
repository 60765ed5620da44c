// The provider's end against any client control area, changing between calls
// (S2, S7): whatever comes out lies in the area and has one owner.
#include <vector>

#include "packet_stream/fuzz_input.h"
#include "packet_stream/local_session.h"

namespace bulkhead::packet_stream {
namespace {

constexpr uint32_t kBuffers = 8;
constexpr SessionGeometry kGeometry = {
    .tx_buffers = kBuffers, .rx_buffers = kBuffers, .buffer_bytes = 256};

// A driver that checks what it is given.
class Driver {
 public:
  explicit Driver(ProviderEnd* end) : end_(end) {}

  void Take(size_t most) {
    Descriptor pieces[kBuffers + 1];
    const size_t count = end_->TakeTx({pieces, most});
    for (size_t i = 0; i < count; ++i) {
      const uint64_t last = uint64_t{pieces[i].offset} + pieces[i].length - 1;
      FuzzCheck(pieces[i].length > 0 && last < kBuffers * 256);
      FuzzCheck(pieces[i].offset / 256 == last / 256);
      FuzzCheck((pieces[i].flags & ~(kMore | kChecksumNeeded | kSegmentTcp4 |
                                     kSegmentTcp6)) == 0);
      const uint32_t buffer = pieces[i].offset / 256;
      FuzzCheck(!tx_ours_[buffer]);
      tx_ours_[buffer] = true;
    }
    FuzzCheck(count == 0 || (pieces[count - 1].flags & kMore) == 0);
  }
  void Ack(uint32_t buffer) {
    if (!tx_ours_[buffer] || end_->broken()) return;
    tx_ours_[buffer] = false;
    const packet_stream::Ack ack = MakeAck(buffer, AckStatus::kDone);
    end_->AckTx({&ack, 1});
  }
  void TakeFree(size_t most) {
    uint32_t buffers[kBuffers + 1];
    const size_t count = end_->TakeFreeRx({buffers, most});
    for (size_t i = 0; i < count; ++i) {
      FuzzCheck(buffers[i] < kBuffers && !rx_ours_[buffers[i]]);
      rx_ours_[buffers[i]] = true;
    }
  }
  void Submit(uint32_t buffer) {
    if (!rx_ours_[buffer] || end_->broken()) return;
    rx_ours_[buffer] = false;
    const Descriptor piece = {.offset = buffer * 256, .length = 60};
    end_->SubmitRx({&piece, 1});
  }

 private:
  ProviderEnd* end_;
  bool tx_ours_[kBuffers] = {};
  bool rx_ours_[kBuffers] = {};
};

void Run(FuzzInput input) {
  LocalSession session(kGeometry);
  ControlHeader* client = session.client_control();
  client->epoch = 1;
  auto end = session.MakeProvider();
  FuzzCheck(end->Ready());
  Driver driver(end.get());
  while (!input.empty()) {
    switch (input.Byte() % 10) {
      case 0:
        client->submit_tail.value = input.IndexNear(client->submit_tail.value);
        break;
      case 1:
        client->ack_tail.value = input.IndexNear(client->ack_tail.value);
        break;
      case 2:
      case 3: {
        // What an honest client does next, but for the piece.
        const uint32_t tail = client->submit_tail.value;
        session.tx_ring()[tail % kBuffers] = input.Piece(kBuffers);
        client->submit_tail.value = tail + 1;
        break;
      }
      case 4: {
        const uint32_t tail = client->ack_tail.value;
        session.rx_acks()[tail % kBuffers] = input.AnyAck(kBuffers);
        client->ack_tail.value = tail + 1;
        break;
      }
      case 5:
        driver.Take(input.Byte() % (kBuffers + 2));
        break;
      case 6:
        driver.Ack(input.Byte() % kBuffers);
        break;
      case 7:
        driver.TakeFree(input.Byte() % (kBuffers + 2));
        break;
      case 8:
        driver.Submit(input.Byte() % kBuffers);
        break;
      default:
        end->Flush();
        if (end->ArmDoorbell(input.Byte() % 2 == 0)) end->DisarmDoorbell();
    }
  }
  FuzzCheck(end->broken() == !end->breach().empty());
}

}  // namespace
}  // namespace bulkhead::packet_stream

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  bulkhead::packet_stream::Run({data, size});
  return 0;
}
