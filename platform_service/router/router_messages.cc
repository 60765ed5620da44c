// What the router says, what it is asked, and its uplinks.
#include <chrono>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/errno_status.h"
#include "base/log.h"
#include "base/shared_memory.h"
#include "nic_router/api/config_message.h"
#include "platform_service/router/router_host.h"

namespace bulkhead::platform {
namespace {

using nic_router::api::FromRouter;
using nic_router::api::ToRouter;

// 16 million flows of 256 bytes.
constexpr uint64_t kMaxStateBytes = uint64_t{4} << 30;
constexpr auto kQueryPatience = std::chrono::seconds(3);
// Until an uplink that could not be opened is tried again.
constexpr auto kUplinkRetry = std::chrono::milliseconds(500);
// Long enough for a client's kernel to take notice.
constexpr auto kPulse = std::chrono::milliseconds(200);
constexpr size_t kMaxRows = 1'000'000;
constexpr uint32_t kMostStrayAnswers = 256;
constexpr size_t kMaxWords = 200;

// A router's words, short and harmless: cut within a character, they were no
// text any more, and the supervisor gives up who sends it such.
std::string Shortened(absl::string_view words) {
  return absl::CHexEscape(words.substr(0, kMaxWords));
}

}  // namespace

void RouterHost::HandleMessage(const FromRouter& message) {
  switch (message.message_case()) {
    case FromRouter::kNeedState:
      return HandleNeedState(message.need_state().bytes());
    case FromRouter::kAttached:
      return HandleAttached();
    case FromRouter::kClientBroken:
      return HandleClientBroken(message.client_broken().session_id(),
                                message.client_broken().reason());
    case FromRouter::kUplinkClosed:
      return HandleUplinkClosed(message.uplink_closed().instance(),
                                message.uplink_closed().reason());
    case FromRouter::kConfigured:
      if (message.configured().refused().empty()) {
        Record("configured", "frames flow on");
      } else {
        Record("refused", Shortened(message.configured().refused()));
      }
      return;
    case FromRouter::kAnswer:
      return HandleAnswer(message.answer());
    case FromRouter::kPulseLinks:
      return HandlePulse(message.pulse_links());
    case FromRouter::MESSAGE_NOT_SET:
      return Breach("platform channel: a message that says nothing");
  }
}

void RouterHost::HandleNeedState(uint64_t bytes) {
  if (bytes == 0 || bytes % kPageBytes != 0 || bytes > kMaxStateBytes) {
    return Breach(absl::StrCat("asked for ", bytes, " bytes of state"));
  }
  if (bytes != state_bytes_) {
    auto memory =
        CreateSealedMemory(absl::StrCat("state-", spec_.config.name), bytes);
    if (!memory.ok()) return Breach(std::string(memory.status().message()));
    state_ = *std::move(memory);
    state_bytes_ = bytes;
    Park();
  }
  ToRouter answer;
  answer.mutable_state()->set_bytes(bytes);
  answer.mutable_state()->set_state_fd(0);
  const int fd = state_.get();
  channel_->Send(std::move(answer), {&fd, 1});
}

void RouterHost::HandleAttached() {
  if (phase() != Phase::kGranting) {
    return Breach("said Attached, which it is");
  }
  life_.Attached();
  Record("attached", absl::StrCat(sessions_.size(), " clients"));
  ShowAll();
  SettleUplinks();
  WatchProgress();
  Park();
}

void RouterHost::HandleClientBroken(uint64_t session_id,
                                    const std::string& reason) {
  const auto it = sessions_.find(session_id);
  // We may have closed it meanwhile.
  if (it == sessions_.end()) return;
  const std::string text = absl::StrCat(
      "the client broke the session's protocol: ", Shortened(reason));
  Record("session_broken",
         absl::StrCat("session ", session_id, " of ",
                      it->second->identity().label, ": ", text));
  CloseSession(session_id, text);
}

void RouterHost::HandlePulse(const FromRouter::PulseLinks& pulse) {
  for (const uint64_t id : pulse.session_id()) {
    if (sessions_.count(id) != 0) pulsed_.insert(id);
  }
  ShowAll();
  if (pulse_timer_ != 0) return;
  pulse_timer_ = loop_.After(kPulse, [this] {
    pulse_timer_ = 0;
    pulsed_.clear();
    ShowAll();
  });
}

// --- Uplinks --------------------------------------------------------------

void RouterHost::HandleUplinkClosed(const std::string& instance,
                                    const std::string& reason) {
  if (uplinks_.erase(instance) == 0) return;
  Record("uplink_closed", absl::StrCat(instance, ": ", Shortened(reason)));
  SettleUplinks();
}

bool RouterHost::HasUplink(const std::string& instance) const {
  const auto it = uplinks_.find(instance);
  return it != uplinks_.end() && hooks_.look(instance).session_id == it->second;
}

void RouterHost::SettleUplinks() {
  if (phase() != Phase::kAttached || life_.leaving()) return;
  bool changed = false;
  bool retry = false;
  for (const nic_router::UplinkConfig& uplink : spec_.config.uplinks) {
    for (const std::string& instance : uplink.instances) {
      if (HasUplink(instance)) continue;
      uplinks_.erase(instance);
      const InstanceState state = hooks_.look(instance);
      retry = true;
      if (!state.exists || state.session_id != 0) continue;
      auto pair = SeqpacketChannel::CreatePair();
      if (!pair.ok()) continue;
      const absl::StatusOr<uint64_t> session = hooks_.open(
          instance, spec_.config.name, pid_, std::move(pair->first));
      if (!session.ok()) {
        LogWarning(absl::StrCat(spec_.config.name, ": ", instance, ": ",
                                session.status().message()));
        continue;
      }
      uplinks_[instance] = *session;
      ToRouter message;
      message.mutable_open_uplink()->set_instance(instance);
      message.mutable_open_uplink()->set_socket_fd(0);
      const int socket = pair->second.fd();
      channel_->Send(std::move(message), {&socket, 1});
      Record("uplink_opened", absl::StrCat(instance, ", session ", *session));
      changed = true;
    }
  }
  if (changed) Park();
  if (retry && uplink_timer_ == 0) {
    uplink_timer_ = loop_.After(kUplinkRetry, [this] {
      uplink_timer_ = 0;
      SettleUplinks();
    });
  }
}

std::vector<std::pair<std::string, bool>> RouterHost::Uplinks() const {
  std::vector<std::pair<std::string, bool>> uplinks;
  for (const nic_router::UplinkConfig& uplink : spec_.config.uplinks) {
    for (const std::string& instance : uplink.instances) {
      uplinks.emplace_back(instance, HasUplink(instance));
    }
  }
  return uplinks;
}

std::vector<std::string> RouterHost::DomainsBehind(
    const std::string& instance) const {
  std::vector<std::string> domains;
  for (const nic_router::UplinkConfig& uplink : spec_.config.uplinks) {
    if (std::count(uplink.instances.begin(), uplink.instances.end(),
                   instance) == 0) {
      continue;
    }
    if (!uplink.domain.empty()) domains.push_back(uplink.domain);
    for (const auto& vlan : uplink.vlans) domains.push_back(vlan.domain);
  }
  return domains;
}

void RouterHost::TellConfig() {
  if (channel_ == nullptr) return;
  ToRouter message;
  message.mutable_configure()->set_number(++config_number_);
  *message.mutable_configure()->mutable_config() =
      nic_router::ToMessage(spec_.config);
  channel_->Send(std::move(message));
}

// --- Queries --------------------------------------------------------------

void RouterHost::Query(const std::string& what, const std::string& question,
                       std::function<void(absl::StatusOr<RouterAnswer>)> done) {
  if (phase() != Phase::kAttached || channel_ == nullptr) {
    return done(absl::FailedPreconditionError(
        absl::StrCat("ask the router: it is ", PhaseName(phase()),
                     reason().empty() ? "" : absl::StrCat(" (", reason(), ")"),
                     "; see `bulkhead events ", spec_.config.name, "`")));
  }
  const uint64_t number = next_query_++;
  PendingQuery& query = queries_[number];
  query.done = std::move(done);
  query.deadline = loop_.After(kQueryPatience, [this, number] {
    EndQuery(number, absl::DeadlineExceededError(
                         "ask the router: no answer came within 3 s"));
  });
  ToRouter message;
  message.mutable_query()->set_number(number);
  message.mutable_query()->set_what(what);
  message.mutable_query()->set_question(question);
  channel_->Send(std::move(message));
}

void RouterHost::HandleAnswer(const FromRouter::Answer& answer) {
  const auto it = queries_.find(answer.number());
  if (it == queries_.end()) {
    // Nobody waits for it any more; or nobody ever did.
    if (++stray_answers_ > kMostStrayAnswers) {
      Breach("answers what nobody asked");
    }
    return;
  }
  RouterAnswer& table = it->second.answer;
  if (!answer.refused().empty()) {
    return EndQuery(answer.number(),
                    absl::InvalidArgumentError(Shortened(answer.refused())));
  }
  if (!answer.column().empty()) {
    table.columns.assign(answer.column().begin(), answer.column().end());
  }
  for (const FromRouter::Row& row : answer.row()) {
    table.rows.emplace_back(row.cell().begin(), row.cell().end());
  }
  if (table.rows.size() > kMaxRows) {
    return EndQuery(answer.number(), absl::ResourceExhaustedError(
                                         "ask the router: its answer is "
                                         "longer than a million rows"));
  }
  if (answer.last()) EndQuery(answer.number(), std::move(table));
}

void RouterHost::EndQuery(uint64_t number,
                          absl::StatusOr<RouterAnswer> answer) {
  auto node = queries_.extract(number);
  if (node.empty()) return;
  loop_.Cancel(node.mapped().deadline);
  node.mapped().done(std::move(answer));
}

}  // namespace bulkhead::platform
