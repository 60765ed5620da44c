#include "platform_service/linux_interface/interface_settings.h"

#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <span>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/errno_status.h"

namespace bulkhead::platform {
namespace {

using Bytes = std::span<const uint8_t>;

// A message as text, and writable as bytes.
std::string Copy(Bytes message) {
  return std::string(message.begin(), message.end());
}
std::span<uint8_t> BytesOf(std::string& message) {
  return {reinterpret_cast<uint8_t*>(message.data()), message.size()};
}

// The part of a message behind its header, if all of it is there.
template <typename T>
std::optional<T> BodyOf(absl::string_view message) {
  T body;
  if (message.size() < NLMSG_LENGTH(sizeof(body))) return std::nullopt;
  std::memcpy(&body, message.data() + NLMSG_HDRLEN, sizeof(body));
  return body;
}
template <typename T>
void SetBody(const T& body, std::string* message) {
  std::memcpy(message->data() + NLMSG_HDRLEN, &body, sizeof(body));
}

// Where the value of a route's attribute is in its message; empty: there is no
// such attribute.
struct Value {
  size_t at = 0;
  size_t bytes = 0;
};
Value FindAttribute(absl::string_view message, uint16_t type) {
  size_t at = NLMSG_SPACE(sizeof(rtmsg));
  rtattr attribute;
  while (at + sizeof(attribute) <= message.size()) {
    std::memcpy(&attribute, message.data() + at, sizeof(attribute));
    if (attribute.rta_len < sizeof(attribute) ||
        attribute.rta_len > message.size() - at) {
      break;
    }
    if (attribute.rta_type == type) {
      return {at + RTA_LENGTH(0), attribute.rta_len - RTA_LENGTH(0)};
    }
    at += RTA_ALIGN(attribute.rta_len);
  }
  return {};
}

absl::StatusOr<std::vector<LinkMessage>> Links(NetlinkSocket& kernel) {
  std::vector<LinkMessage> links;
  RETURN_IF_ERROR(kernel.Dump(RTM_GETLINK, [&](Bytes message) {
    if (auto link = ReadLink(message)) links.push_back(*std::move(link));
  }));
  return links;
}

absl::StatusOr<LinkMessage> FindLink(NetlinkSocket& kernel,
                                     const std::string& name) {
  ASSIGN_OR_RETURN(const std::vector<LinkMessage> links, Links(kernel));
  for (const LinkMessage& link : links) {
    if (link.name == name) return link;
  }
  return absl::NotFoundError(absl::StrCat("there is no interface ", name));
}

// Found again by itself: announced by a router, or kept by a nexthop object.
bool IsKept(absl::string_view route) {
  const auto body = BodyOf<rtmsg>(route);
  return body.has_value() && body->rtm_protocol != RTPROT_RA &&
         (body->rtm_flags & RTM_F_CLONED) == 0 &&
         FindAttribute(route, RTA_NH_ID).bytes == 0;
}

absl::Status SetLink(NetlinkSocket& kernel, int index, uint16_t kind,
                     Bytes value, absl::string_view what) {
  std::string message(NLMSG_SPACE(sizeof(ifinfomsg)) + RTA_SPACE(value.size()),
                      '\0');
  nlmsghdr header = {};
  header.nlmsg_type = RTM_NEWLINK;
  std::memcpy(message.data(), &header, sizeof(header));
  ifinfomsg info = {};
  info.ifi_index = index;
  SetBody(info, &message);
  const rtattr attribute = {
      static_cast<unsigned short>(RTA_LENGTH(value.size())), kind};
  char* const at = message.data() + NLMSG_SPACE(sizeof(info));
  std::memcpy(at, &attribute, sizeof(attribute));
  std::memcpy(at + RTA_LENGTH(0), value.data(), value.size());
  return kernel.Ask(BytesOf(message), 0, what);
}

template <typename T>
Bytes ValueOf(const T& value) {
  return {reinterpret_cast<const uint8_t*>(&value), sizeof(value)};
}

absl::Status ApplyLink(NetlinkSocket& kernel, const LinkMessage& now,
                       const InterfaceSettings& settings) {
  absl::Status status;
  if (settings.mac != MacAddress{} && now.mac != settings.mac) {
    status.Update(SetLink(kernel, now.index, IFLA_ADDRESS, settings.mac,
                          "restore the MAC address"));
  }
  if (settings.mtu != 0 && now.mtu != settings.mtu) {
    status.Update(SetLink(kernel, now.index, IFLA_MTU, ValueOf(settings.mtu),
                          "restore the MTU"));
  }
  if (!settings.master.empty()) {
    const auto master = FindLink(kernel, settings.master);
    status.Update(master.ok() ? SetLink(kernel, now.index, IFLA_MASTER,
                                        ValueOf(master->index),
                                        "put it into its bond or bridge again")
                              : master.status());
  }
  if (settings.up) status.Update(kernel.SetUp(now.index, true));
  return status;
}

absl::Status ApplyAddress(NetlinkSocket& kernel, int index,
                          std::string message) {
  auto body = BodyOf<ifaddrmsg>(message);
  if (!body.has_value()) return absl::DataLossError("this is no address");
  body->ifa_index = static_cast<uint32_t>(index);
  SetBody(*body, &message);
  return kernel.Ask(BytesOf(message), NLM_F_CREATE | NLM_F_REPLACE,
                    "restore an address");
}

absl::Status ApplyRoute(NetlinkSocket& kernel, int index, std::string message) {
  auto body = BodyOf<rtmsg>(message);
  const Value interface = FindAttribute(message, RTA_OIF);
  if (!body.has_value() || interface.bytes != sizeof(index)) {
    return absl::DataLossError("this is no route of one interface");
  }
  // The others are the state that it was in, and refused.
  body->rtm_flags &= RTNH_F_ONLINK;
  SetBody(*body, &message);
  std::memcpy(message.data() + interface.at, &index, sizeof(index));
  return kernel.Ask(BytesOf(message), NLM_F_CREATE | NLM_F_REPLACE,
                    "restore a route");
}

std::string Hex(absl::string_view bytes) {
  return absl::BytesToHexString(bytes);
}

bool FromHex(absl::string_view text, std::string* bytes) {
  if (text.size() % 2 != 0 ||
      !std::all_of(text.begin(), text.end(), [](char c) {
        return absl::ascii_isxdigit(static_cast<unsigned char>(c));
      })) {
    return false;
  }
  *bytes = absl::HexStringToBytes(text);
  return true;
}

}  // namespace

absl::StatusOr<InterfaceSettings> ReadSettings(const std::string& interface) {
  ASSIGN_OR_RETURN(NetlinkSocket kernel, NetlinkSocket::Open());
  ASSIGN_OR_RETURN(const LinkMessage link, FindLink(kernel, interface));
  InterfaceSettings settings;
  settings.up = (link.flags & IFF_UP) != 0;
  settings.mtu = link.mtu;
  settings.mac = link.mac;
  if (link.master != 0) {
    ASSIGN_OR_RETURN(const std::vector<LinkMessage> links, Links(kernel));
    for (const LinkMessage& other : links) {
      if (other.index == link.master) settings.master = other.name;
    }
  }
  RETURN_IF_ERROR(kernel.Dump(RTM_GETADDR, [&](Bytes message) {
    const auto address = ReadAddress(message);
    if (address && address->index == link.index && !address->automatic) {
      settings.addresses.push_back(Copy(message));
    }
  }));
  RETURN_IF_ERROR(kernel.Dump(RTM_GETROUTE, [&](Bytes message) {
    const auto route = ReadRoute(message);
    if (route && route->index == link.index && !route->automatic &&
        IsKept(Copy(message))) {
      settings.routes.push_back(Copy(message));
    }
  }));
  // A gateway is reached by a route without one.
  std::stable_partition(settings.routes.begin(), settings.routes.end(),
                        [](const std::string& route) {
                          return FindAttribute(route, RTA_GATEWAY).bytes == 0;
                        });
  return settings;
}

absl::Status ApplySettings(const InterfaceSettings& settings,
                           const std::string& interface) {
  ASSIGN_OR_RETURN(NetlinkSocket kernel, NetlinkSocket::Open());
  ASSIGN_OR_RETURN(const LinkMessage link, FindLink(kernel, interface));
  absl::Status status = ApplyLink(kernel, link, settings);
  for (const std::string& address : settings.addresses) {
    status.Update(ApplyAddress(kernel, link.index, address));
  }
  for (const std::string& route : settings.routes) {
    status.Update(ApplyRoute(kernel, link.index, route));
  }
  if (status.ok()) return status;
  return absl::Status(status.code(),
                      absl::StrCat(interface, ": ", status.message()));
}

std::string SettingsText(const InterfaceSettings& settings) {
  std::string text = absl::StrCat(
      "interface_up=", int{settings.up}, "\nmtu=", settings.mtu, "\nmac=",
      Hex({reinterpret_cast<const char*>(settings.mac.data()),
           settings.mac.size()}),
      "\nmaster=", settings.master, "\n");
  for (const std::string& address : settings.addresses) {
    absl::StrAppend(&text, "ip_address=", Hex(address), "\n");
  }
  for (const std::string& route : settings.routes) {
    absl::StrAppend(&text, "route=", Hex(route), "\n");
  }
  return text;
}

bool ParseSetting(absl::string_view key, absl::string_view value,
                  InterfaceSettings* settings) {
  std::string bytes;
  const auto message = [&](uint16_t type) {
    nlmsghdr header;
    if (!FromHex(value, &bytes) || bytes.size() < sizeof(header)) {
      return false;
    }
    std::memcpy(&header, bytes.data(), sizeof(header));
    return header.nlmsg_type == type && header.nlmsg_len == bytes.size();
  };
  if (key == "interface_up") {
    settings->up = value == "1";
    return value == "0" || value == "1";
  }
  if (key == "mtu") return absl::SimpleAtoi(value, &settings->mtu);
  if (key == "mac") {
    if (!FromHex(value, &bytes) || bytes.size() != settings->mac.size()) {
      return false;
    }
    std::copy(bytes.begin(), bytes.end(), settings->mac.begin());
    return true;
  }
  if (key == "master") {
    settings->master = std::string(value);
    return value.size() < IFNAMSIZ;
  }
  if (key == "ip_address" && message(RTM_NEWADDR)) {
    settings->addresses.push_back(bytes);
    return true;
  }
  if (key == "route" && message(RTM_NEWROUTE)) {
    settings->routes.push_back(bytes);
    return true;
  }
  return false;
}

}  // namespace bulkhead::platform
