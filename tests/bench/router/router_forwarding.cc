#include "tests/bench/router/router_forwarding.h"

#include <immintrin.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/errno_status.h"
#include "nic_router/engine/engine.h"
#include "nic_router/sessions/client_port.h"
#include "nic_router/sessions/uplink_port.h"
#include "tests/bench/router/cpu_time.h"
#include "tests/bench/router/session_ends.h"

namespace bulkhead::bench {
namespace {

using nic_router::ClientPort;
using nic_router::Engine;
using nic_router::RouterConfig;
using nic_router::UplinkPort;

constexpr int kEndsCpu = 0;
constexpr int kRouterCpu = 1;
constexpr Mac kClientMac = {2, 0, 0, 0, 1, 2};
constexpr Mac kNicMac = {2, 0, 0, 0, 2, 1};

RouterConfig Config() {
  using namespace nic_router;  // NOLINT
  DomainConfig clients;
  clients.name = "clients";
  clients.interface = Ipv4Prefix{0x0a000101, 24};
  clients.udp = {{{0, 0}, "uplink", {}}};
  DomainConfig uplink;
  uplink.name = "uplink";
  uplink.interface = Ipv4Prefix{0x0a000201, 24};
  uplink.gateway = 0x0a000202;
  uplink.use_arp = false;  // Nobody answers; a neighbour is known anyway.
  uplink.nat = {{"clients", 0, 300'000, 0}};
  RouterConfig config;
  config.domains = {clients, uplink};
  config.uplinks = {{{"nic0"}, "uplink", {}}};
  config.policies.resize(1);
  config.policies[0].domain = "clients";
  config.max_flows = 262'144;
  config.max_packets_per_turn = 256;
  return config;
}

// The engine's state memory is aligned so.
struct alignas(64) CacheLine {
  uint8_t bytes[64];
};

class EngineThread final : public RouterUnderTest {
 public:
  explicit EngineThread(packet_stream::SessionAreas client,
                        packet_stream::SessionAreas uplink)
      : client_areas_(std::move(client)), uplink_areas_(std::move(uplink)) {}
  ~EngineThread() override {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }

  absl::Status Begin() {
    const RouterConfig config = Config();
    state_.resize(Engine::StateBytes(config) / sizeof(CacheLine));
    ASSIGN_OR_RETURN(engine_,
                     Engine::Create(config,
                                    {reinterpret_cast<uint8_t*>(state_.data()),
                                     state_.size() * sizeof(CacheLine)},
                                    MonotonicNs()));
    RETURN_IF_ERROR(MakePorts());
    PinThread(kEndsCpu);
    ASSIGN_OR_RETURN(SendingClient sender, SendingClient::Open(client_areas_));
    sender_.emplace(std::move(sender));
    ASSIGN_OR_RETURN(TakingProvider taker, TakingProvider::Open(uplink_areas_));
    taker_.emplace(std::move(taker));
    const uint64_t now_ns = MonotonicNs();
    RETURN_IF_ERROR(
        engine_->AddClient("bench", kClientMac, client_port_.get(), now_ns)
            .status());
    RETURN_IF_ERROR(
        engine_->AddUplink(0, 0, uplink_port_.get(), now_ns).status());
    router_mac_ = engine_->RouterMac("clients");
    thread_ = std::thread([this] { Run(); });
    while (!taker_->Ready()) _mm_pause();
    return absl::OkStatus();
  }

  absl::StatusOr<Forwarded> Forward(uint32_t first_flow, uint32_t flows,
                                    Mix mix, uint32_t milliseconds) override {
    TestFlows frames(kClientMac, router_mac_, first_flow, flows, mix);
    Forwarded result;
    const uint64_t busy = busy_ns_;
    const uint64_t start = MonotonicNs();
    const uint64_t end = start + milliseconds * uint64_t{1'000'000};
    uint64_t moved = start;
    for (uint64_t now = start;; now = MonotonicNs()) {
      const bool sending = milliseconds != 0 ? now < end : result.sent < flows;
      if (sending) result.sent += sender_->Send(frames, 64);
      const size_t taken = taker_->Take();
      result.frames += taken;
      if (taken != 0) moved = now;
      if (!sending && sender_->in_flight() == 0 && taken == 0) break;
      if (now - moved > 1'000'000'000) break;  // Everything was dropped.
      // Collects acknowledgements.
      if (!sending) sender_->Send(frames, 0);
    }
    result.wall_ns = moved - start;
    // Until the thread has found nothing to do once more.
    for (uint64_t last = busy_ns_; busy_ns_ == last;) {
      if (MonotonicNs() - moved > 100'000'000) break;
      ::usleep(1000);
    }
    result.cpu_ns = busy_ns_ - busy;
    RETURN_IF_ERROR(sender_->health());
    if (result.frames < result.sent / 2) {
      std::string drops;
      for (const auto& row : engine_->Counters().rows) {
        if (row[1] != "0") absl::StrAppend(&drops, " ", row[0], "=", row[1]);
      }
      return absl::UnavailableError(
          absl::StrCat("the router forwarded ", result.frames, " of ",
                       result.sent, " frames:", drops));
    }
    return result;
  }

 private:
  absl::Status MakePorts() {
    nic_router::ClientGrant grant;
    ASSIGN_OR_RETURN(grant.provider, client_areas_.MakeProviderGrant(1, 1));
    grant.tx_data = UniqueFd(::dup(client_areas_.tx_data_fd()));
    grant.rx_data = UniqueFd(::dup(client_areas_.rx_data_fd()));
    grant.label = "bench";
    grant.mac = kClientMac;
    ASSIGN_OR_RETURN(client_port_, ClientPort::Create(std::move(grant)));
    ASSIGN_OR_RETURN(auto uplink_grant, uplink_areas_.MakeClientGrant(1, 1));
    ASSIGN_OR_RETURN(
        auto session,
        packet_stream::ClientEnd::Create(
            std::move(uplink_grant),
            packet_stream::OnRestart::kCountIndeterminate, UniqueFd()));
    uplink_port_ = std::make_unique<UplinkPort>("nic0", std::move(session));
    return absl::OkStatus();
  }

  // CPU time from the end of a turn that found nothing to the end of the next
  // such one, if there was work in between.
  void Run() {
    PinThread(kRouterCpu);
    uint64_t since = ThreadCpuNs();
    bool worked = false;
    while (!stop_) {
      if (engine_->Turn(MonotonicNs())) {
        worked = true;
        continue;
      }
      const uint64_t now = ThreadCpuNs();
      if (worked) busy_ns_ += now - since;
      since = now;
      worked = false;
    }
  }

  packet_stream::SessionAreas client_areas_;
  packet_stream::SessionAreas uplink_areas_;
  std::vector<CacheLine> state_;
  std::unique_ptr<ClientPort> client_port_;
  std::unique_ptr<UplinkPort> uplink_port_;
  std::unique_ptr<Engine> engine_;  // Uses the ports.
  nic_router::MacAddress router_mac_{};
  std::optional<SendingClient> sender_;
  std::optional<TakingProvider> taker_;
  std::atomic<bool> stop_ = false;
  std::atomic<uint64_t> busy_ns_ = 0;  // Written by the thread.
  std::thread thread_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<RouterUnderTest>> RouterUnderTest::Start() {
  ASSIGN_OR_RETURN(auto client, MakeSession(kClientMac));
  ASSIGN_OR_RETURN(auto uplink, MakeSession(kNicMac));
  auto router =
      std::make_unique<EngineThread>(std::move(client), std::move(uplink));
  RETURN_IF_ERROR(router->Begin());
  return router;
}

absl::StatusOr<Forwarded> SendDirectly(Mix mix, uint32_t milliseconds) {
  ASSIGN_OR_RETURN(auto areas, MakeSession(kNicMac));
  ASSIGN_OR_RETURN(TakingProvider taker, TakingProvider::Open(areas));
  ASSIGN_OR_RETURN(SendingClient sender, SendingClient::Open(areas));
  std::atomic<bool> stop = false;
  std::atomic<uint64_t> taken = 0;
  std::thread provider([&] {
    PinThread(kRouterCpu);
    while (!taker.Ready() && !stop) _mm_pause();
    while (!stop) taken += taker.Take();
  });
  PinThread(kEndsCpu);
  TestFlows flows(kClientMac, kNicMac, 0, 1, mix);
  Forwarded result;
  const uint64_t start = MonotonicNs();
  const uint64_t end = start + milliseconds * uint64_t{1'000'000};
  while (MonotonicNs() < end) result.sent += sender.Send(flows, 64);
  result.wall_ns = MonotonicNs() - start;
  result.frames = taken;
  stop = true;
  provider.join();
  RETURN_IF_ERROR(sender.health());
  return result;
}

}  // namespace bulkhead::bench
