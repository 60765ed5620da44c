// A client's session as a port: the provider's end of it, and its frames, which
// we map since we copy.
#ifndef BULKHEAD_NIC_ROUTER_SESSIONS_CLIENT_PORT_H_
#define BULKHEAD_NIC_ROUTER_SESSIONS_CLIENT_PORT_H_

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "base/shared_memory.h"
#include "base/unique_fd.h"
#include "nic_router/config.h"
#include "nic_router/sessions/session_port.h"
#include "packet_stream/provider.h"

namespace bulkhead::nic_router {

struct ClientGrant {
  packet_stream::ProviderGrant provider;
  UniqueFd tx_data;  // The client's frames: read-only.
  UniqueFd rx_data;  // Frames for it: writable.
  std::string label;
  MacAddress mac{};
  uint32_t mtu = 1500;
};

// Guarantees (S2, S7): as packet_stream::ProviderEnd; a client that breaks the
// protocol receives and sends nothing more, see breach(). Frames that ask the
// provider for a checksum or for segmentation, which we do not offer, go back
// as invalid.
// Threading: one thread.
class ClientPort final : public SessionPort {
 public:
  static absl::StatusOr<std::unique_ptr<ClientPort>> Create(ClientGrant grant);

  size_t Receive(std::span<RxPiece> out) override;
  void Release(std::span<const RxPiece> pieces) override;
  size_t Alloc(std::span<TxBuffer> out) override;
  void Return(std::span<const TxBuffer> buffers) override;
  void Send(std::span<const TxPiece> pieces) override;
  void Flush() override { provider_->Flush(); }
  bool link_up() const override { return ready_ && !provider_->broken(); }
  MacAddress mac() const override { return mac_; }
  uint32_t mtu() const override { return mtu_; }

  int fd() const override { return provider_->doorbell_fd(); }
  bool broken() const { return provider_->broken(); }
  const std::string& breach() const { return provider_->breach(); }
  // Frames that were given back as invalid.
  uint64_t refused_frames() const {
    return refused_frames_ + provider_->tx_refused_frames();
  }
  uint64_t session_id() const { return provider_->session_id(); }
  uint32_t epoch() const { return provider_->epoch(); }
  const std::string& label() const { return label_; }

 private:
  // At a time; with room for the longest frame.
  static constexpr size_t kBatch = 64;

  ClientPort(std::unique_ptr<packet_stream::ProviderEnd> provider,
             Mapping tx_data, Mapping rx_data, const ClientGrant& grant);

  bool DoArm() override;
  void DoDisarm() override { provider_->DisarmDoorbell(); }
  void Refuse(std::span<const packet_stream::Descriptor> frame);

  std::unique_ptr<packet_stream::ProviderEnd> provider_;
  Mapping tx_data_;
  Mapping rx_data_;
  const uint32_t buffer_bytes_;
  const uint32_t buffer_shift_;
  const std::string label_;
  const MacAddress mac_;
  const uint32_t mtu_;
  bool ready_ = false;  // The client is at our epoch.
  uint64_t refused_frames_ = 0;

  // Scratch of one batch.
  std::array<packet_stream::Descriptor, kBatch> descriptors_;
  std::array<packet_stream::Ack, kBatch> acks_;
  std::array<uint32_t, kBatch> numbers_;
};

}  // namespace bulkhead::nic_router

#endif  // BULKHEAD_NIC_ROUTER_SESSIONS_CLIENT_PORT_H_
