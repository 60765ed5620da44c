#include "platform_service/linux_interface/ethtool.h"

#include <linux/ethtool.h>
#include <linux/if.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"

namespace bulkhead::platform {

absl::StatusOr<Ethtool> Ethtool::Open() {
  UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return ErrnoStatus("open a socket");
  return Ethtool(std::move(socket));
}

bool Ethtool::Call(const std::string& interface, void* command) const {
  ifreq request = {};
  std::strncpy(request.ifr_name, interface.c_str(), IFNAMSIZ - 1);
  request.ifr_data = static_cast<char*>(command);
  return ::ioctl(socket_.get(), SIOCETHTOOL, &request) == 0;
}

uint32_t Ethtool::Value(const std::string& interface, uint32_t command) const {
  ethtool_value value = {command, 0};
  return Call(interface, &value) ? value.data : 0;
}

std::string Ethtool::DriverOf(const std::string& interface) const {
  ethtool_drvinfo info = {};
  info.cmd = ETHTOOL_GDRVINFO;
  if (!Call(interface, &info)) return "";
  info.driver[sizeof(info.driver) - 1] = '\0';
  return info.driver;
}

Ethtool::Speed Ethtool::SpeedOf(const std::string& interface) const {
  // ETHTOOL_GSET, which every driver answers still: GLINKSETTINGS tells more,
  // in two calls, of which nothing is wanted here.
  ethtool_cmd settings = {};
  settings.cmd = ETHTOOL_GSET;
  if (!Call(interface, &settings)) return {};
  const uint32_t mbps = ethtool_cmd_speed(&settings);
  return {mbps == static_cast<uint32_t>(SPEED_UNKNOWN) ? 0 : mbps,
          settings.duplex == DUPLEX_FULL};
}

bool Ethtool::Gro(const std::string& interface) const {
  return Value(interface, ETHTOOL_GGRO) != 0;
}

bool Ethtool::Lro(const std::string& interface) const {
  return (Value(interface, ETHTOOL_GFLAGS) & ETH_FLAG_LRO) != 0;
}

absl::Status Ethtool::SetGro(const std::string& interface, bool on) const {
  ethtool_value value = {ETHTOOL_SGRO, on};
  if (Call(interface, &value)) return absl::OkStatus();
  return ErrnoStatus(absl::StrCat("turn receive merging (GRO) of ", interface,
                                  on ? " on" : " off"));
}

absl::Status Ethtool::SetLro(const std::string& interface, bool on) const {
  const uint32_t flags = Value(interface, ETHTOOL_GFLAGS);
  ethtool_value value = {ETHTOOL_SFLAGS, on ? flags | ETH_FLAG_LRO
                                            : flags & ~uint32_t{ETH_FLAG_LRO}};
  if (Call(interface, &value)) return absl::OkStatus();
  return ErrnoStatus(absl::StrCat("turn receive merging (LRO) of ", interface,
                                  on ? " on" : " off"));
}

Ethtool::Channels Ethtool::ChannelsOf(const std::string& interface) const {
  ethtool_channels channels = {};
  channels.cmd = ETHTOOL_GCHANNELS;
  if (!Call(interface, &channels)) return {};
  return {channels.combined_count, channels.rx_count};
}

uint32_t Ethtool::TxChannelsOf(const std::string& interface) const {
  ethtool_channels channels = {};
  channels.cmd = ETHTOOL_GCHANNELS;
  return Call(interface, &channels) ? channels.tx_count : 0;
}

absl::Status Ethtool::SetChannels(const std::string& interface,
                                  Channels wanted) const {
  ethtool_channels channels = {};
  channels.cmd = ETHTOOL_GCHANNELS;
  if (!Call(interface, &channels)) {
    return ErrnoStatus(absl::StrCat("read the queues of ", interface));
  }
  channels.cmd = ETHTOOL_SCHANNELS;
  channels.combined_count = wanted.combined;
  channels.rx_count = wanted.rx;
  if (Call(interface, &channels)) return absl::OkStatus();
  return ErrnoStatus(absl::StrCat("set the queues of ", interface, " to ",
                                  wanted.combined + wanted.rx));
}

}  // namespace bulkhead::platform
