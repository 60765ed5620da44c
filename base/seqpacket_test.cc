#include "base/seqpacket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "google/protobuf/message_lite.h"
#include "gtest/gtest.h"
#include "supervisor/api/supervisor.pb.h"

namespace bulkhead {
namespace {

using supervisor::Event;

bool IsOpen(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

int OpenFds() {
  return static_cast<int>(
      std::distance(std::filesystem::directory_iterator("/proc/self/fd"),
                    std::filesystem::directory_iterator()));
}

class SeqpacketTest : public ::testing::Test {
 protected:
  SeqpacketTest() {
    auto ends = *SeqpacketChannel::CreatePair();
    a_ = std::move(ends.first);
    b_ = std::move(ends.second);
  }
  static Event EventOf(const std::string& text) {
    Event event;
    event.set_text(text);
    return event;
  }

  SeqpacketChannel a_;
  SeqpacketChannel b_;
  Event got_;
  std::vector<UniqueFd> fds_;
};

// Shows that messages arrive whole and in order, the empty one too, and that
// "nothing there" is told apart from it.
TEST_F(SeqpacketTest, MessagesArriveWhole) {
  EXPECT_FALSE(*b_.Receive(&got_, &fds_));
  ASSERT_TRUE(a_.Send(EventOf("one")).ok());
  ASSERT_TRUE(a_.Send(Event()).ok());
  ASSERT_TRUE(a_.Send(EventOf(std::string(100'000, 'x'))).ok());
  EXPECT_TRUE(*b_.Receive(&got_, &fds_));
  EXPECT_EQ(got_.text(), "one");
  EXPECT_TRUE(*b_.Receive(&got_, &fds_));
  EXPECT_EQ(got_.text(), "");
  EXPECT_TRUE(*b_.Receive(&got_, &fds_));
  EXPECT_EQ(got_.text().size(), 100'000u);
  EXPECT_FALSE(*b_.Receive(&got_, &fds_));
}

// Shows that descriptors arrive with their message, close-on-exec, and that the
// sender keeps its own.
TEST_F(SeqpacketTest, DescriptorsTravelWithTheirMessage) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  const int sent[] = {write_end.get(), write_end.get()};
  ASSERT_TRUE(a_.Send(EventOf("none")).ok());
  ASSERT_TRUE(a_.Send(EventOf("two"), sent).ok());
  ASSERT_TRUE(*b_.Receive(&got_, &fds_));
  EXPECT_TRUE(fds_.empty());
  ASSERT_TRUE(*b_.Receive(&got_, &fds_));
  ASSERT_EQ(fds_.size(), 2u);
  EXPECT_EQ(::fcntl(fds_[0].get(), F_GETFD), FD_CLOEXEC);
  EXPECT_TRUE(IsOpen(write_end.get()));
  ASSERT_EQ(::write(fds_[1].get(), "x", 1), 1);
  char byte;
  EXPECT_EQ(::read(read_end.get(), &byte, 1), 1);
}

// Shows that a closed peer is Unavailable on both ways, also after messages
// that still waited.
TEST_F(SeqpacketTest, ClosedPeerIsUnavailable) {
  ASSERT_TRUE(a_.Send(EventOf("last words")).ok());
  a_.Close();
  EXPECT_TRUE(*b_.Receive(&got_, &fds_));
  EXPECT_EQ(got_.text(), "last words");
  EXPECT_TRUE(absl::IsUnavailable(b_.Receive(&got_, &fds_).status()));
  EXPECT_TRUE(absl::IsUnavailable(b_.Send(Event())));
}

// Shows that the last words of a peer that was killed before it read ours are
// heard. (The kernel reports the reset first and the words afterwards.)
TEST_F(SeqpacketTest, LastWordsSurviveAReset) {
  ASSERT_TRUE(b_.Send(EventOf("never read")).ok());
  ASSERT_TRUE(a_.Send(EventOf("last words")).ok());
  a_.Close();
  ASSERT_TRUE(*b_.Receive(&got_, &fds_));
  EXPECT_EQ(got_.text(), "last words");
  EXPECT_TRUE(absl::IsUnavailable(b_.Receive(&got_, &fds_).status()));
}

// Shows that a peer that does not read can never block the sender, and that the
// channel works again once it reads.
TEST_F(SeqpacketTest, FullQueueIsToldNotWaitedFor) {
  absl::Status status;
  int sent = 0;
  while (status.ok() && sent < 100'000) {
    status = a_.Send(EventOf(std::string(1000, 'x')));
    if (status.ok()) ++sent;
  }
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  int received = 0;
  while (*b_.Receive(&got_, &fds_)) ++received;
  EXPECT_EQ(received, sent);
  EXPECT_TRUE(a_.Send(Event()).ok());
}

// Shows that the sender's limits are checked before anything is sent.
TEST_F(SeqpacketTest, SendRefusesTooMuch) {
  EXPECT_TRUE(absl::IsInvalidArgument(
      a_.Send(EventOf(std::string(SeqpacketChannel::kMaxMessageBytes, 'x')))));
  const std::vector<int> many(SeqpacketChannel::kMaxFds + 1, a_.fd());
  EXPECT_TRUE(absl::IsInvalidArgument(a_.Send(Event(), many)));
  EXPECT_FALSE(*b_.Receive(&got_, &fds_));
}

// Shows that a hostile peer's packet — not a message, without the lead byte, of
// zero bytes, or too large — is an error, that its descriptors are closed, and
// that the next message is read as if nothing had been.
TEST_F(SeqpacketTest, S7_HostilePacketsAreErrors) {
  const std::string packets[] = {"Bnonsense", "X", "B\x0a\xff\xff\xff\xff\x0f",
                                 "", std::string(150'000, 'B')};
  for (const std::string& packet : packets) {
    const int before = OpenFds();
    iovec part = {const_cast<char*>(packet.data()), packet.size()};
    msghdr header = {};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    header.msg_control = control;
    header.msg_controllen = sizeof(control);
    cmsghdr* c = CMSG_FIRSTHDR(&header);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    *reinterpret_cast<int*>(CMSG_DATA(c)) = a_.fd();
    ASSERT_GE(::sendmsg(a_.fd(), &header, 0), 0);
    EXPECT_FALSE(b_.Receive(&got_, &fds_).ok()) << packet.substr(0, 20);
    EXPECT_TRUE(fds_.empty());
    EXPECT_EQ(OpenFds(), before);
    ASSERT_TRUE(a_.Send(EventOf("fine")).ok());
    ASSERT_TRUE(*b_.Receive(&got_, &fds_));
    EXPECT_EQ(got_.text(), "fine");
  }
}

// Shows that more descriptors than the receiver wants are refused and closed.
TEST_F(SeqpacketTest, S7_UnwantedDescriptorsAreClosed) {
  const int before = OpenFds();
  const std::vector<int> three(3, a_.fd());
  ASSERT_TRUE(a_.Send(Event(), three).ok());
  EXPECT_TRUE(absl::IsInvalidArgument(b_.Receive(&got_, &fds_, 2).status()));
  EXPECT_TRUE(fds_.empty());
  EXPECT_EQ(OpenFds(), before);
  ASSERT_TRUE(a_.Send(Event(), three).ok());
  EXPECT_TRUE(*b_.Receive(&got_, &fds_, 3));
  EXPECT_EQ(fds_.size(), 3u);
}

// Shows that waiting ends at the deadline, and at once when something is there.
TEST_F(SeqpacketTest, WaitReceiveHasADeadline) {
  EXPECT_TRUE(absl::IsDeadlineExceeded(b_.WaitReceive(&got_, &fds_, 1)));
  ASSERT_TRUE(a_.Send(EventOf("here")).ok());
  EXPECT_TRUE(b_.WaitReceive(&got_, &fds_, -1).ok());
  EXPECT_EQ(got_.text(), "here");
}

// Shows the life of a listening socket: its mode, that a living one is not
// taken over, that a dead one is, and who the peer is.
TEST(ListenSeqpacket, TakesOverOnlyDeadSockets) {
  // Relative, since bazel's directories are longer than a socket's path may be.
  ASSERT_EQ(::chdir(::testing::TempDir().c_str()), 0);
  const std::string path = "listen_test.sock";
  ::unlink(path.c_str());
  auto first = ListenSeqpacket(path);
  ASSERT_TRUE(first.ok()) << first.status();
  struct stat info;
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  auto second = ListenSeqpacket(path);
  EXPECT_TRUE(absl::IsAlreadyExists(second.status())) << second.status();
  // The failed attempt has left a connection waiting; ours comes after it.
  auto client = SeqpacketChannel::Connect(path);
  ASSERT_TRUE(client.ok());
  UniqueFd(::accept4(first->get(), nullptr, nullptr, SOCK_CLOEXEC)).Reset();
  UniqueFd server(::accept4(first->get(), nullptr, nullptr, SOCK_CLOEXEC));
  const auto peer = GetPeerCredentials(server.get());
  ASSERT_TRUE(peer.ok());
  EXPECT_EQ(peer->pid, ::getpid());
  EXPECT_EQ(peer->uid, ::getuid());
  first->Reset();
  EXPECT_TRUE(ListenSeqpacket(path).ok());
  ::unlink(path.c_str());
}

// Shows that a path that no Unix socket can have is refused with the remedy.
TEST(ListenSeqpacket, LongPathIsRefused) {
  const auto status = ListenSeqpacket("/" + std::string(200, 'x')).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_NE(status.message().find("shorter run directory"), std::string::npos);
  EXPECT_TRUE(
      absl::IsNotFound(SeqpacketChannel::Connect("/no/such/socket").status()));
}

}  // namespace
}  // namespace bulkhead
