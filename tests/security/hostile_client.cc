// A client that breaks the rules, one way per run:
//
//   hostile_client SOCKET INSTANCE WAY
//
// It speaks the session protocol from its wire format and layout.h alone, with
// none of the client library's care. On standard output it says how the
// platform ended the session: "closed: REASON", "end of file", "refused:
// REASON", or "nothing happened" when five seconds brought no answer.
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/seqpacket.h"
#include "packet_stream/geometry.h"
#include "packet_stream/layout.h"
#include "packet_stream/session.pb.h"

namespace bulkhead::packet_stream {
namespace {

constexpr SessionGeometry kGeometry = {64, 64, 2048};

struct Victim {
  SeqpacketChannel channel;
  ControlHeader* own = nullptr;  // Client control.
  const ControlHeader* provider = nullptr;
  uint8_t* tx_data = nullptr;
  const StatusPage* status = nullptr;
  UniqueFd tx_doorbell;

  Descriptor* submit() {
    return reinterpret_cast<Descriptor*>(reinterpret_cast<uint8_t*>(own) +
                                         SessionGeometry::SubmitRingOffset());
  }
  Ack* acks() {
    return reinterpret_cast<Ack*>(
        reinterpret_cast<uint8_t*>(own) +
        SessionGeometry::AckRingOffset(kGeometry.tx_buffers));
  }
  void Ring() {
    const uint64_t one = 1;
    (void)!::write(tx_doorbell.get(), &one, 8);
  }
  void Publish(uint32_t tail) {
    own->submit_tail.value.store(tail, std::memory_order_seq_cst);
    Ring();
  }
  void PublishAcks(uint32_t tail) {
    own->ack_tail.value.store(tail, std::memory_order_seq_cst);
    // A frame as well: the provider looks at acknowledgements when it needs
    // buffers, so give it every reason to.
    submit()[0] = {.offset = 0,
                   .length = 60,
                   .flags = 0,
                   .checksum_start = 0,
                   .checksum_offset = 0,
                   .segments = 0};
    Publish(1);
  }
};

template <typename T>
T* Map(const UniqueFd& fd, size_t bytes, int protection) {
  void* at = ::mmap(nullptr, bytes, protection, MAP_SHARED, fd.get(), 0);
  return at == MAP_FAILED ? nullptr : static_cast<T*>(at);
}

bool Open(const std::string& socket, const std::string& instance,
          Victim* victim) {
  auto channel = SeqpacketChannel::Connect(socket);
  if (!channel.ok()) return false;
  OpenRequest request;
  request.set_label("hostile");
  request.set_instance(instance);
  request.mutable_geometry()->set_tx_buffers(kGeometry.tx_buffers);
  request.mutable_geometry()->set_rx_buffers(kGeometry.rx_buffers);
  request.mutable_geometry()->set_buffer_bytes(kGeometry.buffer_bytes);
  OpenReply reply;
  std::vector<UniqueFd> fds;
  if (!channel->Send(request).ok() ||
      !channel->WaitReceive(&reply, &fds, 5000).ok()) {
    return false;
  }
  if (!reply.has_grant() || fds.size() != 7) {
    std::printf("refused: %s\n", reply.refusal().text().c_str());
    return false;
  }
  constexpr int kBoth = PROT_READ | PROT_WRITE;
  victim->channel = *std::move(channel);
  victim->own =
      Map<ControlHeader>(fds[0], kGeometry.ClientControlBytes(), kBoth);
  victim->provider = Map<const ControlHeader>(
      fds[1], kGeometry.ProviderControlBytes(), PROT_READ);
  victim->tx_data = Map<uint8_t>(fds[2], kGeometry.TxDataBytes(), kBoth);
  victim->status = Map<const StatusPage>(fds[4], kStatusPageBytes, PROT_READ);
  victim->tx_doorbell = std::move(fds[5]);
  if (victim->own == nullptr || victim->provider == nullptr ||
      victim->tx_data == nullptr || victim->status == nullptr) {
    std::printf("a granted area cannot be mapped as promised\n");
    return false;
  }
  // The honest part of the handshake, so that the provider listens.
  const uint32_t epoch = victim->status->epoch.load();
  victim->own->sleeping.store(1);
  victim->own->epoch.store(epoch, std::memory_order_seq_cst);
  victim->Ring();
  const uint64_t deadline = MonotonicNs() + 2'000'000'000;
  while (victim->provider->epoch.load() != epoch) {
    if (MonotonicNs() > deadline) {
      std::printf("the provider never took up the session\n");
      return false;
    }
    ::usleep(1000);
  }
  std::memset(victim->tx_data, 0xff, 6);  // Broadcast, so that echo answers.
  std::memset(victim->tx_data + 6, 0x02, 54);
  return true;
}

Descriptor Piece(uint32_t offset, uint16_t length, uint16_t flags = 0) {
  return {.offset = offset,
          .length = length,
          .flags = flags,
          .checksum_start = 0,
          .checksum_offset = 0,
          .segments = 0};
}

void SubmitOne(Victim& victim, const Descriptor& piece) {
  victim.submit()[0] = piece;
  victim.Publish(1);
}

using Way = std::function<void(Victim&)>;

const std::map<std::string, Way>& Ways() {
  static const auto& ways = *new std::map<std::string, Way>{
      {"tail_jump", [](Victim& v) { v.Publish(0x80000000u); }},
      {"tail_backwards",
       [](Victim& v) {
         v.submit()[0] = Piece(0, 60);
         v.Publish(1);
         ::usleep(50'000);
         v.Publish(0xffffffffu);
       }},
      {"offset_outside",
       [](Victim& v) { SubmitOne(v, Piece(kGeometry.TxDataBytes(), 60)); }},
      {"offset_wraps", [](Victim& v) { SubmitOne(v, Piece(0xfffffff0u, 60)); }},
      {"length_zero", [](Victim& v) { SubmitOne(v, Piece(0, 0)); }},
      {"length_beyond_buffer",
       [](Victim& v) { SubmitOne(v, Piece(0, 0xffff)); }},
      {"unknown_flags", [](Victim& v) { SubmitOne(v, Piece(0, 60, 0xff00)); }},
      {"same_buffer_twice",
       [](Victim& v) {
         v.submit()[0] = Piece(0, 60);
         v.submit()[1] = Piece(0, 60);
         v.Publish(2);
       }},
      {"endless_frame",
       [](Victim& v) {
         for (uint32_t i = 0; i < kGeometry.tx_buffers; ++i) {
           v.submit()[i] = Piece(i * kGeometry.buffer_bytes, 60, kMore);
         }
         v.Publish(kGeometry.tx_buffers);
       }},
      // Returns rx buffers that it never got. The provider may look at
      // acknowledgements late, so go on sending frames that are echoed.
      {"ack_not_held",
       [](Victim& v) {
         for (uint32_t i = 0; i < kGeometry.rx_buffers; ++i) {
           v.acks()[i] = MakeAck(i, AckStatus::kDone);
         }
         v.PublishAcks(kGeometry.rx_buffers);
         for (uint32_t tail = 2; tail < 4 * kGeometry.tx_buffers; ++tail) {
           const uint32_t buffer = (tail - 1) % kGeometry.tx_buffers;
           v.submit()[buffer] = Piece(buffer * kGeometry.buffer_bytes, 60);
           v.Publish(tail);
           ::usleep(200);
         }
       }},
      {"ack_outside",
       [](Victim& v) {
         v.acks()[0] = MakeAck(0xffffff, AckStatus::kDone);
         v.PublishAcks(1);
         for (uint32_t tail = 2; tail < 4 * kGeometry.tx_buffers; ++tail) {
           const uint32_t buffer = (tail - 1) % kGeometry.tx_buffers;
           v.submit()[buffer] = Piece(buffer * kGeometry.buffer_bytes, 60);
           v.Publish(tail);
           ::usleep(200);
         }
       }},
      {"ring_bytes_at_random",
       [](Victim& v) {
         uint64_t seed = 1;
         auto* bytes = reinterpret_cast<uint64_t*>(v.submit());
         for (size_t i = 0; i < kGeometry.tx_buffers * 2; ++i) {
           seed = seed * 6364136223846793005u + 1442695040888963407u;
           bytes[i] = seed;
         }
         v.Publish(kGeometry.tx_buffers);
       }},
  };
  return ways;
}

// What becomes of a session whose client no longer does anything.
int Await(Victim& victim) {
  Closed closed;
  std::vector<UniqueFd> fds;
  const absl::Status status = victim.channel.WaitReceive(&closed, &fds, 5000);
  if (status.ok()) {
    std::printf("closed: %s\n", closed.reason().c_str());
    return 0;
  }
  if (absl::IsUnavailable(status)) {
    std::printf("end of file\n");
    return 0;
  }
  std::printf("nothing happened\n");
  return 3;
}

// Sends flat out, receives nothing, and never stops: for kill -9.
[[noreturn]] void Burst(Victim& victim) {
  std::printf("bursting\n");
  std::fflush(stdout);
  const uint32_t mask = kGeometry.tx_buffers - 1;
  for (uint32_t i = 0; i <= mask; ++i) {
    victim.submit()[i] = Piece(i * kGeometry.buffer_bytes, 60);
    std::memcpy(victim.tx_data + i * kGeometry.buffer_bytes, victim.tx_data,
                60);
  }
  uint32_t tail = 0;
  while (true) {
    // As many as were acknowledged: the ring itself stays honest.
    const uint32_t acknowledged = victim.provider->ack_tail.value.load();
    while (tail - acknowledged <= mask) ++tail;
    victim.Publish(tail);
  }
}

// Takes every rx buffer and gives none back.
int HoldAll(Victim& victim) {
  for (uint32_t tail = 1; tail <= kGeometry.tx_buffers; ++tail) {
    victim.submit()[tail - 1] = Piece((tail - 1) * kGeometry.buffer_bytes, 60);
    std::memcpy(victim.tx_data + (tail - 1) * kGeometry.buffer_bytes,
                victim.tx_data, 60);
    victim.Publish(tail);
    ::usleep(1000);
  }
  std::printf("holding %u\n", victim.provider->submit_tail.value.load());
  std::fflush(stdout);
  ::pause();
  return 0;
}

// Rings the provider's doorbell as fast as it can for a second.
int FloodDoorbell(Victim& victim) {
  const uint64_t deadline = MonotonicNs() + 1'000'000'000;
  uint64_t count = 0;
  while (MonotonicNs() < deadline) {
    for (int i = 0; i < 1000; ++i, ++count) victim.Ring();
  }
  std::printf("rang %llu times\n", static_cast<unsigned long long>(count));
  return 0;
}

// Messages that no client sends, each on a connection of its own.
int Nonsense(const std::string& socket) {
  for (int i = 0; i < 200; ++i) {
    auto channel = SeqpacketChannel::Connect(socket);
    if (!channel.ok()) {
      std::printf("connect: %s\n",
                  std::string(channel.status().message()).c_str());
      return 1;
    }
    std::string bytes(static_cast<size_t>(1 + i * 97), static_cast<char>(i));
    (void)!::send(channel->fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    OpenRequest request;
    request.set_instance(std::string(10'000, 'x'));
    request.mutable_geometry()->set_tx_buffers(0xffffffffu);
    (void)channel->Send(request);
  }
  std::printf("sent nonsense\n");
  return 0;
}

// Connections that never say anything.
int HalfOpen(const std::string& socket) {
  std::vector<SeqpacketChannel> silent;
  for (int i = 0; i < 500; ++i) {
    auto channel = SeqpacketChannel::Connect(socket);
    if (channel.ok()) silent.push_back(*std::move(channel));
  }
  std::printf("half open %zu\n", silent.size());
  std::fflush(stdout);
  ::pause();
  return 0;
}

int Main(const std::string& socket, const std::string& instance,
         const std::string& way) {
  if (way == "nonsense") return Nonsense(socket);
  if (way == "half_open") return HalfOpen(socket);
  Victim victim;
  if (!Open(socket, instance, &victim)) return 1;
  if (way == "burst") Burst(victim);
  if (way == "hold_all") return HoldAll(victim);
  if (way == "flood_doorbell") return FloodDoorbell(victim);
  const auto found = Ways().find(way);
  if (found == Ways().end()) return 2;
  found->second(victim);
  return Await(victim);
}

}  // namespace
}  // namespace bulkhead::packet_stream

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: hostile_client SOCKET INSTANCE WAY\n");
    return 2;
  }
  return bulkhead::packet_stream::Main(argv[1], argv[2], argv[3]);
}
