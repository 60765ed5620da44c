// For tests: a session whose ends share plain memory of this process, so that
// ThreadSanitizer sees both sides of it and a test can play a hostile peer by
// writing to the areas.
#ifndef BULKHEAD_PACKET_STREAM_LOCAL_SESSION_H_
#define BULKHEAD_PACKET_STREAM_LOCAL_SESSION_H_

#include <cstdint>
#include <memory>

#include "base/unique_fd.h"
#include "packet_stream/client_end.h"
#include "packet_stream/control_area.h"
#include "packet_stream/geometry.h"
#include "packet_stream/provider.h"
#include "packet_stream/status_page.h"

namespace bulkhead::packet_stream {

class LocalSession {
 public:
  // With `bells`, the doorbells are real; without, ringing goes nowhere.
  explicit LocalSession(const SessionGeometry& geometry, bool bells = false);

  // Ends at the status page's epoch, which is 1 at first.
  std::unique_ptr<ClientEnd> MakeClient(
      OnRestart on_restart = OnRestart::kCountIndeterminate);
  std::unique_ptr<ProviderEnd> MakeProvider();
  // What the platform does when a provider has died.
  void RaiseEpoch() { SetEpoch(epoch_ + 1); }
  void SetEpoch(uint32_t epoch);

  const SessionGeometry& geometry() const { return geometry_; }
  uint32_t epoch() const { return epoch_; }

  // The areas, for both readers and hostile writers.
  ControlHeader* client_control() const { return As<ControlHeader>(client_); }
  ControlHeader* provider_control() const {
    return As<ControlHeader>(provider_);
  }
  Descriptor* tx_ring() const { return SubmitEntries(client_control()); }
  Ack* rx_acks() const {
    return AckEntries(client_control(), geometry_.tx_buffers);
  }
  Descriptor* rx_ring() const { return SubmitEntries(provider_control()); }
  Ack* tx_acks() const {
    return AckEntries(provider_control(), geometry_.rx_buffers);
  }
  uint8_t* tx_data() const { return tx_data_.get(); }
  uint8_t* rx_data() const { return rx_data_.get(); }
  StatusPage* status_page() const { return As<StatusPage>(status_); }

 private:
  struct Free {
    void operator()(uint8_t* memory) const;
  };
  using Memory = std::unique_ptr<uint8_t, Free>;
  static Memory Allocate(size_t bytes);
  template <typename T>
  static T* As(const Memory& memory) {
    return reinterpret_cast<T*>(memory.get());
  }

  SessionGeometry geometry_;
  uint32_t epoch_ = 0;
  Memory client_;
  Memory provider_;
  Memory tx_data_;
  Memory rx_data_;
  Memory status_;
  UniqueFd tx_bell_;
  UniqueFd rx_bell_;
};

}  // namespace bulkhead::packet_stream

#endif  // BULKHEAD_PACKET_STREAM_LOCAL_SESSION_H_
