// Sends 64-byte frames (60, and the FCS that no virtual wire has) on an
// interface whose other end sends them back.
//
//   frame_source flood INTERFACE [--milliseconds N] [--rate N]
//       as many as a packet socket can, or `rate` a second; those that come
//       back are counted by the interface
//   frame_source xdp_flood INTERFACE [--milliseconds N]
//       as many as an XDP program can, for an other end that has one, too
//   frame_source ping INTERFACE [--count N]
//       one at a time; how long each takes
//
// Prints one JSON object.
#include <linux/if_ether.h>
#include <sys/socket.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/errno_status.h"
#include "tests/bench/linux/frame_socket.h"
#include "tests/bench/linux/xdp_flood.h"
#include "tests/bench/options.h"
#include "tests/bench/report.h"

namespace bulkhead::bench {
namespace {

constexpr size_t kFrameBytes = 60;
constexpr size_t kBatch = 64;
constexpr uint32_t kXdpBatch = 4096;  // A look at the clock each.
constexpr uint64_t kNsPerMs = 1'000'000;
// What is under way when the last one has been sent.
constexpr timespec kDrain = {0, 50'000'000};
// A frame that takes longer is lost.
constexpr timeval kPatience = {1, 0};
constexpr int kMostLost = 3;

using Frame = std::array<uint8_t, kFrameBytes>;

Frame MakeFrame() {
  Frame frame = {};
  std::fill_n(frame.begin(), ETH_ALEN, 0xff);
  const uint8_t from[ETH_ALEN] = {2, 0, 0, 0, 0, 9};
  std::copy_n(from, ETH_ALEN, frame.begin() + ETH_ALEN);
  frame[12] = kFrameType >> 8;
  frame[13] = kFrameType & 0xff;
  return frame;
}

int Complain(const absl::Status& status) {
  std::fprintf(stderr, "frame_source: %s\n",
               std::string(status.message()).c_str());
  return 1;
}

// Frames that the interface has received.
uint64_t Received(const std::string& interface) {
  std::ifstream table("/proc/net/dev");
  std::string line;
  while (std::getline(table, line)) {
    char name[32] = "";
    unsigned long long bytes = 0, frames = 0;
    if (std::sscanf(line.c_str(), " %31[^:]: %llu %llu", name, &bytes,
                    &frames) == 3 &&
        interface == name) {
      return frames;
    }
  }
  return 0;
}

// Sleeps until as many are due as go together.
void Pace(uint64_t start_ns, uint64_t sent, uint64_t rate) {
  if (rate == 0) return;
  const uint64_t due_ns = start_ns + sent * 1'000'000'000 / rate;
  const timespec until = {static_cast<time_t>(due_ns / 1'000'000'000),
                          static_cast<long>(due_ns % 1'000'000'000)};
  ::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr);
}

// Sends batches by `send`, which returns how many frames it sent.
template <typename Send>
int Flood(const std::string& interface, const Options& options, Send send) {
  const uint64_t before = Received(interface);
  const uint64_t start_ns = MonotonicNs();
  const uint64_t end_ns =
      start_ns + static_cast<uint64_t>(options["milliseconds"]) * kNsPerMs;
  const auto rate = static_cast<uint64_t>(options["rate"]);
  uint64_t sent = 0;
  while (MonotonicNs() < end_ns) {
    sent += send();
    Pace(start_ns, sent, rate);
  }
  const uint64_t sending_ns = MonotonicNs() - start_ns;
  ::nanosleep(&kDrain, nullptr);
  std::printf("{\"sent\":%llu,\"back\":%llu,\"seconds\":%.6f}\n",
              static_cast<unsigned long long>(sent),
              static_cast<unsigned long long>(Received(interface) - before),
              static_cast<double>(sending_ns) / 1e9);
  return 0;
}

int FloodBySocket(int socket, const std::string& interface,
                  const Options& options) {
  Frame frame = MakeFrame();
  iovec bytes = {frame.data(), frame.size()};
  std::array<mmsghdr, kBatch> batch = {};
  for (mmsghdr& message : batch) {
    message.msg_hdr.msg_iov = &bytes;
    message.msg_hdr.msg_iovlen = 1;
  }
  return Flood(interface, options, [&] {
    const int count = ::sendmmsg(socket, batch.data(), kBatch, MSG_DONTWAIT);
    return static_cast<uint64_t>(std::max(count, 0));
  });
}

int FloodByXdp(const std::string& interface, const Options& options) {
  const absl::StatusOr<XdpFlood> flood = XdpFlood::Create(interface);
  if (!flood.ok()) return Complain(flood.status());
  const Frame frame = MakeFrame();
  absl::Status status;
  const int result = Flood(interface, options, [&] {
    status.Update(flood->Send(frame, kXdpBatch));
    return uint64_t{kXdpBatch};
  });
  return status.ok() ? result : Complain(status);
}

int Ping(int socket, const Options& options) {
  ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof(kPatience));
  Frame frame = MakeFrame();
  Samples round_trips;
  int lost = 0;  // Those after the first few would be, too.
  for (int i = 0; i < options["count"] && lost < kMostLost; ++i) {
    std::memcpy(frame.data() + ETH_HLEN, &i, sizeof(i));
    const uint64_t start_ns = MonotonicNs();
    int number = -1;
    bool arrived = ::send(socket, frame.data(), frame.size(), 0) > 0;
    while (arrived && number != i) {
      Frame back;
      arrived = ::recv(socket, back.data(), back.size(), 0) > 0;
      std::memcpy(&number, back.data() + ETH_HLEN, sizeof(number));
    }
    lost += !arrived;
    if (arrived) {
      round_trips.Add(static_cast<double>(MonotonicNs() - start_ns) / 1e3);
    }
    // As a ping does: the other side has gone to sleep by then.
    const timespec pause = {0, 1'000'000};
    ::nanosleep(&pause, nullptr);
  }
  std::printf("{\"lost\":%d,\"p50_us\":%.3f,\"p99_us\":%.3f}\n", lost,
              round_trips.Median(), round_trips.Percentile(0.99));
  return 0;
}

int Run(const Options& options) {
  if (options.words.size() != 2) {
    std::fprintf(stderr,
                 "usage: frame_source flood|xdp_flood|ping INTERFACE\n");
    return 2;
  }
  const std::string& how = options.words[0];
  const std::string& interface = options.words[1];
  if (how == "xdp_flood") return FloodByXdp(interface, options);
  const absl::StatusOr<UniqueFd> socket = OpenFrameSocket(interface);
  if (!socket.ok()) return Complain(socket.status());
  return how == "ping" ? Ping(socket->get(), options)
                       : FloodBySocket(socket->get(), interface, options);
}

}  // namespace
}  // namespace bulkhead::bench

int main(int argc, char** argv) {
  using namespace bulkhead::bench;
  return Run(Options::Parse(
      argc, argv, {{"milliseconds", 1000}, {"rate", 0}, {"count", 200}}));
}
