// Runs a driver of Linux interfaces, in this process, on one end of a veth
// pair; what it sends and gets is checked at the other end, by a packet socket.
#include "nic_driver/conformance/interface_suite.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/errno_status.h"
#include "base/event_loop.h"
#include "base/shared_memory.h"
#include "nic_driver/framework/checked_driver.h"
#include "nic_driver/framework/fake_device.h"
#include "nic_driver/framework/fake_dma.h"
#include "nic_driver/framework/linux_interface.h"
#include "platform_service/linux_interface/enumerate.h"
#include "platform_service/linux_interface/interface_socket.h"
#include "platform_service/linux_interface/network_namespace.h"
#include "platform_service/linux_interface/testing/veth_lab.h"
#include "platform_service/linux_interface/xdp_program.h"

namespace bulkhead::nic_driver {
namespace {

constexpr uint32_t kBuffers = 64;
constexpr uint32_t kBufferBytes = 2048;
constexpr uint16_t kOwnType = 0x88b5;  // For experiments, IEEE 802.
constexpr int kPatienceMs = 5000;
constexpr int kMostBinds = 20'000;  // Against hangs.
constexpr packet_stream::SessionGeometry kGeometry = {
    .tx_buffers = kBuffers,
    .rx_buffers = kBuffers,
    .buffer_bytes = kBufferBytes};

// To everybody, of our own type, with `number` and a pattern in it.
std::vector<uint8_t> Frame(uint32_t number, size_t bytes) {
  std::vector<uint8_t> frame(bytes);
  for (size_t i = 14; i < bytes; ++i) {
    frame[i] = static_cast<uint8_t>(number + i);
  }
  std::memset(frame.data(), 0xff, 6);
  const uint8_t from[6] = {2, 0, 0, 0, 0, 9};
  std::memcpy(frame.data() + 6, from, 6);
  frame[12] = kOwnType >> 8;
  frame[13] = kOwnType & 0xff;
  std::memcpy(frame.data() + 14, &number, sizeof(number));
  return frame;
}

class InterfaceConformance : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!lab_.usable()) GTEST_SKIP() << "needs root and `ip netns`";
    ASSERT_TRUE(lab_.Pair(0, "ours", 1, "theirs"));
    for (const char* tuning : {"gro off", "tx off"}) {
      lab_.In(0, std::string("ethtool -K ours ") + tuning);
      lab_.In(1, std::string("ethtool -K theirs ") + tuning);
    }
    ASSERT_TRUE(lab_.Ip(0, "link set ours addrgenmode none up"));
    ASSERT_TRUE(lab_.Ip(1, "link set theirs addrgenmode none up"));
    index_ = IndexOf(0);
    ASSERT_TRUE(platform::InNamespace(lab_.name(0), [&]() -> absl::Status {
                  if (!TheInterfaceDriver().xdp) return absl::OkStatus();
                  auto program = platform::XdpProgram::Attach(index_, 1);
                  if (program.ok()) program_ = *std::move(program);
                  return program.status();
                }).ok());
    OpenPeer();
    loop_ = *EventLoop::Create();
    driver_ = std::make_unique<CheckedDriver>(
        TheInterfaceDriver().create({.loop = *loop_,
                                     .device = device_,
                                     .platform = dma_,
                                     .identity = {},
                                     .interface = &interface_}));
    ASSERT_TRUE(driver_->Probe().ok());
    const auto facts = Await(driver_->Attach());
    ASSERT_TRUE(facts.ok()) << facts.status();
    facts_ = *facts;
    Open();
  }

  void TearDown() override {
    if (driver_ == nullptr) return;
    if (driver_->contract().breach().has_value()) {
      ADD_FAILURE() << driver_->contract().Text();
    }
    if (started_) {
      EXPECT_TRUE(Await(driver_->Stop()).ok());
    }
    EXPECT_TRUE(Await(driver_->Detach()).ok());
  }

  int IndexOf(int space) {
    const auto found = platform::EnumerateInterfaces(lab_.name(space));
    return found.ok() && !found->empty() ? found->front().interface_index : 0;
  }

  void OpenPeer() {
    ASSERT_TRUE(platform::InNamespace(lab_.name(1), [&] {
                  peer_.Reset(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC,
                                       htons(kOwnType)));
                  return absl::OkStatus();
                }).ok());
    sockaddr_ll address = {};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(kOwnType);
    address.sll_ifindex = IndexOf(1);
    ASSERT_EQ(::bind(peer_.get(), reinterpret_cast<sockaddr*>(&address),
                     sizeof(address)),
              0);
  }

  template <typename T>
  T Await(Task<T> task) {
    std::optional<T> result;
    task.Start([&](T value) { result.emplace(std::move(value)); });
    for (int i = 0; i < kPatienceMs && !result.has_value(); ++i) {
      loop_->RunOnce(1);
    }
    if (!result.has_value()) std::abort();
    return *std::move(result);
  }

  // A session's memory, and its socket as the platform service makes it.
  void Open() {
    tx_fd_ = *CreateSealedMemory("tx", kGeometry.TxDataBytes());
    rx_fd_ = *CreateSealedMemory("rx", kGeometry.RxDataBytes());
    tx_ = *Mapping::MapSealed(tx_fd_.get(), kGeometry.TxDataBytes(),
                              Access::kReadWrite);
    rx_ = *Mapping::MapSealed(rx_fd_.get(), kGeometry.RxDataBytes(),
                              Access::kReadOnly);
    SessionSocket socket;
    socket.geometry = kGeometry;
    const absl::Status opened = platform::InNamespace(
        lab_.name(0), [&] { return OpenSocket(&socket); });
    ASSERT_TRUE(opened.ok()) << opened;
    std::vector<SessionSocket> sockets;
    sockets.push_back(std::move(socket));
    interface_.Offer(std::move(sockets));
    const auto link = Await(driver_->Start(kBufferBytes, 1));
    ASSERT_TRUE(link.ok()) << link.status();
    started_ = true;
    free_rx_.clear();
    for (uint32_t i = 0; i < kBuffers; ++i) free_rx_.push_back(i);
  }

  absl::Status OpenSocket(SessionSocket* out) {
    if (program_.has_value()) {
      auto socket = platform::MakeXdpSocket(
          {tx_fd_.get(), rx_fd_.get(), kGeometry}, 0, busy_poll_);
      if (!socket.ok()) return socket.status();
      // The last one's queue is free some time after that was closed.
      absl::Status bound;
      for (int i = 0; i < kMostBinds; ++i) {
        bound = platform::BindXdpSocket(index_, 0, &*socket);
        if (!absl::IsUnavailable(bound)) break;
        ::poll(nullptr, 0, 1);
      }
      RETURN_IF_ERROR(bound);
      out->rings = XdpRings{socket->fill_entries, socket->completion_entries,
                            socket->rx_entries,   socket->tx_entries,
                            socket->rx_headroom,  socket->max_pieces,
                            socket->busy_poll};
      out->socket = std::move(socket->fd);
      max_pieces_ = socket->max_pieces;
      return program_->SetSocket(0, out->socket.get());
    }
    auto socket = platform::OpenPacketSocket(index_, 1500);
    if (!socket.ok()) return socket.status();
    out->rings = PacketRings{socket->rx_block_bytes,        socket->rx_blocks,
                             socket->tx_frame_bytes,        socket->tx_frames,
                             *ReopenReadOnly(tx_fd_.get()), rx_fd_.Duplicate()};
    out->socket = std::move(socket->fd);
    return absl::OkStatus();
  }

  StopReport Close() {
    const auto report = Await(driver_->Stop());
    EXPECT_TRUE(report.ok()) << report.status();
    started_ = false;
    return report.value_or(StopReport());
  }

  Queue& queue() { return driver_->queue(0); }

  void Refill(size_t most = kBuffers) {
    std::vector<RxBuffer> buffers;
    while (buffers.size() < std::min(most, queue().RxRoom()) &&
           !free_rx_.empty()) {
      const uint32_t buffer = free_rx_.front();
      free_rx_.pop_front();
      buffers.push_back({uint64_t{buffer} * kBufferBytes, buffer});
    }
    if (!buffers.empty()) queue().RxRefill(buffers);
  }

  // Takes what was received; buffers become free again.
  void Harvest() {
    std::array<RxPiece, kBatchPieces> pieces;
    const size_t count = queue().RxHarvest(pieces);
    for (const RxPiece& piece : std::span(pieces).first(count)) {
      EXPECT_LT(piece.buffer, kBuffers);
      EXPECT_LE(piece.offset + piece.length, kBufferBytes);
      EXPECT_EQ(piece.status, RxStatus::kGood);
      const uint8_t* bytes =
          rx_.data() + size_t{piece.buffer} * kBufferBytes + piece.offset;
      partial_.insert(partial_.end(), bytes, bytes + piece.length);
      if (!piece.more) {
        std::vector<uint8_t> frame = std::exchange(partial_, {});
        // Linux itself may say something at the other end.
        if (frame.size() > 14 && frame[12] == kOwnType >> 8 &&
            frame[13] == (kOwnType & 0xff)) {
          received_.push_back(std::move(frame));
        }
      }
      free_rx_.push_back(piece.buffer);
    }
  }

  // Sends a frame in pieces of at most `piece_bytes`, from buffer `first` on.
  void Submit(const std::vector<uint8_t>& frame, uint32_t first,
              size_t piece_bytes) {
    std::vector<TxPiece> pieces;
    for (size_t at = 0; at < frame.size(); at += piece_bytes) {
      const uint32_t buffer = first + static_cast<uint32_t>(pieces.size());
      const size_t bytes = std::min(piece_bytes, frame.size() - at);
      std::memcpy(tx_.data() + size_t{buffer} * kBufferBytes, frame.data() + at,
                  bytes);
      pieces.push_back({.iova = uint64_t{buffer} * kBufferBytes,
                        .buffer = buffer,
                        .length = static_cast<uint16_t>(bytes),
                        .more = at + bytes < frame.size()});
    }
    ASSERT_GE(queue().TxRoom(), pieces.size());
    queue().TxSubmit(pieces);
  }

  // Until `done`, turning the queue's wheel.
  bool Turn(const std::function<bool()>& done, int most = kPatienceMs) {
    for (int i = 0; i < most; ++i) {
      std::array<TxDone, kBatchPieces> sent;
      const size_t count = queue().TxReap(sent);
      for (const TxDone& piece : std::span(sent).first(count)) {
        reaped_.push_back(piece);
      }
      Harvest();
      if (done()) return true;
      loop_->RunOnce(1);
    }
    return false;
  }

  void PeerSends(const std::vector<uint8_t>& frame) {
    ASSERT_EQ(::send(peer_.get(), frame.data(), frame.size(), 0),
              static_cast<ssize_t>(frame.size()));
  }
  std::vector<uint8_t> PeerTakes() {
    pollfd waiting = {peer_.get(), POLLIN, 0};
    if (::poll(&waiting, 1, kPatienceMs) <= 0) return {};
    std::vector<uint8_t> frame(16384);
    const ssize_t got = ::recv(peer_.get(), frame.data(), frame.size(), 0);
    frame.resize(static_cast<size_t>(std::max<ssize_t>(got, 0)));
    return frame;
  }

  platform::testing::VethLab lab_{2};
  int index_ = 0;
  std::optional<platform::XdpProgram> program_;
  UniqueFd peer_;
  std::unique_ptr<EventLoop> loop_;
  FakeDevice device_;
  FakeDma dma_;
  LinuxInterface interface_{{2, 0, 0, 0, 0, 1}, {1500, {true, 10000, true}}};
  std::unique_ptr<CheckedDriver> driver_;
  NicFacts facts_;
  UniqueFd tx_fd_, rx_fd_;
  Mapping tx_, rx_;
  uint32_t max_pieces_ = kMaxFramePieces;  // Of a frame to send.
  bool busy_poll_ = false;                 // Of sockets opened from now on.
  bool started_ = false;
  std::deque<uint32_t> free_rx_;
  std::vector<uint8_t> partial_;
  std::vector<std::vector<uint8_t>> received_;
  std::vector<TxDone> reaped_;
};

TEST_F(InterfaceConformance, FactsAreThoseOfTheInterface) {
  EXPECT_EQ(facts_.mac, (MacAddress{2, 0, 0, 0, 0, 1}));
  EXPECT_EQ(facts_.max_mtu, 1500u);
  EXPECT_TRUE(driver_->Link().up);
}

TEST_F(InterfaceConformance, FramesOfEveryLengthArriveWhole) {
  for (uint32_t i = 0; i < 300; ++i) {  // Rings wrap around.
    const auto frame = Frame(i, 60 + (i * 53) % 1455);
    Refill();
    ASSERT_NO_FATAL_FAILURE(PeerSends(frame));
    ASSERT_TRUE(Turn([&] { return !received_.empty(); })) << i;
    ASSERT_EQ(received_.front(), frame) << i;
    received_.clear();
  }
}

TEST_F(InterfaceConformance, FramesOfEveryLengthLeaveWholeInOrder) {
  for (uint32_t i = 0; i < 300; ++i) {
    const auto frame = Frame(i, 60 + (i * 53) % 1455);
    const uint32_t buffer = i % kBuffers;
    Submit(frame, buffer, kBufferBytes);
    ASSERT_EQ(PeerTakes(), frame) << i;
    ASSERT_TRUE(Turn([&] { return !reaped_.empty(); })) << i;
    EXPECT_EQ(reaped_.front().buffer, buffer);
    EXPECT_TRUE(reaped_.front().good);
    reaped_.clear();
  }
}

// A whole batch, of which some kernels send no more than a part at a time.
TEST_F(InterfaceConformance, S8_ABatchLeavesWholeInOrder) {
  std::vector<TxPiece> batch;
  for (uint32_t i = 0; i < kBuffers; ++i) {
    const auto frame = Frame(i, 60 + i);
    std::memcpy(tx_.data() + size_t{i} * kBufferBytes, frame.data(),
                frame.size());
    batch.push_back({.iova = uint64_t{i} * kBufferBytes,
                     .buffer = i,
                     .length = static_cast<uint16_t>(frame.size())});
  }
  for (int round = 0; round < 5; ++round) {
    reaped_.clear();
    queue().TxSubmit(batch);
    for (uint32_t i = 0; i < kBuffers; ++i) {
      ASSERT_EQ(PeerTakes(), Frame(i, 60 + i)) << round;
    }
    ASSERT_TRUE(Turn([&] { return reaped_.size() == kBuffers; })) << round;
  }
}

// A driver whose calls look for frames gets and sends the same ones.
TEST_F(InterfaceConformance, PollsWithinItsCalls) {
  if (!TheInterfaceDriver().xdp) GTEST_SKIP() << "only XDP sockets do";
  Close();
  busy_poll_ = true;
  ASSERT_NO_FATAL_FAILURE(Open());
  for (uint32_t i = 0; i < 200; ++i) {
    const auto frame = Frame(i, 60 + i);
    Refill();
    ASSERT_NO_FATAL_FAILURE(PeerSends(frame));
    ASSERT_TRUE(Turn([&] { return !received_.empty(); })) << i;
    ASSERT_EQ(received_.front(), frame) << i;
    received_.clear();
    Submit(frame, i % kBuffers, kBufferBytes);
    ASSERT_EQ(PeerTakes(), frame) << i;
    ASSERT_TRUE(Turn([&] { return !reaped_.empty(); })) << i;
    reaped_.clear();
  }
}

TEST_F(InterfaceConformance, AFrameInPiecesLeavesAsOne) {
  if (max_pieces_ < 4) GTEST_SKIP() << "this kernel takes no such frame";
  const auto frame = Frame(1, 1500);
  Submit(frame, 3, 400);
  EXPECT_EQ(PeerTakes(), frame);
  ASSERT_TRUE(Turn([&] { return reaped_.size() == 4; }));
  for (uint32_t i = 0; i < 4; ++i) {
    EXPECT_EQ(reaped_[i].buffer, 3 + i);
    EXPECT_EQ(reaped_[i].more, i < 3);
  }
}

// In as many pieces as the interface takes, a frame is sent; in more, it comes
// back as not sent, and those behind it go on.
TEST_F(InterfaceConformance, S8_AFrameInTooManyPiecesIsNotSent) {
  constexpr size_t kPieceBytes = 40;
  for (const uint32_t pieces : {max_pieces_, kMaxFramePieces}) {
    reaped_.clear();
    const auto frame = Frame(pieces, kPieceBytes * pieces);
    Submit(frame, 0, kPieceBytes);
    const auto next = Frame(pieces + 1, 60);
    Submit(next, pieces, kBufferBytes);
    const bool sent = pieces <= max_pieces_;
    if (sent) {
      EXPECT_EQ(PeerTakes(), frame) << pieces;
    }
    EXPECT_EQ(PeerTakes(), next) << pieces;
    ASSERT_TRUE(Turn([&] { return reaped_.size() == pieces + 1; })) << pieces;
    for (uint32_t i = 0; i < pieces; ++i) {
      EXPECT_EQ(reaped_[i].buffer, i);
      EXPECT_EQ(reaped_[i].good, sent) << pieces;
    }
    EXPECT_TRUE(reaped_[pieces].good);
  }
}

TEST_F(InterfaceConformance, S8_WhatFindsNoBufferIsCountedOrWaits) {
  constexpr uint32_t kFrames = 40, kRefilled = 8;
  Refill(kRefilled);
  for (uint32_t i = 0; i < kFrames; ++i) PeerSends(Frame(i, 100));
  ASSERT_TRUE(Turn([&] { return !received_.empty(); }));
  // A packet socket keeps the rest in its ring, an XDP socket drops it.
  uint64_t missed = 0;
  Refill(kFrames);
  Turn([&] {
    missed += driver_->ReadStatistics().rx_missed;
    return received_.size() + missed >= kFrames;
  });
  // What Linux itself said is missed as well.
  EXPECT_GE(received_.size() + missed, kFrames);
  EXPECT_LE(received_.size(), kFrames);
}

TEST_F(InterfaceConformance, S4_AfterStopNothingIsWrittenToASession) {
  Refill();
  Close();
  const std::vector<uint8_t> before(rx_.data(), rx_.data() + rx_.bytes());
  for (uint32_t i = 0; i < 20; ++i) PeerSends(Frame(i, 1000));
  EXPECT_EQ(std::memcmp(rx_.data(), before.data(), before.size()), 0);
}

TEST_F(InterfaceConformance, S10_ManySessionsOneAfterAnother) {
  for (uint32_t i = 0; i < 20; ++i) {
    Close();
    ASSERT_NO_FATAL_FAILURE(Open());
  }
  const auto frame = Frame(7, 700);
  Refill();
  PeerSends(frame);
  ASSERT_TRUE(Turn([&] { return !received_.empty(); }));
  EXPECT_EQ(received_.front(), frame);
}

TEST_F(InterfaceConformance, ALinkThatWasDownComesBack) {
  Refill();
  ASSERT_TRUE(lab_.Ip(0, "link set ours down"));
  Submit(Frame(1, 100), 0, kBufferBytes);
  // Or when it is up again: an XDP socket keeps it.
  Turn([&] { return !reaped_.empty(); }, 100);
  ASSERT_TRUE(lab_.Ip(0, "link set ours up"));
  ASSERT_TRUE(Turn([&] { return !reaped_.empty(); }));
  const auto frame = Frame(2, 100);
  Submit(frame, 1, kBufferBytes);
  auto taken = PeerTakes();
  if (taken != frame) taken = PeerTakes();  // The one of the time before.
  EXPECT_EQ(taken, frame);
  ASSERT_NO_FATAL_FAILURE(PeerSends(frame));
  ASSERT_TRUE(Turn([&] { return !received_.empty(); }));
  EXPECT_EQ(received_.back(), frame);
}

TEST_F(InterfaceConformance, WithoutASessionItStartsAndStops) {
  Close();
  const auto link = Await(driver_->Start(kBufferBytes, 1));
  ASSERT_TRUE(link.ok());
  EXPECT_EQ(queue().RxRoom(), 0u);
  started_ = true;
}

}  // namespace
}  // namespace bulkhead::nic_driver
