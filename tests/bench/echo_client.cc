#include "tests/bench/echo_client.h"

#include <poll.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/clock.h"
#include "base/errno_status.h"

namespace bulkhead::bench {
namespace {

using packet_stream::Descriptor;
using packet_stream::RxPiece;
using packet_stream::Session;
using packet_stream::TxBuffer;

// Ethernet header, then the frame's number twice: once as it is, once
// inverted, so that a frame of other bytes is not taken for ours.
constexpr size_t kNumberAt = 14;
constexpr size_t kSmallestFrame = kNumberAt + 16;
constexpr uint16_t kEtherType = 0x88b5;  // IEEE 802: local experiments.

void WriteFrame(uint8_t* frame, const std::array<uint8_t, 6>& mac,
                uint64_t number) {
  static constexpr uint8_t kPeer[6] = {0x02, 0, 0, 0, 0, 0x99};
  std::memcpy(frame, kPeer, 6);
  std::memcpy(frame + 6, mac.data(), 6);
  frame[12] = kEtherType >> 8;
  frame[13] = kEtherType & 0xff;
  const uint64_t inverted = ~number;
  std::memcpy(frame + kNumberAt, &number, 8);
  std::memcpy(frame + kNumberAt + 8, &inverted, 8);
}

// False: not one of ours.
bool ReadFrame(const RxPiece& piece, uint64_t* number) {
  if (piece.length < kSmallestFrame) return false;
  uint64_t inverted;
  std::memcpy(number, piece.data + kNumberAt, 8);
  std::memcpy(&inverted, piece.data + kNumberAt + 8, 8);
  return inverted == ~*number;
}

}  // namespace

EchoClient::EchoClient(const Options& options, std::unique_ptr<Session> session)
    : options_(options), session_(std::move(session)) {}

absl::StatusOr<std::unique_ptr<EchoClient>> EchoClient::Open(
    const Options& options) {
  if (options.frame_bytes < kSmallestFrame ||
      options.frame_bytes > options.geometry.buffer_bytes) {
    return absl::InvalidArgumentError(
        "echo client: a frame must hold its number and fit a buffer");
  }
  ASSIGN_OR_RETURN(auto session, Session::Open({.socket = options.socket,
                                                .label = options.label,
                                                .instance = options.instance,
                                                .geometry = options.geometry}));
  return std::unique_ptr<EchoClient>(
      new EchoClient(options, std::move(session)));
}

bool EchoClient::Poll() {
  const bool received = ReceiveAll();
  const bool sent = SendDue(MonotonicNs());
  session_->Flush();
  return received || sent;
}

bool EchoClient::ReceiveAll() {
  bool any = false;
  std::array<RxPiece, 32> pieces;
  while (true) {
    const size_t count = session_->Receive(pieces);
    const uint64_t now = MonotonicNs();
    // Frames of this call that came before a recovery inside it belong to the
    // dead driver: only a call that began renewed can bring a new frame.
    const bool renewed = awaiting_first_;
    const uint64_t recoveries = session_->counters().recoveries;
    for (size_t i = 0; i < count; ++i) Count(pieces[i], now, renewed);
    if (count > 0) session_->Release({pieces.data(), count});
    if (recoveries != recoveries_) {
      recoveries_ = recoveries;
      counts_.recoveries = recoveries;
      counts_.lost_in_recovery += next_ - expected_;
      expected_ = next_;
      next_tick_ns_ = 0;  // There is work: send at once.
      awaiting_first_ = true;
      recovery_.acknowledged_ns.store(now);
    }
    if (count == 0) return any;
    any = true;
  }
}

void EchoClient::Count(const RxPiece& piece, uint64_t now, bool renewed) {
  uint64_t number;
  if (!ReadFrame(piece, &number) || number >= next_) {
    ++counts_.corrupt;
    return;
  }
  ++counts_.received;
  recovery_.received.store(counts_.received, std::memory_order_relaxed);
  if (last_received_ns_ != 0) {
    counts_.longest_gap_ns =
        std::max(counts_.longest_gap_ns, now - last_received_ns_);
  }
  last_received_ns_ = now;
  if (number < expected_) {
    ++counts_.out_of_order;
  } else {
    counts_.lost += number - expected_;
    expected_ = number + 1;
  }
  if (renewed && awaiting_first_) {
    awaiting_first_ = false;
    recovery_.first_frame_ns.store(now);
    recovery_.completed.fetch_add(1);
    recovery_.completed.notify_all();
  }
}

bool EchoClient::SendDue(uint64_t now) {
  if (!sending_ || now < next_tick_ns_) return false;
  next_tick_ns_ = now + options_.tick_ns;
  const uint64_t under_way = next_ - expected_;
  const size_t wanted = std::min<uint64_t>(
      {options_.burst,
       options_.window > under_way ? options_.window - under_way : 0, 64});
  std::array<TxBuffer, 64> buffers;
  const size_t count = session_->AllocTx({buffers.data(), wanted});
  if (count == 0) return false;
  const std::array<uint8_t, 6> mac = session_->status().mac;
  std::array<Descriptor, 64> descriptors = {};
  for (size_t i = 0; i < count; ++i) {
    WriteFrame(buffers[i].data, mac, next_++);
    descriptors[i].offset = buffers[i].offset;
    descriptors[i].length = static_cast<uint16_t>(options_.frame_bytes);
  }
  session_->SubmitTx({descriptors.data(), count});
  counts_.sent += count;
  return true;
}

void EchoClient::CloseAccount() {
  counts_.lost += next_ - expected_;
  expected_ = next_;
}

EchoThread::EchoThread(std::vector<std::unique_ptr<EchoClient>> clients)
    : clients_(std::move(clients)), thread_([this] { Run(); }) {}

void EchoThread::Stop(int drain_ms) {
  drain_ms_ = drain_ms;
  stop_ = true;
  if (thread_.joinable()) thread_.join();
}

void EchoThread::Run() {
  uint64_t drain_until = 0;
  while (true) {
    bool worked = false;
    bool settled = true;
    for (auto& client : clients_) {
      worked |= client->Poll();
      settled &= client->Settled();
    }
    if (stop_) {
      if (drain_until == 0) {
        drain_until = MonotonicNs() + uint64_t(drain_ms_) * 1'000'000;
        for (auto& client : clients_) client->StopSending();
      } else if (settled || MonotonicNs() > drain_until) {
        break;
      }
    }
    if (!worked) Sleep();
  }
  for (auto& client : clients_) client->CloseAccount();
}

void EchoThread::Sleep() {
  std::array<pollfd, 64> waits;
  const size_t count = std::min(clients_.size(), waits.size());
  uint64_t wake_ns = MonotonicNs() + 50'000'000;
  bool ready = false;
  size_t armed = 0;
  for (; armed < count && !ready; ++armed) {
    EchoClient& client = *clients_[armed];
    ready = !client.session().ArmWait();
    waits[armed] = {client.session().fd(), POLLIN, 0};
    if (!stop_) wake_ns = std::min(wake_ns, client.NextTickNs());
  }
  // The last of a refused ArmWait was not armed.
  if (ready) --armed;
  const uint64_t now = MonotonicNs();
  if (!ready && wake_ns > now) {
    const uint64_t left = wake_ns - now;
    const timespec timeout = {static_cast<time_t>(left / 1'000'000'000),
                              static_cast<long>(left % 1'000'000'000)};
    ::ppoll(waits.data(), count, &timeout, nullptr);
  }
  for (size_t i = 0; i < armed; ++i) clients_[i]->session().DisarmWait();
}

absl::StatusOr<std::unique_ptr<EchoThread>> StartEcho(
    const std::vector<std::string>& instances, EchoClient::Options options) {
  std::vector<std::unique_ptr<EchoClient>> clients;
  for (const std::string& instance : instances) {
    options.instance = instance;
    ASSIGN_OR_RETURN(auto client, EchoClient::Open(options));
    clients.push_back(std::move(client));
  }
  return std::make_unique<EchoThread>(std::move(clients));
}

}  // namespace bulkhead::bench
