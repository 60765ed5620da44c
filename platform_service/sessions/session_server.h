// The socket on which programs ask for sessions (`session.sock`).
#ifndef BULKHEAD_PLATFORM_SERVICE_SESSIONS_SESSION_SERVER_H_
#define BULKHEAD_PLATFORM_SERVICE_SESSIONS_SESSION_SERVER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/event_loop.h"
#include "base/seqpacket.h"
#include "base/unique_fd.h"
#include "packet_stream/geometry.h"
#include "packet_stream/session.pb.h"

namespace bulkhead::platform {

// A well-formed request of a permitted user.
struct OpenCall {
  SeqpacketChannel channel;
  PeerCredentials peer;
  std::string label;
  std::string instance;
  packet_stream::SessionGeometry geometry;  // Of as many lanes as it wants.
  bool observe = false;  // To look on; then there is no geometry.
  std::string domain;    // With observe: the router's, or empty.
};

// A refusal as it goes to the client.
struct OpenRefusal {
  packet_stream::OpenReply::Refusal::Code code;
  std::string text;  // Cause and remedy.
};
void SendRefusal(SeqpacketChannel& channel, const OpenRefusal& refusal);

// Accepts, checks the caller and its request, hands it on; answers what is not
// a request. A caller that connects and says nothing loses its connection after
// kHandshakeSeconds; beyond kMostHandshakes of them, the oldest does at once.
//
// Threading: the loop's thread; no call waits.
class SessionServer {
 public:
  static constexpr int kHandshakeSeconds = 2;
  static constexpr size_t kMostHandshakes = 32;

  // `listener`: a listening seqpacket socket.
  static absl::StatusOr<std::unique_ptr<SessionServer>> Create(
      EventLoop& loop, UniqueFd listener, std::function<void(OpenCall)> open);
  ~SessionServer();

  int listener() const { return listener_.get(); }
  size_t handshakes() const { return handshakes_.size(); }
  // Callers that were turned away by their user.
  uint64_t refused_users() const { return refused_users_; }

 private:
  struct Handshake {
    SeqpacketChannel channel;
    PeerCredentials peer;
    EventLoop::WatchId watch = 0;
    EventLoop::TimerId timer = 0;
  };

  SessionServer(EventLoop& loop, UniqueFd listener,
                std::function<void(OpenCall)> open)
      : loop_(loop), listener_(std::move(listener)), open_(std::move(open)) {}

  void Accept();
  void Begin(SeqpacketChannel channel, const PeerCredentials& peer);
  void HandleReadable(uint64_t number);
  // Takes it out of the table, with its watch and timer.
  Handshake End(uint64_t number);

  EventLoop& loop_;
  UniqueFd listener_;
  std::function<void(OpenCall)> open_;
  EventLoop::WatchId watch_ = 0;
  std::map<uint64_t, Handshake> handshakes_;  // By age.
  uint64_t next_number_ = 1;
  uint64_t refused_users_ = 0;
};

// Whether `uid` may use the system: the user who runs it, and root.
bool IsPermittedUser(uint32_t uid);

}  // namespace bulkhead::platform

#endif  // BULKHEAD_PLATFORM_SERVICE_SESSIONS_SESSION_SERVER_H_
