#include "base/seqpacket.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"

namespace bulkhead {
namespace {

absl::StatusOr<sockaddr_un> UnixAddress(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "use socket path ", path, ": longer than ",
        sizeof(address.sun_path) - 1,
        " bytes, the limit of Unix sockets; choose a shorter run directory"));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

// Moves every descriptor of `header` into *fds.
void TakeFds(msghdr* header, std::vector<UniqueFd>* fds) {
  for (cmsghdr* c = CMSG_FIRSTHDR(header); c != nullptr;
       c = CMSG_NXTHDR(header, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd;
      std::memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
      fds->emplace_back(fd);
    }
  }
}

}  // namespace

absl::StatusOr<std::pair<SeqpacketChannel, SeqpacketChannel>>
SeqpacketChannel::CreatePair() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return ErrnoStatus("create a seqpacket socket pair");
  }
  return std::make_pair(SeqpacketChannel(UniqueFd(ends[0])),
                        SeqpacketChannel(UniqueFd(ends[1])));
}

absl::StatusOr<SeqpacketChannel> SeqpacketChannel::Connect(
    const std::string& path) {
  ASSIGN_OR_RETURN(const sockaddr_un address, UnixAddress(path));
  UniqueFd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return ErrnoStatus("create a seqpacket socket");
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address),
                sizeof(address)) != 0) {
    return ErrnoStatus(absl::StrCat("connect to ", path));
  }
  return SeqpacketChannel(std::move(fd));
}

namespace {

ssize_t SendBytes(int fd, char lead, std::string& bytes) {
  bytes.insert(bytes.begin(), lead);
  const ssize_t sent =
      ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  bytes.erase(bytes.begin());
  return sent;
}

}  // namespace

absl::Status SeqpacketChannel::Send(
    const google::protobuf::MessageLite& message, std::span<const int> fds) {
  std::string bytes;
  if (!message.SerializeToString(&bytes) || bytes.size() > kMaxMessageBytes ||
      fds.size() > kMaxFds) {
    return absl::InvalidArgumentError(
        absl::StrCat("send a message of ", bytes.size(), " bytes with ",
                     fds.size(), " descriptors: over the channel's limit"));
  }
  // A packet of zero bytes cannot be told from end of file, so that each
  // packet carries one leading byte.
  char lead = 'B';
  iovec parts[2] = {{&lead, 1}, {bytes.data(), bytes.size()}};
  msghdr header = {};
  header.msg_iov = parts;
  header.msg_iovlen = 2;
  alignas(cmsghdr) char control[CMSG_SPACE(kMaxFds * sizeof(int))] = {};
  if (!fds.empty()) {
    header.msg_control = control;
    header.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* c = CMSG_FIRSTHDR(&header);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(c), fds.data(), fds.size_bytes());
  }
  ssize_t sent;
  do {
    // Without descriptors by send, since not every process may use sendmsg
    // (nic_driver/framework/socket_confinement.h).
    sent = fds.empty()
               ? SendBytes(fd_.get(), lead, bytes)
               : ::sendmsg(fd_.get(), &header, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (sent < 0 && errno == EINTR);
  if (sent >= 0) return absl::OkStatus();
  switch (errno) {
    case EPIPE:
    case ECONNRESET:
    case ENOTCONN:
      return absl::UnavailableError("send a message: the peer closed");
    case EAGAIN:
    case ENOBUFS:
    case ETOOMANYREFS:
      return absl::ResourceExhaustedError(
          "send a message: the peer does not read, its queue is full");
    default:
      return ErrnoStatus("send a message");
  }
}

absl::StatusOr<bool> SeqpacketChannel::Receive(
    google::protobuf::MessageLite* message, std::vector<UniqueFd>* fds,
    size_t max_fds) {
  fds->clear();
  // Sized by what waits, so that a small message does not touch 128 KiB.
  // A peer that closed without reading everything is reported once, as a
  // reset; what it said before that, and the end of file, come afterwards.
  char peek;
  ssize_t size;
  do {
    size = ::recv(fd_.get(), &peek, 1, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);
  } while (size < 0 && (errno == EINTR || errno == ECONNRESET));
  if (size < 0) {
    if (errno == EAGAIN) return false;
    return ErrnoStatus("receive a message");
  }
  std::string bytes(std::min<size_t>(size, kMaxMessageBytes + 1), '\0');
  iovec part = {bytes.data(), bytes.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(253 * sizeof(int))];
  msghdr header = {};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof(control);
  do {
    size = ::recvmsg(fd_.get(), &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  } while (size < 0 && (errno == EINTR || errno == ECONNRESET));
  if (size < 0) return ErrnoStatus("receive a message");
  TakeFds(&header, fds);
  if (size == 0) {
    fds->clear();
    return absl::UnavailableError("receive a message: the peer closed");
  }
  if ((header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 ||
      fds->size() > max_fds) {
    const size_t count = fds->size();
    fds->clear();
    return absl::InvalidArgumentError(
        absl::StrCat("receive a message: ", size, " bytes with ", count,
                     " descriptors is over the limit of ", kMaxMessageBytes,
                     " bytes and ", max_fds, " descriptors"));
  }
  if (bytes[0] != 'B' || !message->ParseFromArray(bytes.data() + 1, size - 1)) {
    fds->clear();
    return absl::InvalidArgumentError(absl::StrCat("receive a message: ", size,
                                                   " bytes are not a ",
                                                   message->GetTypeName()));
  }
  return true;
}

absl::Status SeqpacketChannel::WaitReceive(
    google::protobuf::MessageLite* message, std::vector<UniqueFd>* fds,
    int timeout_ms, size_t max_fds) {
  pollfd waiting = {fd_.get(), POLLIN, 0};
  int ready;
  do {
    ready = ::poll(&waiting, 1, timeout_ms);
  } while (ready < 0 && errno == EINTR);
  if (ready < 0) return ErrnoStatus("wait for a message");
  if (ready == 0) {
    return absl::DeadlineExceededError(
        absl::StrCat("wait for a message: none within ", timeout_ms, " ms"));
  }
  ASSIGN_OR_RETURN(const bool received, Receive(message, fds, max_fds));
  if (!received) {
    return absl::DeadlineExceededError("wait for a message: none came");
  }
  return absl::OkStatus();
}

absl::StatusOr<UniqueFd> ListenSeqpacket(const std::string& path,
                                         uint32_t mode) {
  ASSIGN_OR_RETURN(const sockaddr_un address, UnixAddress(path));
  const auto* raw = reinterpret_cast<const sockaddr*>(&address);
  UniqueFd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return ErrnoStatus("create a seqpacket socket");
  if (::bind(fd.get(), raw, sizeof(address)) != 0) {
    if (errno != EADDRINUSE) return ErrnoStatus(absl::StrCat("bind ", path));
    UniqueFd probe(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    if (::connect(probe.get(), raw, sizeof(address)) == 0) {
      return absl::AlreadyExistsError(absl::StrCat(
          "bind ", path, ": another process listens there; stop it first"));
    }
    if (::unlink(path.c_str()) != 0 ||
        ::bind(fd.get(), raw, sizeof(address)) != 0) {
      return ErrnoStatus(absl::StrCat("bind ", path));
    }
  }
  if (::chmod(path.c_str(), mode) != 0) {
    return ErrnoStatus(absl::StrCat("set the mode of ", path));
  }
  if (::listen(fd.get(), 64) != 0) {
    return ErrnoStatus(absl::StrCat("listen on ", path));
  }
  return fd;
}

absl::StatusOr<PeerCredentials> GetPeerCredentials(int socket_fd) {
  ucred credentials;
  socklen_t length = sizeof(credentials);
  if (::getsockopt(socket_fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) !=
      0) {
    return ErrnoStatus("read the peer's credentials");
  }
  return PeerCredentials{credentials.pid, credentials.uid, credentials.gid};
}

}  // namespace bulkhead
