// What a simulated NIC's port is plugged into, and what that sees of the NIC.
#ifndef BULKHEAD_NIC_MODEL_NETWORK_NETWORK_H_
#define BULKHEAD_NIC_MODEL_NETWORK_NETWORK_H_

#include <cstddef>
#include <cstdint>
#include <span>

namespace bulkhead::nic_model {

// Longest frame on any of these networks, without FCS: a jumbo frame of the
// 82574 (datasheet 7.1.1), rounded up.
constexpr size_t kMaxFrameBytes = 9728;
// Shortest: the wire pads to it.
constexpr size_t kMinFrameBytes = 60;

enum class SendResult : uint8_t {
  kSent,
  kDropped,  // The network took it and lost it.
  kBusy,     // Not taken: keep the frame until Port::ResumeSend.
};

// The NIC as its network sees it.
class Port {
 public:
  virtual ~Port() = default;

  // A frame arrives. It is delivered or counted in one of the rx_ counters,
  // always.
  virtual void Receive(std::span<const uint8_t> frame) = 0;
  // The batch of arriving frames is over: raise what interrupts are due.
  virtual void EndReceive() = 0;
  // A frame would find a free descriptor now; Network::PortReady tells when
  // that becomes true.
  virtual bool CanReceive() const = 0;
  // The NIC has sent XOFF: its partner shall wait for PortReady.
  virtual bool PausesPartner() const = 0;
  // The NIC obeys an XOFF of its partner.
  virtual bool ObeysPause() const = 0;
  // A network that said kBusy takes frames again.
  virtual void ResumeSend() = 0;
};

// Threading: the loop's thread. The port outlives the network.
class Network {
 public:
  virtual ~Network() = default;

  // A frame of the NIC. The network may scribble over it.
  virtual SendResult Send(std::span<uint8_t> frame) = 0;
  // The batch of frames sent is over.
  virtual void EndSend() {}
  // Called whenever CanReceive may have become true.
  virtual void PortReady() {}
};

}  // namespace bulkhead::nic_model

#endif  // BULKHEAD_NIC_MODEL_NETWORK_NETWORK_H_
