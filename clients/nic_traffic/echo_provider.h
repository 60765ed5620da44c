// A provider on a thread of its own that echoes frames, and the session it
// serves: what nic_traffic's tests run against instead of a whole system.
#ifndef BULKHEAD_CLIENTS_NIC_TRAFFIC_ECHO_PROVIDER_H_
#define BULKHEAD_CLIENTS_NIC_TRAFFIC_ECHO_PROVIDER_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>

#include "base/shared_memory.h"
#include "packet_stream/client.h"
#include "packet_stream/provider.h"
#include "packet_stream/session_areas.h"

namespace bulkhead::nic_traffic {

// What happens to the frame that arrives as number `index` (from 0, over all
// providers of the session).
enum class Fate : uint8_t {
  kEcho,
  kDrop,      // Acknowledged, not sent back.
  kTwice,     // Sent back twice.
  kCorrupt,   // Sent back with a flipped bit.
  kDieAfter,  // Sent back, not acknowledged; then the provider is gone.
  kDieBefore  // Neither; then the provider is gone.
};

// Owns the areas of a session. When its provider dies, a new one starts at the
// next epoch, as the platform would have it.
class EchoSession {
 public:
  using Judge = std::function<Fate(uint64_t index)>;

  EchoSession(const packet_stream::SessionGeometry& geometry, Judge judge,
              packet_stream::OnRestart on_restart);
  ~EchoSession();

  packet_stream::Session* client() { return client_.get(); }
  // Frames taken and never acknowledged, over all providers.
  uint64_t unacknowledged() const { return unacknowledged_; }
  // Frames published to the client, over all providers.
  uint64_t echoed() const { return echoed_; }

 private:
  void Serve();
  bool ServeUntilDeath(packet_stream::ProviderEnd& provider);
  bool Echo(packet_stream::ProviderEnd& provider,
            const packet_stream::Descriptor& piece, uint64_t copies,
            bool corrupt);
  void Publish(packet_stream::ProviderEnd& provider);
  void SetEpoch(uint32_t epoch);

  Judge judge_;
  packet_stream::SessionAreas areas_;
  std::unique_ptr<packet_stream::Session> client_;
  Mapping tx_;
  Mapping rx_;
  std::atomic<bool> stop_{false};
  uint32_t epoch_ = 1;
  uint64_t taken_ = 0;
  uint64_t unpublished_ = 0;
  std::atomic<uint64_t> unacknowledged_{0};
  std::atomic<uint64_t> echoed_{0};
  std::thread thread_;
};

}  // namespace bulkhead::nic_traffic

#endif  // BULKHEAD_CLIENTS_NIC_TRAFFIC_ECHO_PROVIDER_H_
