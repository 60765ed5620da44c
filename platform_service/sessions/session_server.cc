#include "platform_service/sessions/session_server.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "base/log.h"
#include "packet_stream/geometry_message.h"

namespace bulkhead::platform {
namespace {

using packet_stream::OpenReply;
using packet_stream::OpenRequest;

// As many as an instance name, with room to spare: longer ones are no names.
constexpr size_t kLongestName = 128;

}  // namespace

bool IsPermittedUser(uint32_t uid) { return uid == 0 || uid == ::geteuid(); }

void SendRefusal(SeqpacketChannel& channel, const OpenRefusal& refusal) {
  OpenReply reply;
  reply.mutable_refusal()->set_code(refusal.code);
  reply.mutable_refusal()->set_text(refusal.text);
  channel.Send(reply).IgnoreError();
}

absl::StatusOr<std::unique_ptr<SessionServer>> SessionServer::Create(
    EventLoop& loop, UniqueFd listener, std::function<void(OpenCall)> open) {
  const int flags = ::fcntl(listener.get(), F_GETFL);
  if (flags < 0 || ::fcntl(listener.get(), F_SETFL, flags | O_NONBLOCK) != 0) {
    return ErrnoStatus("make the session socket non-blocking");
  }
  std::unique_ptr<SessionServer> server(
      new SessionServer(loop, std::move(listener), std::move(open)));
  ASSIGN_OR_RETURN(server->watch_, loop.Watch(server->listener_.get(), EPOLLIN,
                                              [raw = server.get()](uint32_t) {
                                                raw->Accept();
                                              }));
  return server;
}

SessionServer::~SessionServer() {
  if (watch_ != 0) loop_.Unwatch(watch_);
  while (!handshakes_.empty()) End(handshakes_.begin()->first);
}

// One connection per turn: a flood of them must not hold the others up.
void SessionServer::Accept() {
  UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr,
                        SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!fd.valid()) {
    if (errno == EMFILE || errno == ENFILE) {
      // Make room instead of spinning on a listener that stays readable.
      LogWarning("accept a session's client: out of descriptors");
      if (!handshakes_.empty()) End(handshakes_.begin()->first);
    }
    return;
  }
  const absl::StatusOr<PeerCredentials> peer = GetPeerCredentials(fd.get());
  SeqpacketChannel channel(std::move(fd));
  if (!peer.ok() || !IsPermittedUser(peer->uid)) {
    ++refused_users_;
    SendRefusal(
        channel,
        {OpenReply::Refusal::NOT_ALLOWED,
         absl::StrCat("open a session: this system runs as user ", ::geteuid(),
                      "; only that user and root may open sessions")});
    return;
  }
  Begin(std::move(channel), *peer);
}

void SessionServer::Begin(SeqpacketChannel channel,
                          const PeerCredentials& peer) {
  if (handshakes_.size() >= kMostHandshakes) {
    End(handshakes_.begin()->first);
  }
  const uint64_t number = next_number_++;
  const auto watch =
      loop_.Watch(channel.fd(), EPOLLIN,
                  [this, number](uint32_t) { HandleReadable(number); });
  if (!watch.ok()) return;
  Handshake& handshake = handshakes_[number];
  handshake.channel = std::move(channel);
  handshake.peer = peer;
  handshake.watch = *watch;
  handshake.timer =
      loop_.After(std::chrono::seconds(kHandshakeSeconds), [this, number] {
        Handshake late = End(number);
        SendRefusal(late.channel,
                    {OpenReply::Refusal::BAD_REQUEST,
                     absl::StrCat("open a session: no request came within ",
                                  kHandshakeSeconds, " s")});
      });
}

SessionServer::Handshake SessionServer::End(uint64_t number) {
  const auto it = handshakes_.find(number);
  Handshake handshake = std::move(it->second);
  handshakes_.erase(it);
  loop_.Unwatch(handshake.watch);
  loop_.Cancel(handshake.timer);
  return handshake;
}

void SessionServer::HandleReadable(uint64_t number) {
  Handshake handshake = End(number);
  OpenRequest request;
  std::vector<UniqueFd> fds;
  const absl::StatusOr<bool> received =
      handshake.channel.Receive(&request, &fds, /*max_fds=*/0);
  if (absl::IsUnavailable(received.status())) return;
  OpenRefusal bad{OpenReply::Refusal::BAD_REQUEST, ""};
  if (!received.ok() || !*received) {
    bad.text = absl::StrCat("open a session: ", received.status().message());
    return SendRefusal(handshake.channel, bad);
  }
  if (request.label().size() > kLongestName ||
      request.instance().size() > kLongestName ||
      request.domain().size() > kLongestName) {
    bad.text =
        absl::StrCat("open a session: a label, instance or domain longer than ",
                     kLongestName, " bytes is none");
    return SendRefusal(handshake.channel, bad);
  }
  OpenCall call;
  call.channel = std::move(handshake.channel);
  call.peer = handshake.peer;
  call.label = request.label();
  call.instance = request.instance();
  call.geometry = packet_stream::ReadGeometry(request.geometry());
  call.observe = request.observe();
  call.domain = request.domain();
  if (const absl::Status status = packet_stream::CheckGeometry(call.geometry);
      !call.observe && !status.ok()) {
    return SendRefusal(call.channel, {OpenReply::Refusal::BAD_GEOMETRY,
                                      std::string(status.message())});
  }
  open_(std::move(call));
}

}  // namespace bulkhead::platform
