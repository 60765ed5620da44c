// The platform service: devices, policy, sessions and the operator's API, wired
// together. Members are in the order of their dependencies.
#ifndef BULKHEAD_PLATFORM_SERVICE_PLATFORM_H_
#define BULKHEAD_PLATFORM_SERVICE_PLATFORM_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/event_loop.h"
#include "base/seqpacket.h"
#include "platform_service/api/event_feed.h"
#include "platform_service/api/grpc_server.h"
#include "platform_service/api/mailbox.h"
#include "platform_service/api/operator_api.h"
#include "platform_service/fleet.h"
#include "platform_service/instances/rate_limit.h"
#include "platform_service/parking/parking_lot.h"
#include "platform_service/router/router_host.h"
#include "platform_service/sessions/observers.h"
#include "platform_service/sessions/quota_ledger.h"
#include "platform_service/sessions/session_server.h"
#include "platform_service/supervisor_link.h"

namespace bulkhead::platform {

struct PlatformOptions {
  std::string run_dir;
  std::string bin_dir;
  std::string scenario;  // Path of the file.
};

// Nothing starts before the supervisor has said what there is already: the
// first platform service brings the scenario up, a later one takes over.
//
// Threading: the loop's thread; `loop` outlives it.
class Platform final : public OperatorApi {
 public:
  // `channel` leads to the supervisor.
  static absl::StatusOr<std::unique_ptr<Platform>> Create(
      EventLoop& loop, PlatformOptions options, SeqpacketChannel channel);
  ~Platform() override;

  // OperatorApi.
  std::vector<v1::Device> ListDevices() override;
  std::vector<v1::Instance> ListInstances() override;
  std::vector<v1::Session> ListSessions() override;
  v1::Status GetStatus() override;
  absl::StatusOr<int> Kill(const std::string& name, int signal) override;
  absl::Status Restart(const std::string& name) override;
  absl::StatusOr<std::vector<std::string>> Apply(
      const PreparedScenario& scenario, bool dry_run) override;
  void Down(std::function<void(uint32_t stopped)> done) override;
  void QueryRouter(
      const std::string& what, const std::string& question,
      std::function<void(absl::StatusOr<v1::RouterTable>)> done) override;
  void ShutDown() override;

  // Gives back the NICs that are still held (S10).
  void GiveBack() { fleet_->GiveBackAtEnd(); }
  // Takes away every file that this system made in the run directory (S10).
  void RemoveFiles();

 private:
  Platform(EventLoop& loop, PlatformOptions options)
      : loop_(loop), options_(std::move(options)) {}

  SupervisorLink::Handlers LinkHandlers();
  absl::Status MakeRunDirectory();
  void HandleRestored(uint32_t generation);
  absl::Status StartFresh();
  absl::Status TakeOver(ParkedEntry state);
  void RestorePlanNames(const ParkedEntry& state, policy::Plan* plan);
  void RestoreSessions();
  absl::Status Serve(UniqueFd session_socket, UniqueFd platform_socket);
  void TellStates();
  void HandleState(const supervisor::ProcessState& state);
  void HandleRemoved(const std::string& name);
  void HandleOpen(OpenCall call);
  void OpenAtInstance(OpenCall call, Instance& instance);
  void OpenAtRouter(OpenCall call);
  void Refuse(OpenCall& call, packet_stream::OpenReply::Refusal::Code code,
              std::string text);
  void Observe(OpenCall& call);
  absl::Status MayObserve(const OpenCall& call);
  SessionPlace PlaceOf(const Session& session) const;
  void ForEachSession(const std::function<void(const Session&)>& visit) const;
  absl::StatusOr<std::unique_ptr<Session>> MakeSession(OpenCall& call,
                                                       uint64_t limit_bytes);
  RouterHost::Hooks RouterHooks();
  RouterHost::InstanceState LookForRouter(const std::string& name);
  absl::StatusOr<uint64_t> OpenForRouter(const std::string& name,
                                         const std::string& label, int pid,
                                         SeqpacketChannel channel);
  void NoteEndOfCapture(const std::string& name, int pid);
  absl::StatusOr<uint64_t> OpenSession(OpenCall& call, Instance& instance,
                                       uint64_t limit_bytes);
  void Park();
  std::string ProcessNames() const;
  std::string InstanceNames() const;
  std::vector<v1::Process> ListProcesses() const;

  EventLoop& loop_;
  const PlatformOptions options_;
  EventFeed feed_;
  std::unique_ptr<Mailbox> mailbox_;
  std::unique_ptr<SupervisorLink> link_;
  QuotaLedger ledger_;
  std::unique_ptr<Fleet> fleet_;
  std::unique_ptr<RouterHost> router_;
  // Of refusals in the events, whose log a client could fill otherwise.
  RateLimit refusals_{64, 10};
  Observers observers_{loop_, [this](const std::string& instance, int pid) {
                         NoteEndOfCapture(instance, pid);
                       }};
  std::unique_ptr<SessionServer> session_server_;
  std::unique_ptr<GrpcServer> grpc_server_;

  bool restored_ = false;
  ParkedEntries parked_;  // Until restored_.
  std::map<std::string, supervisor::ProcessState> processes_;
  uint32_t generation_ = 0;  // Of the platform service.
  uint64_t up_since_ns_ = 0;
  uint64_t next_session_id_ = 1;
  std::string scenario_path_;
  UniqueFd scenario_text_;  // parked_text.h
  std::vector<std::string> warnings_;
};

}  // namespace bulkhead::platform

#endif  // BULKHEAD_PLATFORM_SERVICE_PLATFORM_H_
