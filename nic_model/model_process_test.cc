// The programs of a model and of nic_switch, as the supervisor starts them:
// told what to be, they serve; told nonsense, they say what is wrong and exit.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include "base/seqpacket.h"
#include "base/shared_memory.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nic_model/82574l/registers.h"
#include "nic_model/counters.h"
#include "nic_model/model.pb.h"
#include "nic_model/vfio_user/client.h"
#include "supervisor/api/child.pb.h"

namespace bulkhead::nic_model {
namespace {

using i82574::kMsixVectors;
using supervisor::FromChild;
using supervisor::ToChild;
using ::testing::HasSubstr;

constexpr char kMac[] = {0x52, 0x54, 0, 0, 0, 7};
constexpr int kPatienceMs = 10'000;

// A child with its parent channel on descriptor 3; killed with its object.
class Process {
 public:
  explicit Process(const char* program) {
    auto [ours, theirs] = *SeqpacketChannel::CreatePair();
    channel_ = std::move(ours);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, theirs.fd(), 3);
    char* const arguments[] = {const_cast<char*>(program), nullptr};
    EXPECT_EQ(
        ::posix_spawn(&pid_, program, &actions, nullptr, arguments, environ), 0)
        << program;
    posix_spawn_file_actions_destroy(&actions);
    EXPECT_TRUE(Receive().has_ready());
  }
  ~Process() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
  }

  FromChild Receive() {
    FromChild message;
    std::vector<UniqueFd> fds;
    const absl::Status status =
        channel_.WaitReceive(&message, &fds, kPatienceMs);
    EXPECT_TRUE(status.ok()) << status;
    return message;
  }
  FromChild Start(const std::string& payload, const std::vector<int>& fds) {
    ToChild message;
    message.mutable_start()->set_name("port0");
    message.mutable_start()->set_payload(payload);
    EXPECT_TRUE(channel_.Send(message, fds).ok());
    return Receive();
  }
  FromChild Ping() {
    ToChild message;
    message.mutable_ping()->set_number(7);
    EXPECT_TRUE(channel_.Send(message).ok());
    return Receive();
  }
  int ExitStatus() {
    int status = 0;
    ::waitpid(std::exchange(pid_, -1), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  pid_t pid_ = -1;
  SeqpacketChannel channel_;
};

// Listens on an address that the kernel chooses: no file is left behind.
UniqueFd Listener() {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address = {AF_UNIX, {}};
  EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address),
                   sizeof(sa_family_t)),
            0);
  EXPECT_EQ(::listen(fd.get(), 8), 0);
  return fd;
}

UniqueFd ConnectTo(int listener) {
  sockaddr_un address = {};
  socklen_t bytes = sizeof(address);
  EXPECT_EQ(
      ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &bytes),
      0);
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), bytes),
            0);
  return fd;
}

// What the platform service would hand to a model.
struct ModelOrder {
  ModelOrder() {
    spec.set_name("port0");
    spec.set_model("82574l");
    spec.set_mac(std::string(kMac, sizeof(kMac)));
    spec.mutable_echo();
    spec.set_owner_socket_fd(0);
    spec.set_driver_socket_fd(1);
    spec.set_counters_fd(2);
    spec.set_doorbells_fd(3);
  }
  FromChild StartIn(Process& process) {
    return process.Start(
        spec.SerializeAsString(),
        {owner.get(), driver.get(), counters.get(), doorbells.get()});
  }

  ModelSpec spec;
  UniqueFd owner = Listener();
  UniqueFd driver = Listener();
  UniqueFd counters = *CreateSealedMemory("counters", kPageBytes);
  UniqueFd doorbells = *CreateSealedMemory("doorbells", kPageBytes);
};

constexpr char kModel[] = "nic_model/82574l/82574l";
constexpr char kSwitch[] = "nic_model/nic_switch";

TEST(ModelProcess, ServesOwnerAndDriver) {
  Process process(kModel);
  ModelOrder order;
  ASSERT_TRUE(order.StartIn(process).has_started());
  auto owner = vfio_user::Client::Create(ConnectTo(order.owner.get()));
  ASSERT_TRUE(owner.ok()) << owner.status();
  auto driver = vfio_user::Client::Create(ConnectTo(order.driver.get()));
  ASSERT_TRUE(driver.ok()) << driver.status();
  uint8_t id[4];
  ASSERT_TRUE((*driver)->Read(vfio_user::kConfigRegion, 0, id).ok());
  EXPECT_EQ(std::string(reinterpret_cast<char*>(id), 4),
            std::string("\x86\x80\xd3\x10"));
  EXPECT_EQ((*driver)->GetDoorbells(0)->size(), 2u);
  EXPECT_EQ(*(*owner)->GetIrqCount(vfio_user::kMsixIrqIndex), kMsixVectors);
  EXPECT_FALSE((*driver)->Reset().ok()) << "S3: not the driver's to do";
  EXPECT_TRUE((*owner)->Reset().ok());
  auto counters =
      *Mapping::MapSealed(order.counters.get(), kPageBytes, Access::kReadOnly);
  EXPECT_EQ(counters.As<const PortCounters>()->resets, 1u);
  EXPECT_EQ(process.Ping().pong().number(), 7u);
}

TEST(ModelProcess, S5_RestartedModelIsReachableAtTheSameSockets) {
  ModelOrder order;
  {
    Process first(kModel);
    ASSERT_TRUE(order.StartIn(first).has_started());
    auto owner = vfio_user::Client::Create(ConnectTo(order.owner.get()));
    ASSERT_TRUE(owner.ok());
    ASSERT_TRUE((*owner)->Reset().ok());
  }
  Process second(kModel);
  ASSERT_TRUE(order.StartIn(second).has_started());
  auto owner = vfio_user::Client::Create(ConnectTo(order.owner.get()));
  ASSERT_TRUE(owner.ok()) << owner.status();
  ASSERT_TRUE((*owner)->Reset().ok());
  auto counters =
      *Mapping::MapSealed(order.counters.get(), kPageBytes, Access::kReadOnly);
  EXPECT_EQ(counters.As<const PortCounters>()->resets, 2u)
      << "the count goes on where the dead model stopped";
}

TEST(ModelProcess, SaysWhatIsWrongWithItsOrder) {
  const struct {
    const char* name;
    void (*spoil)(ModelSpec&);
    const char* says;
  } kCases[] = {
      {"model", [](ModelSpec& s) { s.set_model("82575"); }, "82574l"},
      {"mac length", [](ModelSpec& s) { s.set_mac("abc"); }, "MAC"},
      {"multicast mac", [](ModelSpec& s) { s.set_mac("\1bcdef"); }, "MAC"},
      {"fault", [](ModelSpec& s) { s.add_fault("gremlins"); }, "gremlins"},
      {"descriptor", [](ModelSpec& s) { s.set_owner_socket_fd(99); },
       "owner's socket"},
      {"descriptor twice", [](ModelSpec& s) { s.set_driver_socket_fd(0); },
       "driver's socket"},
      {"counters", [](ModelSpec& s) { s.set_counters_fd(0); }, "seals"},
      {"wire", [](ModelSpec& s) { s.mutable_wire()->set_socket_fd(3); },
       "descriptor"},
      {"generator",
       [](ModelSpec& s) { s.mutable_generator()->set_frame_bytes(5); },
       "frames of 5 bytes"},
      {"pcap", [](ModelSpec& s) { s.mutable_pcap()->set_file_fd(4); },
       "capture"},
  };
  for (const auto& c : kCases) {
    Process process(kModel);
    ModelOrder order;
    c.spoil(order.spec);
    const FromChild answer = order.StartIn(process);
    ASSERT_TRUE(answer.has_failed()) << c.name;
    EXPECT_THAT(answer.failed().reason(), HasSubstr(c.says)) << c.name;
    EXPECT_EQ(process.ExitStatus(), 1) << c.name;
  }
  Process process(kModel);
  EXPECT_TRUE(process.Start("\xff\xff", {}).has_failed());
}

TEST(ModelProcess, DieOnResetFaultLooksLikeADeath) {
  Process process(kModel);
  ModelOrder order;
  order.spec.add_fault("die_on_reset");
  ASSERT_TRUE(order.StartIn(process).has_started());
  auto owner = vfio_user::Client::Create(ConnectTo(order.owner.get()));
  ASSERT_TRUE(owner.ok());
  EXPECT_EQ((*owner)->Reset().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(process.ExitStatus(), 1);
}

TEST(ModelProcess, GarbageRepliesFaultIsDataLossForItsClient) {
  Process process(kModel);
  ModelOrder order;
  order.spec.add_fault("garbage_replies");
  ASSERT_TRUE(order.StartIn(process).has_started());
  EXPECT_EQ(
      vfio_user::Client::Create(ConnectTo(order.owner.get())).status().code(),
      absl::StatusCode::kDataLoss);
}

TEST(SwitchProcess, JoinsItsPorts) {
  Process process(kSwitch);
  SwitchSpec spec;
  std::vector<UniqueFd> near, far;
  std::vector<int> fds;
  for (uint32_t i = 0; i < 3; ++i) {
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    near.emplace_back(ends[0]);
    far.emplace_back(ends[1]);
    fds.push_back(ends[0]);
    spec.add_port_fd(i);
  }
  ASSERT_TRUE(process.Start(spec.SerializeAsString(), fds).has_started());
  const std::string frame(60, '\xff');
  ASSERT_EQ(::send(far[0].get(), frame.data(), frame.size(), 0), 60);
  for (const int port : {1, 2}) {
    pollfd waiter = {far[port].get(), POLLIN, 0};
    ASSERT_EQ(::poll(&waiter, 1, kPatienceMs), 1) << port;
  }
  Process wrong(kSwitch);
  spec.add_port_fd(17);
  EXPECT_TRUE(wrong.Start(spec.SerializeAsString(), fds).has_failed());
}

}  // namespace
}  // namespace bulkhead::nic_model
