// Shows that Session::Open takes a good grant, refuses every bad one with its
// cause, and leaks no descriptor either way. A test plays the platform service
// on a socket of its own.
#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "base/seqpacket.h"
#include "base/shared_memory.h"
#include "base/testing/scratch_dir.h"
#include "packet_stream/client.h"
#include "packet_stream/session.pb.h"
#include "packet_stream/session_areas.h"

namespace bulkhead::packet_stream {
namespace {

constexpr SessionGeometry kGeometry = {
    .tx_buffers = 8, .rx_buffers = 16, .buffer_bytes = 256};

size_t OpenDescriptors() {
  size_t count = 0;
  DIR* directory = ::opendir("/proc/self/fd");
  while (::readdir(directory) != nullptr) ++count;
  ::closedir(directory);
  return count;
}

class Handshake : public testing::Test {
 protected:
  // Changes a good answer into the one to be tested.
  using Spoil = std::function<void(OpenReply*, std::vector<UniqueFd>*)>;

  Handshake() {
    options_.socket = directory_.path() + "/session.sock";
    options_.label = "probe";
    options_.instance = "nic0";
    options_.geometry = kGeometry;
    auto listening = ListenSeqpacket(options_.socket);
    EXPECT_TRUE(listening.ok()) << listening.status();
    listening_ = *std::move(listening);
    auto areas = CreateSessionAreas(kGeometry);
    EXPECT_TRUE(areas.ok()) << areas.status();
    areas_ = std::make_unique<SessionAreas>(*std::move(areas));
    areas_->status().Write({.state = SessionState::kRunning, .epoch = 3});
  }

  // Opens a session with a platform that answers as `spoil` likes.
  absl::StatusOr<std::unique_ptr<Session>> Open(const Spoil& spoil) {
    std::thread platform([&] {
      server_ = SeqpacketChannel(UniqueFd(
          ::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC)));
      std::vector<UniqueFd> fds;
      ASSERT_TRUE(server_.WaitReceive(&request_, &fds, 5'000).ok());
      auto grant = areas_->MakeClientGrant(7, 3);
      ASSERT_TRUE(grant.ok()) << grant.status();
      for (const int fd : FdsOf(*grant)) fds.emplace_back(::dup(fd));
      OpenReply reply;
      reply.mutable_grant()->set_session_id(7);
      reply.mutable_grant()->set_epoch(3);
      *reply.mutable_grant()->mutable_geometry() = request_.geometry();
      spoil(&reply, &fds);
      std::vector<int> raw;
      for (const UniqueFd& fd : fds) raw.push_back(fd.get());
      if (!server_.valid()) return;
      ASSERT_TRUE(server_.Send(reply, raw).ok());
    });
    auto session = Session::Open(options_);
    platform.join();
    return session;
  }
  void ExpectRefused(const Spoil& spoil, absl::StatusCode code,
                     const std::string& why) {
    const size_t before = OpenDescriptors();
    auto session = Open(spoil);
    ASSERT_FALSE(session.ok());
    EXPECT_EQ(session.status().code(), code) << session.status();
    EXPECT_NE(session.status().message().find(why), std::string::npos)
        << session.status();
    server_.Close();
    EXPECT_EQ(OpenDescriptors(), before) << "a descriptor leaked";
  }

  ScratchDir directory_;
  OpenOptions options_;
  UniqueFd listening_;
  std::unique_ptr<SessionAreas> areas_;
  SeqpacketChannel server_;
  OpenRequest request_;
};

TEST_F(Handshake, AGoodGrantOpensASession) {
  const size_t before = OpenDescriptors();
  {
    auto session = Open([](OpenReply*, std::vector<UniqueFd>*) {});
    ASSERT_TRUE(session.ok()) << session.status();
    EXPECT_EQ(request_.label(), "probe");
    EXPECT_EQ(request_.instance(), "nic0");
    EXPECT_EQ(request_.geometry().rx_buffers(), 16u);
    EXPECT_TRUE((*session)->health().ok());
    EXPECT_EQ((*session)->status().epoch, 3u);
    auto grant = areas_->MakeProviderGrant(7, 3);
    ASSERT_TRUE(grant.ok());
    auto provider = ProviderEnd::Create(*std::move(grant));
    ASSERT_TRUE(provider.ok());
    EXPECT_TRUE((*provider)->Ready());
  }
  server_.Close();
  EXPECT_EQ(OpenDescriptors(), before);
}

TEST_F(Handshake, EachRefusalHasItsCode) {
  using Refusal = OpenReply::Refusal;
  const std::pair<Refusal::Code, absl::StatusCode> codes[] = {
      {Refusal::NO_SUCH_INSTANCE, absl::StatusCode::kNotFound},
      {Refusal::BUSY, absl::StatusCode::kResourceExhausted},
      {Refusal::NOT_ALLOWED, absl::StatusCode::kPermissionDenied},
      {Refusal::QUOTA, absl::StatusCode::kResourceExhausted},
      {Refusal::BAD_GEOMETRY, absl::StatusCode::kInvalidArgument},
      {Refusal::PARKED, absl::StatusCode::kUnavailable},
      {Refusal::BAD_REQUEST, absl::StatusCode::kInvalidArgument},
      {Refusal::CODE_UNSPECIFIED, absl::StatusCode::kUnknown},
  };
  for (const auto& [code, status] : codes) {
    ExpectRefused(
        [code = code](OpenReply* reply, std::vector<UniqueFd>* fds) {
          fds->clear();
          reply->mutable_refusal()->set_code(code);
          reply->mutable_refusal()->set_text("asked 4 MiB, 1 MiB is left");
        },
        status, "asked 4 MiB, 1 MiB is left");
  }
}

TEST_F(Handshake, S7_SurplusAndMissingDescriptors) {
  ExpectRefused(
      [](OpenReply*, std::vector<UniqueFd>* fds) {
        fds->push_back(fds->back().Duplicate());
      },
      absl::StatusCode::kInvalidArgument, "descriptors");
  ExpectRefused(
      [](OpenReply*, std::vector<UniqueFd>* fds) {
        while (fds->size() < 64) fds->push_back(fds->back().Duplicate());
      },
      absl::StatusCode::kInvalidArgument, "descriptors");
  for (size_t count = 0; count < ClientGrant::FdCount(1); ++count) {
    ExpectRefused(
        [count](OpenReply*, std::vector<UniqueFd>* fds) {
          while (fds->size() > count) fds->pop_back();
        },
        absl::StatusCode::kInternal, "descriptors, not 7");
  }
  // Descriptors that come with a refusal are closed.
  ExpectRefused(
      [](OpenReply* reply, std::vector<UniqueFd>*) {
        reply->mutable_refusal()->set_code(OpenReply::Refusal::BUSY);
      },
      absl::StatusCode::kResourceExhausted, "refused");
}

TEST_F(Handshake, S7_MemoryThatIsNotSealedOrOfAnotherSize) {
  const size_t rights[] = {
      kGeometry.ClientControlBytes(), kGeometry.ProviderControlBytes(),
      kGeometry.TxDataBytes(), kGeometry.RxDataBytes(), kStatusPageBytes};
  for (size_t area = 0; area < 5; ++area) {
    SCOPED_TRACE(area);
    ExpectRefused(
        [area](OpenReply*, std::vector<UniqueFd>* fds) {
          const UniqueFd memory(
              ::memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING));
          ASSERT_EQ(::ftruncate(memory.get(), 1 << 20), 0);
          (*fds)[area] = memory.Duplicate();
        },
        absl::StatusCode::kInvalidArgument, "not sealed");
    for (const size_t bytes : {rights[area] - 4096, rights[area] + 4096}) {
      if (bytes == 0) continue;
      ExpectRefused(
          [area, bytes](OpenReply*, std::vector<UniqueFd>* fds) {
            auto wrong = CreateSealedMemory("wrong", bytes);
            ASSERT_TRUE(wrong.ok());
            (*fds)[area] = *std::move(wrong);
          },
          absl::StatusCode::kInvalidArgument, "bytes, not");
    }
    // Not shared memory at all.
    ExpectRefused(
        [area](OpenReply*, std::vector<UniqueFd>* fds) {
          (*fds)[area] = UniqueFd(::open("/dev/null", O_RDWR | O_CLOEXEC));
        },
        absl::StatusCode::kInvalidArgument, "seals");
  }
}

TEST_F(Handshake, S7_ADoorbellThatIsNone) {
  ExpectRefused(
      [](OpenReply*, std::vector<UniqueFd>* fds) {
        (*fds)[6] = UniqueFd(::eventfd(0, EFD_CLOEXEC));
      },
      absl::StatusCode::kInvalidArgument, "doorbell");
}

TEST_F(Handshake, S7_GeometriesThatMakeNoSense) {
  const SessionGeometry bad[] = {
      {.tx_buffers = 0, .rx_buffers = 16, .buffer_bytes = 256},
      {.tx_buffers = 9, .rx_buffers = 16, .buffer_bytes = 256},
      {.tx_buffers = 8, .rx_buffers = 1u << 31, .buffer_bytes = 256},
      {.tx_buffers = 8, .rx_buffers = 16, .buffer_bytes = 0},
      {.tx_buffers = 65536, .rx_buffers = 16, .buffer_bytes = 65536},
      {.tx_buffers = 0xffffffff, .rx_buffers = 1, .buffer_bytes = 1},
  };
  for (const SessionGeometry& geometry : bad) {
    ExpectRefused(
        [&geometry](OpenReply* reply, std::vector<UniqueFd>*) {
          Geometry* said = reply->mutable_grant()->mutable_geometry();
          said->set_tx_buffers(geometry.tx_buffers);
          said->set_rx_buffers(geometry.rx_buffers);
          said->set_buffer_bytes(geometry.buffer_bytes);
        },
        absl::StatusCode::kInvalidArgument, "session geometry");
    options_.geometry = geometry;
    EXPECT_EQ(Session::Open(options_).status().code(),
              absl::StatusCode::kInvalidArgument);
    options_.geometry = kGeometry;
  }
}

TEST_F(Handshake, S7_EpochZeroAndEmptyReplies) {
  ExpectRefused(
      [](OpenReply* reply, std::vector<UniqueFd>*) {
        reply->mutable_grant()->set_epoch(0);
      },
      absl::StatusCode::kInvalidArgument, "epoch 0");
  ExpectRefused(
      [](OpenReply* reply, std::vector<UniqueFd>*) { reply->Clear(); },
      absl::StatusCode::kInternal, "neither a grant nor a refusal");
}

TEST_F(Handshake, APlatformThatDiesInTheHandshake) {
  const size_t before = OpenDescriptors();
  auto session =
      Open([this](OpenReply*, std::vector<UniqueFd>*) { server_.Close(); });
  EXPECT_EQ(session.status().code(), absl::StatusCode::kUnavailable)
      << session.status();
  EXPECT_EQ(OpenDescriptors(), before);
}

TEST_F(Handshake, NobodyListensSaysWhatToDo) {
  options_.socket = directory_.path() + "/nothing.sock";
  const absl::Status status = Session::Open(options_).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_NE(status.message().find("bulkhead up"), std::string::npos) << status;
}

TEST_F(Handshake, AClosedSessionWakesItsClientWithTheReason) {
  auto session = Open([](OpenReply*, std::vector<UniqueFd>*) {});
  ASSERT_TRUE(session.ok()) << session.status();
  (*session)->DisarmWait();
  Closed closed;
  closed.set_reason("the operator removed nic0");
  ASSERT_TRUE(server_.Send(closed).ok());
  (*session)->Wait(-1);
  EXPECT_EQ((*session)->health().code(), absl::StatusCode::kUnavailable);
  EXPECT_NE((*session)->health().message().find("the operator removed nic0"),
            std::string::npos);
}

TEST_F(Handshake, S5_APlatformThatIsGoneForGoodWakesItsClient) {
  auto session = Open([](OpenReply*, std::vector<UniqueFd>*) {});
  ASSERT_TRUE(session.ok()) << session.status();
  (*session)->DisarmWait();
  server_.Close();
  (*session)->Wait(-1);
  EXPECT_EQ((*session)->health().code(), absl::StatusCode::kUnavailable);
}

TEST_F(Handshake, AStatusPageThatSaysClosedEndsTheSession) {
  auto session = Open([](OpenReply*, std::vector<UniqueFd>*) {});
  ASSERT_TRUE(session.ok()) << session.status();
  areas_->status().Write({.state = SessionState::kClosed, .epoch = 3});
  EXPECT_EQ((*session)->health().code(), absl::StatusCode::kUnavailable);
}

TEST_F(Handshake, ABreachIsReportedToThePlatform) {
  auto session = Open([](OpenReply*, std::vector<UniqueFd>*) {});
  ASSERT_TRUE(session.ok()) << session.status();
  auto grant = areas_->MakeProviderGrant(7, 3);
  ASSERT_TRUE(grant.ok());
  auto area =
      Mapping::MapSealed(grant->provider_control.get(),
                         kGeometry.ProviderControlBytes(), Access::kReadWrite);
  ASSERT_TRUE(area.ok());
  auto* header = area->As<ControlHeader>();
  header->submit_tail.value = 1000;
  header->epoch = 3;
  RxPiece piece;
  EXPECT_EQ((*session)->Receive({&piece, 1}), 0u);
  EXPECT_EQ((*session)->health().code(), absl::StatusCode::kDataLoss);
  ClientReport report;
  std::vector<UniqueFd> fds;
  ASSERT_TRUE(server_.WaitReceive(&report, &fds, 5'000).ok());
  EXPECT_EQ(report.epoch(), 3u);
  EXPECT_NE(report.breach().find("tail says 1000"), std::string::npos);
}

// The page tables enforce who writes what.
TEST_F(Handshake, S7_TheOtherSidesAreasCannotBeMappedWritable) {
  auto client = areas_->MakeClientGrant(7, 3);
  auto provider = areas_->MakeProviderGrant(7, 3);
  ASSERT_TRUE(client.ok() && provider.ok());
  for (const UniqueFd* fd : {&client->provider_control, &client->rx_data,
                             &client->status, &provider->client_control}) {
    EXPECT_EQ(
        ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd->get(), 0),
        MAP_FAILED);
  }
  for (const UniqueFd* fd : {&client->client_control, &client->tx_data,
                             &provider->provider_control}) {
    EXPECT_NE(::ftruncate(fd->get(), 0), 0) << "it can be shrunk";
    EXPECT_NE(::fcntl(fd->get(), F_ADD_SEALS, F_SEAL_WRITE), 0);
  }
}

// A waiter that fills the counter of a shared eventfd and clears O_NONBLOCK
// would block its ringer: it does not hold the eventfd.
TEST_F(Handshake, S7_AWaiterCannotBlockItsRinger) {
  auto client = areas_->MakeClientGrant(7, 3);
  auto provider = areas_->MakeProviderGrant(7, 3);
  ASSERT_TRUE(client.ok() && provider.ok());
  const uint64_t full = 0xfffffffffffffffe;
  for (const UniqueFd* waiter :
       {&client->bells[0].rx_doorbell, &provider->bells[0].tx_doorbell}) {
    EXPECT_EQ(::write(waiter->get(), &full, sizeof(full)), -1);
    ::fcntl(waiter->get(), F_SETFL, 0);
  }
  // The provider's own bell, filled up by itself, does not stop the platform.
  ASSERT_EQ(::write(provider->bells[0].rx_doorbell.get(), &full, sizeof(full)),
            ssize_t{sizeof(full)});
  ::fcntl(provider->bells[0].rx_doorbell.get(), F_SETFL, 0);
  areas_->WakeClient();
  pollfd waiting = {client->bells[0].rx_doorbell.get(), POLLIN, 0};
  EXPECT_EQ(::poll(&waiting, 1, 5'000), 1);
}

}  // namespace
}  // namespace bulkhead::packet_stream
