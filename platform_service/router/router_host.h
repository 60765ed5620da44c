// The router as the platform service sees it: the process, its clients'
// sessions, its own sessions with instances, and what it keeps for the next
// router. The process's life is a ProcessLife.
#ifndef BULKHEAD_PLATFORM_SERVICE_ROUTER_ROUTER_HOST_H_
#define BULKHEAD_PLATFORM_SERVICE_ROUTER_ROUTER_HOST_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/event_loop.h"
#include "base/seqpacket.h"
#include "base/unique_fd.h"
#include "nic_router/api/router.pb.h"
#include "platform_service/instances/progress_check.h"
#include "platform_service/instances/traffic_watch.h"
#include "platform_service/parking/parking_lot.h"
#include "platform_service/policy/scenario.h"
#include "platform_service/process_life.h"
#include "platform_service/router/router_channel.h"
#include "platform_service/sessions/session.h"
#include "platform_service/supervisor_link.h"

namespace bulkhead::platform {

// What a query was answered with.
struct RouterAnswer {
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;
};

// Guarantees:
//   - S6: clients' sessions outlive any number of routers and platform
//     services. The next router gets them at a higher epoch.
//   - The state (flows, neighbours, leases) outlives routers, too; whoever gets
//     it checks it.
//   - A hostile router reaches its clients' frames and its own sessions, and
//     nothing else; what it may not say ends in a Breach with the reason.
// Threading: the loop's thread.
class RouterHost : private ProcessLife::Owner {
 public:
  using Phase = ProcessLife::Phase;

  // What the router may use of an instance now.
  struct InstanceState {
    bool exists = false;      // And it is not parked.
    uint64_t session_id = 0;  // Whoever's; 0: it is free.
  };
  struct Hooks {
    std::function<InstanceState(const std::string& instance)> look;
    // Opens a session with `instance` for the router on `channel`, as if it had
    // asked for it there. The session's id.
    std::function<absl::StatusOr<uint64_t>(
        const std::string& instance, const std::string& label, int pid,
        SeqpacketChannel channel)>
        open;
  };

  // `program`: of the router.
  RouterHost(EventLoop& loop, SupervisorLink& link, std::string program,
             Hooks hooks);
  ~RouterHost();

  // From now on this router is wanted, or none.
  void Apply(const std::optional<policy::RouterSpec>& wanted);
  // Ends it; `gone` is called with whether there was a process.
  void RemoveAll(std::function<void(bool was)> gone);
  // Takes back a parked "router".
  void Restore(const std::optional<policy::RouterSpec>& wanted,
               ParkedEntries* entries);
  // A session that was parked; before OnState.
  void AdoptSession(std::unique_ptr<Session> session);

  bool Owns(const std::string& process) const;
  void OnState(const supervisor::ProcessState& state);
  void OnDied(const supervisor::FromSupervisor::Died& died) {
    life_.OnDied(died);
  }
  void OnRemoved();
  void OnRefused(const std::string& reason);
  // False: it is defined, the supervisor restarts it.
  bool DefineAgain();

  // Whether clients open sessions under this name; also while the process is
  // defined afresh.
  bool Serves(const std::string& name) const {
    return defined() && wanted_.has_value() && name == spec_.config.name &&
           name == wanted_->config.name;
  }
  // Whether there is room for a client of this label, and for it at all.
  absl::Status MayOpen(const std::string& label) const;
  // Takes the session in. Requires: MayOpen its label.
  void OpenSession(std::unique_ptr<Session> session);
  // Opens what of the uplinks can be opened now.
  void SettleUplinks();

  // `done` gets the answer, or why there is none.
  void Query(const std::string& what, const std::string& question,
             std::function<void(absl::StatusOr<RouterAnswer>)> done);

  bool defined() const { return life_.defined(); }
  const policy::RouterSpec& spec() const { return spec_; }
  Phase phase() const { return life_.phase(); }
  const std::string& reason() const { return life_.reason(); }
  const std::map<uint64_t, std::unique_ptr<Session>>& sessions() const {
    return sessions_;
  }
  // Instances of the uplinks, and whether each has its session.
  std::vector<std::pair<std::string, bool>> Uplinks() const;
  // The domains whose frames pass `instance`; none of no uplink.
  std::vector<std::string> DomainsBehind(const std::string& instance) const;

 private:
  struct PendingQuery {
    RouterAnswer answer;
    std::function<void(absl::StatusOr<RouterAnswer>)> done;
    EventLoop::TimerId deadline = 0;
  };

  // router_host.cc: the process.
  supervisor::ProcessSpec MakeProcessSpec() const;
  void Record(absl::string_view kind, absl::string_view text) {
    life_.Record(kind, text);
  }
  void Breach(const std::string& reason) { life_.Breach(reason); }
  void Define();
  void Leave(const std::string& reason);
  absl::StatusOr<std::unique_ptr<RouterChannel>> MakeChannel(UniqueFd fd);
  absl::Status Begin();
  // ProcessLife::Owner:
  void BeginGeneration() override;
  void MeetGeneration() override { SettleUplinks(); }
  void DropChannel() override;
  void EndGeneration() override;
  void Recover() override;
  void ShowParked() override;
  void Park();

  // router_messages.cc: what it says.
  void HandleMessage(const nic_router::api::FromRouter& message);
  void HandleNeedState(uint64_t bytes);
  void HandleAttached();
  void HandlePulse(const nic_router::api::FromRouter::PulseLinks& pulse);
  void HandleClientBroken(uint64_t session_id, const std::string& reason);
  void HandleUplinkClosed(const std::string& instance,
                          const std::string& reason);
  void HandleAnswer(const nic_router::api::FromRouter::Answer& answer);
  void EndQuery(uint64_t number, absl::StatusOr<RouterAnswer> answer);
  void TellConfig();
  bool HasUplink(const std::string& instance) const;

  // router_sessions.cc: clients.
  void HearClientOf(Session& session);
  void OfferSession(Session& session);
  void CloseSession(uint64_t id, const std::string& reason);
  void CloseAll(const std::string& reason);
  void CloseDisallowed();
  void ShowStatus(Session& session);
  void ShowAll();
  void WatchProgress();
  void StopProgress();
  void CheckProgress();
  void LookLater(uint64_t interval_ns);
  bool Listen();

  EventLoop& loop_;
  SupervisorLink& link_;
  const std::string program_;
  Hooks hooks_;

  std::optional<policy::RouterSpec> wanted_;
  policy::RouterSpec spec_;  // Of the process.
  ProcessLife life_{loop_, link_, spec_.config.name, *this};
  int pid_ = 0;
  bool ending_ = false;  // The supervisor takes everything down.
  std::function<void(bool)> gone_;
  std::unique_ptr<RouterChannel> channel_;

  UniqueFd state_;  // What outlives routers.
  uint64_t state_bytes_ = 0;
  std::map<std::string, uint64_t> uplinks_;  // Instance to our session.
  EventLoop::TimerId uplink_timer_ = 0;
  std::map<uint64_t, std::unique_ptr<Session>> sessions_;
  uint32_t config_number_ = 0;
  std::map<uint64_t, PendingQuery> queries_;
  uint64_t next_query_ = 1;
  uint32_t stray_answers_ = 0;

  std::set<uint64_t> pulsed_;  // Sessions whose link is down for a moment.
  EventLoop::TimerId pulse_timer_ = 0;
  std::map<uint64_t, ProgressCheck> progress_;  // By session.
  TrafficWatch traffic_watch_{loop_, [this] { WatchProgress(); }};
  EventLoop::TimerId progress_timer_ = 0;
};

}  // namespace bulkhead::platform

#endif  // BULKHEAD_PLATFORM_SERVICE_ROUTER_ROUTER_HOST_H_
