// peer: the other end of a NIC's wire, on an interface of Linux's own driver.
//
//   peer reflect INTERFACE [SECONDS]
//       sends each test frame back to where it came from
//   peer forward INTERFACE
//       sends all frames that come back, of whatever kind
//   peer count INTERFACE
//       counts all frames that come, of whatever kind
//   peer flood INTERFACE MAC BYTES
//       sends one test frame again and again, as fast as it goes
//   peer receive INTERFACE STREAM COUNT SECONDS
//       counts the frames of a stream, until COUNT different ones have come
//   peer send INTERFACE MAC STREAM COUNT RATE [BYTES]
//       sends numbered test frames to that address; RATE 0: as they go
//   peer exchange INTERFACE MAC STREAM COUNT WINDOW SECONDS [BYTES]
//       sends them to who sends them back, at most WINDOW ahead of the last one
//       that came: what is lost then was lost by a fault, not by a rate
//
// The frames are those of nic_traffic, at the other end. SIGTERM ends it like
// the end of its time. Prints one JSON document, after a line `ready` on
// standard error once it listens.
#include <linux/if_ether.h>
#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <utility>

#include "base/clock.h"
#include "clients/nic_traffic/arrivals.h"
#include "clients/nic_traffic/pacer.h"
#include "clients/nic_traffic/test_frame.h"
#include "tests/hardware/peer/packet_socket.h"

namespace bulkhead::hardware_tests {
namespace {

using nic_traffic::Arrivals;
using nic_traffic::FrameKind;
using nic_traffic::TestFrame;

constexpr uint64_t kSecondNs = 1'000'000'000;
constexpr uint64_t kTickNs = 1'000'000;
constexpr int kPollMs = 50;
// After COUNT frames: how long a doubled one may take to show itself.
constexpr uint64_t kLateNs = kSecondNs / 5;

volatile sig_atomic_t ended = 0;

uint64_t Deadline(const char* seconds) {
  return MonotonicNs() +
         static_cast<uint64_t>(std::atof(seconds) * double{kSecondNs});
}

int Gone(const std::string& interface) {
  std::fprintf(stderr, "peer: interface %s takes or gives no more frames: %s\n",
               interface.c_str(), std::strerror(errno));
  return 1;
}

int Reflect(PacketSocket& socket, const std::string& interface,
            uint64_t deadline_ns) {
  uint64_t reflected = 0;
  uint64_t foreign = 0;
  uint64_t first_ns = 0;
  uint64_t last_ns = 0;
  while (!ended && MonotonicNs() < deadline_ns) {
    const int count = socket.Receive(kPollMs);
    if (count < 0) return Gone(interface);
    for (int i = 0; i < count; ++i) {
      const std::span<uint8_t> frame = socket.frame(i);
      TestFrame ignored;
      if (nic_traffic::ReadTestFrame(frame, ignored) != FrameKind::kTest)
        ++foreign;
      std::memcpy(frame.data(), frame.data() + 6, 6);
      std::memcpy(frame.data() + 6, socket.mac().data(), 6);
    }
    if (count > 0 && !socket.Send(static_cast<size_t>(count))) {
      return Gone(interface);
    }
    if (count == 0) continue;
    last_ns = MonotonicNs();
    if (first_ns == 0) first_ns = last_ns;
    reflected += static_cast<uint64_t>(count);
  }
  const uint64_t ns = last_ns - first_ns;
  std::printf(
      "{\"reflected\": %llu, \"foreign\": %llu, \"dropped\": %llu, "
      "\"per_second\": %llu}\n",
      static_cast<unsigned long long>(reflected),
      static_cast<unsigned long long>(foreign),
      static_cast<unsigned long long>(socket.TakeDropped()),
      static_cast<unsigned long long>(ns == 0 ? 0
                                              : reflected * kSecondNs / ns));
  return 0;
}

int Count(PacketSocket& socket, const std::string& interface) {
  uint64_t received = 0;
  uint64_t first_ns = 0;
  uint64_t last_ns = 0;
  while (!ended) {
    const int count = socket.Receive(kPollMs);
    if (count < 0) return Gone(interface);
    if (count == 0) continue;
    last_ns = MonotonicNs();
    if (first_ns == 0) first_ns = last_ns;
    received += static_cast<uint64_t>(count);
  }
  const uint64_t ns = last_ns - first_ns;
  std::printf(
      "{\"received\": %llu, \"dropped\": %llu, \"per_second\": %llu}\n",
      static_cast<unsigned long long>(received),
      static_cast<unsigned long long>(socket.TakeDropped()),
      static_cast<unsigned long long>(ns == 0 ? 0 : received * kSecondNs / ns));
  return 0;
}

int Flood(PacketSocket& socket, const std::string& interface,
          const nic_traffic::MacAddress& to, size_t bytes) {
  for (size_t i = 0; i < PacketSocket::kBatch; ++i) {
    nic_traffic::WriteTestFrame({.stream = 1, .sequence = 0, .sent_ns = 0}, to,
                                socket.mac(), socket.NewFrame(i, bytes));
  }
  const uint64_t start_ns = MonotonicNs();
  uint64_t sent = 0;
  for (; !ended; sent += PacketSocket::kBatch) {
    if (!socket.Send(PacketSocket::kBatch)) return Gone(interface);
  }
  std::printf("{\"sent\": %llu, \"per_second\": %llu}\n",
              static_cast<unsigned long long>(sent),
              static_cast<unsigned long long>(sent * kSecondNs /
                                              (MonotonicNs() - start_ns)));
  return 0;
}

void Report(const Arrivals& arrivals, uint64_t sent, uint64_t wanted,
            uint64_t dropped) {
  const nic_traffic::SequenceWindow& window = arrivals.window();
  const uint64_t ns = arrivals.last_ns() - arrivals.first_ns();
  std::printf(
      "{\"sent\": %llu, \"received\": %llu, \"lost\": %lld, "
      "\"duplicated\": %llu, \"reordered\": %llu, \"corrupted\": %llu, "
      "\"dropped\": %llu, \"per_second\": %llu}\n",
      static_cast<unsigned long long>(sent),
      static_cast<unsigned long long>(window.unique()),
      static_cast<long long>(wanted) - static_cast<long long>(window.unique()),
      static_cast<unsigned long long>(window.duplicated()),
      static_cast<unsigned long long>(window.reordered()),
      static_cast<unsigned long long>(arrivals.corrupted()),
      static_cast<unsigned long long>(dropped),
      static_cast<unsigned long long>(
          ns == 0 ? 0 : arrivals.received() * kSecondNs / ns));
}

int Receive(PacketSocket& socket, const std::string& interface, uint32_t stream,
            uint64_t wanted, uint64_t deadline_ns) {
  Arrivals arrivals(stream);
  bool complete = false;
  while (!ended && MonotonicNs() < deadline_ns) {
    const int count = socket.Receive(kPollMs);
    if (count < 0) return Gone(interface);
    const uint64_t now_ns = MonotonicNs();
    for (int i = 0; i < count; ++i) arrivals.Frame(socket.frame(i), now_ns);
    if (!complete && arrivals.window().unique() >= wanted) {
      complete = true;
      deadline_ns = std::min(deadline_ns, now_ns + kLateNs);
    }
  }
  Report(arrivals, 0, wanted, socket.TakeDropped());
  return complete ? 0 : 1;
}

struct SendPlan {
  nic_traffic::MacAddress to;
  uint32_t stream;
  uint64_t count;
  uint64_t rate;
  size_t bytes;
};

int Send(PacketSocket& socket, const std::string& interface,
         const SendPlan& plan) {
  const uint64_t start_ns = MonotonicNs();
  nic_traffic::Pacer pacer(start_ns, plan.rate == 0 ? kSecondNs : plan.rate,
                           kTickNs, UINT64_MAX);
  uint64_t sent = 0;
  while (!ended && sent < plan.count) {
    const uint64_t now_ns = MonotonicNs();
    uint64_t due = plan.rate == 0 ? PacketSocket::kBatch : pacer.Due(now_ns);
    due = std::min({due, plan.count - sent, uint64_t{PacketSocket::kBatch}});
    if (due == 0) {
      const uint64_t wait_ns = pacer.NextDueNs(now_ns) - now_ns;
      const timespec wait{static_cast<time_t>(wait_ns / kSecondNs),
                          static_cast<long>(wait_ns % kSecondNs)};
      ::nanosleep(&wait, nullptr);
      continue;
    }
    for (uint64_t i = 0; i < due; ++i) {
      nic_traffic::WriteTestFrame({plan.stream, sent + i, now_ns}, plan.to,
                                  socket.mac(), socket.NewFrame(i, plan.bytes));
    }
    if (!socket.Send(due)) return Gone(interface);
    if (plan.rate != 0) pacer.Took(due);
    sent += due;
  }
  const uint64_t ns = MonotonicNs() - start_ns;
  std::printf("{\"sent\": %llu, \"per_second\": %llu}\n",
              static_cast<unsigned long long>(sent),
              static_cast<unsigned long long>(sent * kSecondNs / ns));
  return 0;
}

int Exchange(PacketSocket& socket, const std::string& interface,
             const SendPlan& plan, uint64_t window, uint64_t deadline_ns) {
  Arrivals arrivals(plan.stream);
  uint64_t sent = 0;
  while (!ended && MonotonicNs() < deadline_ns &&
         arrivals.window().unique() < plan.count) {
    const uint64_t ahead = sent - arrivals.window().unique();
    const uint64_t now =
        std::min({window - std::min(window, ahead), plan.count - sent,
                  uint64_t{PacketSocket::kBatch}});
    for (uint64_t i = 0; i < now; ++i) {
      nic_traffic::WriteTestFrame({plan.stream, sent + i, MonotonicNs()},
                                  plan.to, socket.mac(),
                                  socket.NewFrame(i, plan.bytes));
    }
    if (now > 0 && !socket.Send(now)) return Gone(interface);
    sent += now;
    const int count = socket.Receive(now > 0 ? 0 : kPollMs);
    if (count < 0) return Gone(interface);
    for (int i = 0; i < count; ++i) {
      arrivals.Frame(socket.frame(i), MonotonicNs());
    }
  }
  Report(arrivals, sent, plan.count, socket.TakeDropped());
  return arrivals.window().unique() == plan.count ? 0 : 1;
}

bool ParseMac(const char* text, nic_traffic::MacAddress& mac) {
  return std::sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx", &mac[0],
                     &mac[1], &mac[2], &mac[3], &mac[4], &mac[5]) == 6;
}

int Usage() {
  std::fprintf(stderr,
               "usage: peer reflect INTERFACE [SECONDS]\n"
               "       peer forward INTERFACE\n"
               "       peer count INTERFACE\n"
               "       peer flood INTERFACE MAC BYTES\n"
               "       peer receive INTERFACE STREAM COUNT SECONDS\n"
               "       peer send INTERFACE MAC STREAM COUNT RATE [BYTES]\n"
               "       peer exchange INTERFACE MAC STREAM COUNT WINDOW SECONDS "
               "[BYTES]\n");
  return 2;
}

int Run(int argc, char** argv) {
  if (argc < 3) return Usage();
  const std::string mode = argv[1];
  const std::string interface = argv[2];
  absl::StatusOr<PacketSocket> socket =
      PacketSocket::Create(interface, mode == "count" || mode == "forward"
                                          ? ETH_P_ALL
                                          : nic_traffic::kEtherType);
  if (!socket.ok()) {
    std::fprintf(stderr, "peer: %s\n", socket.status().ToString().c_str());
    return 1;
  }
  std::fprintf(stderr, "ready\n");
  const auto number = [&](int index) {
    return std::strtoull(argv[index], nullptr, 10);
  };
  if (mode == "reflect" && argc <= 4) {
    return Reflect(*socket, interface, Deadline(argc == 4 ? argv[3] : "3600"));
  }
  if (mode == "forward" && argc == 3) {
    return Reflect(*socket, interface, UINT64_MAX);
  }
  if (mode == "count" && argc == 3) return Count(*socket, interface);
  if (mode == "receive" && argc == 6) {
    return Receive(*socket, interface, static_cast<uint32_t>(number(3)),
                   number(4), Deadline(argv[5]));
  }
  const bool send = mode == "send" && (argc == 7 || argc == 8);
  const bool exchange = mode == "exchange" && (argc == 8 || argc == 9);
  SendPlan plan{};
  const bool flood = mode == "flood" && argc == 5;
  if (!(send || exchange || flood) || !ParseMac(argv[3], plan.to)) {
    return Usage();
  }
  if (flood) {
    return Flood(*socket, interface, plan.to,
                 std::clamp<uint64_t>(number(4), nic_traffic::kMinFrameBytes,
                                      PacketSocket::kFrameBytes));
  }
  const int last = send ? 7 : 8;
  plan.stream = static_cast<uint32_t>(number(4));
  plan.count = number(5);
  plan.rate = number(6);
  plan.bytes = argc > last ? number(last) : nic_traffic::kMinFrameBytes;
  if (plan.bytes < nic_traffic::kMinFrameBytes ||
      plan.bytes > PacketSocket::kFrameBytes) {
    return Usage();
  }
  return send
             ? Send(*socket, interface, plan)
             : Exchange(*socket, interface, plan, number(6), Deadline(argv[7]));
}

}  // namespace
}  // namespace bulkhead::hardware_tests

int main(int argc, char** argv) {
  struct sigaction action {};
  action.sa_handler = [](int) { bulkhead::hardware_tests::ended = 1; };
  ::sigaction(SIGTERM, &action, nullptr);
  ::sigaction(SIGINT, &action, nullptr);
  return bulkhead::hardware_tests::Run(argc, argv);
}
