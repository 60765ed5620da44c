// The two ends that the bench plays: a client that sends as fast as it can, and
// a provider that takes frames as a driver does, without touching them.
#ifndef BULKHEAD_TESTS_BENCH_ROUTER_SESSION_ENDS_H_
#define BULKHEAD_TESTS_BENCH_ROUTER_SESSION_ENDS_H_

#include <array>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "base/errno_status.h"
#include "packet_stream/client_end.h"
#include "packet_stream/provider.h"
#include "packet_stream/session_areas.h"
#include "tests/bench/router/test_flows.h"

namespace bulkhead::bench {

constexpr packet_stream::SessionGeometry kGeometry = {
    .tx_buffers = 1024, .rx_buffers = 1024, .buffer_bytes = 2048};

inline absl::StatusOr<packet_stream::SessionAreas> MakeSession(const Mac& mac) {
  ASSIGN_OR_RETURN(packet_stream::SessionAreas areas,
                   packet_stream::CreateSessionAreas(kGeometry));
  packet_stream::SessionStatus status;
  status.state = packet_stream::SessionState::kRunning;
  status.epoch = 1;
  status.mac = mac;
  status.mtu = 1500;
  status.link_up = true;
  areas.status().Write(status);
  return areas;
}

class SendingClient {
 public:
  static absl::StatusOr<SendingClient> Open(
      const packet_stream::SessionAreas& areas) {
    ASSIGN_OR_RETURN(auto grant, areas.MakeClientGrant(1, 1));
    ASSIGN_OR_RETURN(
        auto end,
        packet_stream::ClientEnd::Create(
            std::move(grant), packet_stream::OnRestart::kCountIndeterminate,
            UniqueFd()));
    return SendingClient(std::move(end));
  }
  // Sends at most so many frames; returns how many there was room for.
  size_t Send(TestFlows& flows, size_t most) {
    const size_t count =
        end_->AllocTx({buffers_.data(), std::min(most, kBatch)});
    for (size_t i = 0; i < count; ++i) {
      pieces_[i] = {
          .offset = buffers_[i].offset,
          .length = static_cast<uint16_t>(flows.Next(buffers_[i].data))};
    }
    end_->SubmitTx({pieces_.data(), count});
    end_->Flush();
    return count;
  }
  absl::Status health() const { return end_->health(); }
  uint32_t in_flight() const { return end_->tx_in_flight(); }

 private:
  static constexpr size_t kBatch = 64;
  explicit SendingClient(std::unique_ptr<packet_stream::ClientEnd> end)
      : end_(std::move(end)) {}

  std::unique_ptr<packet_stream::ClientEnd> end_;
  std::array<packet_stream::TxBuffer, kBatch> buffers_;
  std::array<packet_stream::Descriptor, kBatch> pieces_;
};

class TakingProvider {
 public:
  static absl::StatusOr<TakingProvider> Open(
      const packet_stream::SessionAreas& areas) {
    ASSIGN_OR_RETURN(auto grant, areas.MakeProviderGrant(1, 1));
    ASSIGN_OR_RETURN(auto end,
                     packet_stream::ProviderEnd::Create(std::move(grant)));
    return TakingProvider(std::move(end));
  }
  bool Ready() { return end_->Ready(); }
  // Takes what is there; returns how many frames.
  size_t Take() {
    const size_t count = end_->TakeTx(pieces_);
    for (size_t i = 0; i < count; ++i) {
      acks_[i] =
          packet_stream::MakeAck(pieces_[i].offset / kGeometry.buffer_bytes,
                                 packet_stream::AckStatus::kDone);
    }
    if (count == 0) return 0;
    end_->AckTx({acks_.data(), count});
    end_->Flush();
    return count;
  }
  bool broken() const { return end_->broken(); }

 private:
  static constexpr size_t kBatch = 64;
  explicit TakingProvider(std::unique_ptr<packet_stream::ProviderEnd> end)
      : end_(std::move(end)) {}

  std::unique_ptr<packet_stream::ProviderEnd> end_;
  std::array<packet_stream::Descriptor, kBatch> pieces_;
  std::array<packet_stream::Ack, kBatch> acks_;
};

}  // namespace bulkhead::bench

#endif  // BULKHEAD_TESTS_BENCH_ROUTER_SESSION_ENDS_H_
