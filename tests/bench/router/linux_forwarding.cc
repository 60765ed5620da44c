#include "tests/bench/router/linux_forwarding.h"

#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/errno_status.h"
#include "base/unique_fd.h"
#include "tests/bench/router/cpu_time.h"

namespace bulkhead::bench {
namespace {

constexpr int kSenderCpu = 0;
constexpr uint32_t kBatch = 64;
// Nobody's.
constexpr Mac kNobody = {2, 0, 0, 0, 0x77, 0x77};

absl::StatusOr<UniqueFd> OpenSender(const std::string& interface) {
  UniqueFd fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return ErrnoStatus("open a packet socket");
  // Past the queueing discipline, as a router's own frames are not, in favour
  // of Linux: less to take off.
  const int on = 1;
  ::setsockopt(fd.get(), SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on));
  sockaddr_ll address = {};
  address.sll_family = AF_PACKET;
  address.sll_ifindex = static_cast<int>(::if_nametoindex(interface.c_str()));
  if (address.sll_ifindex == 0 ||
      ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address),
             sizeof(address)) != 0) {
    return ErrnoStatus(absl::StrCat("bind to ", interface));
  }
  return fd;
}

absl::StatusOr<uint64_t> Arrived(const LinuxNetwork& network) {
  const std::string command = absl::StrCat(
      "ip netns exec ", network.outside_namespace, " cat /sys/class/net/",
      network.outside_interface, "/statistics/rx_packets");
  FILE* const pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return ErrnoStatus("run " + command);
  char line[64] = "";
  const bool read = std::fgets(line, sizeof(line), pipe) != nullptr;
  if (::pclose(pipe) != 0 || !read) {
    return absl::UnavailableError("cannot read how many frames arrived: " +
                                  command);
  }
  return std::strtoull(line, nullptr, 10);
}

// Frames of one batch and the system call's view of them.
class Batch {
 public:
  Batch() {
    for (uint32_t i = 0; i < kBatch; ++i) {
      parts_[i].iov_base = frames_[i].data();
      messages_[i] = {};
      messages_[i].msg_hdr.msg_iov = &parts_[i];
      messages_[i].msg_hdr.msg_iovlen = 1;
    }
  }
  void Fill(TestFlows& flows) {
    for (uint32_t i = 0; i < kBatch; ++i) {
      parts_[i].iov_len = flows.Next(frames_[i].data());
    }
  }
  int Send(int fd, uint32_t frames) {
    return ::sendmmsg(fd, messages_.data(), frames, 0);
  }

 private:
  std::array<std::array<uint8_t, TestFlows::kMaxFrameBytes>, kBatch> frames_;
  std::array<iovec, kBatch> parts_{};
  std::array<mmsghdr, kBatch> messages_{};
};

absl::StatusOr<Forwarded> Send(const LinuxNetwork& network, TestFlows flows,
                               uint64_t most, uint32_t milliseconds) {
  ASSIGN_OR_RETURN(UniqueFd fd, OpenSender(network.interface));
  PinThread(kSenderCpu);
  auto batch = std::make_unique<Batch>();
  Forwarded result;
  const uint64_t softirq = SoftirqThreadCpuNs(kSenderCpu);
  const uint64_t cpu = ThreadCpuNs();
  const uint64_t start = MonotonicNs();
  const uint64_t end = start + milliseconds * uint64_t{1'000'000};
  while (milliseconds != 0 ? MonotonicNs() < end : result.sent < most) {
    batch->Fill(flows);
    const int sent = batch->Send(fd.get(), kBatch);
    if (sent < 0) {
      // A full backlog: what was sent is on its way.
      if (errno == ENOBUFS || errno == EAGAIN) continue;
      return ErrnoStatus(absl::StrCat("send on ", network.interface));
    }
    result.sent += static_cast<uint64_t>(sent);
  }
  result.wall_ns = MonotonicNs() - start;
  result.cpu_ns =
      ThreadCpuNs() - cpu + SoftirqThreadCpuNs(kSenderCpu) - softirq;
  result.frames = result.sent;
  return result;
}

}  // namespace

absl::StatusOr<Forwarded> ForwardByLinux(const LinuxNetwork& network,
                                         uint32_t first_flow, uint32_t flows,
                                         Mix mix, uint32_t milliseconds) {
  ASSIGN_OR_RETURN(const uint64_t before, Arrived(network));
  ASSIGN_OR_RETURN(Forwarded result,
                   Send(network,
                        TestFlows(network.client_mac, network.router_mac,
                                  first_flow, flows, mix),
                        flows, milliseconds));
  // The softirqs of the last batch are over when its system call is, unless
  // their thread has taken over.
  ::usleep(20'000);
  ASSIGN_OR_RETURN(const uint64_t after, Arrived(network));
  result.frames = after - before;
  if (result.frames < result.sent / 2) {
    return absl::UnavailableError(absl::StrCat(
        "Linux forwarded ", result.frames, " of ", result.sent, " frames"));
  }
  return result;
}

absl::StatusOr<Forwarded> SendToNobody(const LinuxNetwork& network,
                                       uint32_t flows, Mix mix,
                                       uint32_t milliseconds) {
  return Send(network, TestFlows(network.client_mac, kNobody, 0, flows, mix),
              flows, milliseconds);
}

}  // namespace bulkhead::bench
