// The client's end against any provider control area and any epochs, changing
// between calls (S2, S7, S8): whatever comes out lies in the area and has one
// owner, and every piece stays accounted for.
#include <vector>

#include "packet_stream/fuzz_input.h"
#include "packet_stream/local_session.h"

namespace bulkhead::packet_stream {
namespace {

constexpr uint32_t kBuffers = 8;
constexpr SessionGeometry kGeometry = {
    .tx_buffers = kBuffers, .rx_buffers = kBuffers, .buffer_bytes = 256};

// An application that checks what it is given.
class Application {
 public:
  Application(LocalSession* session, ClientEnd* end)
      : session_(session), end_(end) {}

  void Send(uint32_t pieces) {
    TxBuffer buffers[4];
    const size_t count = end_->AllocTx({buffers, pieces});
    Descriptor frame[4];
    for (size_t i = 0; i < count; ++i) {
      FuzzCheck(buffers[i].offset < kBuffers * 256);
      FuzzCheck(buffers[i].data == session_->tx_data() + buffers[i].offset);
      frame[i] = {.offset = buffers[i].offset,
                  .length = 60,
                  .flags = static_cast<uint16_t>(i + 1 < count ? kMore : 0)};
    }
    end_->SubmitTx({frame, count});
  }
  void Receive(size_t most) {
    RxPiece pieces[kBuffers + 1];
    const size_t count = end_->Receive({pieces, most});
    for (size_t i = 0; i < count; ++i) {
      const size_t offset = pieces[i].data - session_->rx_data();
      FuzzCheck(pieces[i].length > 0 && pieces[i].buffer < kBuffers);
      FuzzCheck(offset / 256 == pieces[i].buffer);
      FuzzCheck((offset + pieces[i].length - 1) / 256 == pieces[i].buffer);
      for (const RxPiece& held : held_) {
        FuzzCheck(held.buffer != pieces[i].buffer);
      }
      held_.push_back(pieces[i]);
    }
  }
  void Release(size_t count) {
    count = std::min(count, held_.size());
    end_->Release({held_.data(), count});
    held_.erase(held_.begin(), held_.begin() + static_cast<long>(count));
  }
  void CheckAccounts() const {
    const SessionCounters& c = end_->counters();
    FuzzCheck(c.tx_submitted == c.tx_done + c.tx_dropped_invalid +
                                    c.tx_dropped_no_link + c.tx_dropped_device +
                                    c.tx_indeterminate + end_->tx_in_flight());
    FuzzCheck(end_->tx_in_flight() <= kBuffers);
  }

 private:
  LocalSession* session_;
  ClientEnd* end_;
  std::vector<RxPiece> held_;
};

void Run(FuzzInput input) {
  LocalSession session(kGeometry);
  ControlHeader* provider = session.provider_control();
  provider->epoch = 1;
  auto end =
      session.MakeClient(input.Byte() % 2 == 0 ? OnRestart::kCountIndeterminate
                                               : OnRestart::kResubmit);
  Application application(&session, end.get());
  while (!input.empty()) {
    switch (input.Byte() % 12) {
      case 0:
        provider->submit_tail.value =
            input.IndexNear(provider->submit_tail.value);
        break;
      case 1:
        provider->ack_tail.value = input.IndexNear(provider->ack_tail.value);
        break;
      case 2:
      case 3: {
        const uint32_t tail = provider->submit_tail.value;
        session.rx_ring()[tail % kBuffers] = input.Piece(kBuffers);
        provider->submit_tail.value = tail + 1;
        break;
      }
      case 4: {
        const uint32_t tail = provider->ack_tail.value;
        session.tx_acks()[tail % kBuffers] = input.AnyAck(kBuffers);
        provider->ack_tail.value = tail + 1;
        break;
      }
      case 5:
      case 6:
        application.Send(input.Byte() % 5);
        break;
      case 7:
        application.Receive(input.Byte() % (kBuffers + 2));
        break;
      case 8:
        application.Release(input.Byte() % kBuffers);
        break;
      case 9:
        session.SetEpoch(input.IndexNear(session.epoch()));
        break;
      case 10:
        provider->epoch = input.IndexNear(session.epoch());
        break;
      default:
        end->Flush();
        if (end->ArmWait()) end->DisarmWait();
    }
    application.CheckAccounts();
  }
}

}  // namespace
}  // namespace bulkhead::packet_stream

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  bulkhead::packet_stream::Run({data, size});
  return 0;
}
