// Shows when a session's sockets come and go, on a veth pair of two queues of
// the test's own.
#include "platform_service/linux_interface/linux_owner.h"

#include <gtest/gtest.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_xdp.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "base/shared_memory.h"
#include "base/unique_fd.h"
#include "platform_service/linux_interface/enumerate.h"
#include "platform_service/linux_interface/interface_socket.h"
#include "platform_service/linux_interface/network_namespace.h"
#include "platform_service/linux_interface/testing/veth_lab.h"

namespace bulkhead::platform {
namespace {

constexpr uint32_t kQueues = 2;
constexpr packet_stream::SessionGeometry kGeometry = {
    .tx_buffers = 64, .rx_buffers = 64, .buffer_bytes = 2048, .lanes = kQueues};

// A session's memory, as far as an owner knows it.
struct Frames {
  explicit Frames(uint64_t iova)
      : tx(*CreateSealedMemory("tx", kGeometry.TxDataBytes())),
        rx(*CreateSealedMemory("rx", kGeometry.RxDataBytes())),
        iova(iova) {}
  SessionMemory memory() const { return {tx.get(), rx.get(), kGeometry, iova}; }
  UniqueFd tx, rx;
  uint64_t iova;
};

// What a driver has of a session.
struct Granted {
  SessionGrant grant;
  std::unique_ptr<FdList> fds = std::make_unique<FdList>();

  int socket(int queue) const {
    return fds->fds()[grant.socket(queue).socket_fd()];
  }
  // Frames that came to the socket, which has no buffers for them.
  uint64_t Missed(int queue) const {
    xdp_statistics statistics = {};
    socklen_t bytes = sizeof(statistics);
    ::getsockopt(socket(queue), SOL_XDP, XDP_STATISTICS, &statistics, &bytes);
    return statistics.rx_dropped + statistics.rx_fill_ring_empty_descs;
  }
};

class LinuxOwnerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!lab_.usable()) GTEST_SKIP() << "needs root and `ip netns`";
    ASSERT_TRUE(lab_.Pair(0, "ours", 1, "theirs", kQueues));
    ASSERT_TRUE(lab_.Ip(0, "link set ours up"));
    ASSERT_TRUE(lab_.Ip(1, "link set theirs up"));
    const auto found = EnumerateInterfaces(lab_.name(0));
    ASSERT_TRUE(found.ok()) << found.status();
    index_ = found->front().interface_index;
    std::optional<XdpProgram> program;
    ASSERT_TRUE(InNamespace(lab_.name(0), [&] {
                  auto attached = XdpProgram::Attach(index_, kQueues);
                  if (attached.ok()) program = *std::move(attached);
                  return attached.status();
                }).ok());
    owner_ = std::make_unique<LinuxOwner>(
        LinuxOwner::Place{lab_.name(0), index_}, std::move(program), kQueues);
  }

  static bool Until(const std::function<bool()>& done) {
    for (int i = 0; i < 10'000; ++i) {
      if (done()) return true;
      ::poll(nullptr, 0, 1);
    }
    return false;
  }
  Granted Grant(const Frames& frames) {
    Granted granted;
    absl::Status ready;
    EXPECT_TRUE(Until([&] {
      ready = owner_->PrepareSession(frames.memory());
      return !absl::IsUnavailable(ready) && !absl::IsResourceExhausted(ready);
    }));
    EXPECT_TRUE(ready.ok()) << ready;
    const absl::Status added = owner_->AddToSession(
        frames.memory(), &granted.grant, granted.fds.get());
    EXPECT_TRUE(added.ok()) << added;
    return granted;
  }
  // A socket of somebody else's on a queue.
  XdpSocket Occupy(uint32_t queue, const Frames& frames) {
    std::optional<XdpSocket> taken;
    EXPECT_TRUE(InNamespace(lab_.name(0), [&] {
                  auto socket = MakeXdpSocket(frames.memory(), 0, false);
                  if (!socket.ok()) return socket.status();
                  taken = *std::move(socket);
                  return BindXdpSocket(index_, queue, &*taken);
                }).ok());
    return *std::move(taken);
  }
  void PeerSends() {
    ASSERT_TRUE(InNamespace(lab_.name(1), [&] {
                  const UniqueFd peer(
                      ::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
                  sockaddr_ll to = {};
                  to.sll_family = AF_PACKET;
                  to.sll_ifindex = static_cast<int>(::if_nametoindex("theirs"));
                  std::array<uint8_t, 60> frame = {};
                  frame.fill(0xff);
                  ::sendto(peer.get(), frame.data(), frame.size(), 0,
                           reinterpret_cast<const sockaddr*>(&to), sizeof(to));
                  return absl::OkStatus();
                }).ok());
  }

  testing::VethLab lab_{2};
  int index_ = 0;
  std::unique_ptr<LinuxOwner> owner_;
};

// A queue that is somebody else's is asked for and not waited for; given up
// after a while; had once it is free.
TEST_F(LinuxOwnerTest, AQueueThatIsTakenIsNotWaitedFor) {
  const Frames others(0x1000), frames(0x2000);
  {
    const XdpSocket taken = Occupy(1, others);
    EXPECT_TRUE(absl::IsUnavailable(owner_->PrepareSession(frames.memory())));
    absl::Status status;
    EXPECT_TRUE(Until([&] {
      status = owner_->PrepareSession(frames.memory());
      return !absl::IsUnavailable(status);
    }));
    EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  }
  const Granted granted = Grant(frames);
  EXPECT_EQ(granted.grant.socket_size(), static_cast<int>(kQueues));
}

// A session that is over and is unmapped late does not take the next one's
// frames away.
TEST_F(LinuxOwnerTest, S6_UnmappingASessionLeavesTheNextOneAlone) {
  const auto first_iova = owner_->Map(-1, 4096, DeviceAccess::kRead);
  const auto second_iova = owner_->Map(-1, 4096, DeviceAccess::kRead);
  ASSERT_TRUE(first_iova.ok() && second_iova.ok());
  const Frames first(*first_iova), second(*second_iova);
  (void)Grant(first);
  const Granted granted = Grant(second);
  ASSERT_TRUE(owner_->Unmap(*first_iova, 4096, UniqueFd()).ok());
  const auto missed = [&] { return granted.Missed(0) + granted.Missed(1); };
  const uint64_t before = missed();
  EXPECT_TRUE(Until([&] {
    PeerSends();
    return missed() > before;
  }));
  // Its own does (S4).
  ASSERT_TRUE(owner_->Unmap(*second_iova, 4096, UniqueFd()).ok());
  uint64_t last = 0;
  EXPECT_TRUE(Until([&] { return missed() == std::exchange(last, missed()); }));
  for (int i = 0; i < 10; ++i) PeerSends();
  EXPECT_EQ(missed(), last);
}

}  // namespace
}  // namespace bulkhead::platform
