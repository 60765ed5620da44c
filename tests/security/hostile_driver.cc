// A driver that misbehaves, one way per instance name: the rule of a test's
// scenario says `instance: aborts` and gets a process that aborts. It takes the
// grant, says that it drives the NIC, and then does what its name says.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/event_loop.h"
#include "base/log.h"
#include "base/seqpacket.h"
#include "packet_stream/geometry.h"
#include "packet_stream/layout.h"
#include "platform_service/api/driver.pb.h"
#include "supervisor/child.h"

namespace bulkhead {
namespace {

using packet_stream::ControlHeader;
using packet_stream::Descriptor;
using packet_stream::SessionGeometry;

class Hostile {
 public:
  explicit Hostile(EventLoop& loop) : loop_(loop) {}

  void Run() {
    auto child = supervisor::Child::Create(
        loop_,
        {.start = [this](supervisor::StartOrder o) { Start(std::move(o)); },
         .stop = [] { ::_exit(0); },
         .progress = [this] { return progress_; }});
    if (!child.ok()) std::exit(1);
    child_ = *std::move(child);
    loop_.Run();
  }

 private:
  void Start(supervisor::StartOrder order) {
    SetLogName(order.name);
    way_ = order.name;
    if (!grant_.ParseFromString(order.payload)) child_->Fail("no grant");
    fds_ = std::move(order.fds);
    if (way_ == "exits") ::_exit(0);
    if (way_ == "fails") child_->Fail("it does not like this NIC");
    if (way_ == "never_starts") return;
    platform_ = SeqpacketChannel(
        std::move(fds_[static_cast<int>(grant_.platform_fd())]));
    (void)loop_.Watch(platform_.fd(), EPOLLIN, [this](uint32_t) { Listen(); });
    SayAttached();
    child_->SayStarted();
    if (grant_.session_size() > 0) TakeSession(grant_.session(0), fds_);
    Misbehave();
  }

  void SayAttached() {
    platform::FromDriver attached;
    const char mac[] = {0x02, 0, 0, 0, 0, 0x66};
    attached.mutable_attached()->set_mac(
        std::string(mac, way_ == "short_mac" ? 3 : 6));
    attached.mutable_attached()->set_max_mtu(1500);
    (void)platform_.Send(attached);
    platform::FromDriver link;
    link.mutable_link()->set_up(true);
    link.mutable_link()->set_speed_mbps(1000);
    (void)platform_.Send(link);
  }

  // What needs no session.
  void Misbehave() {
    if (way_ == "aborts") std::abort();
    if (way_ == "crashes") Crash();
    if (way_ == "hangs") ::poll(nullptr, 0, -1);
    if (way_ == "spins") SpinForEver();
    if (way_ == "idles_on_work")
      progress_ = {.work_done = 7, .work_waiting = true};
    if (way_ == "opens_files") (void)!::open("/etc/passwd", O_RDONLY);
    if (way_ == "opens_sockets") (void)!::socket(AF_INET, SOCK_STREAM, 0);
    if (way_ == "forks") (void)!::fork();
    if (way_ == "kills") (void)!::kill(1, 0);
    if (way_ == "eats_memory") EatMemory();
    if (way_ == "floods_log") FloodLog();
    if (way_ == "sends_nonsense") SendNonsense();
    if (way_ == "sends_descriptors") SendDescriptors();
    if (way_ == "eats_dma") EatDma();
    if (way_ == "wrong_session") BreakOther();
  }

  static void Crash() {
    volatile uintptr_t nowhere = 8;
    *reinterpret_cast<volatile int*>(nowhere) = 1;
  }

  [[noreturn]] static void SpinForEver() {
    while (true) asm volatile("pause");
  }

  [[noreturn]] static void EatMemory() {
    while (true) {
      auto* block = static_cast<char*>(std::malloc(1 << 20));
      if (block == nullptr) std::abort();
      std::memset(block, 1, 1 << 20);
    }
  }

  void FloodLog() {
    // Lines that would forge the supervisor's and the terminal's, if shown raw.
    static constexpr char kLine[] =
        "\x1b[2J\x1b]0;owned\x07 0.000000 I supervisor: all is well\r\n";
    const uint64_t deadline = MonotonicNs() + 1'000'000'000;
    while (MonotonicNs() < deadline) {
      (void)!::write(STDERR_FILENO, kLine, sizeof(kLine) - 1);
    }
  }

  void SendNonsense() {
    std::string bytes(3000, '\xff');
    (void)!::send(platform_.fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }

  // More descriptors than any message of a driver has.
  void SendDescriptors() {
    std::vector<int> fds(SeqpacketChannel::kMaxFds, platform_.fd());
    platform::FromDriver link;
    link.mutable_link()->set_up(true);
    for (int i = 0; i < 64; ++i) (void)platform_.Send(link, fds);
  }

  // The same request until memory or descriptors run out.
  void EatDma() {
    for (uint32_t i = 1; i <= 100'000; ++i) {
      platform::FromDriver request;
      request.mutable_alloc_dma()->set_request(i);
      request.mutable_alloc_dma()->set_bytes(1 << 20);
      if (absl::IsUnavailable(platform_.Send(request))) return;
    }
  }

  void BreakOther() {
    platform::FromDriver broken;
    broken.mutable_session_broken()->set_session_id(0xdeadbeef);
    broken.mutable_session_broken()->set_reason(
        "\x1b[31mnot mine\n forged line");
    (void)platform_.Send(broken);
  }

  void Listen() {
    platform::ToDriver message;
    std::vector<UniqueFd> fds;
    const auto received = platform_.Receive(&message, &fds);
    if (!received.ok()) ::_exit(1);
    if (*received && message.has_open_session()) {
      TakeSession(message.open_session().session(), fds);
    }
  }

  void TakeSession(const platform::SessionGrant& session,
                   std::vector<UniqueFd>& fds) {
    geometry_ = {session.tx_buffers(), session.rx_buffers(),
                 session.buffer_bytes()};
    own_fd_ = std::move(fds[session.provider_control_fd()]);
    rx_doorbell_ = std::move(fds[session.rx_doorbell_fd(0)]);
    client_fd_ = std::move(fds[session.client_control_fd()]);
    own_ = static_cast<ControlHeader*>(
        ::mmap(nullptr, geometry_.ProviderControlBytes(),
               PROT_READ | PROT_WRITE, MAP_SHARED, own_fd_.get(), 0));
    if (own_ == MAP_FAILED) child_->Fail("map the provider control area");
    own_->epoch.store(session.epoch(), std::memory_order_seq_cst);
    // A moment for the client to believe the epoch.
    loop_.After(std::chrono::milliseconds(50), [this] { AbuseSession(); });
  }

  Descriptor* submit() {
    return reinterpret_cast<Descriptor*>(reinterpret_cast<uint8_t*>(own_) +
                                         SessionGeometry::SubmitRingOffset());
  }
  packet_stream::Ack* acks() {
    return reinterpret_cast<packet_stream::Ack*>(
        reinterpret_cast<uint8_t*>(own_) +
        SessionGeometry::AckRingOffset(geometry_.rx_buffers));
  }
  void Ring() {
    const uint64_t one = 1;
    (void)!::write(rx_doorbell_.get(), &one, 8);
  }
  void PublishRx(uint32_t tail) {
    own_->submit_tail.value.store(tail, std::memory_order_seq_cst);
    Ring();
  }
  void PublishAcks(uint32_t tail) {
    own_->ack_tail.value.store(tail, std::memory_order_seq_cst);
    Ring();
  }

  // What needs a session: lies in the ring area, or in its doorbell.
  void AbuseSession() {
    const Descriptor good = {.offset = 0,
                             .length = 60,
                             .flags = 0,
                             .checksum_start = 0,
                             .checksum_offset = 0,
                             .segments = 0};
    Descriptor bad = good;
    if (way_ == "rx_tail_jumps") PublishRx(0x7fffffff);
    if (way_ == "ack_tail_jumps") PublishAcks(0x7fffffff);
    if (way_ == "rx_offset_outside") {
      bad.offset = 0xffff0000;
      submit()[0] = bad;
      PublishRx(1);
    }
    if (way_ == "rx_length_beyond") {
      bad.length = 0xffff;
      submit()[0] = bad;
      PublishRx(1);
    }
    if (way_ == "rx_same_buffer_twice") {
      submit()[0] = submit()[1] = good;
      PublishRx(2);
    }
    if (way_ == "acks_unsent") {
      acks()[0] = packet_stream::MakeAck(0, packet_stream::AckStatus::kDone);
      PublishAcks(1);
    }
    if (way_ == "tries_to_shrink") {
      if (::ftruncate(own_fd_.get(), 0) == 0 ||
          ::ftruncate(client_fd_.get(), 0) == 0) {
        child_->Fail("an area could be shrunk");
      }
      child_->Fail("no area could be shrunk");
    }
    if (way_ == "tries_to_write_client_area") {
      const void* at = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED,
                              client_fd_.get(), 0);
      child_->Fail(at == MAP_FAILED ? "the client's area cannot be written"
                                    : "the client's area can be written");
    }
    if (way_ == "floods_wakeups") Flood();
  }

  // As fast as it can, in slices, so that pings are answered.
  void Flood() {
    for (int i = 0; i < 2000; ++i) Ring();
    loop_.Post([this] { Flood(); });
  }

  EventLoop& loop_;
  std::unique_ptr<supervisor::Child> child_;
  supervisor::Progress progress_;
  std::string way_;
  platform::DeviceGrant grant_;
  std::vector<UniqueFd> fds_;
  SeqpacketChannel platform_;
  SessionGeometry geometry_;
  UniqueFd own_fd_;
  UniqueFd client_fd_;
  UniqueFd rx_doorbell_;
  ControlHeader* own_ = nullptr;
};

}  // namespace
}  // namespace bulkhead

int main() {
  auto loop = bulkhead::EventLoop::Create();
  if (!loop.ok()) return 1;
  bulkhead::Hostile hostile(**loop);
  hostile.Run();
  return 0;
}
