// An HTTP/1.1 server on lwIP's own interface (its "raw" API): `/` says what it
// is, `/file` is one file. A connection carries one request.
#ifndef BULKHEAD_CLIENTS_NIC_LWIP_HTTP_SERVER_H_
#define BULKHEAD_CLIENTS_NIC_LWIP_HTTP_SERVER_H_

#include <lwip/tcp.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace bulkhead::nic_lwip {

// Threading: that of lwIP, see stack.h.
class HttpServer {
 public:
  // `file` outlives it; empty: there is none.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Create(
      uint16_t port, std::span<const uint8_t> file);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  uint64_t requests() const { return requests_; }

 private:
  static constexpr size_t kMaxConnections = 64;
  // Without a sign of life, in units of lwIP's slow timer (half a second).
  static constexpr uint8_t kPollInterval = 20;
  static constexpr int kMaxIdlePolls = 6;

  struct Connection {
    HttpServer* server = nullptr;
    tcp_pcb* pcb = nullptr;
    std::string request;
    std::string head;  // Of the answer, and a page that is not a file.
    std::span<const uint8_t> body;
    size_t sent = 0;  // Of head and body together.
    bool answering = false;
    int idle_polls = 0;
  };

  explicit HttpServer(std::span<const uint8_t> file) : file_(file) {}

  static err_t Accept(void* server, tcp_pcb* pcb, err_t error);
  static err_t Receive(void* connection, tcp_pcb* pcb, pbuf* data, err_t error);
  static err_t Sent(void* connection, tcp_pcb* pcb, uint16_t bytes);
  static err_t Poll(void* connection, tcp_pcb* pcb);
  static void Failed(void* connection, err_t error);

  void Answer(Connection& connection);
  // ERR_ABRT when it had to be aborted: lwIP must be told.
  err_t Send(Connection& connection);
  err_t Close(Connection& connection);
  err_t Abort(Connection& connection);
  void Forget(Connection& connection);

  std::span<const uint8_t> file_;
  tcp_pcb* listener_ = nullptr;
  std::vector<std::unique_ptr<Connection>> connections_;
  uint64_t requests_ = 0;
};

}  // namespace bulkhead::nic_lwip

#endif  // BULKHEAD_CLIENTS_NIC_LWIP_HTTP_SERVER_H_
