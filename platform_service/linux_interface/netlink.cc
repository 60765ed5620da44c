#include "platform_service/linux_interface/netlink.h"

#include <arpa/inet.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/errno_status.h"

namespace bulkhead::platform {
namespace {

using Bytes = std::span<const uint8_t>;

// Of a datagram: the kernel's own limit for a dump's.
constexpr size_t kDatagramBytes = 64 << 10;
// linux/if_addr.h since 5.18, which Debian 12's kernel has.
constexpr uint16_t kAddressProtocol = 11;
constexpr uint8_t kKernelLinkLocal = 3;
// The kernel answers at once; this is for one that does not.
constexpr int kAnswerMs = 2000;

template <typename T>
bool ReadAs(Bytes bytes, T* out) {
  if (bytes.size() < sizeof(T)) return false;
  std::memcpy(out, bytes.data(), sizeof(T));
  return true;
}

size_t Aligned(size_t bytes) { return (bytes + 3) & ~size_t{3}; }

// The message's payload of fixed size, and the attributes after it.
template <typename Header>
bool Split(Bytes message, Header* header, Bytes* attributes) {
  Bytes body = message.subspan(std::min(message.size(), sizeof(nlmsghdr)));
  if (!ReadAs(body, header)) return false;
  *attributes = body.subspan(std::min(body.size(), Aligned(sizeof(Header))));
  return true;
}

uint16_t TypeOf(Bytes message) {
  nlmsghdr header = {};
  return ReadAs(message, &header) ? header.nlmsg_type : 0;
}

template <typename Each>
void ForEachAttribute(Bytes bytes, Each each) {
  rtattr attribute;
  while (ReadAs(bytes, &attribute) && attribute.rta_len >= sizeof(attribute) &&
         attribute.rta_len <= bytes.size()) {
    each(attribute.rta_type & NLA_TYPE_MASK,
         bytes.subspan(sizeof(attribute),
                       attribute.rta_len - sizeof(attribute)));
    bytes = bytes.subspan(std::min(bytes.size(), Aligned(attribute.rta_len)));
  }
}

std::string Text(Bytes bytes) {
  return std::string(bytes.begin(),
                     std::find(bytes.begin(), bytes.end(), uint8_t{0}));
}

template <typename T>
T Number(Bytes bytes) {
  T value = 0;
  ReadAs(bytes, &value);
  return value;
}

std::string AddressText(int family, Bytes bytes, int prefix) {
  char text[INET6_ADDRSTRLEN] = "";
  const size_t size = family == AF_INET ? 4 : 16;
  if (bytes.size() != size ||
      ::inet_ntop(family, bytes.data(), text, sizeof(text)) == nullptr) {
    return "an address";
  }
  return absl::StrCat(text, "/", prefix);
}

}  // namespace

std::string MacText(const MacAddress& mac) {
  return absl::StrFormat("%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1],
                         mac[2], mac[3], mac[4], mac[5]);
}

std::optional<LinkMessage> ReadLink(Bytes message) {
  const uint16_t type = TypeOf(message);
  if (type != RTM_NEWLINK && type != RTM_DELLINK) return std::nullopt;
  ifinfomsg info = {};
  Bytes attributes;
  if (!Split(message, &info, &attributes) || info.ifi_index <= 0) {
    return std::nullopt;
  }
  // A bridge tells of its ports in messages of its own.
  if (info.ifi_family != AF_UNSPEC) return std::nullopt;
  LinkMessage link;
  link.removed = type == RTM_DELLINK;
  link.index = info.ifi_index;
  link.flags = info.ifi_flags;
  bool has_mac = false;
  ForEachAttribute(attributes, [&](uint16_t kind, Bytes value) {
    switch (kind) {
      case IFLA_IFNAME:
        link.name = Text(value);
        break;
      case IFLA_MTU:
        link.mtu = Number<uint32_t>(value);
        break;
      case IFLA_ADDRESS:
        has_mac = value.size() == link.mac.size();
        if (has_mac) std::copy(value.begin(), value.end(), link.mac.begin());
        break;
      case IFLA_MASTER:
        link.master = Number<int32_t>(value);
        break;
      case IFLA_LINK:
        link.lower = Number<int32_t>(value);
        break;
      case IFLA_LINK_NETNSID:
        link.lower_is_elsewhere = true;
        break;
      case IFLA_NEW_NETNSID:
      case IFLA_NEW_IFINDEX:
        link.moved = link.removed;
        break;
      case IFLA_LINKINFO:
        ForEachAttribute(value, [&](uint16_t inner, Bytes text) {
          if (inner == IFLA_INFO_KIND) link.kind = Text(text);
        });
        break;
      default:
        break;
    }
  });
  link.ethernet = info.ifi_type == ARPHRD_ETHER && has_mac;
  return link;
}

std::optional<AddressMessage> ReadAddress(Bytes message) {
  if (TypeOf(message) != RTM_NEWADDR) return std::nullopt;
  ifaddrmsg info = {};
  Bytes attributes;
  if (!Split(message, &info, &attributes)) return std::nullopt;
  AddressMessage address;
  address.index = static_cast<int>(info.ifa_index);
  address.text = "an address";
  const auto show = [&](Bytes value) {
    address.text = AddressText(info.ifa_family, value, info.ifa_prefixlen);
  };
  bool has_local = false;
  ForEachAttribute(attributes, [&](uint16_t kind, Bytes value) {
    // IFA_ADDRESS is the other end's on a point-to-point link.
    if (kind == IFA_LOCAL) has_local = true;
    if (kind == IFA_LOCAL || (kind == IFA_ADDRESS && !has_local)) show(value);
    if (kind == kAddressProtocol) {
      address.automatic = Number<uint8_t>(value) == kKernelLinkLocal;
    }
  });
  return address;
}

std::optional<RouteMessage> ReadRoute(Bytes message) {
  if (TypeOf(message) != RTM_NEWROUTE) return std::nullopt;
  rtmsg info = {};
  Bytes attributes;
  if (!Split(message, &info, &attributes) || info.rtm_type != RTN_UNICAST) {
    return std::nullopt;
  }
  RouteMessage route;
  route.is_default = info.rtm_dst_len == 0;
  route.automatic = info.rtm_protocol == RTPROT_KERNEL;
  ForEachAttribute(attributes, [&](uint16_t kind, Bytes value) {
    if (kind == RTA_OIF) route.index = Number<int32_t>(value);
  });
  return route;
}

uint16_t ForEachMessage(Bytes datagram,
                        const std::function<void(Bytes)>& each) {
  uint16_t type = 0;
  nlmsghdr header;
  while (ReadAs(datagram, &header) && header.nlmsg_len >= sizeof(header) &&
         header.nlmsg_len <= datagram.size()) {
    type = header.nlmsg_type;
    each(datagram.first(header.nlmsg_len));
    datagram =
        datagram.subspan(std::min(datagram.size(), Aligned(header.nlmsg_len)));
  }
  return type;
}

absl::StatusOr<NetlinkSocket> NetlinkSocket::Open(uint32_t groups) {
  UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
                       NETLINK_ROUTE));
  if (!fd.valid()) return ErrnoStatus("open an rtnetlink socket");
  sockaddr_nl address = {};
  address.nl_family = AF_NETLINK;
  address.nl_groups = groups;
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address),
             sizeof(address)) != 0) {
    return ErrnoStatus("bind an rtnetlink socket");
  }
  return NetlinkSocket(std::move(fd));
}

bool NetlinkSocket::Receive(const std::function<void(Bytes)>& each) {
  std::vector<uint8_t> buffer(kDatagramBytes);
  while (true) {
    const ssize_t got = ::recv(socket_.get(), buffer.data(), buffer.size(),
                               MSG_DONTWAIT | MSG_TRUNC);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno != ENOBUFS;
    if (static_cast<size_t>(got) > buffer.size()) return false;
    ForEachMessage(Bytes(buffer).first(static_cast<size_t>(got)), each);
  }
}

absl::Status NetlinkSocket::Dump(uint16_t request,
                                 const std::function<void(Bytes)>& each) {
  struct {
    nlmsghdr header;
    rtgenmsg family;
  } message = {};
  message.header.nlmsg_len = NLMSG_LENGTH(sizeof(rtgenmsg));
  message.header.nlmsg_type = request;
  message.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  message.header.nlmsg_seq = ++sequence_;
  if (::send(socket_.get(), &message, message.header.nlmsg_len, 0) < 0) {
    return ErrnoStatus("ask the kernel for its interfaces");
  }
  std::vector<uint8_t> buffer(kDatagramBytes);
  while (true) {
    pollfd waiting = {socket_.get(), POLLIN, 0};
    if (::poll(&waiting, 1, kAnswerMs) <= 0) {
      return absl::DeadlineExceededError(
          "ask the kernel for its interfaces: no answer");
    }
    const ssize_t got = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoStatus("ask the kernel for its interfaces");
    const uint16_t last =
        ForEachMessage(Bytes(buffer).first(static_cast<size_t>(got)), each);
    if (last == NLMSG_DONE) return absl::OkStatus();
    if (last == NLMSG_ERROR || last == 0) {
      return absl::InternalError(
          "ask the kernel for its interfaces: it refused");
    }
  }
}

absl::Status NetlinkSocket::Ask(std::span<uint8_t> message, uint16_t flags,
                                absl::string_view what) {
  nlmsghdr header = {};
  if (!ReadAs(message, &header)) return absl::InvalidArgumentError(what);
  header.nlmsg_len = static_cast<uint32_t>(message.size());
  header.nlmsg_flags = flags | NLM_F_REQUEST | NLM_F_ACK;
  header.nlmsg_seq = ++sequence_;
  header.nlmsg_pid = 0;
  std::memcpy(message.data(), &header, sizeof(header));
  if (::send(socket_.get(), message.data(), message.size(), 0) < 0) {
    return ErrnoStatus(what);
  }
  std::vector<uint8_t> buffer(kDatagramBytes);
  pollfd waiting = {socket_.get(), POLLIN, 0};
  while (::poll(&waiting, 1, kAnswerMs) > 0) {
    const ssize_t got = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (got < 0) return ErrnoStatus(what);
    std::optional<int> error;
    ForEachMessage(
        Bytes(buffer).first(static_cast<size_t>(got)), [&](Bytes answer) {
          nlmsghdr head = {};
          nlmsgerr body = {};
          if (!ReadAs(answer, &head) || head.nlmsg_type != NLMSG_ERROR ||
              head.nlmsg_seq != sequence_) {
            return;
          }
          if (ReadAs(answer.subspan(sizeof(head)), &body)) error = body.error;
        });
    if (!error.has_value()) continue;
    if (*error == 0) return absl::OkStatus();
    return ErrnoStatus(what, -*error);
  }
  return absl::DeadlineExceededError(
      absl::StrCat(what, ": no answer of the kernel"));
}

absl::Status NetlinkSocket::SetUp(int index, bool up) {
  struct {
    nlmsghdr header;
    ifinfomsg info;
  } message = {};
  message.header.nlmsg_type = RTM_NEWLINK;
  message.info.ifi_index = index;
  message.info.ifi_change = IFF_UP;
  message.info.ifi_flags = up ? IFF_UP : 0;
  return Ask({reinterpret_cast<uint8_t*>(&message), sizeof(message)}, 0,
             "set an interface up or down");
}

}  // namespace bulkhead::platform
