// Programs that want a session: may they, is there room, and with whom.
#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/clock.h"
#include "base/errno_status.h"
#include "base/log.h"
#include "platform_service/platform.h"
#include "platform_service/policy/matcher.h"
#include "platform_service/router/client_policy.h"

namespace bulkhead::platform {

using packet_stream::OpenReply;
using Refusal = packet_stream::OpenReply::Refusal;

void Platform::Refuse(OpenCall& call, Refusal::Code code, std::string text) {
  if (refusals_.Take(MonotonicNs())) {
    link_->Record(call.instance, 0, "session_refused",
                  absl::StrCat("client `", call.label, "` (pid ", call.peer.pid,
                               "): ", text));
  }
  SendRefusal(call.channel, {code, std::move(text)});
}

void Platform::HandleOpen(OpenCall call) {
  if (call.observe) return Observe(call);
  if (router_->Serves(call.instance)) return OpenAtRouter(std::move(call));
  Instance* instance = fleet_->FindInstance(call.instance);
  if (instance == nullptr) {
    return Refuse(call, Refusal::NO_SUCH_INSTANCE,
                  absl::StrCat("open a session: there is no instance `",
                               call.instance, "`; there is ", InstanceNames()));
  }
  OpenAtInstance(std::move(call), *instance);
}

void Platform::OpenAtInstance(OpenCall call, Instance& instance) {
  const auto limit =
      policy::MayOpen(fleet_->plan().clients, call.label, call.instance);
  if (!limit.ok()) {
    return Refuse(call, Refusal::NOT_ALLOWED,
                  std::string(limit.status().message()));
  }
  if (instance.phase() == Instance::Phase::kParked) {
    return Refuse(call, Refusal::PARKED,
                  absl::StrCat("open a session: ", call.instance,
                               " is parked: ", instance.reason(),
                               "; bring it back with `bulkhead restart ",
                               call.instance, "`"));
  }
  // Its end of file may lie in our queue behind this request.
  if (instance.busy() && instance.session()->ClientIsGone()) {
    instance.CloseSession("the client closed it");
  }
  if (instance.busy()) {
    const SessionIdentity& holder = instance.session()->identity();
    return Refuse(call, Refusal::BUSY,
                  absl::StrCat("open a session: ", call.instance,
                               " has its one direct client, `", holder.label,
                               "` (pid ", holder.client_pid,
                               "); close that one, or use another instance"));
  }
  const absl::Status opened = OpenSession(call, instance, *limit).status();
  if (opened.ok()) return;
  Refuse(
      call,
      absl::IsResourceExhausted(opened) ? Refusal::QUOTA : Refusal::BAD_REQUEST,
      std::string(opened.message()));
}

// --- The router's clients, and the router as a client ---------------------

void Platform::OpenAtRouter(OpenCall call) {
  const auto limit =
      policy::MayOpen(fleet_->plan().clients, call.label, call.instance);
  const absl::Status allowed =
      limit.ok() ? router_->MayOpen(call.label) : limit.status();
  if (!allowed.ok()) {
    return Refuse(call,
                  absl::IsResourceExhausted(allowed) ? Refusal::BUSY
                                                     : Refusal::NOT_ALLOWED,
                  std::string(allowed.message()));
  }
  if (router_->phase() == RouterHost::Phase::kParked) {
    return Refuse(call, Refusal::PARKED,
                  absl::StrCat("open a session: ", call.instance,
                               " is parked: ", router_->reason(),
                               "; bring it back with `bulkhead restart ",
                               call.instance, "`"));
  }
  // The router serves a client by one of its threads, over one lane.
  call.geometry.lanes = 1;
  auto session = MakeSession(call, *limit);
  if (!session.ok()) {
    return Refuse(call,
                  absl::IsResourceExhausted(session.status())
                      ? Refusal::QUOTA
                      : Refusal::BAD_REQUEST,
                  std::string(session.status().message()));
  }
  Session& opened = **session;
  router_->OpenSession(*std::move(session));
  link_->Record(call.instance, 0, "session_opened",
                absl::StrCat("session ", opened.id(), " of `", call.label,
                             "`, pid ", call.peer.pid));
  // A client that went away is heard of through its socket.
  opened.SendGrant().IgnoreError();
  observers_.Announce(opened, PlaceOf(opened));
  Park();
}

RouterHost::Hooks Platform::RouterHooks() {
  RouterHost::Hooks hooks;
  hooks.look = [this](const std::string& name) { return LookForRouter(name); };
  hooks.open = [this](const std::string& name, const std::string& label,
                      int pid, SeqpacketChannel channel) {
    return OpenForRouter(name, label, pid, std::move(channel));
  };
  return hooks;
}

RouterHost::InstanceState Platform::LookForRouter(const std::string& name) {
  Instance* instance = fleet_->FindInstance(name);
  if (instance == nullptr) return {};
  // The last router's end of file may not have been read yet.
  if (instance->busy() && instance->session()->ClientIsGone()) {
    instance->CloseSession("the client closed it");
  }
  return {instance->phase() != Instance::Phase::kParked,
          instance->busy() ? instance->session()->id() : 0};
}

absl::StatusOr<uint64_t> Platform::OpenForRouter(const std::string& name,
                                                 const std::string& label,
                                                 int pid,
                                                 SeqpacketChannel channel) {
  OpenCall call;
  call.channel = std::move(channel);
  call.peer.pid = pid;
  call.label = label;
  call.instance = name;
  // The router is a part of the system: `clients` is about others.
  return OpenSession(call, *fleet_->FindInstance(name), 0);
}

// --- Looking on -----------------------------------------------------------

SessionPlace Platform::PlaceOf(const Session& session) const {
  const SessionIdentity& identity = session.identity();
  if (!router_->defined()) return {identity.instance, {}};
  const std::string& router = router_->spec().config.name;
  if (identity.instance != router) {
    if (identity.label != router) return {identity.instance, {}};
    return {identity.instance, router_->DomainsBehind(identity.instance)};
  }
  const auto domain = DomainOf(router_->spec().config, identity.label);
  SessionPlace place{absl::StrCat(router, "/", identity.label), {}};
  if (domain.ok()) place.domains.push_back(*domain);
  return place;
}

void Platform::ForEachSession(
    const std::function<void(const Session&)>& visit) const {
  for (const auto& [name, instance] : fleet_->instances()) {
    if (instance->busy()) visit(*instance->session());
  }
  for (const auto& [id, session] : router_->sessions()) visit(*session);
}

// Whoever looks on names an instance, the router, or ROUTER/LABEL, of which
// there may be none yet.
absl::Status Platform::MayObserve(const OpenCall& call) {
  std::string router;
  if (router_->defined()) router = router_->spec().config.name;
  if (!call.domain.empty()) {
    if (router.empty() || call.instance != router) {
      return absl::NotFoundError(absl::StrCat(
          "look on at ", call.instance, ": a domain is a router's, and ",
          router.empty() ? "there is no router"
                         : absl::StrCat("the router is `", router, "`")));
    }
    std::vector<std::string> domains;
    for (const auto& domain : router_->spec().config.domains) {
      if (domain.name == call.domain) return absl::OkStatus();
      domains.push_back(domain.name);
    }
    return absl::NotFoundError(absl::StrCat(
        "look on at ", router, ": there is no domain `", call.domain,
        "`; there is ", absl::StrJoin(domains, ", ")));
  }
  const bool of_router =
      !router.empty() && (call.instance == router ||
                          absl::StartsWith(call.instance, router + "/"));
  if (of_router || fleet_->FindInstance(call.instance) != nullptr) {
    return absl::OkStatus();
  }
  return absl::NotFoundError(absl::StrCat("look on: there is no instance `",
                                          call.instance, "`; there is ",
                                          InstanceNames()));
}

// The scenario's `clients` keep programs of one user apart by labels; who looks
// on is an operator, and was let in as the user (or root) already.
void Platform::Observe(OpenCall& call) {
  if (const absl::Status may = MayObserve(call); !may.ok()) {
    return Refuse(call, Refusal::NO_SUCH_INSTANCE, std::string(may.message()));
  }
  const int pid = call.peer.pid;
  const ObservedPlace observed{call.instance, call.domain};
  SeqpacketChannel* channel =
      observers_.Add(observed, pid, std::move(call.channel));
  if (channel == nullptr) return;
  link_->Record(
      call.instance, 0, "capture_began",
      absl::StrCat("pid ", pid, call.domain.empty() ? "" : ", domain ",
                   call.domain));
  ForEachSession([&](const Session& session) {
    const SessionPlace place = PlaceOf(session);
    if (!Observers::Sees(observed, session, place)) return;
    const absl::Status sent = session.SendObservation(*channel, place.name);
    if (!sent.ok()) LogWarning(sent.message());
  });
}

void Platform::NoteEndOfCapture(const std::string& name, int pid) {
  link_->Record(name, 0, "capture_ended", absl::StrCat("pid ", pid));
}

std::string Platform::InstanceNames() const {
  std::vector<std::string> names;
  for (const auto& [name, instance] : fleet_->instances()) {
    names.push_back(name);
  }
  if (router_->defined()) names.push_back(router_->spec().config.name);
  return names.empty() ? "none" : absl::StrJoin(names, ", ");
}

absl::StatusOr<std::unique_ptr<Session>> Platform::MakeSession(
    OpenCall& call, uint64_t limit_bytes) {
  ASSIGN_OR_RETURN(
      QuotaCharge charge,
      ledger_.Charge(call.label, call.geometry.TotalBytes(), limit_bytes));
  SessionIdentity identity;
  identity.id = next_session_id_++;
  identity.label = call.label;
  identity.instance = call.instance;
  identity.geometry = call.geometry;
  identity.client_pid = call.peer.pid;
  return Session::Create(loop_, *link_, std::move(identity),
                         std::move(call.channel), std::move(charge), nullptr);
}

absl::StatusOr<uint64_t> Platform::OpenSession(OpenCall& call,
                                               Instance& instance,
                                               uint64_t limit_bytes) {
  // The client is told by the grant, and charged for what it gets.
  call.geometry.lanes = std::min(call.geometry.lanes, instance.lanes());
  ASSIGN_OR_RETURN(std::unique_ptr<Session> session,
                   MakeSession(call, limit_bytes));
  Session* raw = session.get();
  const uint64_t id = raw->id();
  RETURN_IF_ERROR(instance.OpenSession(std::move(session)));
  link_->Record(call.instance, 0, "session_opened",
                absl::StrCat("session ", id, " of `", call.label, "`, pid ",
                             call.peer.pid));
  if (!raw->SendGrant().ok()) {
    instance.CloseSession("the client went away");
  } else {
    observers_.Announce(*raw, PlaceOf(*raw));
  }
  Park();
  return id;
}

}  // namespace bulkhead::platform
