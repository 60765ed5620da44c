#include "platform_service/linux_interface/enumerate.h"

#include <linux/rtnetlink.h>

#include <algorithm>
#include <map>
#include <optional>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "platform_service/linux_interface/ethtool.h"
#include "platform_service/linux_interface/netlink.h"
#include "platform_service/linux_interface/network_namespace.h"
#include "platform_service/pci/host_network.h"

namespace bulkhead::platform {
namespace {

using Bytes = std::span<const uint8_t>;
using Links = std::map<int, LinkMessage>;

struct Namespace {
  Links links;
  std::map<int, pci::HostInterface> uses;  // S9.
};

absl::Status ReadLinks(NetlinkSocket& kernel, Namespace* found) {
  RETURN_IF_ERROR(kernel.Dump(RTM_GETLINK, [&](Bytes message) {
    if (auto link = ReadLink(message)) found->links[link->index] = *link;
  }));
  for (const auto& [index, link] : found->links) {
    found->uses[index].name = link.name;
    const auto master = found->links.find(link.master);
    if (link.master != 0) {
      const std::string kind =
          master == found->links.end() ? "" : master->second.kind;
      found->uses[index].belongs_to.push_back(absl::StrCat(
          kind == "bridge" || kind == "bond" ? kind : "interface", " ",
          master == found->links.end() ? "of another namespace"
                                       : master->second.name));
    }
  }
  // A VLAN and its like stand on another one; the ends of a veth pair do not,
  // although they name each other as if they did.
  for (const auto& [index, link] : found->links) {
    const auto lower = found->links.find(link.lower);
    if (link.kind == "veth" || link.lower_is_elsewhere || link.lower == index ||
        lower == found->links.end()) {
      continue;
    }
    found->uses[link.lower].belongs_to.push_back(
        absl::StrCat("interface ", link.name));
  }
  return absl::OkStatus();
}

absl::Status ReadUses(NetlinkSocket& kernel, Namespace* found) {
  const auto use = [found](int index) -> pci::HostInterface* {
    const auto it = found->uses.find(index);
    return it == found->uses.end() ? nullptr : &it->second;
  };
  RETURN_IF_ERROR(kernel.Dump(RTM_GETADDR, [&](Bytes message) {
    const auto address = ReadAddress(message);
    // Each interface that is up gets a link-local address, used or not.
    if (!address || address->automatic) return;
    if (auto* interface = use(address->index)) {
      interface->addresses.push_back(address->text);
    }
  }));
  return kernel.Dump(RTM_GETROUTE, [&](Bytes message) {
    const auto route = ReadRoute(message);
    if (!route || (route->automatic && !route->is_default)) return;
    if (auto* interface = use(route->index)) {
      (route->is_default ? interface->default_route : interface->other_routes) =
          true;
    }
  });
}

absl::Status Read(const std::string& name,
                  std::vector<pci::PciDeviceInfo>* devices) {
  Namespace found;
  ASSIGN_OR_RETURN(NetlinkSocket kernel, NetlinkSocket::Open());
  RETURN_IF_ERROR(ReadLinks(kernel, &found));
  RETURN_IF_ERROR(ReadUses(kernel, &found));
  ASSIGN_OR_RETURN(const Ethtool ethtool, Ethtool::Open());
  for (const auto& [index, link] : found.links) {
    if (!link.ethernet || link.name.empty()) continue;
    pci::PciDeviceInfo& device = devices->emplace_back();
    device.source = pci::Source::kLinux;
    device.address = InterfaceAddress(name, link.name);
    device.interfaces = {link.name};
    device.interface_index = index;
    device.network_namespace = name;
    device.mac = MacText(link.mac);
    device.kernel_driver = ethtool.DriverOf(link.name);
    device.used_by = pci::WhyUsed(found.uses[index]);
    // What stands on others is not taken from under them.
    if (device.used_by.empty() &&
        (link.kind == "bridge" || link.kind == "bond")) {
      device.used_by = absl::StrCat(link.name, " is a ", link.kind);
    }
  }
  std::sort(devices->begin(), devices->end(),
            [](const auto& a, const auto& b) { return a.address < b.address; });
  return absl::OkStatus();
}

}  // namespace

std::string InterfaceAddress(const std::string& network_namespace,
                             const std::string& interface) {
  return network_namespace.empty()
             ? interface
             : absl::StrCat(network_namespace, "/", interface);
}

absl::StatusOr<std::vector<pci::PciDeviceInfo>> EnumerateInterfaces(
    const std::string& network_namespace) {
  std::vector<pci::PciDeviceInfo> devices;
  RETURN_IF_ERROR(InNamespace(
      network_namespace, [&] { return Read(network_namespace, &devices); }));
  return devices;
}

}  // namespace bulkhead::platform
