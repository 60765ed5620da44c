#include "nic_driver/conformance/testing/interface_bench.h"

#include <linux/if_ether.h>
#include <poll.h>

#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/errno_status.h"
#include "platform_service/linux_interface/enumerate.h"
#include "platform_service/linux_interface/interface_socket.h"
#include "platform_service/linux_interface/network_namespace.h"

namespace bulkhead::nic_driver::testing {
namespace {

constexpr uint32_t kSpeedMbps = 10'000;  // A veth's.

absl::StatusOr<int> IndexIn(const std::string& network_namespace) {
  ASSIGN_OR_RETURN(const auto interfaces,
                   platform::EnumerateInterfaces(network_namespace));
  if (interfaces.empty()) return absl::NotFoundError("there is no interface");
  return interfaces.front().interface_index;
}

}  // namespace

bool InterfaceBench::Usable() { return platform::testing::VethLab(1).usable(); }

uint32_t InterfaceBench::MaxXdpPieces() {
  const platform::testing::VethLab lab(1);
  const auto areas = packet_stream::CreateSessionAreas(
      {.tx_buffers = 2, .rx_buffers = 2, .buffer_bytes = 2048});
  if (!areas.ok() || !lab.Pair(0, "ours", 0, "theirs")) return 0;
  uint32_t pieces = 0;
  platform::InNamespace(lab.name(0), [&]() -> absl::Status {
    ASSIGN_OR_RETURN(const int index, IndexIn(lab.name(0)));
    ASSIGN_OR_RETURN(
        platform::XdpSocket socket,
        platform::MakeXdpSocket(
            {areas->tx_data_fd(), areas->rx_data_fd(), areas->geometry()}, 0,
            false));
    RETURN_IF_ERROR(platform::BindXdpSocket(index, 0, &socket));
    pieces = socket.max_pieces;
    return absl::OkStatus();
  }).IgnoreError();
  return pieces;
}

absl::StatusOr<std::unique_ptr<DeviceBench>> InterfaceBench::Create(
    const DeviceOptions& options, bool xdp) {
  std::unique_ptr<InterfaceBench> bench(new InterfaceBench());
  bench->state_.set_queues(options.queues == 1 ? 1 : options.queues + 1);
  RETURN_IF_ERROR(bench->MakePair(options.max_mtu));
  RETURN_IF_ERROR(bench->Take(options.max_mtu, xdp));
  // Of lanes the frames are TCP's.
  ASSIGN_OR_RETURN(
      bench->far_end_,
      FarEnd::Create(
          {.network_namespace = bench->lab_.name(1),
           .type = bench->queues() > 1 ? uint16_t{ETH_P_ALL} : FarEnd::kOwnType,
           .echo = !options.wire}));
  return bench;
}

absl::Status InterfaceBench::MakePair(uint32_t mtu) {
  std::string mac;
  for (const uint8_t byte : kNicMac) {
    absl::StrAppend(&mac, mac.empty() ? "" : ":", absl::Hex(byte));
  }
  for (int space = 0; space < 2; ++space) {
    // So that Linux says nothing there. Without IPv6 it has nothing to say.
    lab_.In(space, "sysctl -w net.ipv6.conf.default.disable_ipv6=1");
  }
  if (!lab_.Pair(0, "ours", 1, "theirs", queues())) {
    return absl::UnavailableError("make a veth pair: see `ip link add`");
  }
  lab_.In(0, "ethtool -K ours gro off tx off");
  // With GRO a veth receives each queue by itself, in order; without, on
  // whichever CPU the sender happened to run.
  lab_.In(1, absl::StrCat("ethtool -K theirs tx off gro ",
                          queues() > 1 ? "on" : "off"));
  if (!lab_.Ip(0, absl::StrCat("link set ours address ", mac, " mtu ", mtu,
                               " up")) ||
      !lab_.Ip(1, absl::StrCat("link set theirs mtu ", mtu, " up"))) {
    return absl::InternalError("set a veth pair up");
  }
  return absl::OkStatus();
}

// As platform_service/linux_interface/linux_nic.h does.
absl::Status InterfaceBench::Take(uint32_t mtu, bool xdp) {
  ASSIGN_OR_RETURN(const int index, IndexIn(lab_.name(0)));
  std::optional<platform::XdpProgram> program;
  RETURN_IF_ERROR(platform::InNamespace(lab_.name(0), [&]() -> absl::Status {
    if (!xdp) return absl::OkStatus();
    ASSIGN_OR_RETURN(program, platform::XdpProgram::Attach(index, queues()));
    return absl::OkStatus();
  }));
  state_.set_mtu(mtu);
  state_.set_link_up(true);
  state_.set_speed_mbps(kSpeedMbps);
  state_.set_full_duplex(true);
  owner_ = std::make_unique<platform::LinuxOwner>(
      platform::LinuxOwner::Place{lab_.name(0), index}, std::move(program),
      queues());
  owner_->set_mtu(mtu);
  return absl::OkStatus();
}

absl::Status InterfaceBench::AddToGrant(platform::DeviceGrant* grant,
                                        platform::FdList* fds) {
  platform::LinuxBus(state_, std::string(kNicMac.begin(), kNicMac.end()))
      .AddTo(grant, fds);
  return absl::OkStatus();
}

absl::Status InterfaceBench::AddToSession(
    const packet_stream::SessionAreas& areas, platform::SessionGrant* grant,
    platform::FdList* fds) {
  RETURN_IF_ERROR(owner_->CheckSession(areas.geometry()));
  const platform::SessionMemory memory = {areas.tx_data_fd(),
                                          areas.rx_data_fd(), areas.geometry(),
                                          grant->tx_iova()};
  // The kernel lets go of a socket that was closed when it has time: on a
  // machine that is short of CPUs, after longer than the owner has patience.
  // The platform service takes the interface anew then; here, it is asked
  // again.
  const uint64_t deadline_ns = MonotonicNs() + kPatienceNs;
  absl::Status ready = owner_->PrepareSession(memory);
  while ((absl::IsUnavailable(ready) || absl::IsResourceExhausted(ready)) &&
         MonotonicNs() < deadline_ns) {
    ::poll(nullptr, 0, 1);
    ready = owner_->PrepareSession(memory);
  }
  RETURN_IF_ERROR(ready);
  return owner_->AddToSession(memory, grant, fds);
}

absl::Status InterfaceBench::SetLink(bool up, platform::ToDriver* message) {
  if (!lab_.Ip(0, absl::StrCat("link set ours ", up ? "up" : "down"))) {
    return absl::InternalError("set a veth up or down");
  }
  state_.set_link_up(up);
  *message->mutable_interface_state() = state_;
  return absl::OkStatus();
}

}  // namespace bulkhead::nic_driver::testing
