// Whatever the router is sent: its grant, a client's, a configuration, an
// operator's question. It is refused with a reason or taken; what was taken
// reads back as the same, and the engine holds what it promises about it.
#include <fcntl.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "nic_router/api/config_message.h"
#include "nic_router/engine/engine.h"
#include "nic_router/process/grant.h"

namespace bulkhead::nic_router {
namespace {

void Check(bool good) {
  if (!good) std::abort();
}

std::vector<UniqueFd> SomeFds(size_t count) {
  std::vector<UniqueFd> fds;
  for (size_t i = 0; i < count; ++i) {
    fds.emplace_back(::open("/dev/null", O_RDWR | O_CLOEXEC));
  }
  return fds;
}

void ReadGrant(std::string_view bytes, size_t fds) {
  (void)ParseRouterGrant({bytes.data(), bytes.size()}, SomeFds(fds));
}

void ReadClient(std::string_view bytes, size_t fds) {
  api::ClientGrant message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return;
  }
  std::vector<UniqueFd> given = SomeFds(fds);
  const auto grant = ParseClientGrant(message, given);
  if (grant.ok()) Check(grant->tx_data.valid() && grant->rx_data.valid());
}

// Of a size that a run of many can afford.
void Bound(RouterConfig& config) {
  config.max_flows %= 1024;
  config.max_clients %= 64;
}

void Configure(std::string_view bytes) {
  api::Config message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return;
  }
  absl::StatusOr<RouterConfig> config = FromMessage(message);
  if (!config.ok()) return;
  const auto again = FromMessage(ToMessage(*config));
  Check(again.ok() && *again == *config);
  Bound(*config);
  const size_t size = Engine::StateBytes(*config);
  std::vector<uint64_t> memory((size + 64) / sizeof(uint64_t));
  auto* const state = reinterpret_cast<uint8_t*>(memory.data());
  const size_t skip = (64 - reinterpret_cast<uintptr_t>(state) % 64) % 64;
  const auto engine = Engine::Create(*config, {state + skip, size}, 1);
  if (!engine.ok()) return;
  (void)(*engine)->Explain("tcp 10.0.0.1:80 from vm-1");
  (void)(*engine)->Rules();
  (void)(*engine)->Domains();
  Check((*engine)->Reconfigure(*config, 2).ok());
}

// The longest part of a question is the operator's.
void Ask(std::string_view question) {
  static const auto* const config = [] {
    auto* made = new RouterConfig;
    made->domains.resize(2);
    made->domains[0].name = "in";
    made->domains[0].interface = Ipv4Prefix{0x0a000101, 24};
    made->domains[0].tcp = {{.to = {}, .permit_any = "out", .permit = {}}};
    made->domains[1].name = "out";
    made->domains[1].interface = Ipv4Prefix{0x0a090001, 24};
    made->domains[1].nat = {{.domain = "in", .tcp_ports = 6}};
    made->policies = {{.label = "", .domain = "in"}};
    made->max_flows = 8;
    return made;
  }();
  alignas(64) static uint8_t state[2 << 20];
  static const auto* const engine =
      new auto(*Engine::Create(*config, state, 1));
  const auto answer = (*engine)->Explain(question);
  Check(answer.ok() ? !answer->empty() : !answer.status().message().empty());
}

}  // namespace
}  // namespace bulkhead::nic_router

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace bulkhead::nic_router;
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1,
                               size - 1);
  const size_t fds = data[0] >> 2 & 15;
  switch (data[0] & 3) {
    case 0:
      ReadGrant(bytes, fds);
      break;
    case 1:
      ReadClient(bytes, fds);
      break;
    case 2:
      Configure(bytes);
      break;
    default:
      Ask(bytes);
  }
  return 0;
}
