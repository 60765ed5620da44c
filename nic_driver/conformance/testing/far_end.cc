#include "nic_driver/conformance/testing/far_end.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "platform_service/linux_interface/enumerate.h"
#include "platform_service/linux_interface/network_namespace.h"

namespace bulkhead::nic_driver::testing {
namespace {

using nic_model::Bump;

// All that a session can have under way.
constexpr int kBufferBytes = 64 << 20;

absl::Status Set(const UniqueFd& socket, int level, int name, const void* value,
                 socklen_t bytes) {
  if (::setsockopt(socket.get(), level, name, value, bytes) == 0) {
    return absl::OkStatus();
  }
  return ErrnoStatus("set an option of the far end's socket");
}

}  // namespace

absl::StatusOr<std::unique_ptr<FarEnd>> FarEnd::Create(const Options& options) {
  std::unique_ptr<FarEnd> end(new FarEnd(options));
  RETURN_IF_ERROR(end->Open());
  end->stop_.Reset(::eventfd(0, EFD_CLOEXEC));
  if (!end->stop_.valid()) return ErrnoStatus("make an eventfd");
  if (options.echo) {
    end->echo_ = std::thread([raw = end.get()] { raw->Echo(); });
  }
  return end;
}

FarEnd::~FarEnd() {
  if (!echo_.joinable()) return;
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t told = ::write(stop_.get(), &one, sizeof(one));
  echo_.join();
}

absl::Status FarEnd::Open() {
  RETURN_IF_ERROR(platform::InNamespace(options_.network_namespace, [this]() {
    socket_.Reset(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
    return socket_.valid() ? absl::OkStatus() : ErrnoStatus("open the far end");
  }));
  ASSIGN_OR_RETURN(const auto interfaces,
                   platform::EnumerateInterfaces(options_.network_namespace));
  if (interfaces.empty()) {
    return absl::NotFoundError(
        absl::StrCat("there is no interface in ", options_.network_namespace));
  }
  const int index = interfaces.front().interface_index;
  // What this end itself sends is nothing that came.
  const int on = 1;
  RETURN_IF_ERROR(
      Set(socket_, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)));
  // Frames are for many a station.
  packet_mreq all = {};
  all.mr_ifindex = index;
  all.mr_type = PACKET_MR_PROMISC;
  RETURN_IF_ERROR(
      Set(socket_, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof(all)));
  for (const int buffer : {SO_RCVBUFFORCE, SO_SNDBUFFORCE}) {
    RETURN_IF_ERROR(
        Set(socket_, SOL_SOCKET, buffer, &kBufferBytes, sizeof(kBufferBytes)));
  }
  sockaddr_ll address = {};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(options_.type);
  address.sll_ifindex = index;
  if (::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address),
             sizeof(address)) != 0) {
    return ErrnoStatus("bind the far end");
  }
  return absl::OkStatus();
}

// In a thread of its own. Counted before it is sent, so that whoever has it
// finds it counted.
void FarEnd::Echo() {
  std::array<uint8_t, 16384> frame;
  pollfd waiting[] = {{socket_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
  while (true) {
    ::poll(waiting, 2, -1);
    if (waiting[1].revents != 0) return;
    const ssize_t got =
        ::recv(socket_.get(), frame.data(), frame.size(), MSG_DONTWAIT);
    if (got < 14) continue;
    std::swap_ranges(frame.begin(), frame.begin() + 6, frame.begin() + 6);
    Bump(port_.tx_frames);
    Bump(port_.tx_bytes, static_cast<uint64_t>(got));
    Bump(port_.rx_offered);
    Bump(port_.rx_frames);
    SendBack(frame.data(), static_cast<size_t>(got));
  }
}

// While the link is down there is nobody to send to.
void FarEnd::SendBack(const uint8_t* frame, size_t bytes) {
  pollfd stopped = {stop_.get(), POLLIN, 0};
  for (int tried = 1; ::send(socket_.get(), frame, bytes, 0) < 0; ++tried) {
    if (errno != ENOBUFS || tried >= options_.tries ||
        ::poll(&stopped, 1, 1) != 0) {
      return;
    }
  }
}

}  // namespace bulkhead::nic_driver::testing
