// The router's process between its channels and the engine: gives the engine
// its sessions, lets it work under load, sleeps when nothing moves.
//
// Who is who: the supervisor starts the process and asks for progress
// (supervisor/child.h); the platform service grants sessions, and asks on an
// operator's behalf (platform_channel.h); sessions are ports (sessions/); the
// engine knows frames (engine/).
#ifndef BULKHEAD_NIC_ROUTER_PROCESS_RUNTIME_H_
#define BULKHEAD_NIC_ROUTER_PROCESS_RUNTIME_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "base/event_loop.h"
#include "base/seqpacket.h"
#include "base/shared_memory.h"
#include "nic_router/engine/engine.h"
#include "nic_router/process/grant.h"
#include "nic_router/process/platform_channel.h"
#include "nic_router/protocols/domain_protocols.h"
#include "nic_router/sessions/client_port.h"
#include "nic_router/sessions/uplink_port.h"
#include "packet_stream/session.pb.h"

namespace bulkhead::nic_router {

// What it has to tell the supervisor.
struct RuntimeEvents {
  std::function<void()> started;
  // The process cannot go on. Does not return.
  std::function<void(absl::Status)> failed;
};

// Threading: the loop's thread. `loop` outlives it.
class Runtime {
 public:
  Runtime(EventLoop& loop, RuntimeEvents events)
      : loop_(loop), events_(std::move(events)) {}
  ~Runtime();

  // Takes the grant and begins to forward; once. Without state of the right
  // size, it asks for that first.
  void Begin(RouterGrant grant);

  // For the heartbeat.
  uint64_t work_done() const { return turns_; }
  bool work_waiting() const { return !asleep_; }

 private:
  struct ClientEntry {
    std::unique_ptr<ClientPort> port;
    MemberId member = 0;  // 0: the engine has it not.
    EventLoop::WatchId watch = 0;
    bool broken = false;  // The platform knows.
  };
  struct UplinkEntry {
    std::unique_ptr<UplinkPort> port;  // Null: the reply has not come yet.
    MemberId member = 0;
    EventLoop::WatchId watch = 0;
    SeqpacketChannel channel;  // Until `port`.
  };

  absl::Status StartEngine(UniqueFd state, uint64_t bytes);
  void HandleRequest(api::ToRouter message, std::vector<UniqueFd> fds);
  absl::Status Carry(const api::ToRouter& message, std::vector<UniqueFd> fds);
  absl::Status OpenClient(const api::ClientGrant& grant,
                          std::vector<UniqueFd> fds);
  void CloseClient(uint64_t session_id);
  absl::Status OpenUplink(const std::string& instance, UniqueFd socket);
  void HandleUplinkReply(std::string instance);
  absl::Status TakeUplink(const std::string& instance, UplinkEntry& entry,
                          const packet_stream::OpenReply& reply,
                          std::vector<UniqueFd> fds);
  void CloseUplink(const std::string& instance, const std::string& reason);
  void ForgetUplink(UplinkEntry& entry);
  void Configure(const api::ToRouter::Configure& request);
  absl::Status Reconfigure(RouterConfig config);
  void Answer(const api::ToRouter::Query& query);
  absl::StatusOr<Table> MakeTable(const api::ToRouter::Query& query) const;
  void PulseLinks(std::string_view domain);
  void RemoveClient(ClientEntry& client);
  void SendRows(uint64_t number, const Table& table);

  // The loop's poller: true while there was work.
  bool Poll();
  bool Sleep();
  void Wake();
  void LookAfterPorts();
  template <typename Visit>
  void ForEachPort(Visit visit);

  EventLoop& loop_;
  RuntimeEvents events_;

  std::unique_ptr<PlatformChannel> platform_;
  RouterConfig config_;
  Mapping state_;
  std::map<uint64_t, ClientEntry> clients_;      // By session.
  std::map<std::string, UplinkEntry> uplinks_;   // By instance.
  // What came before there was an engine, in its order.
  struct Request {
    api::ToRouter message;
    std::vector<UniqueFd> fds;
  };
  std::vector<Request> early_;
  std::unique_ptr<Engine> engine_;  // Uses the ports.
  std::unique_ptr<DomainProtocols> protocols_;  // Used by the engine.

  EventLoop::PollerId poller_ = 0;
  EventLoop::TimerId deadline_ = 0;
  bool asleep_ = true;  // Every port is armed.
  uint64_t turns_ = 0;  // That moved something, or found nothing to do.
};

}  // namespace bulkhead::nic_router

#endif  // BULKHEAD_NIC_ROUTER_PROCESS_RUNTIME_H_
