#include <immintrin.h>

#include <cstring>
#include <memory>
#include <utility>

#include "base/clock.h"
#include "base/errno_status.h"
#include "packet_stream/client_end.h"
#include "packet_stream/provider.h"
#include "packet_stream/session_areas.h"
#include "tests/bench/session/processes.h"
#include "tests/bench/session/stream.h"

namespace bulkhead::bench {
namespace {

using packet_stream::Ack;
using packet_stream::AckStatus;
using packet_stream::ClientEnd;
using packet_stream::Descriptor;
using packet_stream::MakeAck;
using packet_stream::ProviderEnd;
using packet_stream::TxBuffer;

constexpr uint32_t kMaxBatch = 32;

// What a driver's loop does with the session, without a device.
void Receive(ProviderEnd& provider, const Flow& flow, const uint8_t* tx_data) {
  Descriptor pieces[kMaxBatch];
  Ack acks[kMaxBatch];
  const uint32_t shift =
      static_cast<uint32_t>(__builtin_ctz(provider.geometry().buffer_bytes));
  uint64_t sum = 0;
  while (!provider.Ready()) _mm_pause();
  while (!provider.broken()) {
    const size_t count = provider.TakeTx({pieces, flow.batch});
    if (count == 0) {
      _mm_pause();
      continue;
    }
    for (size_t i = 0; i < count; ++i) {
      if (flow.receiver_reads) {
        sum += *reinterpret_cast<const volatile uint64_t*>(tx_data +
                                                           pieces[i].offset);
      }
      acks[i] = MakeAck(pieces[i].offset >> shift, AckStatus::kDone);
    }
    provider.AckTx({acks, count});
    provider.Flush();
  }
}

// Returns the frames that were acknowledged before `deadline_ns`.
uint64_t Send(ClientEnd& client, const Flow& flow, uint64_t duration_ns,
              uint64_t* elapsed_ns) {
  alignas(64) uint8_t frame[2048];
  std::memset(frame, 0x5a, sizeof(frame));
  TxBuffer buffers[kMaxBatch];
  Descriptor pieces[kMaxBatch];
  const uint64_t done_before = client.counters().tx_done;
  const uint64_t start = MonotonicNs();
  uint64_t now = start;
  while (now - start < duration_ns) {
    for (int turn = 0; turn < 256; ++turn) {
      const size_t count = client.AllocTx({buffers, flow.batch});
      if (count == 0) {
        _mm_pause();
        continue;
      }
      for (size_t i = 0; i < count; ++i) {
        std::memcpy(buffers[i].data, frame, flow.frame_bytes);
        pieces[i] = {.offset = buffers[i].offset,
                     .length = static_cast<uint16_t>(flow.frame_bytes)};
      }
      client.SubmitTx({pieces, count});
      client.Flush();
    }
    now = MonotonicNs();
  }
  *elapsed_ns = now - start;
  return client.counters().tx_done - done_before;
}

}  // namespace

absl::StatusOr<double> MeasureSession(const Flow& flow) {
  ASSIGN_OR_RETURN(packet_stream::SessionAreas areas,
                   packet_stream::CreateSessionAreas({}));
  areas.status().Write(
      {.state = packet_stream::SessionState::kRunning, .epoch = 1});
  ASSIGN_OR_RETURN(auto provider_grant, areas.MakeProviderGrant(1, 1));
  ASSIGN_OR_RETURN(auto client_grant, areas.MakeClientGrant(1, 1));
  ASSIGN_OR_RETURN(
      Mapping frames,
      Mapping::MapSealed(areas.tx_data_fd(), areas.geometry().TxDataBytes(),
                         Access::kReadOnly));
  ASSIGN_OR_RETURN(std::unique_ptr<ProviderEnd> provider,
                   ProviderEnd::Create(std::move(provider_grant)));
  ASSIGN_OR_RETURN(ForkedProcess receiver,
                   ForkedProcess::Run(kReceiverCpu, [&] {
                     Receive(*provider, flow, frames.data());
                   }));
  PinTo(kSenderCpu);
  ASSIGN_OR_RETURN(
      std::unique_ptr<ClientEnd> client,
      ClientEnd::Create(std::move(client_grant),
                        packet_stream::OnRestart::kCountIndeterminate,
                        UniqueFd()));
  uint64_t elapsed_ns = 0;
  Send(*client, flow, 20'000'000, &elapsed_ns);  // Warm-up.
  const uint64_t frames_done =
      Send(*client, flow, uint64_t{flow.milliseconds} * 1'000'000, &elapsed_ns);
  RETURN_IF_ERROR(client->health());
  return static_cast<double>(frames_done) * 1e3 /
         static_cast<double>(elapsed_ns);
}

}  // namespace bulkhead::bench
