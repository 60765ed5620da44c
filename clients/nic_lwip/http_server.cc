#include "clients/nic_lwip/http_server.h"

#include <lwip/pbuf.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "clients/nic_lwip/http_request.h"

namespace bulkhead::nic_lwip {

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Create(
    uint16_t port, std::span<const uint8_t> file) {
  std::unique_ptr<HttpServer> server(new HttpServer(file));
  tcp_pcb* pcb = ::tcp_new();
  if (pcb == nullptr || ::tcp_bind(pcb, IP_ADDR_ANY, port) != ERR_OK) {
    if (pcb != nullptr) ::tcp_close(pcb);
    return absl::UnavailableError(absl::StrCat("listen on port ", port));
  }
  server->listener_ = ::tcp_listen(pcb);  // Frees `pcb`.
  if (server->listener_ == nullptr) {
    return absl::ResourceExhaustedError(absl::StrCat("listen on port ", port));
  }
  ::tcp_arg(server->listener_, server.get());
  ::tcp_accept(server->listener_, &HttpServer::Accept);
  return server;
}

HttpServer::~HttpServer() {
  while (!connections_.empty()) Abort(*connections_.back());
  if (listener_ != nullptr) ::tcp_close(listener_);
}

err_t HttpServer::Accept(void* self, tcp_pcb* pcb, err_t error) {
  auto* server = static_cast<HttpServer*>(self);
  if (error != ERR_OK || pcb == nullptr) return ERR_VAL;
  if (server->connections_.size() >= kMaxConnections) return ERR_MEM;
  auto connection = std::make_unique<Connection>();
  connection->server = server;
  connection->pcb = pcb;
  ::tcp_arg(pcb, connection.get());
  ::tcp_recv(pcb, &HttpServer::Receive);
  ::tcp_sent(pcb, &HttpServer::Sent);
  ::tcp_poll(pcb, &HttpServer::Poll, kPollInterval);
  ::tcp_err(pcb, &HttpServer::Failed);
  server->connections_.push_back(std::move(connection));
  return ERR_OK;
}

err_t HttpServer::Receive(void* self, tcp_pcb* pcb, pbuf* data, err_t) {
  auto& connection = *static_cast<Connection*>(self);
  HttpServer* server = connection.server;
  // No more will come: an answer that is on its way goes on.
  if (data == nullptr) {
    if (connection.answering) return ERR_OK;
    return server->Close(connection);
  }
  connection.idle_polls = 0;
  if (!connection.answering) {
    const size_t room = kMaxRequestBytes - connection.request.size();
    const size_t at = connection.request.size();
    connection.request.resize(at + std::min<size_t>(room, data->tot_len));
    ::pbuf_copy_partial(data, connection.request.data() + at,
                        static_cast<uint16_t>(connection.request.size() - at),
                        0);
  }
  ::tcp_recved(pcb, data->tot_len);
  ::pbuf_free(data);
  if (connection.answering) return ERR_OK;
  server->Answer(connection);
  if (!connection.answering) return ERR_OK;
  return server->Send(connection);
}

void HttpServer::Answer(Connection& connection) {
  HttpRequest request;
  const RequestState state = ParseRequest(connection.request, &request);
  if (state == RequestState::kIncomplete) return;
  connection.answering = true;
  ++requests_;
  const char* status = "200 OK";
  std::string page;
  if (state == RequestState::kMalformed) {
    status = "400 Bad Request";
    page = "This is no HTTP/1.1 request.\n";
  } else if (request.method != "GET" && request.method != "HEAD") {
    status = "405 Method Not Allowed";
    page = "There are only GET and HEAD here.\n";
  } else if (request.path == "/") {
    page = absl::StrCat(
        "lwIP on a Bulkhead session: a TCP/IP stack of its own.\nrequests: ",
        requests_, "\n/file: ", file_.size(), " bytes\n");
  } else if (request.path == "/file" && !file_.empty()) {
    connection.body = file_;
  } else {
    status = "404 Not Found";
    page = "There are / and, with --file, /file.\n";
  }
  connection.head = absl::StrCat(
      "HTTP/1.1 ", status, "\r\nServer: nic_lwip\r\nConnection: close\r\n",
      "Content-Type: ",
      connection.body.empty() ? "text/plain" : "application/octet-stream",
      "\r\nContent-Length: ", page.size() + connection.body.size(), "\r\n\r\n");
  if (request.method == "HEAD") {
    connection.body = {};
  } else {
    connection.head += page;
  }
}

// As much as lwIP takes; Sent goes on when the peer has acknowledged some.
err_t HttpServer::Send(Connection& connection) {
  const size_t head = connection.head.size();
  const size_t total = head + connection.body.size();
  while (connection.sent < total) {
    const bool in_head = connection.sent < head;
    const void* data =
        in_head
            ? static_cast<const void*>(connection.head.data() + connection.sent)
            : connection.body.data() + (connection.sent - head);
    const size_t left = (in_head ? head : total) - connection.sent;
    const auto bytes = static_cast<uint16_t>(
        std::min<size_t>({left, tcp_sndbuf(connection.pcb), 0xffff}));
    if (bytes == 0 || ::tcp_write(connection.pcb, data, bytes,
                                  TCP_WRITE_FLAG_COPY) != ERR_OK) {
      break;
    }
    connection.sent += bytes;
  }
  ::tcp_output(connection.pcb);
  if (connection.sent < total) return ERR_OK;
  return Close(connection);
}

err_t HttpServer::Sent(void* self, tcp_pcb*, uint16_t) {
  auto& connection = *static_cast<Connection*>(self);
  connection.idle_polls = 0;
  return connection.server->Send(connection);
}

err_t HttpServer::Poll(void* self, tcp_pcb*) {
  auto& connection = *static_cast<Connection*>(self);
  if (++connection.idle_polls >= kMaxIdlePolls) {
    return connection.server->Abort(connection);
  }
  if (!connection.answering) return ERR_OK;
  return connection.server->Send(connection);
}

// lwIP has freed the pcb already.
void HttpServer::Failed(void* self, err_t) {
  auto& connection = *static_cast<Connection*>(self);
  connection.server->Forget(connection);
}

// What was written goes out before the end does; lwIP sees to it.
err_t HttpServer::Close(Connection& connection) {
  tcp_pcb* pcb = connection.pcb;
  ::tcp_arg(pcb, nullptr);
  ::tcp_recv(pcb, nullptr);
  ::tcp_sent(pcb, nullptr);
  ::tcp_err(pcb, nullptr);
  ::tcp_poll(pcb, nullptr, 0);
  Forget(connection);
  if (::tcp_close(pcb) == ERR_OK) return ERR_OK;
  ::tcp_abort(pcb);
  return ERR_ABRT;
}

err_t HttpServer::Abort(Connection& connection) {
  tcp_pcb* pcb = connection.pcb;
  ::tcp_arg(pcb, nullptr);
  ::tcp_err(pcb, nullptr);
  Forget(connection);
  ::tcp_abort(pcb);
  return ERR_ABRT;
}

void HttpServer::Forget(Connection& connection) {
  std::erase_if(connections_, [&connection](const auto& entry) {
    return entry.get() == &connection;
  });
}

}  // namespace bulkhead::nic_lwip
