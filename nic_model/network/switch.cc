#include "nic_model/network/switch.h"

#include <sys/epoll.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "base/log.h"

namespace bulkhead::nic_model {
namespace {

constexpr size_t kEthernetBytes = 14;

bool IsGroup(std::span<const uint8_t, 6> address) {
  return (address[0] & 1) != 0;
}

}  // namespace

uint64_t AddressTable::Number(std::span<const uint8_t, 6> address) {
  uint64_t number = 1;  // Above the 48 bits: never 0.
  for (const uint8_t byte : address) number = number << 8 | byte;
  return number;
}

size_t AddressTable::Slot(uint64_t number) {
  // Fibonacci hashing: consecutive addresses spread over the table.
  return (number * 0x9e3779b97f4a7c15u) >> 52;
}
void AddressTable::Learn(std::span<const uint8_t, 6> address, int port) {
  static_assert(kEntries == 1 << (64 - 52));
  const uint64_t number = Number(address);
  entries_[Slot(number)] = {number, port};
}

int AddressTable::Find(std::span<const uint8_t, 6> address) const {
  const uint64_t number = Number(address);
  const Entry& entry = entries_[Slot(number)];
  return entry.address == number ? entry.port : kUnknown;
}

void AddressTable::Forget(int port) {
  for (Entry& entry : entries_) {
    if (entry.port == port) entry = {};
  }
}

Switch::Switch(EventLoop& loop)
    : loop_(loop),
      buffers_(new std::array<std::array<uint8_t, kMaxFrameBytes>, kBatch>) {
  for (size_t i = 0; i < kBatch; ++i) {
    rx_parts_[i] = {(*buffers_)[i].data(), kMaxFrameBytes};
    rx_messages_[i].msg_hdr.msg_iov = &rx_parts_[i];
    rx_messages_[i].msg_hdr.msg_iovlen = 1;
  }
}

Switch::~Switch() {
  for (const auto& port : ports_) {
    if (port->watch != 0) loop_.Unwatch(port->watch);
  }
}

absl::Status Switch::AddPort(UniqueFd socket) {
  if (ports_.size() >= kMaxPorts) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "add a port to the switch: it has ", kMaxPorts, ", the most"));
  }
  int type;
  socklen_t bytes = sizeof(type);
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_TYPE, &type, &bytes) != 0) {
    return ErrnoStatus("add a port to the switch");
  }
  if (type != SOCK_SEQPACKET) {
    return absl::InvalidArgumentError(
        "add a port to the switch: it is no SOCK_SEQPACKET socket");
  }
  const int index = static_cast<int>(ports_.size());
  auto port = std::make_unique<SwitchPort>();
  port->socket = std::move(socket);
  ASSIGN_OR_RETURN(port->watch, loop_.Watch(port->socket.get(), EPOLLIN,
                                            [this, index](uint32_t) {
                                              HandleReadable(index);
                                            }));
  ports_.push_back(std::move(port));
  return absl::OkStatus();
}

void Switch::HandleReadable(int index) {
  SwitchPort& port = *ports_[index];
  const int count = ::recvmmsg(port.socket.get(), rx_messages_.data(), kBatch,
                               MSG_DONTWAIT, nullptr);
  if (count < 0) {
    if (errno != EAGAIN && errno != EINTR) Unplug(index);
    return;
  }
  bool ended = false;
  for (int i = 0; i < count && !ended; ++i) {
    const size_t bytes = rx_messages_[i].msg_len;
    tx_parts_[i] = {(*buffers_)[i].data(), bytes};
    ended = bytes == 0;
    if (bytes >= kEthernetBytes) Forward(index, static_cast<size_t>(i));
  }
  for (const auto& other : ports_) Flush(*other);
  if (ended) Unplug(index);
}

void Switch::Forward(int from, size_t buffer) {
  const uint8_t* frame = (*buffers_)[buffer].data();
  const std::span<const uint8_t, 6> destination(frame, 6);
  const std::span<const uint8_t, 6> source(frame + 6, 6);
  if (!IsGroup(source)) table_.Learn(source, from);
  const int to =
      IsGroup(destination) ? AddressTable::kUnknown : table_.Find(destination);
  if (to == from) return;
  if (to != AddressTable::kUnknown) return Enqueue(*ports_[to], buffer);
  for (size_t i = 0; i < ports_.size(); ++i) {
    if (static_cast<int>(i) != from) Enqueue(*ports_[i], buffer);
  }
}

void Switch::Enqueue(SwitchPort& port, size_t buffer) {
  if (!port.socket.valid()) return;
  msghdr& message = port.queue[port.queued++].msg_hdr;
  message.msg_iov = &tx_parts_[buffer];
  message.msg_iovlen = 1;
}

void Switch::Flush(SwitchPort& port) {
  size_t done = 0;
  while (done < port.queued) {
    const int sent = ::sendmmsg(port.socket.get(), port.queue.data() + done,
                                static_cast<unsigned>(port.queued - done),
                                MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent > 0) {
      done += static_cast<size_t>(sent);
    } else if (errno != EINTR) {
      break;
    }
  }
  forwarded_ += done;
  dropped_ += port.queued - done;
  port.queued = 0;
}

void Switch::Unplug(int index) {
  SwitchPort& port = *ports_[index];
  LogWarning(absl::StrCat("switch: port ", index, " was unplugged"));
  loop_.Unwatch(port.watch);
  port.watch = 0;
  port.socket.Reset();
  table_.Forget(index);
}

}  // namespace bulkhead::nic_model
