#include "nic_driver/framework/device_grant.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "base/shared_memory.h"

namespace bulkhead::nic_driver {
namespace {

constexpr uint32_t kDefaultMtu = 1500;
// The smallest that IPv4 allows (RFC 791), the largest that a length field of
// 16 bits carries with its headers.
constexpr uint32_t kMinMtu = 68;
constexpr uint32_t kMaxMtu = 65000;

absl::StatusOr<UniqueFd> TakeFd(std::vector<UniqueFd>& fds, uint32_t index,
                                absl::string_view field) {
  if (index >= fds.size() || !fds[index].valid()) {
    return absl::InvalidArgumentError(
        absl::StrCat("device grant: ", field, " is descriptor ", index, " of ",
                     fds.size(), ", or another field's too"));
  }
  return std::move(fds[index]);
}

absl::StatusOr<SessionSocket> TakeSocket(
    const platform::InterfaceSocket& message, std::vector<UniqueFd>& fds) {
  SessionSocket socket;
  ASSIGN_OR_RETURN(socket.socket,
                   TakeFd(fds, message.socket_fd(), "socket.socket_fd"));
  if (message.has_xdp()) {
    const auto& rings = message.xdp();
    socket.rings = XdpRings{rings.fill_entries(), rings.completion_entries(),
                            rings.rx_entries(),   rings.tx_entries(),
                            rings.rx_headroom(),  rings.max_pieces(),
                            rings.busy_poll()};
    return socket;
  }
  if (!message.has_packet()) {
    return absl::InvalidArgumentError(
        "device grant: a socket with neither packet nor xdp rings");
  }
  const auto& rings = message.packet();
  PacketRings packet{rings.rx_block_bytes(),
                     rings.rx_blocks(),
                     rings.tx_frame_bytes(),
                     rings.tx_frames(),
                     {},
                     {}};
  ASSIGN_OR_RETURN(packet.tx_data,
                   TakeFd(fds, rings.tx_data_fd(), "socket.packet.tx_data_fd"));
  ASSIGN_OR_RETURN(packet.rx_data,
                   TakeFd(fds, rings.rx_data_fd(), "socket.packet.rx_data_fd"));
  socket.rings = std::move(packet);
  return socket;
}

absl::StatusOr<SessionGrant> TakeSession(const platform::SessionGrant& message,
                                         std::vector<UniqueFd>& fds) {
  SessionGrant session;
  session.tx_iova = message.tx_iova();
  session.rx_iova = message.rx_iova();
  packet_stream::ProviderGrant& provider = session.provider;
  provider.session_id = message.session_id();
  provider.epoch = message.epoch();
  provider.geometry.tx_buffers = message.tx_buffers();
  provider.geometry.rx_buffers = message.rx_buffers();
  provider.geometry.buffer_bytes = message.buffer_bytes();
  provider.geometry.lanes =
      static_cast<uint32_t>(message.tx_doorbell_fd_size());
  RETURN_IF_ERROR(packet_stream::CheckGeometry(provider.geometry));
  ASSIGN_OR_RETURN(
      provider.client_control,
      TakeFd(fds, message.client_control_fd(), "session.client_control_fd"));
  ASSIGN_OR_RETURN(provider.provider_control,
                   TakeFd(fds, message.provider_control_fd(),
                          "session.provider_control_fd"));
  if (message.rx_doorbell_fd_size() != message.tx_doorbell_fd_size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("device grant: ", message.tx_doorbell_fd_size(),
                     " session.tx_doorbell_fd and ",
                     message.rx_doorbell_fd_size(), " session.rx_doorbell_fd"));
  }
  for (int lane = 0; lane < message.tx_doorbell_fd_size(); ++lane) {
    packet_stream::LaneBells bells;
    ASSIGN_OR_RETURN(
        bells.tx_doorbell,
        TakeFd(fds, message.tx_doorbell_fd(lane), "session.tx_doorbell_fd"));
    ASSIGN_OR_RETURN(
        bells.rx_doorbell,
        TakeFd(fds, message.rx_doorbell_fd(lane), "session.rx_doorbell_fd"));
    provider.bells.push_back(std::move(bells));
  }
  for (const platform::InterfaceSocket& entry : message.socket()) {
    ASSIGN_OR_RETURN(SessionSocket socket, TakeSocket(entry, fds));
    socket.geometry = provider.geometry;
    socket.tx_iova = session.tx_iova;
    session.sockets.push_back(std::move(socket));
  }
  return session;
}

absl::StatusOr<VfioUserGrant> TakeBus(
    const platform::DeviceGrant::VfioUserBus& message,
    std::vector<UniqueFd>& fds) {
  VfioUserGrant bus;
  ASSIGN_OR_RETURN(bus.connection, TakeFd(fds, message.connection_fd(),
                                          "vfio_user.connection_fd"));
  bus.negotiated = message.negotiated();
  for (const auto& entry : message.doorbell()) {
    vfio_user::Doorbell doorbell;
    doorbell.offset = entry.offset();
    doorbell.bytes = entry.bytes();
    doorbell.shadow_offset = entry.shadow_offset();
    ASSIGN_OR_RETURN(doorbell.event, TakeFd(fds, entry.event_fd(),
                                            "vfio_user.doorbell.event_fd"));
    ASSIGN_OR_RETURN(doorbell.shadow, TakeFd(fds, entry.shadow_fd(),
                                             "vfio_user.doorbell.shadow_fd"));
    bus.doorbells.push_back(std::move(doorbell));
  }
  return bus;
}

absl::StatusOr<VfioGrant> TakeBus(const platform::DeviceGrant::VfioBus& message,
                                  std::vector<UniqueFd>& fds) {
  constexpr uint32_t kBars = 6;
  // More than any NIC has, little enough to be an address.
  constexpr uint64_t kMaxBarBytes = uint64_t{1} << 32;
  VfioGrant bus;
  ASSIGN_OR_RETURN(bus.device,
                   TakeFd(fds, message.device_fd(), "vfio.device_fd"));
  uint32_t seen = 0;
  for (const auto& bar : message.bar()) {
    if (bar.index() >= kBars || (seen & 1u << bar.index()) != 0 ||
        bar.bytes() == 0 || bar.bytes() > kMaxBarBytes ||
        bar.bytes() % kPageBytes != 0 || bar.offset() % kPageBytes != 0 ||
        bar.offset() > uint64_t{INT64_MAX} - bar.bytes()) {
      return absl::InvalidArgumentError(
          absl::StrCat("device grant: vfio.bar ", bar.index(), " of ",
                       bar.bytes(), " bytes at ", bar.offset()));
    }
    seen |= 1u << bar.index();
    bus.bars.push_back(
        {static_cast<int>(bar.index()), bar.offset(), bar.bytes()});
  }
  bus.config_space = message.config_space();
  return bus;
}

// Whichever bus the device is on.
absl::Status TakeAnyBus(const platform::DeviceGrant& message,
                        std::vector<UniqueFd>& fds, DeviceGrant* grant) {
  switch (message.bus_case()) {
    case platform::DeviceGrant::kVfioUser: {
      ASSIGN_OR_RETURN(grant->bus, TakeBus(message.vfio_user(), fds));
      return absl::OkStatus();
    }
    case platform::DeviceGrant::kVfio: {
      ASSIGN_OR_RETURN(grant->bus, TakeBus(message.vfio(), fds));
      return absl::OkStatus();
    }
    case platform::DeviceGrant::kInterface: {
      InterfaceGrant bus;
      const std::string& mac = message.interface().mac();
      if (mac.size() != bus.mac.size()) {
        return absl::InvalidArgumentError(absl::StrCat(
            "device grant: interface.mac of ", mac.size(), " bytes"));
      }
      std::copy(mac.begin(), mac.end(), bus.mac.begin());
      bus.state = ParseInterfaceState(message.interface().state());
      grant->bus = bus;
      return absl::OkStatus();
    }
    case platform::DeviceGrant::BUS_NOT_SET:
      break;
  }
  return absl::InvalidArgumentError(
      "device grant: no bus that this driver knows; it knows vfio_user, vfio "
      "and interface");
}

}  // namespace

absl::StatusOr<DeviceGrant> ParseDeviceGrant(absl::string_view payload,
                                             std::vector<UniqueFd> fds) {
  platform::DeviceGrant message;
  if (!message.ParseFromArray(payload.data(),
                              static_cast<int>(payload.size()))) {
    return absl::InvalidArgumentError(absl::StrCat(
        "device grant: ", payload.size(), " bytes are not a DeviceGrant"));
  }
  DeviceGrant grant;
  grant.identity.address = message.pci().address();
  grant.identity.vendor = static_cast<uint16_t>(message.pci().vendor());
  grant.identity.device = static_cast<uint16_t>(message.pci().device());
  RETURN_IF_ERROR(TakeAnyBus(message, fds, &grant));
  ASSIGN_OR_RETURN(grant.platform,
                   TakeFd(fds, message.platform_fd(), "platform_fd"));
  ASSIGN_OR_RETURN(grant.counters,
                   TakeFd(fds, message.counters_fd(), "counters_fd"));
  for (const uint32_t index : message.irq_fd()) {
    ASSIGN_OR_RETURN(UniqueFd irq, TakeFd(fds, index, "irq_fd"));
    grant.irqs.push_back(std::move(irq));
  }
  ASSIGN_OR_RETURN(grant.config, ParseNicConfig(message.config()));
  grant.queues = std::max(message.queues(), 1u);
  if (grant.queues > packet_stream::kMaxLanes) {
    return absl::InvalidArgumentError(
        absl::StrCat("device grant: queues is ", grant.queues));
  }
  grant.trace_registers = message.trace_registers();
  for (const platform::DmaArea& area : message.prepared()) {
    PreparedDma prepared{area.iova(), area.bytes(), {}};
    ASSIGN_OR_RETURN(prepared.memory,
                     TakeFd(fds, area.memory_fd(), "prepared.memory_fd"));
    grant.prepared.push_back(std::move(prepared));
  }
  for (const platform::SessionGrant& session : message.session()) {
    ASSIGN_OR_RETURN(SessionGrant taken, TakeSession(session, fds));
    grant.sessions.push_back(std::move(taken));
  }
  return grant;
}

absl::StatusOr<SessionGrant> ParseSessionGrant(
    const platform::SessionGrant& message, std::vector<UniqueFd> fds) {
  return TakeSession(message, fds);
}

LinuxInterface::State ParseInterfaceState(
    const platform::InterfaceState& message) {
  return {message.mtu(),
          {message.link_up(), message.speed_mbps(), message.full_duplex()},
          std::max(message.queues(), 1u)};
}

absl::StatusOr<NicConfig> ParseNicConfig(const platform::NicConfig& message) {
  NicConfig config;
  config.mtu = message.mtu() == 0 ? kDefaultMtu : message.mtu();
  if (config.mtu < kMinMtu || config.mtu > kMaxMtu) {
    return absl::InvalidArgumentError(absl::StrCat("configure: an mtu of ",
                                                   config.mtu, "; use ",
                                                   kMinMtu, " to ", kMaxMtu));
  }
  config.promiscuous = message.promiscuous();
  config.all_multicast = message.all_multicast();
  for (const std::string& address : message.multicast()) {
    MacAddress mac;
    if (address.size() != mac.size()) {
      return absl::InvalidArgumentError(
          absl::StrCat("configure: a multicast address of ", address.size(),
                       " bytes; a MAC address has 6"));
    }
    std::copy(address.begin(), address.end(), mac.begin());
    config.multicast.push_back(mac);
  }
  config.rx_checksum = message.rx_checksum();
  config.tx_checksum = message.tx_checksum();
  config.interrupt_interval_us = message.interrupt_interval_us();
  return config;
}

}  // namespace bulkhead::nic_driver
