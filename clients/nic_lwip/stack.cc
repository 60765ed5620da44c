#include "clients/nic_lwip/stack.h"

#include <lwip/etharp.h>
#include <lwip/init.h>
#include <lwip/pbuf.h>
#include <lwip/timeouts.h>
#include <netif/ethernet.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/errno_status.h"

namespace bulkhead::nic_lwip {
namespace {

using packet_stream::kMore;
using packet_stream::RxPiece;

constexpr uint16_t kEthernetHeaderBytes = 14;
constexpr int kAttachWaitMs = 10'000;

// The MAC address is the driver's to say.
absl::Status AwaitDriver(packet_stream::Session& session) {
  for (int waited_ms = 0; waited_ms < kAttachWaitMs; waited_ms += 100) {
    if (session.status().state == packet_stream::SessionState::kRunning) {
      return absl::OkStatus();
    }
    session.Wait(100);
    session.Flush();
  }
  return absl::UnavailableError(
      "attach to the NIC: it has no driver; see `bulkhead status`");
}

}  // namespace

absl::StatusOr<std::unique_ptr<Stack>> Stack::Create(
    packet_stream::Session* session, const Ipv4Config& config) {
  RETURN_IF_ERROR(AwaitDriver(*session));
  ::lwip_init();
  std::unique_ptr<Stack> stack(new Stack(session));
  const ip4_addr_t address = {config.address};
  const ip4_addr_t netmask = {config.netmask};
  const ip4_addr_t gateway = {config.gateway};
  if (::netif_add(&stack->interface_, &address, &netmask, &gateway, stack.get(),
                  &Stack::Init, &::ethernet_input) == nullptr) {
    return absl::InternalError("set lwIP up: it takes no interface");
  }
  ::netif_set_default(&stack->interface_);
  ::netif_set_up(&stack->interface_);
  // A link that is down loses frames as any other: TCP waits for it.
  ::netif_set_link_up(&stack->interface_);
  return stack;
}

Stack::~Stack() { ::netif_remove(&interface_); }

err_t Stack::Init(netif* interface) {
  const auto* stack = static_cast<const Stack*>(interface->state);
  const packet_stream::SessionStatus status = stack->session_->status();
  interface->name[0] = 'b';
  interface->name[1] = 'h';
  interface->output = &::etharp_output;
  interface->linkoutput = &Stack::Output;
  interface->mtu = static_cast<uint16_t>(std::min(status.mtu, 1500u));
  interface->hwaddr_len = ETH_HWADDR_LEN;
  std::copy(status.mac.begin(), status.mac.end(), interface->hwaddr);
  interface->flags =
      NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET;
  return ERR_OK;
}

// Queued; Run publishes what one turn has queued.
err_t Stack::Output(netif* interface, pbuf* frame) {
  auto* stack = static_cast<Stack*>(interface->state);
  packet_stream::TxBuffer buffer;
  if (stack->session_->AllocTx({&buffer, 1}) == 0) {
    ++stack->dropped_;
    return ERR_MEM;
  }
  if (frame->tot_len > buffer.capacity) {
    stack->session_->ReturnTx({&buffer, 1});
    ++stack->dropped_;
    return ERR_BUF;
  }
  ::pbuf_copy_partial(frame, buffer.data, frame->tot_len, 0);
  const packet_stream::Descriptor piece = {.offset = buffer.offset,
                                           .length = frame->tot_len};
  stack->session_->SubmitTx({&piece, 1});
  ++stack->sent_;
  return ERR_OK;
}

absl::Status Stack::Run(int stop_fd) {
  for (;;) {
    const size_t received = Input();
    ::sys_check_timeouts();
    session_->Flush();
    if (received > 0) continue;
    const absl::Status health = session_->health();
    // DataLoss: this driver broke the protocol; the next one is on its way.
    if (!health.ok() && !absl::IsDataLoss(health)) return health;
    if (Sleep(stop_fd)) return absl::OkStatus();
  }
}

bool Stack::Sleep(int stop_fd) {
  const uint32_t timeout_ms = std::min(::sys_timeouts_sleeptime(), 1000u);
  const bool armed = session_->ArmWait();
  pollfd watched[] = {{.fd = stop_fd, .events = POLLIN, .revents = 0},
                      {.fd = session_->fd(), .events = POLLIN, .revents = 0}};
  ::poll(watched, std::size(watched), armed ? static_cast<int>(timeout_ms) : 0);
  if (armed) session_->DisarmWait();
  return watched[0].revents != 0;
}

size_t Stack::Input() {
  std::array<RxPiece, 64> pieces;
  const size_t taken = session_->Receive(pieces);
  for (size_t start = 0, i = 0; i < taken; ++i) {
    if ((pieces[i].flags & kMore) != 0) continue;
    InputFrame({&pieces[start], i + 1 - start});
    start = i + 1;
  }
  session_->Release({pieces.data(), taken});
  return taken;
}

void Stack::InputFrame(std::span<const RxPiece> pieces) {
  size_t bytes = 0;
  for (const RxPiece& piece : pieces) bytes += piece.length;
  pbuf* frame =
      bytes < kEthernetHeaderBytes || bytes > UINT16_MAX
          ? nullptr
          : ::pbuf_alloc(PBUF_RAW, static_cast<uint16_t>(bytes), PBUF_RAM);
  if (frame == nullptr) {
    ++dropped_;
    return;
  }
  uint16_t at = 0;
  for (const RxPiece& piece : pieces) {
    ::pbuf_take_at(frame, piece.data, piece.length, at);
    at = static_cast<uint16_t>(at + piece.length);
  }
  ++received_;
  if (interface_.input(frame, &interface_) != ERR_OK) ::pbuf_free(frame);
}

}  // namespace bulkhead::nic_lwip
