#include "platform_service/pci/host_network.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <ifaddrs.h>
#include <net/route.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>
#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "platform_service/pci/device.h"

namespace bulkhead::pci {
namespace {

// A message names so many addresses and counts the rest.
constexpr size_t kMaxAddressesShown = 3;

std::vector<std::string> FolderEntries(const std::string& path) {
  struct CloseFolder {
    void operator()(DIR* open) const { closedir(open); }
  };
  std::vector<std::string> names;
  std::unique_ptr<DIR, CloseFolder> open(opendir(path.c_str()));
  if (open == nullptr) return names;
  while (const dirent* entry = readdir(open.get())) {
    if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string RealPath(const std::string& path) {
  std::unique_ptr<char, decltype(&free)> real(realpath(path.c_str(), nullptr),
                                              &free);
  return real == nullptr ? "" : real.get();
}

bool Exists(const std::string& path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0;
}

int PrefixBits(const sockaddr* mask) {
  if (mask == nullptr) return 0;
  absl::string_view bytes;
  if (mask->sa_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(mask);
    bytes = {reinterpret_cast<const char*>(&v4->sin_addr), 4};
  } else {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(mask);
    bytes = {reinterpret_cast<const char*>(&v6->sin6_addr), 16};
  }
  int bits = 0;
  for (char byte : bytes)
    bits += __builtin_popcount(static_cast<uint8_t>(byte));
  return bits;
}

std::string AddressText(const ifaddrs& entry) {
  char text[INET6_ADDRSTRLEN];
  const void* address =
      entry.ifa_addr->sa_family == AF_INET
          ? static_cast<const void*>(
                &reinterpret_cast<const sockaddr_in*>(entry.ifa_addr)->sin_addr)
          : &reinterpret_cast<const sockaddr_in6*>(entry.ifa_addr)->sin6_addr;
  if (inet_ntop(entry.ifa_addr->sa_family, address, text, sizeof(text)) ==
      nullptr) {
    return "an address";
  }
  return absl::StrCat(text, "/", PrefixBits(entry.ifa_netmask));
}

using Interfaces = std::map<std::string, HostInterface>;

void ReadAddresses(Interfaces* interfaces) {
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return;
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr ||
        (entry->ifa_addr->sa_family != AF_INET &&
         entry->ifa_addr->sa_family != AF_INET6)) {
      continue;
    }
    // "eth0:1" is an alias of eth0.
    const std::string name =
        std::vector<std::string>(absl::StrSplit(entry->ifa_name, ':'))[0];
    auto found = interfaces->find(name);
    if (found == interfaces->end()) continue;
    found->second.addresses.push_back(AddressText(*entry));
  }
  freeifaddrs(list);
}

// proc(5): Iface Destination Gateway Flags RefCnt Use Metric Mask …
void ReadRoutes4(const std::string& path, Interfaces* interfaces) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);  // The heading.
  while (std::getline(file, line)) {
    const std::vector<std::string> fields =
        absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty());
    uint32_t flags = 0;
    if (fields.size() < 8 || !absl::SimpleHexAtoi(fields[3], &flags) ||
        (flags & RTF_UP) == 0 || (flags & RTF_REJECT) != 0) {
      continue;
    }
    auto found = interfaces->find(fields[0]);
    if (found == interfaces->end()) continue;
    if (fields[1] == "00000000" && fields[7] == "00000000") {
      found->second.default_route = true;
    } else if ((flags & RTF_GATEWAY) != 0) {
      found->second.other_routes = true;
    } else if (found->second.addresses.empty()) {
      found->second.other_routes = true;
    }
  }
}

// net/ipv6/route.c: destination bits source bits gateway metric ref use flags
// interface. The kernel itself adds fe80::/64 and ff00::/8 to all interfaces.
void ReadRoutes6(const std::string& path, Interfaces* interfaces) {
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    const std::vector<std::string> fields =
        absl::StrSplit(line, ' ', absl::SkipEmpty());
    uint32_t flags = 0;
    if (fields.size() < 10 || !absl::SimpleHexAtoi(fields[8], &flags) ||
        (flags & RTF_UP) == 0 || (flags & RTF_REJECT) != 0) {
      continue;
    }
    auto found = interfaces->find(fields[9]);
    if (found == interfaces->end()) continue;
    if (fields[1] == "00") {
      found->second.default_route = true;
    } else if ((flags & RTF_GATEWAY) != 0) {
      found->second.other_routes = true;
    }
  }
}

// Interfaces stacked on this one: its "upper" links.
std::vector<std::string> ReadUppers(const std::string& folder,
                                    const std::string& net) {
  std::vector<std::string> uppers;
  for (const std::string& entry : FolderEntries(folder)) {
    absl::string_view upper = entry;
    if (!absl::ConsumePrefix(&upper, "upper_")) continue;
    const std::string path = absl::StrCat(net, "/", upper);
    const char* kind = Exists(path + "/bridge")    ? "bridge"
                       : Exists(path + "/bonding") ? "bond"
                                                   : "interface";
    uppers.push_back(absl::StrCat(kind, " ", upper));
  }
  return uppers;
}

}  // namespace

std::string NearestPciAddress(const std::string& path) {
  std::string nearest;
  for (absl::string_view part : absl::StrSplit(path, '/')) {
    if (IsPciAddress(part)) nearest = std::string(part);
  }
  return nearest;
}

std::vector<HostInterface> ReadHostNetwork(const std::string& sys,
                                           const std::string& proc) {
  const std::string net = sys + "/class/net";
  Interfaces interfaces;
  for (const std::string& name : FolderEntries(net)) {
    const std::string folder = absl::StrCat(net, "/", name);
    HostInterface& interface = interfaces[name];
    interface.name = name;
    interface.pci_address = NearestPciAddress(RealPath(folder + "/device"));
    interface.belongs_to = ReadUppers(folder, net);
  }
  // The kernel's answer is about this machine only. Of a recorded one there are
  // the routes, which addresses make as well.
  if (proc == "/proc") ReadAddresses(&interfaces);
  ReadRoutes4(proc + "/net/route", &interfaces);
  ReadRoutes6(proc + "/net/ipv6_route", &interfaces);
  std::vector<HostInterface> list;
  for (auto& [name, interface] : interfaces) {
    list.push_back(std::move(interface));
  }
  return list;
}

std::string WhyUsed(const HostInterface& interface) {
  std::vector<std::string> carries;
  for (size_t i = 0; i < interface.addresses.size(); ++i) {
    if (i == kMaxAddressesShown) {
      carries.push_back(
          absl::StrCat(interface.addresses.size() - i, " more addresses"));
      break;
    }
    carries.push_back(interface.addresses[i]);
  }
  if (interface.default_route) carries.push_back("the default route");
  if (interface.other_routes) carries.push_back("routes");
  std::vector<std::string> reasons;
  if (!carries.empty()) {
    const std::string last = carries.back();
    carries.pop_back();
    reasons.push_back(absl::StrCat("carries ", absl::StrJoin(carries, ", "),
                                   carries.empty() ? "" : " and ", last));
  }
  for (const std::string& upper : interface.belongs_to) {
    reasons.push_back(absl::StartsWith(upper, "interface ")
                          ? absl::StrCat("carries the ", upper)
                          : absl::StrCat("belongs to the ", upper));
  }
  if (reasons.empty()) return "";
  return absl::StrCat(interface.name, " ", absl::StrJoin(reasons, " and "));
}

std::string WhyUsed(const std::vector<HostInterface>& interfaces,
                    const std::string& pci_address, bool is_network_card,
                    const std::string& kernel_driver) {
  bool has_interface = false;
  std::vector<std::string> reasons;
  for (const HostInterface& interface : interfaces) {
    if (interface.pci_address != pci_address) continue;
    has_interface = true;
    std::string why = WhyUsed(interface);
    if (!why.empty()) reasons.push_back(std::move(why));
  }
  // These drivers make no interface.
  const bool lent_to_a_program = absl::StartsWith(kernel_driver, "vfio") ||
                                 absl::StartsWith(kernel_driver, "uio") ||
                                 absl::StartsWith(kernel_driver, "igb_uio");
  if (is_network_card && !has_interface && !kernel_driver.empty() &&
      !lent_to_a_program) {
    reasons.push_back(absl::StrCat("the kernel driver ", kernel_driver,
                                   " has it, and its interface is in another "
                                   "network namespace"));
  }
  return absl::StrJoin(reasons, "; ");
}

}  // namespace bulkhead::pci
