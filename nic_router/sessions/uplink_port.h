// A session of ours with an instance as a port: the client's end of it.
#ifndef BULKHEAD_NIC_ROUTER_SESSIONS_UPLINK_PORT_H_
#define BULKHEAD_NIC_ROUTER_SESSIONS_UPLINK_PORT_H_

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "nic_router/config.h"
#include "nic_router/sessions/session_port.h"
#include "packet_stream/client.h"

namespace bulkhead::nic_router {

// Guarantees: outlives drivers (S6): while one is replaced, the link is down
// and no frame moves. A driver that breaks the protocol is replaced by the
// platform; a session that is over makes closed() say why.
// Threading: one thread.
class UplinkPort final : public SessionPort {
 public:
  UplinkPort(std::string instance,
             std::unique_ptr<packet_stream::Session> session)
      : instance_(std::move(instance)), session_(std::move(session)) {}

  size_t Receive(std::span<RxPiece> out) override;
  void Release(std::span<const RxPiece> pieces) override;
  size_t Alloc(std::span<TxBuffer> out) override;
  void Return(std::span<const TxBuffer> buffers) override;
  void Send(std::span<const TxPiece> pieces) override;
  void Flush() override { session_->Flush(); }
  bool link_up() const override;
  MacAddress mac() const override { return session_->status().mac; }
  uint32_t mtu() const override;

  int fd() const override { return session_->fd(); }
  const std::string& instance() const { return instance_; }
  // Why there will be no frame any more; ok: there will.
  absl::Status closed() const;
  // What the instance was given and has not taken yet.
  uint32_t in_flight() const { return session_->tx_in_flight(); }
  const packet_stream::SessionCounters& counters() const {
    return session_->counters();
  }

 private:
  static constexpr size_t kBatch = 64;

  bool DoArm() override { return session_->ArmWait(); }
  void DoDisarm() override { session_->DisarmWait(); }

  const std::string instance_;
  std::unique_ptr<packet_stream::Session> session_;

  // Scratch of one batch.
  std::array<packet_stream::RxPiece, kBatch> received_;
  std::array<packet_stream::TxBuffer, kBatch> buffers_;
  std::array<packet_stream::Descriptor, kBatch> descriptors_;
};

}  // namespace bulkhead::nic_router

#endif  // BULKHEAD_NIC_ROUTER_SESSIONS_UPLINK_PORT_H_
