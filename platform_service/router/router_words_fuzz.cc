// Whatever a router says to the platform service, in whatever order, while
// clients come: it costs the router its life at most. The platform service goes
// on, what it tells the supervisor can be read, and no session is lost that the
// router did not accuse.
#include <sys/socket.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/seqpacket.h"
#include "platform_service/router/router_host.h"
#include "platform_service/testing/fake_supervisor.h"

namespace bulkhead::platform {
namespace {

using nic_router::api::RouterGrant;
using supervisor::FromSupervisor;
using supervisor::ProcessState;

void Check(bool good) {
  if (!good) std::abort();
}

class PlayedSystem {
 public:
  PlayedSystem() : loop_(*EventLoop::Create()), supervisor_(*loop_) {
    SupervisorLink::Handlers handlers;
    handlers.died = [this](const auto& died) { host_->OnDied(died); };
    handlers.state = [this](const auto& state) { host_->OnState(state); };
    handlers.removed = [](const auto&) {};
    handlers.event = [](const auto&) {};
    handlers.parked = [](auto, auto, auto) {};
    handlers.restored = [](auto) {};
    handlers.refused = [](const auto&, const auto&) {};
    handlers.lost = [] {};
    link_ = *SupervisorLink::Create(*loop_, supervisor_.TakeChannel(),
                                    std::move(handlers));
    supervisor_.flush_events = [this] { link_->FlushEvents(); };
    RouterHost::Hooks hooks;
    hooks.look = [](const std::string&) {
      return RouterHost::InstanceState{.exists = true};
    };
    hooks.open = [](const std::string&, const std::string&, int,
                    SeqpacketChannel) { return uint64_t{77}; };
    host_ = std::make_unique<RouterHost>(*loop_, *link_, "/bin/router",
                                         std::move(hooks));
    policy::RouterSpec spec;
    spec.config.domains.resize(1);
    spec.config.domains[0].name = "lab";
    spec.config.uplinks = {{{"nic0"}, "lab", {}}};
    spec.config.policies = {
        {nic_router::PolicyRule::Kind::kPrefix, "vm-", "lab", 0, 0, 1}};
    host_->Apply(spec);
    supervisor_.Turn();
    TakeGrant();
  }

  void Say(std::string_view bytes) {
    // A message as any other, or a packet that is none.
    if (nic_router::api::FromRouter message;
        message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
      (void)router_.Send(message);
    } else {
      (void)::send(router_.fd(), bytes.data(), bytes.size(),
                   MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    supervisor_.Turn();
    Check(!supervisor_.garbled);
    if (!supervisor_.TakeBreach().empty()) Die();
  }

  void OpenClient() {
    if (clients_.size() == 4) return;
    auto pair = SeqpacketChannel::CreatePair();
    clients_.push_back(std::move(pair->first));
    SessionIdentity identity;
    identity.id = clients_.size();
    identity.label = "vm-1";
    identity.instance = "router";
    identity.geometry = {16, 16, 2048};
    auto session = Session::Create(*loop_, *link_, identity,
                                   std::move(pair->second), {}, nullptr);
    if (session.ok()) host_->OpenSession(*std::move(session));
    supervisor_.Turn();
  }

  void Ask() {
    host_->Query("links", "", [](const auto&) {});
    supervisor_.Turn();
  }

  // Its successor is granted every session that there was.
  void Die() {
    const size_t sessions = host_->sessions().size();
    FromSupervisor message;
    message.mutable_died()->set_name("router");
    message.mutable_died()->set_generation(generation_);
    message.mutable_died()->set_cause("broke the peace");
    supervisor_.Say(message);
    TakeGrant();
    Check(host_->sessions().size() == sessions);
  }

 private:
  void TakeGrant() {
    FakeSupervisor::Order begin = supervisor_.TakeBegin();
    RouterGrant grant;
    Check(begin.message.has_begin() &&
          grant.ParseFromString(begin.message.begin().payload()) &&
          grant.platform_fd() < begin.fds.size());
    router_ = SeqpacketChannel(std::move(begin.fds[grant.platform_fd()]));
    ++generation_;
    FromSupervisor message;
    message.mutable_state()->set_name("router");
    message.mutable_state()->set_phase(ProcessState::RUNNING);
    message.mutable_state()->set_generation(generation_);
    supervisor_.Say(message);
  }

  std::unique_ptr<EventLoop> loop_;
  FakeSupervisor supervisor_;
  std::unique_ptr<SupervisorLink> link_;
  std::vector<SeqpacketChannel> clients_;
  std::unique_ptr<RouterHost> host_;
  SeqpacketChannel router_;
  uint32_t generation_ = 0;
};

}  // namespace
}  // namespace bulkhead::platform

// A step is a byte that says what happens; for a message its length follows.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view input(reinterpret_cast<const char*>(data), size);
  bulkhead::platform::PlayedSystem system;
  for (int step = 0; step < 16 && input.size() >= 2; ++step) {
    const int what = input[0] & 7;
    input.remove_prefix(1);
    if (what == 0) {
      system.OpenClient();
    } else if (what == 1) {
      system.Ask();
    } else if (what == 2) {
      system.Die();
    } else {
      const auto length = static_cast<uint8_t>(input[0]);
      input.remove_prefix(1);
      system.Say(input.substr(0, length));
      input.remove_prefix(std::min<size_t>(length, input.size()));
    }
  }
  return 0;
}
