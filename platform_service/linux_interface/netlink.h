// Reads rtnetlink (rtnetlink(7)): links, addresses, routes, and what changes.
//
// An own reader, since a dozen attributes are all that is wanted, and a length
// that lies must be survived: it is fuzzed.
#ifndef BULKHEAD_PLATFORM_SERVICE_LINUX_INTERFACE_NETLINK_H_
#define BULKHEAD_PLATFORM_SERVICE_LINUX_INTERFACE_NETLINK_H_

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/unique_fd.h"

namespace bulkhead::platform {

using MacAddress = std::array<uint8_t, 6>;
// "02:00:00:00:00:01"
std::string MacText(const MacAddress& mac);

// What an RTM_NEWLINK or RTM_DELLINK message says.
struct LinkMessage {
  bool removed = false;
  int index = 0;
  std::string name;
  uint32_t flags = 0;  // IFF_…
  uint32_t mtu = 0;
  bool ethernet = false;  // Frames have an Ethernet header and a MAC address.
  MacAddress mac = {};
  int master = 0;    // Index of the bond or bridge it belongs to; 0: none.
  std::string kind;  // "veth", "bridge"; empty for hardware.
  int lower = 0;  // What a VLAN or its like stands on, or a veth's other end;
                  // 0: none.
  bool lower_is_elsewhere = false;  // `lower` is of another namespace.
  // Of RTM_DELLINK: it lives on in another namespace.
  bool moved = false;
};

struct AddressMessage {
  int index = 0;
  std::string text;  // "10.0.0.2/24"
  // The kernel made it by itself when the interface was set up: fe80::…
  bool automatic = false;
};

struct RouteMessage {
  int index = 0;  // Of the interface it leaves by.
  bool is_default = false;
  // The kernel made it for an address that the interface has.
  bool automatic = false;
};

// nullopt: the message is about something else, or makes no sense. `message`
// starts with its nlmsghdr.
std::optional<LinkMessage> ReadLink(std::span<const uint8_t> message);
std::optional<AddressMessage> ReadAddress(std::span<const uint8_t> message);
std::optional<RouteMessage> ReadRoute(std::span<const uint8_t> message);

// Calls `each` for every message in a datagram of the kernel. The type of the
// last one; NLMSG_DONE ends a dump.
uint16_t ForEachMessage(
    std::span<const uint8_t> datagram,
    const std::function<void(std::span<const uint8_t>)>& each);

// A socket of the calling thread's network namespace.
class NetlinkSocket {
 public:
  // `groups`: RTMGRP_… to hear of.
  static absl::StatusOr<NetlinkSocket> Open(uint32_t groups = 0);

  // Asks for all of a kind (RTM_GETLINK, RTM_GETADDR, RTM_GETROUTE).
  absl::Status Dump(uint16_t request,
                    const std::function<void(std::span<const uint8_t>)>& each);
  // Has the kernel do what `message` says: an nlmsghdr, of which only the type
  // counts, and what belongs to it. `what`: for errors.
  absl::Status Ask(std::span<uint8_t> message, uint16_t flags,
                   absl::string_view what);
  // Sets an interface up or down.
  absl::Status SetUp(int index, bool up);
  // Takes what waits. False: messages were lost, ask for all anew.
  bool Receive(const std::function<void(std::span<const uint8_t>)>& each);

  int fd() const { return socket_.get(); }

 private:
  explicit NetlinkSocket(UniqueFd socket) : socket_(std::move(socket)) {}

  UniqueFd socket_;
  uint32_t sequence_ = 0;
};

}  // namespace bulkhead::platform

#endif  // BULKHEAD_PLATFORM_SERVICE_LINUX_INTERFACE_NETLINK_H_
