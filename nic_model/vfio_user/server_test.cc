// Client and server over real sockets, and each of them against a peer that
// breaks the protocol: the reason must be clear, and nothing else may suffer.
#include "nic_model/vfio_user/server.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <cstring>
#include <functional>
#include <thread>

#include "base/shared_memory.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nic_model/vfio_user/client.h"
#include "nic_model/vfio_user/fake_device.h"
#include "nic_model/vfio_user/socket_io.h"

namespace bulkhead::vfio_user {
namespace {

using ::testing::HasSubstr;

std::pair<UniqueFd, UniqueFd> SocketPair() {
  int ends[2];
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

// Serves in a thread of its own until it goes out of scope. The device may be
// looked at only when the thread has stopped, or from Run.
class Serving {
 public:
  Serving() : loop_(*EventLoop::Create()), server_(*loop_, device) {
    EXPECT_TRUE(loop_
                    ->Watch(start_.get(), EPOLLIN,
                            [this](uint32_t) {
                              uint64_t count;
                              EXPECT_EQ(::read(start_.get(), &count, 8), 8);
                              work_();
                              const uint64_t one = 1;
                              EXPECT_EQ(::write(done_.get(), &one, 8), 8);
                            })
                    .ok());
    thread_ = std::thread([this] { loop_->Run(); });
  }
  ~Serving() { Stop(); }

  UniqueFd Connect(Role role) {
    auto [ours, theirs] = SocketPair();
    int fd = theirs.Release();
    Run([this, fd, role] {
      EXPECT_TRUE(server_.AddConnection(UniqueFd(fd), role).ok());
    });
    return std::move(ours);
  }
  // On the loop's thread, and waits for it. The eventfds order the accesses.
  void Run(std::function<void()> work) {
    work_ = std::move(work);
    uint64_t count = 1;
    ASSERT_EQ(::write(start_.get(), &count, 8), 8);
    ASSERT_EQ(::read(done_.get(), &count, 8), 8);
  }
  void Stop() {
    if (!thread_.joinable()) return;
    loop_->Stop();
    thread_.join();
  }
  Server& server() { return server_; }

  FakeDevice device;

 private:
  std::unique_ptr<EventLoop> loop_;
  Server server_;
  const UniqueFd start_{::eventfd(0, EFD_CLOEXEC)};
  const UniqueFd done_{::eventfd(0, EFD_CLOEXEC)};
  std::function<void()> work_;
  std::thread thread_;
};

// Waits until the peer has closed; what it sent before is thrown away.
bool ClosesWithin(int fd, int timeout_ms) {
  uint8_t bytes[4096];
  for (;;) {
    pollfd waiter = {fd, POLLIN, 0};
    if (::poll(&waiter, 1, timeout_ms) <= 0) return false;
    const ssize_t got = ::recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno == ECONNRESET)) return true;
  }
}

TEST(ServerTest, ClientDoesEverything) {
  Serving serving;
  auto client = Client::Create(serving.Connect(Role::kOwner));
  ASSERT_TRUE(client.ok()) << client.status();
  EXPECT_EQ((*client)->GetRegionInfo(0)->bytes, FakeDevice::kBarBytes);
  EXPECT_EQ(*(*client)->GetIrqCount(kMsixIrqIndex), 5u);

  std::vector<uint8_t> data(10000);
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<uint8_t>(i);
  EXPECT_TRUE((*client)->Write(0, 100, data).ok()) << "in several messages";
  std::vector<uint8_t> back(data.size());
  EXPECT_TRUE((*client)->Read(0, 100, back).ok());
  EXPECT_EQ(back, data);
  const uint8_t posted[] = {9, 8, 7, 6};
  EXPECT_TRUE((*client)->PostWrite(0, 0, posted).ok());
  std::vector<uint8_t> word(4);
  EXPECT_TRUE((*client)->Read(0, 0, word).ok());
  EXPECT_EQ(word, std::vector<uint8_t>({9, 8, 7, 6})) << "in order";

  const UniqueFd memory = *CreateSealedMemory("dma", kPageBytes);
  EXPECT_TRUE((*client)->MapDma(0x1000, 4096, memory.get(), 0, true).ok());
  EXPECT_TRUE((*client)->UnmapDma(0x1000, 4096).ok());
  const absl::Status refused = (*client)->UnmapDma(0x1000, 4096);
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("DMA_UNMAP"));

  std::vector<UniqueFd> events;
  std::vector<int> fds;
  for (int i = 0; i < 5; ++i) {
    events.emplace_back(::eventfd(0, EFD_CLOEXEC));
    fds.push_back(events.back().get());
  }
  EXPECT_TRUE((*client)->SetIrqs(kMsixIrqIndex, fds).ok());
  EXPECT_TRUE((*client)->SetIrqs(kMsixIrqIndex, {}).ok());
  EXPECT_TRUE((*client)->Reset().ok()) << "usable after a refusal";
  serving.Stop();
  EXPECT_EQ(serving.device.resets, 1);
}

TEST(ServerTest, DoorbellArrivesWithItsDescriptors) {
  Serving serving;
  const UniqueFd event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  const UniqueFd shadow = *CreateSealedMemory("shadow", kPageBytes);
  serving.Run([&] {
    serving.device.doorbells = {{0x3818, 4, event.get(), shadow.get(), 64}};
  });
  auto client = Client::Create(serving.Connect(Role::kDriver));
  ASSERT_TRUE(client.ok());
  auto doorbells = (*client)->GetDoorbells(0);
  ASSERT_TRUE(doorbells.ok()) << doorbells.status();
  ASSERT_EQ(doorbells->size(), 1u);
  EXPECT_EQ((*doorbells)[0].offset, 0x3818u);
  EXPECT_EQ((*doorbells)[0].shadow_offset, 64u);
  const uint64_t one = 1;
  ASSERT_EQ(::write((*doorbells)[0].event.get(), &one, 8), 8);
  uint64_t count = 0;
  ASSERT_EQ(::read(event.get(), &count, 8), 8);
  EXPECT_TRUE((*client)->GetDoorbells(1)->empty());
}

TEST(ServerTest, S3_OwnerLossUnmapsAndDisarms) {
  Serving serving;
  auto driver = Client::Create(serving.Connect(Role::kDriver));
  ASSERT_TRUE(driver.ok());
  {
    auto owner = Client::Create(serving.Connect(Role::kOwner));
    ASSERT_TRUE(owner.ok());
    const UniqueFd memory = *CreateSealedMemory("dma", kPageBytes);
    ASSERT_TRUE((*owner)->MapDma(0, 4096, memory.get(), 0, true).ok());
  }
  // A new owner is served at once, and finds nothing mapped.
  auto owner = Client::Create(serving.Connect(Role::kOwner));
  ASSERT_TRUE(owner.ok()) << owner.status();
  uint8_t byte[1];
  EXPECT_TRUE((*driver)->Read(0, 0, byte).ok()) << "drivers are undisturbed";
  serving.Stop();
  EXPECT_TRUE(serving.device.maps.empty());
  EXPECT_EQ(serving.device.disarms, 1);
  EXPECT_EQ(serving.device.resets, 0) << "the device keeps its state";
}

TEST(ServerTest, ThereIsOneOwner) {
  Serving serving;
  auto owner = Client::Create(serving.Connect(Role::kOwner));
  ASSERT_TRUE(owner.ok());
  auto [ours, theirs] = SocketPair();
  serving.Run([&, fd = theirs.Release()] {
    EXPECT_EQ(serving.server().AddConnection(UniqueFd(fd), Role::kOwner).code(),
              absl::StatusCode::kFailedPrecondition);
  });
  EXPECT_TRUE((*owner)->Reset().ok());
}

TEST(ServerTest, AdoptedConnectionSkipsRepliesToTheDead) {
  Serving serving;
  UniqueFd socket = serving.Connect(Role::kOwner);
  UniqueFd parked = socket.Duplicate();
  {
    auto first = Client::Create(std::move(socket));
    ASSERT_TRUE(first.ok());
    const UniqueFd memory = *CreateSealedMemory("dma", kPageBytes);
    ASSERT_TRUE((*first)->MapDma(0, 4096, memory.get(), 0, true).ok());
    // It dies between its request and the reply.
    const Header reset = {0x7777, 13, sizeof(Header), kTypeCommand, 0};
    ASSERT_EQ(::send((*first)->fd(), &reset, sizeof(reset), 0), 16);
  }
  auto second = Client::Adopt(std::move(parked));
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(*(*second)->GetIrqCount(kMsixIrqIndex), 5u);
  EXPECT_TRUE((*second)->Reset().ok());
  serving.Run([&] { EXPECT_EQ(serving.device.maps.size(), 1u); });
}

TEST(ServerTest, S7_BrokenFramingEndsTheConnectionOnly) {
  const struct {
    const char* name;
    Header header;
  } kCases[] = {
      {"size 0", {1, 4, 0, 0, 0}},
      {"size below the header", {1, 4, 15, 0, 0}},
      {"size above the limit", {1, 4, kServerMaxMessage + 1, 0, 0}},
      {"size 4 GiB", {1, 4, UINT32_MAX, 0, 0}},
  };
  Serving serving;
  auto honest = Client::Create(serving.Connect(Role::kOwner));
  ASSERT_TRUE(honest.ok());
  for (const auto& c : kCases) {
    const UniqueFd hostile = serving.Connect(Role::kDriver);
    ASSERT_EQ(::send(hostile.get(), &c.header, sizeof(c.header), 0), 16);
    EXPECT_TRUE(ClosesWithin(hostile.get(), 10'000)) << c.name;
    EXPECT_TRUE((*honest)->Reset().ok()) << c.name;
  }
}

TEST(ServerTest, S7_SurplusDescriptorsAreClosed) {
  Serving serving;
  const UniqueFd hostile = serving.Connect(Role::kOwner);
  int pipe_ends[2];
  ASSERT_EQ(::pipe2(pipe_ends, O_CLOEXEC), 0);
  UniqueFd write_end(pipe_ends[1]);
  const UniqueFd read_end(pipe_ends[0]);
  // A version request with sixteen descriptors that it has no use for.
  struct {
    Header header = {1, 1, 20, kTypeCommand, 0};
    Version version = {0, 1};
  } request;
  const std::vector<int> fds(kMaxFds, write_end.get());
  const iovec part = {&request, 20};
  ASSERT_EQ(SendWithFds(hostile.get(), std::span(&part, 1), fds), 20);
  Header reply = {};
  ASSERT_EQ(::recv(hostile.get(), &reply, sizeof(reply), MSG_WAITALL), 16);
  EXPECT_TRUE(reply.flags & kFlagError);
  write_end.Reset();
  uint8_t byte;
  EXPECT_EQ(::read(read_end.get(), &byte, 1), 0) << "no copy is left open";
}

TEST(ServerTest, S7_MessagesInPiecesAndInHeaps) {
  Serving serving;
  const UniqueFd socket = serving.Connect(Role::kDriver);
  struct __attribute__((packed)) {
    Header version_header = {1, 1, 20, kTypeCommand, 0};
    Version version = {0, 1};
    Header read_header = {2, 9, 32, kTypeCommand, 0};
    RegionAccess read = {0, 0, 4};
    Header posted_header = {3, 10, 36, kTypeCommand | kFlagNoReply, 0};
    RegionAccess write = {0, 0, 4};
    uint32_t value = 1;
  } stream;
  const auto* bytes = reinterpret_cast<const uint8_t*>(&stream);
  for (size_t i = 0; i < sizeof(stream); ++i) {
    ASSERT_EQ(::send(socket.get(), bytes + i, 1, 0), 1);
  }
  // Again in one piece.
  ASSERT_EQ(::send(socket.get(), bytes, sizeof(stream), 0),
            static_cast<ssize_t>(sizeof(stream)));
  int replies = 0;
  for (const uint16_t id : {1, 2, 1, 2}) {
    Header header = {};
    ASSERT_EQ(::recv(socket.get(), &header, sizeof(header), MSG_WAITALL), 16);
    EXPECT_EQ(header.id, id) << "the posted write has no reply";
    std::vector<uint8_t> body(header.bytes - sizeof(header));
    ASSERT_EQ(::recv(socket.get(), body.data(), body.size(), MSG_WAITALL),
              static_cast<ssize_t>(body.size()));
    ++replies;
  }
  EXPECT_EQ(replies, 4);
}

TEST(ServerTest, DescriptorsGoToTheMessageTheyCameWith) {
  Serving serving;
  const UniqueFd socket = serving.Connect(Role::kOwner);
  struct __attribute__((packed)) {
    Header version_header = {1, 1, 20, kTypeCommand, 0};
    Version version = {0, 1};
    Header map_header = {2, 2, 48, kTypeCommand, 0};
    DmaMapRequest map = {32, 3, 0, 0x1000, 4096};
    Header reset_header = {3, 13, 16, kTypeCommand, 0};
  } stream;
  auto* bytes = reinterpret_cast<uint8_t*>(&stream);
  const UniqueFd memory = *CreateSealedMemory("dma", kPageBytes);
  const int fd = memory.get();
  // The map's header goes with the descriptor; its body, and a further request,
  // go after it.
  const iovec first = {bytes, 20 + 16};
  const iovec second = {bytes + 36, sizeof(stream) - 36};
  ASSERT_EQ(SendWithFds(socket.get(), {&first, 1}, {&fd, 1}), 36);
  ASSERT_EQ(SendWithFds(socket.get(), {&second, 1}, {}), 48);
  // The version's reply, and then two replies without a body.
  Header header = {};
  ASSERT_EQ(::recv(socket.get(), &header, sizeof(header), MSG_WAITALL), 16);
  std::vector<uint8_t> body(header.bytes - sizeof(header));
  ASSERT_EQ(::recv(socket.get(), body.data(), body.size(), MSG_WAITALL),
            static_cast<ssize_t>(body.size()));
  for (const uint16_t id : {2, 3}) {
    ASSERT_EQ(::recv(socket.get(), &header, sizeof(header), MSG_WAITALL), 16);
    EXPECT_EQ(header.id, id);
    EXPECT_EQ(header.error, 0u);
  }
  serving.Stop();
  EXPECT_EQ(serving.device.maps.size(), 1u);
}

TEST(ServerTest, S7_PeerThatDoesNotReadIsDisconnected) {
  Serving serving;
  const UniqueFd socket = serving.Connect(Role::kDriver);
  struct {
    Header header = {1, 1, 20, kTypeCommand, 0};
    Version version = {0, 1};
  } version;
  ASSERT_EQ(::send(socket.get(), &version, 20, 0), 20);
  struct {
    Header header = {2, 9, 32, kTypeCommand, 0};
    RegionAccess access = {0, 0, kServerMaxTransfer};
  } read;
  bool closed = false;
  for (int i = 0; i < 100'000 && !closed; ++i) {
    closed = ::send(socket.get(), &read, sizeof(read), MSG_NOSIGNAL) < 0;
  }
  EXPECT_TRUE(closed);
}

// ---- The client against a hostile server: a socket whose answers are given.

class HostileServerTest : public ::testing::Test {
 protected:
  // Answers VERSION honestly, then the next request with what `answer` makes of
  // its header.
  absl::Status Ask(std::function<std::vector<uint8_t>(Header)> answer,
                   std::function<absl::Status(Client&)> ask) {
    auto [ours, theirs] = SocketPair();
    std::thread server([&, fd = theirs.get()] {
      uint8_t body[4096];
      Header header = {};
      if (::recv(fd, &header, sizeof(header), MSG_WAITALL) != 16) return;
      ::recv(fd, body, header.bytes - 16, MSG_WAITALL);
      struct {
        Header header;
        Version version = {0, 1};
      } version = {{header.id, 1, 20, kTypeReply, 0}};
      ::send(fd, &version, 20, MSG_NOSIGNAL);
      if (::recv(fd, &header, sizeof(header), MSG_WAITALL) != 16) return;
      ::recv(fd, body, header.bytes - 16, MSG_WAITALL);
      const std::vector<uint8_t> bytes = answer(header);
      ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (bytes.empty()) ::shutdown(fd, SHUT_RDWR);
    });
    absl::Status status;
    auto client = Client::Create(std::move(ours), 2000);
    if (client.ok()) {
      status = ask(**client);
      again_ = ask(**client);
    } else {
      status = client.status();
    }
    server.join();
    return status;
  }

  static absl::Status Count(Client& client) {
    return client.GetIrqCount(kMsixIrqIndex).status();
  }
  static std::vector<uint8_t> Bytes(const Header& header, size_t body) {
    std::vector<uint8_t> bytes(sizeof(header) + body);
    std::memcpy(bytes.data(), &header, sizeof(header));
    return bytes;
  }

  absl::Status again_;  // The same question once more.
};

TEST_F(HostileServerTest, S7_NonsenseIsDataLoss) {
  const struct {
    const char* name;
    std::function<std::vector<uint8_t>(Header)> answer;
  } kCases[] = {
      {"another id",
       [](Header h) {
         return Bytes({uint16_t(h.id + 1), h.command, 32, 1, 0}, 16);
       }},
      {"another command",
       [](Header h) {
         return Bytes({h.id, 13, 32, 1, 0}, 16);
       }},
      {"a command",
       [](Header h) {
         return Bytes({h.id, 11, 32, 0, 0}, 16);
       }},
      {"too short",
       [](Header h) {
         return Bytes({h.id, 7, 20, 1, 0}, 4);
       }},
      {"too long",
       [](Header h) {
         return Bytes({h.id, 7, 48, 1, 0}, 32);
       }},
      {"said to be tiny",
       [](Header h) {
         return Bytes({h.id, 7, 3, 1, 0}, 0);
       }},
      {"said to be huge",
       [](Header h) {
         return Bytes({h.id, 7, UINT32_MAX, 1, 0}, 0);
       }},
      {"two replies",
       [](Header h) {
         std::vector<uint8_t> two = Bytes({h.id, 7, 32, 1, 0}, 48);
         std::memcpy(two.data() + 32, two.data(), 16);
         return two;
       }},
      {"another interrupt",
       [](Header h) {
         auto bytes = Bytes({h.id, 7, 32, 1, 0}, 16);
         bytes[24] = 1;
         return bytes;
       }},
  };
  for (const auto& c : kCases) {
    const absl::Status status = Ask(c.answer, Count);
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss)
        << c.name << ": " << status;
    EXPECT_EQ(again_, status) << c.name << ": of no further use";
  }
}

TEST_F(HostileServerTest, DeathIsUnavailable) {
  const absl::Status status =
      Ask([](Header) { return std::vector<uint8_t>(); }, Count);
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
}

TEST_F(HostileServerTest, SilenceIsDeadlineExceeded) {
  auto [ours, theirs] = SocketPair();
  EXPECT_EQ(Client::Create(std::move(ours), 20).status().code(),
            absl::StatusCode::kDeadlineExceeded);
}

// Shows that a server which takes nine tenths of the time for each answer is
// given up after a few of them.
TEST_F(HostileServerTest, S5_AlwaysLateIsDeadlineExceeded) {
  auto [ours, theirs] = SocketPair();
  std::thread server([fd = theirs.get()] {
    for (;;) {
      uint8_t body[4096];
      Header header = {};
      if (::recv(fd, &header, sizeof(header), MSG_WAITALL) != 16) return;
      ::recv(fd, body, header.bytes - 16, MSG_WAITALL);
      if (header.command != 1) ::usleep(45'000);
      // Enough for a version and for the count of an interrupt.
      struct {
        Header header;
        IrqInfo info;
      } reply = {{header.id, header.command, 32, kTypeReply, 0},
                 {16, 0, kMsixIrqIndex, 1}};
      if (header.command == 1) {
        const Version version = {0, 1};
        std::memcpy(&reply.info, &version, sizeof(version));
      }
      ::send(fd, &reply, sizeof(reply), MSG_NOSIGNAL);
    }
  });
  auto client = Client::Create(std::move(ours), 1000, 200);
  EXPECT_TRUE(client.ok()) << client.status();
  absl::Status status;
  for (int i = 0; i < 50 && status.ok() && client.ok(); ++i) {
    status = (*client)->GetIrqCount(kMsixIrqIndex).status();
  }
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded) << status;
  if (client.ok()) client->reset();
  server.join();
}

TEST_F(HostileServerTest, ErrorWithoutCauseIsInvalidArgument) {
  const absl::Status status = Ask(
      [](Header h) {
        return Bytes({h.id, 7, 16, kTypeReply | kFlagError, 0}, 0);
      },
      [](Client& client) { return Count(client); });
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
}

}  // namespace
}  // namespace bulkhead::vfio_user
