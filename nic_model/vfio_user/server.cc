#include "nic_model/vfio_user/server.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "base/log.h"
#include "nic_model/vfio_user/socket_io.h"

namespace bulkhead::vfio_user {
namespace {

// One owner, one driver, and a few that are about to be noticed as closed.
constexpr size_t kMaxConnections = 16;

absl::string_view RoleName(Role role) {
  return role == Role::kOwner ? "owner" : "driver";
}

}  // namespace

Server::~Server() {
  for (const Listener& listener : listeners_) loop_.Unwatch(listener.watch);
  for (const auto& connection : connections_) loop_.Unwatch(connection->watch);
}

absl::Status Server::Listen(UniqueFd listener, Role role) {
  const int fd = listener.get();
  ASSIGN_OR_RETURN(const EventLoop::WatchId watch,
                   loop_.Watch(fd, EPOLLIN, [this, fd, role](uint32_t) {
                     Accept(fd, role);
                   }));
  listeners_.push_back({std::move(listener), watch});
  return absl::OkStatus();
}

void Server::Accept(int listener, Role role) {
  UniqueFd socket(
      ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  // Gone again, or no descriptor left: the next event tells.
  if (!socket.valid()) return;
  const absl::Status added = AddConnection(std::move(socket), role);
  if (!added.ok()) LogWarning(added.message());
}

void Server::DropClosedOwner() {
  for (const auto& connection : connections_) {
    if (connection->role != Role::kOwner) continue;
    uint8_t byte;
    if (::recv(connection->socket.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) ==
        0) {
      Close(connection.get(), "closed by its client");
      return;
    }
  }
}

absl::Status Server::AddConnection(UniqueFd socket, Role role) {
  if (role == Role::kOwner) {
    // The last owner's end of file may wait behind this event.
    DropClosedOwner();
    for (const auto& connection : connections_) {
      if (connection->role == Role::kOwner) {
        return absl::FailedPreconditionError(
            "refused a second owner connection: the first is still open");
      }
    }
  }
  if (connections_.size() >= kMaxConnections) {
    return absl::ResourceExhaustedError(
        absl::StrCat("refused a ", RoleName(role),
                     " connection: ", kMaxConnections, " are open"));
  }
  auto connection =
      std::make_unique<Connection>(std::move(socket), role, device_);
  Connection* raw = connection.get();
  ASSIGN_OR_RETURN(raw->watch,
                   loop_.Watch(raw->socket.get(), EPOLLIN,
                               [this, raw](uint32_t) { HandleReadable(raw); }));
  connections_.push_back(std::move(connection));
  return absl::OkStatus();
}

void Server::HandleReadable(Connection* connection) {
  bool truncated = false;
  const size_t fds_before = connection->fds.size();
  const ssize_t got =
      ReceiveWithFds(connection->socket.get(),
                     std::span(connection->buffer).subspan(connection->filled),
                     &connection->fds, &truncated);
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
  if (got <= 0) {
    Close(connection, got == 0 ? "closed by its client" : std::strerror(errno));
    return;
  }
  if (truncated || connection->fds.size() > kMaxFds) {
    Close(connection, "too many descriptors in one message");
    return;
  }
  connection->filled += static_cast<size_t>(got);
  // The kernel ends a receive with the bytes that carried descriptors.
  if (connection->fds.size() != fds_before) {
    connection->fds_end = connection->filled;
  }
  HandleMessages(connection);
}

bool Server::HandleMessages(Connection* connection) {
  size_t at = 0;
  while (connection->filled - at >= sizeof(Header)) {
    Header header;
    std::memcpy(&header, connection->buffer.data() + at, sizeof(header));
    if (header.bytes < sizeof(Header) || header.bytes > kServerMaxMessage) {
      Close(connection,
            absl::StrCat("a message said to be of ", header.bytes, " bytes"));
      return false;
    }
    if (connection->filled - at < header.bytes) break;
    const std::span<const uint8_t> body =
        std::span<const uint8_t>(connection->buffer)
            .subspan(at + sizeof(Header), header.bytes - sizeof(Header));
    at += header.bytes;
    std::vector<UniqueFd> fds;
    if (connection->fds_end <= at) fds = std::move(connection->fds);
    connection->handler.Handle(header, body, std::move(fds), &reply_);
    if ((header.flags & kFlagNoReply) != 0) continue;
    if (!SendReply(connection, header)) return false;
  }
  connection->filled -= at;
  connection->fds_end -= std::min(connection->fds_end, at);
  if (at != 0 && connection->filled != 0) {
    std::memmove(connection->buffer.data(), connection->buffer.data() + at,
                 connection->filled);
  }
  return true;
}

bool Server::SendReply(Connection* connection, const Header& request) {
  Header header = {request.id, request.command, sizeof(Header), kTypeReply, 0};
  if (reply_.error != 0) {
    header.flags |= kFlagError;
    header.error = static_cast<uint32_t>(reply_.error);
    reply_.body_bytes = 0;
    reply_.fds.clear();
  }
  header.bytes += static_cast<uint32_t>(reply_.body_bytes);
  if (garbage_replies_) {
    header.id ^= 0x5a5a;
    header.bytes = 0xfffffff0;
  }
  const iovec parts[] = {{&header, sizeof(header)},
                         {reply_.body.data(), reply_.body_bytes}};
  const size_t bytes = sizeof(header) + reply_.body_bytes;
  const ssize_t sent = SendWithFds(connection->socket.get(), parts, reply_.fds);
  if (sent == static_cast<ssize_t>(bytes)) return true;
  Close(connection, sent < 0 && errno != EAGAIN
                        ? "closed by its client"
                        : "its client does not read its replies");
  return false;
}

void Server::Close(Connection* connection, absl::string_view why) {
  const Role role = connection->role;
  LogInfo(absl::StrCat(
      "vfio-user ", RoleName(role), " connection ended: ", why,
      connection->handler.refused() == 0
          ? ""
          : absl::StrCat("; ", connection->handler.refused(),
                         " requests beyond its rights were refused")));
  loop_.Unwatch(connection->watch);
  std::erase_if(connections_,
                [connection](const auto& c) { return c.get() == connection; });
  if (role != Role::kOwner) return;
  device_.UnmapAllDma();
  for (uint32_t index = 0; index < kPciIrqTypeCount; ++index) {
    device_.DisarmIrqs(index);
  }
}

}  // namespace bulkhead::vfio_user
