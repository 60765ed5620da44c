#include "nic_router/process/runtime.h"

#include <sys/epoll.h>
#include <sys/random.h>

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/clock.h"
#include "base/errno_status.h"
#include "base/log.h"
#include "nic_router/api/config_message.h"
#include "packet_stream/client_end.h"
#include "packet_stream/open_reply.h"

namespace bulkhead::nic_router {
namespace {

// Under load the state of sessions is looked at once in so many turns.
constexpr uint64_t kTurnsPerLook = 64;
// A message has 128 KiB.
constexpr size_t kMaxRowBytes = 32 * 1024;

struct PlaceOfInstance {
  size_t uplink;
  size_t instance;
};

std::optional<PlaceOfInstance> FindInstance(const RouterConfig& config,
                                            const std::string& name) {
  for (size_t i = 0; i < config.uplinks.size(); ++i) {
    const std::vector<std::string>& instances = config.uplinks[i].instances;
    const auto found = std::find(instances.begin(), instances.end(), name);
    if (found == instances.end()) continue;
    return PlaceOfInstance{i, static_cast<size_t>(found - instances.begin())};
  }
  return std::nullopt;
}

}  // namespace

Runtime::~Runtime() {
  if (poller_ != 0) loop_.RemovePoller(poller_);
  loop_.Cancel(deadline_);
  // Before the ports that it uses.
  protocols_.reset();
  engine_.reset();
  for (auto& [id, client] : clients_) loop_.Unwatch(client.watch);
  for (auto& [name, uplink] : uplinks_) loop_.Unwatch(uplink.watch);
}

// --- Start ----------------------------------------------------------------

void Runtime::Begin(RouterGrant grant) {
  config_ = std::move(grant.config);
  auto platform = PlatformChannel::Create(
      loop_, std::move(grant.platform),
      {[this](api::ToRouter message, std::vector<UniqueFd> fds) {
         HandleRequest(std::move(message), std::move(fds));
       },
       // Its successor brings what is needed; frames go on (S5).
       [](absl::Status why) { LogWarning(why.message()); }});
  if (!platform.ok()) return events_.failed(platform.status());
  platform_ = *std::move(platform);
  const size_t bytes = Engine::StateBytes(config_);
  if (grant.state_bytes == bytes) {
    const absl::Status started =
        StartEngine(std::move(grant.state), grant.state_bytes);
    if (!started.ok()) events_.failed(started);
    return;
  }
  api::FromRouter message;
  message.mutable_need_state()->set_bytes(bytes);
  platform_->Send(std::move(message));
}

absl::Status Runtime::StartEngine(UniqueFd state, uint64_t bytes) {
  ASSIGN_OR_RETURN(state_, Mapping::MapSealed(state.get(), bytes,
                                              Access::kReadWrite));
  ASSIGN_OR_RETURN(engine_,
                   Engine::Create(config_, {state_.data(), state_.bytes()},
                                  MonotonicNs()));
  uint64_t seed = 0;
  if (::getrandom(&seed, sizeof(seed), 0) != sizeof(seed)) {
    return ErrnoStatus("get a random seed");
  }
  protocols_ = std::make_unique<DomainProtocols>(
      config_, *engine_, seed,
      [this](std::string_view domain) { PulseLinks(domain); }, MonotonicNs());
  engine_->SetLocalProtocols(protocols_.get());
  poller_ = loop_.AddPoller([this] { return Poll(); });
  api::FromRouter message;
  message.mutable_attached();
  platform_->Send(std::move(message));
  events_.started();
  for (Request& request : std::exchange(early_, {})) {
    HandleRequest(std::move(request.message), std::move(request.fds));
  }
  return absl::OkStatus();
}

// --- What the platform says -----------------------------------------------

void Runtime::HandleRequest(api::ToRouter message, std::vector<UniqueFd> fds) {
  if (engine_ == nullptr && !message.has_state()) {
    early_.push_back({std::move(message), std::move(fds)});
    return;
  }
  const absl::Status status = Carry(message, std::move(fds));
  // The platform is the trusted side: nonsense from it is a bug of ours.
  if (!status.ok()) events_.failed(status);
}

absl::Status Runtime::Carry(const api::ToRouter& message,
                            std::vector<UniqueFd> fds) {
  asleep_ = false;
  switch (message.message_case()) {
    case api::ToRouter::kOpenClient:
      return OpenClient(message.open_client().client(), std::move(fds));
    case api::ToRouter::kCloseClient:
      CloseClient(message.close_client().session_id());
      return absl::OkStatus();
    case api::ToRouter::kOpenUplink: {
      ASSIGN_OR_RETURN(UniqueFd socket,
                       TakeFd(fds, message.open_uplink().socket_fd(),
                              "open_uplink.socket_fd"));
      return OpenUplink(message.open_uplink().instance(), std::move(socket));
    }
    case api::ToRouter::kConfigure:
      Configure(message.configure());
      return absl::OkStatus();
    case api::ToRouter::kState: {
      if (engine_ != nullptr) return absl::OkStatus();
      ASSIGN_OR_RETURN(UniqueFd state, TakeFd(fds, message.state().state_fd(),
                                              "state.state_fd"));
      return StartEngine(std::move(state), message.state().bytes());
    }
    case api::ToRouter::kQuery:
      Answer(message.query());
      return absl::OkStatus();
    case api::ToRouter::MESSAGE_NOT_SET:
      break;
  }
  return absl::InvalidArgumentError(
      "the platform service sent an unknown message: it is of another version");
}

// --- Clients --------------------------------------------------------------

absl::Status Runtime::OpenClient(const api::ClientGrant& message,
                                 std::vector<UniqueFd> fds) {
  ASSIGN_OR_RETURN(ClientGrant grant, ParseClientGrant(message, fds));
  const uint64_t id = grant.provider.session_id;
  // A repetition of a platform service that took over.
  if (clients_.count(id) != 0) return absl::OkStatus();
  ASSIGN_OR_RETURN(std::unique_ptr<ClientPort> port,
                   ClientPort::Create(std::move(grant)));
  ClientEntry& client = clients_[id];
  client.port = std::move(port);
  ASSIGN_OR_RETURN(client.watch,
                   loop_.Watch(client.port->fd(), EPOLLIN,
                               [raw = client.port.get(), this](uint32_t) {
                                 asleep_ = false;
                                 raw->Disarm();
                               }));
  const auto member =
      engine_->AddClient(client.port->label(), client.port->mac(),
                         client.port.get(), MonotonicNs());
  if (member.ok()) {
    client.member = member->id;
    protocols_->AddClient(member->id, member->domain, client.port->mac());
    return absl::OkStatus();
  }
  // The platform closes it: it decides by the same configuration, which may be
  // on its way.
  LogWarning(absl::StrCat("session ", id, ": ", member.status().message()));
  return absl::OkStatus();
}

void Runtime::CloseClient(uint64_t session_id) {
  const auto it = clients_.find(session_id);
  if (it == clients_.end()) return;
  RemoveClient(it->second);
  if (it->second.watch != 0) loop_.Unwatch(it->second.watch);
  clients_.erase(it);
}

void Runtime::RemoveClient(ClientEntry& client) {
  if (client.member == 0) return;
  protocols_->RemoveClient(client.member);
  engine_->Remove(std::exchange(client.member, 0));
}

void Runtime::PulseLinks(std::string_view domain) {
  api::FromRouter message;
  for (const auto& [id, client] : clients_) {
    if (client.member != 0 && engine_->DomainOf(client.member) == domain) {
      message.mutable_pulse_links()->add_session_id(id);
    }
  }
  if (message.has_pulse_links()) platform_->Send(std::move(message));
}

// --- Uplinks --------------------------------------------------------------

absl::Status Runtime::OpenUplink(const std::string& instance, UniqueFd socket) {
  if (const auto it = uplinks_.find(instance); it != uplinks_.end()) {
    ForgetUplink(it->second);
    uplinks_.erase(it);
  }
  // One that the configuration has no more; closing the socket says so.
  if (!FindInstance(config_, instance)) return absl::OkStatus();
  UplinkEntry& uplink = uplinks_[instance];
  uplink.channel = SeqpacketChannel(std::move(socket));
  ASSIGN_OR_RETURN(uplink.watch,
                   loop_.Watch(uplink.channel.fd(), EPOLLIN,
                               [this, instance](uint32_t) {
                                 HandleUplinkReply(instance);
                               }));
  return absl::OkStatus();
}

void Runtime::HandleUplinkReply(std::string instance) {
  UplinkEntry& uplink = uplinks_[instance];
  packet_stream::OpenReply reply;
  std::vector<UniqueFd> fds;
  const absl::StatusOr<bool> received =
      uplink.channel.Receive(&reply, &fds,
                             packet_stream::ClientGrant::FdCount(1));
  if (received.ok() && !*received) return;
  loop_.Unwatch(std::exchange(uplink.watch, 0));
  const absl::Status taken =
      received.ok() ? TakeUplink(instance, uplink, reply, std::move(fds))
                    : received.status();
  if (!taken.ok()) CloseUplink(instance, std::string(taken.message()));
}

absl::Status Runtime::TakeUplink(const std::string& instance,
                                 UplinkEntry& entry,
                                 const packet_stream::OpenReply& reply,
                                 std::vector<UniqueFd> fds) {
  const auto place = FindInstance(config_, instance);
  if (!place) return absl::NotFoundError("no uplink of that name any more");
  ASSIGN_OR_RETURN(packet_stream::ClientGrant grant,
                   packet_stream::ParseOpenReply(reply, std::move(fds)));
  ASSIGN_OR_RETURN(std::unique_ptr<packet_stream::ClientEnd> session,
                   packet_stream::ClientEnd::Create(
                       std::move(grant),
                       packet_stream::OnRestart::kCountIndeterminate,
                       entry.channel.ReleaseFd()));
  entry.port = std::make_unique<UplinkPort>(instance, std::move(session));
  ASSIGN_OR_RETURN(entry.watch,
                   loop_.Watch(entry.port->fd(), EPOLLIN,
                               [raw = entry.port.get(), this](uint32_t) {
                                 asleep_ = false;
                                 raw->Disarm();
                               }));
  ASSIGN_OR_RETURN(entry.member,
                   engine_->AddUplink(place->uplink, place->instance,
                                      entry.port.get(), MonotonicNs()));
  asleep_ = false;
  return absl::OkStatus();
}

void Runtime::ForgetUplink(UplinkEntry& entry) {
  if (entry.member != 0) engine_->Remove(entry.member);
  if (entry.watch != 0) loop_.Unwatch(entry.watch);
}

void Runtime::CloseUplink(const std::string& instance,
                          const std::string& reason) {
  const auto it = uplinks_.find(instance);
  if (it == uplinks_.end()) return;
  ForgetUplink(it->second);
  uplinks_.erase(it);
  api::FromRouter message;
  message.mutable_uplink_closed()->set_instance(instance);
  message.mutable_uplink_closed()->set_reason(reason);
  platform_->Send(std::move(message));
}

// --- Reconfiguration ------------------------------------------------------

void Runtime::Configure(const api::ToRouter::Configure& request) {
  absl::StatusOr<RouterConfig> config = FromMessage(request.config());
  const absl::Status done =
      config.ok() ? Reconfigure(*std::move(config)) : config.status();
  api::FromRouter answer;
  answer.mutable_configured()->set_number(request.number());
  answer.mutable_configured()->set_refused(std::string(done.message()));
  platform_->Send(std::move(answer));
}

absl::Status Runtime::Reconfigure(RouterConfig config) {
  ASSIGN_OR_RETURN(const std::vector<MemberId> removed,
                   engine_->Reconfigure(config, MonotonicNs()));
  const RouterConfig before = std::exchange(config_, std::move(config));
  const std::set<MemberId> gone(removed.begin(), removed.end());
  // The platform closes their sessions.
  for (auto& [id, client] : clients_) {
    if (gone.count(client.member) == 0) continue;
    protocols_->RemoveClient(std::exchange(client.member, 0));
  }
  protocols_->Reconfigure(config_, MonotonicNs());
  std::vector<std::string> left;
  for (auto& [name, uplink] : uplinks_) {
    if (uplink.port == nullptr) continue;
    const auto old_place = FindInstance(before, name);
    const auto place = FindInstance(config_, name);
    if (!place) {
      uplink.member = 0;
      left.push_back(name);
    } else if (!old_place || before.uplinks[old_place->uplink] !=
                                 config_.uplinks[place->uplink]) {
      // The engine has groups that changed without their ports.
      const auto member =
          engine_->AddUplink(place->uplink, place->instance, uplink.port.get(),
                             MonotonicNs());
      uplink.member = member.ok() ? *member : 0;
      if (!member.ok()) left.push_back(name);
    }
  }
  for (const std::string& name : left) {
    CloseUplink(name, "the router's configuration changed");
  }
  return absl::OkStatus();
}

// --- What operators ask ---------------------------------------------------

absl::StatusOr<Table> Runtime::MakeTable(
    const api::ToRouter::Query& query) const {
  const std::string& what = query.what();
  if (what == "links") return engine_->Links();
  if (what == "domains") return engine_->Domains();
  if (what == "rules") return engine_->Rules();
  if (what == "leases") return protocols_->Leases();
  if (what == "arp") return engine_->Arp();
  if (what == "clients") return engine_->Clients();
  if (what == "uplinks") return engine_->Uplinks();
  if (what == "counters") {
    Table table = engine_->Counters();
    const Table more = protocols_->Counters();
    table.rows.insert(table.rows.end(), more.rows.begin(), more.rows.end());
    return table;
  }
  if (what == "explain") {
    ASSIGN_OR_RETURN(const std::vector<std::string> steps,
                     engine_->Explain(query.question()));
    Table table{{"step"}, {}};
    for (const std::string& step : steps) table.rows.push_back({step});
    return table;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("the router has no table `", what, "`"));
}

void Runtime::Answer(const api::ToRouter::Query& query) {
  const absl::StatusOr<Table> table = MakeTable(query);
  if (table.ok()) return SendRows(query.number(), *table);
  api::FromRouter message;
  message.mutable_answer()->set_number(query.number());
  message.mutable_answer()->set_last(true);
  message.mutable_answer()->set_refused(std::string(table.status().message()));
  platform_->Send(std::move(message));
}

void Runtime::SendRows(uint64_t number, const Table& table) {
  size_t next = 0;
  do {
    api::FromRouter message;
    api::FromRouter::Answer* answer = message.mutable_answer();
    answer->set_number(number);
    if (next == 0) answer->mutable_column()->Add(table.columns.begin(),
                                                 table.columns.end());
    size_t bytes = 0;
    for (; next < table.rows.size() && bytes < kMaxRowBytes; ++next) {
      auto* row = answer->add_row();
      for (const std::string& cell : table.rows[next]) {
        row->add_cell(cell);
        bytes += cell.size() + 4;
      }
    }
    answer->set_last(next == table.rows.size());
    platform_->Send(std::move(message));
  } while (next < table.rows.size());
}

// --- Frames ---------------------------------------------------------------

template <typename Visit>
void Runtime::ForEachPort(Visit visit) {
  for (auto& [id, client] : clients_) {
    if (!client.broken && !visit(*client.port)) return;
  }
  for (auto& [name, uplink] : uplinks_) {
    if (uplink.port != nullptr && !visit(*uplink.port)) return;
  }
}

bool Runtime::Poll() {
  const uint64_t now_ns = MonotonicNs();
  protocols_->Advance(now_ns);
  const bool moved = engine_->Turn(now_ns);
  ++turns_;
  if (!moved || turns_ % kTurnsPerLook == 0) LookAfterPorts();
  if (!moved) return !Sleep();
  Wake();
  return true;
}

// Peers that are awake need not ring; those of quiet sessions still do.
void Runtime::Wake() {
  asleep_ = false;
  ForEachPort([](SessionPort& port) {
    if (port.armed() && port.moved()) port.Disarm();
    return true;
  });
}

bool Runtime::Sleep() {
  bool quiet = true;
  ForEachPort([&quiet](SessionPort& port) {
    return quiet = port.armed() || port.Arm();
  });
  if (!quiet) return false;
  asleep_ = true;
  loop_.Cancel(std::exchange(deadline_, 0));
  std::optional<uint64_t> next = engine_->NextDeadline();
  const std::optional<uint64_t> other = protocols_->NextDeadline();
  if (other && (!next || *other < *next)) next = other;
  if (next) {
    deadline_ = loop_.At(*next, [this] {
      deadline_ = 0;
      asleep_ = false;
    });
  }
  return true;
}

void Runtime::LookAfterPorts() {
  for (auto& [id, client] : clients_) {
    if (client.broken || !client.port->broken()) continue;
    client.broken = true;
    RemoveClient(client);
    loop_.Unwatch(std::exchange(client.watch, 0));
    api::FromRouter message;
    message.mutable_client_broken()->set_session_id(id);
    message.mutable_client_broken()->set_reason(client.port->breach());
    platform_->Send(std::move(message));
  }
  std::vector<std::pair<std::string, std::string>> closed;
  for (auto& [name, uplink] : uplinks_) {
    if (uplink.port == nullptr) continue;
    const absl::Status status = uplink.port->closed();
    if (!status.ok()) closed.emplace_back(name, status.message());
  }
  for (const auto& [name, reason] : closed) CloseUplink(name, reason);
}

}  // namespace bulkhead::nic_router
