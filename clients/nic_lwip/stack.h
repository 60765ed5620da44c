// lwIP on a packet-stream session: a TCP/IP stack inside this process, with the
// NIC's instance as its only interface.
//
// Everything runs on the thread that calls Run, lwIP's callbacks too: Debian's
// lwIP is built for a thread of its own, but asks for none as long as
// tcpip_init is not called.
#ifndef BULKHEAD_CLIENTS_NIC_LWIP_STACK_H_
#define BULKHEAD_CLIENTS_NIC_LWIP_STACK_H_

#include <lwip/netif.h>

#include <cstdint>
#include <memory>
#include <span>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "packet_stream/client.h"

namespace bulkhead::nic_lwip {

struct Ipv4Config {
  uint32_t address = 0;  // In network byte order, as the others.
  uint32_t netmask = 0;
  uint32_t gateway = 0;  // 0: none.
};

// Requires: one in a process; the session outlives it.
class Stack {
 public:
  static absl::StatusOr<std::unique_ptr<Stack>> Create(
      packet_stream::Session* session, const Ipv4Config& config);
  ~Stack();
  Stack(const Stack&) = delete;
  Stack& operator=(const Stack&) = delete;

  // Serves until `stop_fd` is readable. Errors: the session is over.
  absl::Status Run(int stop_fd);

  uint64_t received() const { return received_; }
  uint64_t sent() const { return sent_; }
  // Frames that found no tx buffer, or no memory; TCP sends them again.
  uint64_t dropped() const { return dropped_; }

 private:
  explicit Stack(packet_stream::Session* session) : session_(session) {}

  static err_t Init(netif* interface);
  static err_t Output(netif* interface, pbuf* frame);
  size_t Input();
  void InputFrame(std::span<const packet_stream::RxPiece> pieces);
  bool Sleep(int stop_fd);

  packet_stream::Session* session_;
  netif interface_ = {};
  uint64_t received_ = 0;
  uint64_t sent_ = 0;
  uint64_t dropped_ = 0;
};

}  // namespace bulkhead::nic_lwip

#endif  // BULKHEAD_CLIENTS_NIC_LWIP_STACK_H_
