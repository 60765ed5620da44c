#include "packet_stream/local_session.h"

#include <cstdlib>
#include <cstring>
#include <utility>

#include "packet_stream/doorbell.h"

namespace bulkhead::packet_stream {
namespace {

DoorbellWaiter Waiter(const UniqueFd& bell) {
  if (!bell.valid()) return {};
  auto epoll = CreateBellWaiter({bell.get()});
  if (!epoll.ok()) std::abort();
  auto waiter = DoorbellWaiter::Create(*std::move(epoll));
  if (!waiter.ok()) std::abort();
  return *std::move(waiter);
}

}  // namespace

LocalSession::LocalSession(const SessionGeometry& geometry, bool bells)
    : geometry_(geometry),
      client_(Allocate(geometry.ClientControlBytes())),
      provider_(Allocate(geometry.ProviderControlBytes())),
      tx_data_(Allocate(geometry.TxDataBytes())),
      rx_data_(Allocate(geometry.RxDataBytes())),
      status_(Allocate(kStatusPageBytes)) {
  if (bells) {
    auto tx_bell = CreateBell();
    auto rx_bell = CreateBell();
    if (!tx_bell.ok() || !rx_bell.ok()) std::abort();
    tx_bell_ = *std::move(tx_bell);
    rx_bell_ = *std::move(rx_bell);
  }
  SetEpoch(1);
}

void LocalSession::Free::operator()(uint8_t* memory) const {
  std::free(memory);
}

LocalSession::Memory LocalSession::Allocate(size_t bytes) {
  auto* memory =
      static_cast<uint8_t*>(std::aligned_alloc(4096, RoundUpToPage(bytes)));
  std::memset(memory, 0, bytes);
  return Memory(memory);
}

std::unique_ptr<ClientEnd> LocalSession::MakeClient(OnRestart on_restart) {
  return std::make_unique<ClientEnd>(
      ClientMemory{client_control(), provider_control(), tx_data(), rx_data(),
                   status_page()},
      geometry_, epoch_, on_restart, DoorbellRinger(tx_bell_.Duplicate()),
      Waiter(rx_bell_));
}

std::unique_ptr<ProviderEnd> LocalSession::MakeProvider() {
  return std::make_unique<ProviderEnd>(
      ProviderMemory{provider_control(), client_control()}, geometry_,
      /*session_id=*/1, epoch_, Waiter(tx_bell_),
      DoorbellRinger(rx_bell_.Duplicate()));
}

void LocalSession::SetEpoch(uint32_t epoch) {
  epoch_ = epoch;
  StatusWriter(status_page())
      .Write({.state = SessionState::kRunning, .epoch = epoch});
  if (rx_bell_.valid()) DoorbellRinger(rx_bell_.Duplicate()).Ring();
}

}  // namespace bulkhead::packet_stream
