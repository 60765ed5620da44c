// Programs that want a session: may they, is there room, and with whom.
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/clock.h"
#include "base/errno_status.h"
#include "base/log.h"
#include "platform_service/platform.h"
#include "platform_service/policy/matcher.h"

namespace bulkhead::platform {

using packet_stream::OpenReply;
using Refusal = packet_stream::OpenReply::Refusal;

void Platform::HandleOpen(OpenCall call) {
  const auto refuse = [this, &call](Refusal::Code code, std::string text) {
    if (refusals_.Take(MonotonicNs())) {
      link_->Record(call.instance, 0, "session_refused",
                    absl::StrCat("client `", call.label, "` (pid ",
                                 call.peer.pid, "): ", text));
    }
    SendRefusal(call.channel, {code, std::move(text)});
  };
  Instance* instance = fleet_->FindInstance(call.instance);
  if (instance == nullptr) {
    return refuse(Refusal::NO_SUCH_INSTANCE,
                  absl::StrCat("open a session: there is no instance `",
                               call.instance, "`; there is ", InstanceNames()));
  }
  if (call.observe) return Observe(call, *instance);
  const auto limit =
      policy::MayOpen(fleet_->plan().clients, call.label, call.instance);
  if (!limit.ok()) {
    return refuse(Refusal::NOT_ALLOWED, std::string(limit.status().message()));
  }
  if (instance->phase() == Instance::Phase::kParked) {
    return refuse(Refusal::PARKED,
                  absl::StrCat("open a session: ", call.instance,
                               " is parked: ", instance->reason(),
                               "; bring it back with `bulkhead restart ",
                               call.instance, "`"));
  }
  // Its end of file may lie in our queue behind this request.
  if (instance->busy() && instance->session()->ClientIsGone()) {
    instance->CloseSession("the client closed it");
  }
  if (instance->busy()) {
    const SessionIdentity& holder = instance->session()->identity();
    return refuse(Refusal::BUSY,
                  absl::StrCat("open a session: ", call.instance,
                               " has its one direct client, `", holder.label,
                               "` (pid ", holder.client_pid,
                               "); close that one, or use another instance"));
  }
  const absl::Status opened = OpenSession(call, *instance, *limit);
  if (absl::IsResourceExhausted(opened)) {
    refuse(Refusal::QUOTA, std::string(opened.message()));
  } else if (!opened.ok()) {
    refuse(Refusal::BAD_REQUEST, std::string(opened.message()));
  }
}

// The scenario's `clients` keep programs of one user apart by labels; who looks
// on is an operator, and was let in as the user (or root) already.
void Platform::Observe(OpenCall& call, Instance& instance) {
  const int pid = call.peer.pid;
  SeqpacketChannel* channel =
      observers_.Add(call.instance, pid, std::move(call.channel));
  if (channel == nullptr) return;
  link_->Record(call.instance, 0, "capture_began", absl::StrCat("pid ", pid));
  if (!instance.busy()) return;
  const absl::Status sent = instance.session()->SendObservation(*channel);
  if (!sent.ok()) LogWarning(sent.message());
}

void Platform::NoteEndOfCapture(const std::string& instance, int pid) {
  link_->Record(instance, 0, "capture_ended", absl::StrCat("pid ", pid));
}

std::string Platform::InstanceNames() const {
  std::vector<std::string> names;
  for (const auto& [name, instance] : fleet_->instances()) {
    names.push_back(name);
  }
  return names.empty() ? "none" : absl::StrJoin(names, ", ");
}

absl::Status Platform::OpenSession(OpenCall& call, Instance& instance,
                                   uint64_t limit_bytes) {
  ASSIGN_OR_RETURN(
      QuotaCharge charge,
      ledger_.Charge(call.label, call.geometry.TotalBytes(), limit_bytes));
  SessionIdentity identity;
  identity.id = next_session_id_++;
  identity.label = call.label;
  identity.instance = call.instance;
  identity.geometry = call.geometry;
  identity.client_pid = call.peer.pid;
  const uint64_t id = identity.id;
  ASSIGN_OR_RETURN(
      std::unique_ptr<Session> session,
      Session::Create(loop_, *link_, std::move(identity),
                      std::move(call.channel), std::move(charge), nullptr));
  Session* raw = session.get();
  RETURN_IF_ERROR(instance.OpenSession(std::move(session)));
  link_->Record(call.instance, 0, "session_opened",
                absl::StrCat("session ", id, " of `", call.label, "`, pid ",
                             call.peer.pid));
  if (!raw->SendGrant().ok()) {
    instance.CloseSession("the client went away");
  } else {
    observers_.Announce(*raw);
  }
  Park();
  return absl::OkStatus();
}

}  // namespace bulkhead::platform
