// Callers of the session socket, honest and not: every one gets a grant's
// chance or a refusal with a reason, and none can hold the others up.
#include "platform_service/sessions/session_server.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "base/testing/scratch_dir.h"

namespace bulkhead::platform {
namespace {

using packet_stream::OpenReply;
using packet_stream::OpenRequest;

class SessionServerTest : public testing::Test {
 protected:
  SessionServerTest() : loop_(*EventLoop::Create()) {
    server_ = *SessionServer::Create(
        *loop_, *ListenSeqpacket(path()),
        [this](OpenCall call) { calls_.push_back(std::move(call)); });
  }

  std::string path() const { return folder_.path() + "/s"; }
  void Turn() {
    for (int i = 0; i < 100; ++i) loop_->RunOnce(0);
  }
  SeqpacketChannel Connect() { return *SeqpacketChannel::Connect(path()); }
  static OpenRequest Request() {
    OpenRequest request;
    request.set_label("probe");
    request.set_instance("nic0");
    request.mutable_geometry()->set_tx_buffers(64);
    request.mutable_geometry()->set_rx_buffers(64);
    request.mutable_geometry()->set_buffer_bytes(2048);
    return request;
  }
  static OpenReply::Refusal Refused(SeqpacketChannel& channel) {
    OpenReply reply;
    std::vector<UniqueFd> fds;
    EXPECT_TRUE(channel.WaitReceive(&reply, &fds, 1000).ok());
    EXPECT_TRUE(reply.has_refusal());
    EXPECT_FALSE(reply.refusal().text().empty());
    return reply.refusal();
  }

  ScratchDir folder_;
  std::unique_ptr<EventLoop> loop_;
  std::vector<OpenCall> calls_;
  std::unique_ptr<SessionServer> server_;
};

TEST_F(SessionServerTest, RequestIsHandedOnWithItsCaller) {
  SeqpacketChannel client = Connect();
  ASSERT_TRUE(client.Send(Request()).ok());
  Turn();
  ASSERT_EQ(calls_.size(), 1u);
  EXPECT_EQ(calls_[0].label, "probe");
  EXPECT_EQ(calls_[0].instance, "nic0");
  EXPECT_EQ(calls_[0].peer.pid, ::getpid());
  EXPECT_EQ(calls_[0].geometry.tx_buffers, 64u);
  EXPECT_EQ(server_->handshakes(), 0u);
}

TEST_F(SessionServerTest, BadGeometryIsRefused) {
  const uint32_t bad[][3] = {{0, 64, 2048},        {3, 64, 2048},
                             {64, 1u << 31, 2048}, {64, 64, 100},
                             {64, 64, 0},          {65536, 65536, 65536}};
  for (const auto& sizes : bad) {
    SeqpacketChannel client = Connect();
    OpenRequest request = Request();
    request.mutable_geometry()->set_tx_buffers(sizes[0]);
    request.mutable_geometry()->set_rx_buffers(sizes[1]);
    request.mutable_geometry()->set_buffer_bytes(sizes[2]);
    ASSERT_TRUE(client.Send(request).ok());
    Turn();
    EXPECT_EQ(Refused(client).code(), OpenReply::Refusal::BAD_GEOMETRY);
  }
  EXPECT_TRUE(calls_.empty());
}

TEST_F(SessionServerTest, GarbageIsRefused) {
  SeqpacketChannel client = Connect();
  ASSERT_EQ(::write(client.fd(), "not a message", 13), 13);
  Turn();
  EXPECT_EQ(Refused(client).code(), OpenReply::Refusal::BAD_REQUEST);
}

TEST_F(SessionServerTest, DescriptorsWithARequestAreRefused) {
  SeqpacketChannel client = Connect();
  const int fd = 0;
  ASSERT_TRUE(client.Send(Request(), {&fd, 1}).ok());
  Turn();
  EXPECT_EQ(Refused(client).code(), OpenReply::Refusal::BAD_REQUEST);
}

TEST_F(SessionServerTest, EndlessNameIsRefused) {
  SeqpacketChannel client = Connect();
  OpenRequest request = Request();
  request.set_label(std::string(100000, 'a'));
  ASSERT_TRUE(client.Send(request).ok());
  Turn();
  EXPECT_EQ(Refused(client).code(), OpenReply::Refusal::BAD_REQUEST);
}

TEST_F(SessionServerTest, HalfOpenCallersDoNotShutOthersOut) {
  std::vector<SeqpacketChannel> silent;
  for (size_t i = 0; i < 2 * SessionServer::kMostHandshakes; ++i) {
    silent.push_back(Connect());
    Turn();
    ASSERT_LE(server_->handshakes(), SessionServer::kMostHandshakes);
  }
  SeqpacketChannel client = Connect();
  ASSERT_TRUE(client.Send(Request()).ok());
  Turn();
  EXPECT_EQ(calls_.size(), 1u);
}

TEST_F(SessionServerTest, CallerThatGoesAwayIsForgotten) {
  {
    SeqpacketChannel client = Connect();
    Turn();
    EXPECT_EQ(server_->handshakes(), 1u);
  }
  Turn();
  EXPECT_EQ(server_->handshakes(), 0u);
}

TEST_F(SessionServerTest, SilentCallerIsToldThatTimeIsUp) {
  SeqpacketChannel client = Connect();
  for (int i = 0; i < 60 && (i == 0 || server_->handshakes() > 0); ++i) {
    loop_->RunOnce(100);
  }
  EXPECT_EQ(server_->handshakes(), 0u);
  EXPECT_EQ(Refused(client).code(), OpenReply::Refusal::BAD_REQUEST);
}

TEST(IsPermittedUser, OnlyTheRunnerAndRoot) {
  EXPECT_TRUE(IsPermittedUser(0));
  EXPECT_TRUE(IsPermittedUser(::geteuid()));
  EXPECT_FALSE(IsPermittedUser(::geteuid() + 1));
}

}  // namespace
}  // namespace bulkhead::platform
