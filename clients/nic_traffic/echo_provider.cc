#include "clients/nic_traffic/echo_provider.h"

#include <poll.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace bulkhead::nic_traffic {
namespace {

using packet_stream::Ack;
using packet_stream::AckStatus;
using packet_stream::Descriptor;
using packet_stream::ProviderEnd;
using packet_stream::SessionAreas;

template <typename T>
T OrDie(absl::StatusOr<T> value) {
  if (!value.ok()) std::abort();  // Only tests link this.
  return *std::move(value);
}

}  // namespace

EchoSession::EchoSession(const packet_stream::SessionGeometry& geometry,
                         Judge judge, packet_stream::OnRestart on_restart)
    : judge_(std::move(judge)),
      areas_(OrDie(packet_stream::CreateSessionAreas(geometry))) {
  SetEpoch(epoch_);
  client_ = OrDie(packet_stream::ClientEnd::Create(
      OrDie(areas_.MakeClientGrant(1, epoch_)), on_restart, UniqueFd()));
  tx_ = OrDie(Mapping::MapSealed(areas_.tx_data_fd(), geometry.TxDataBytes(),
                                 Access::kReadOnly));
  rx_ = OrDie(Mapping::MapSealed(areas_.rx_data_fd(), geometry.RxDataBytes(),
                                 Access::kReadWrite));
  thread_ = std::thread([this] { Serve(); });
}

EchoSession::~EchoSession() {
  stop_ = true;
  thread_.join();
}

void EchoSession::SetEpoch(uint32_t epoch) {
  packet_stream::SessionStatus status = areas_.status().Current();
  status.epoch = epoch;
  status.generation = epoch;
  status.state = packet_stream::SessionState::kRunning;
  status.link_up = true;
  status.mac = {2, 0, 0, 0, 0, 9};
  areas_.status().Write(status);
  areas_.WakeClient();
}

void EchoSession::Serve() {
  while (!stop_) {
    unpublished_ = 0;
    const auto provider =
        OrDie(ProviderEnd::Create(OrDie(areas_.MakeProviderGrant(1, epoch_))));
    if (ServeUntilDeath(*provider)) return;
    SetEpoch(++epoch_);
  }
}

void EchoSession::Publish(ProviderEnd& provider) {
  provider.Flush();
  echoed_ += std::exchange(unpublished_, 0);
}

// Returns false when the provider died.
bool EchoSession::ServeUntilDeath(ProviderEnd& provider) {
  while (!stop_) {
    std::array<Descriptor, 16> pieces;
    size_t count = 0;
    if (provider.Ready()) count = provider.TakeTx(pieces);
    for (size_t i = 0; i < count; ++i) {
      const Fate fate = judge_(taken_++);
      if (fate == Fate::kDieBefore) {
        // What was not yet published dies too.
        unacknowledged_ += count;
        return false;
      }
      const uint64_t copies =
          fate == Fate::kDrop ? 0 : (fate == Fate::kTwice ? 2 : 1);
      if (!Echo(provider, pieces[i], copies, fate == Fate::kCorrupt)) {
        return true;
      }
      if (fate == Fate::kDieAfter) {
        Publish(provider);
        unacknowledged_ += count - i;
        return false;
      }
      const Ack ack = packet_stream::MakeAck(
          pieces[i].offset / provider.geometry().buffer_bytes,
          AckStatus::kDone);
      provider.AckTx({&ack, 1});
    }
    Publish(provider);
    if (count == 0 && provider.ArmDoorbell()) {
      pollfd watched = {
          .fd = provider.doorbell_fd(), .events = POLLIN, .revents = 0};
      ::poll(&watched, 1, 10);  // So that stop_ is seen.
      provider.DisarmDoorbell();
    }
  }
  return true;
}

// Waits for free rx buffers: this provider drops nothing of its own accord.
// False: told to stop meanwhile.
bool EchoSession::Echo(ProviderEnd& provider, const Descriptor& piece,
                       uint64_t copies, bool corrupt) {
  for (uint64_t copy = 0; copy < copies; ++copy) {
    uint32_t buffer = 0;
    while (provider.TakeFreeRx({&buffer, 1}) == 0) {
      if (stop_) return false;
      Publish(provider);
      std::this_thread::yield();
    }
    const uint32_t offset = buffer * provider.geometry().buffer_bytes;
    uint8_t* out = rx_.data() + offset;
    std::memcpy(out, tx_.data() + piece.offset, piece.length);
    std::swap_ranges(out, out + 6, out + 6);
    if (corrupt) out[50] ^= 1;
    const Descriptor filled = {.offset = offset,
                               .length = piece.length,
                               .flags = 0,
                               .checksum_start = 0,
                               .checksum_offset = 0,
                               .segments = 0};
    provider.SubmitRx({&filled, 1});
    ++unpublished_;
  }
  return true;
}

}  // namespace bulkhead::nic_traffic
