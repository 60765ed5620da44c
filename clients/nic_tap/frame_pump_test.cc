// The pump between a session and a pair of sockets that keep frames apart, as a
// TAP device does.
#include "clients/nic_tap/frame_pump.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/unique_fd.h"
#include "clients/nic_tap/checksum.h"
#include "packet_stream/local_session.h"

namespace bulkhead::nic_tap {
namespace {

using packet_stream::AckBuffer;
using packet_stream::Descriptor;
using packet_stream::kChecksumNeeded;
using packet_stream::kMore;
using packet_stream::LocalSession;

using Bytes = std::vector<uint8_t>;

class FramePumpTest : public ::testing::Test {
 protected:
  FramePumpTest() {
    int fds[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fds), 0);
    ours_ = UniqueFd(fds[0]);
    theirs_ = UniqueFd(fds[1]);
    client_ = session_.MakeClient();
    provider_ = session_.MakeProvider();
    EXPECT_TRUE(provider_->Ready());
    pump_ = std::make_unique<FramePump>(client_.get(), ours_.get());
  }

  // The kernel's side of the TAP device.
  void KernelSends(VirtioHeader header, const Bytes& frame) {
    Bytes message(sizeof(header) + frame.size());
    std::memcpy(message.data(), &header, sizeof(header));
    std::copy(frame.begin(), frame.end(), message.begin() + sizeof(header));
    ASSERT_EQ(::write(theirs_.get(), message.data(), message.size()),
              static_cast<ssize_t>(message.size()));
  }
  bool KernelReceives(VirtioHeader* header, Bytes* frame) {
    Bytes message(70000);
    const ssize_t got = ::read(theirs_.get(), message.data(), message.size());
    if (got < static_cast<ssize_t>(sizeof(*header))) return false;
    std::memcpy(header, message.data(), sizeof(*header));
    frame->assign(message.begin() + sizeof(*header), message.begin() + got);
    return true;
  }

  // The provider's side of the session: frames it takes, acknowledged.
  std::vector<Bytes> NicTakes(std::vector<Descriptor>* first = nullptr) {
    std::vector<Bytes> frames;
    std::array<Descriptor, 64> pieces;
    Bytes frame;
    client_->Flush();
    while (const size_t count = provider_->TakeTx(pieces)) {
      std::vector<packet_stream::Ack> acks;
      for (size_t i = 0; i < count; ++i) {
        if (frame.empty() && first != nullptr) first->push_back(pieces[i]);
        const uint8_t* data = session_.tx_data() + pieces[i].offset;
        frame.insert(frame.end(), data, data + pieces[i].length);
        if ((pieces[i].flags & kMore) == 0) {
          frames.push_back(std::exchange(frame, {}));
        }
        acks.push_back(packet_stream::MakeAck(
            pieces[i].offset / session_.geometry().buffer_bytes,
            packet_stream::AckStatus::kDone));
      }
      provider_->AckTx(acks);
    }
    provider_->Flush();
    return frames;
  }

  LocalSession session_{
      {.tx_buffers = 64, .rx_buffers = 64, .buffer_bytes = 4096}};
  std::unique_ptr<packet_stream::ClientEnd> client_;
  std::unique_ptr<packet_stream::ProviderEnd> provider_;
  UniqueFd ours_;
  UniqueFd theirs_;
  std::unique_ptr<FramePump> pump_;
};

Bytes Pattern(size_t bytes, uint8_t seed) {
  Bytes frame(bytes);
  for (size_t i = 0; i < bytes; ++i) frame[i] = static_cast<uint8_t>(seed + i);
  return frame;
}

// Frames of every size up to that of a segment reach the NIC as they were.
TEST_F(FramePumpTest, FramesReachTheNic) {
  uint8_t seed = 0;
  for (const size_t bytes : {14u, 60u, 1514u, 3648u, 3649u, 9014u, 65549u}) {
    const Bytes frame = Pattern(bytes, ++seed);
    KernelSends({}, frame);
    EXPECT_EQ(pump_->ToNic(), 1u);
    const auto taken = NicTakes();
    ASSERT_EQ(taken.size(), 1u) << bytes;
    EXPECT_EQ(taken[0], frame) << bytes;
  }
  EXPECT_EQ(pump_->counters().to_nic, 7u);
  EXPECT_EQ(pump_->ToNic(), 0u);
  EXPECT_TRUE(pump_->tap_status().ok());
}

// Without free buffers nothing is read, so that nothing is lost: the frames
// wait in the TAP device's own queue.
TEST_F(FramePumpTest, S8_NoBuffersNoReads) {
  constexpr size_t kFrames = 100;
  for (size_t i = 0; i < kFrames; ++i) KernelSends({}, Pattern(60, i));
  EXPECT_LT(pump_->ToNic(), kFrames);
  EXPECT_TRUE(pump_->starved());
  std::vector<Bytes> taken;
  for (int turn = 0; turn < 10; ++turn) {
    for (Bytes& frame : NicTakes()) taken.push_back(std::move(frame));
    client_->Flush();
    pump_->ToNic();
  }
  ASSERT_EQ(taken.size(), kFrames);
  for (size_t i = 0; i < kFrames; ++i) EXPECT_EQ(taken[i], Pattern(60, i));
  EXPECT_FALSE(pump_->starved());
}

// A checksum that the NIC does not fill in is filled in here, over buffers.
TEST_F(FramePumpTest, SumsWhatTheNicCannot) {
  Bytes frame = Pattern(9001, 3);
  Store16(&frame[34 + 16], 0x1234);
  KernelSends({.flags = kNeedsChecksum, .csum_start = 34, .csum_offset = 16},
              frame);
  EXPECT_EQ(pump_->ToNic(), 1u);
  std::vector<Descriptor> first;
  const auto taken = NicTakes(&first);
  ASSERT_EQ(taken.size(), 1u);
  EXPECT_EQ(first[0].flags & kChecksumNeeded, 0);
  ChecksumSum sum;
  sum.Add(std::span<const uint8_t>(frame).subspan(34));
  Store16(&frame[34 + 16], sum.Checksum());
  EXPECT_EQ(taken[0], frame);
}

// The same with a NIC that does: the request is in the first piece alone.
TEST_F(FramePumpTest, AsksTheNicForTheChecksum) {
  pump_->SetOffloads(packet_stream::kOffloadTxChecksum);
  const Bytes frame = Pattern(9001, 3);
  KernelSends({.flags = kNeedsChecksum, .csum_start = 34, .csum_offset = 16},
              frame);
  EXPECT_EQ(pump_->ToNic(), 1u);
  std::vector<Descriptor> first;
  const auto taken = NicTakes(&first);
  ASSERT_EQ(taken.size(), 1u);
  EXPECT_EQ(taken[0], frame);
  EXPECT_EQ(first[0].flags, kChecksumNeeded | kMore);
  EXPECT_EQ(first[0].checksum_start, 34);
}

// A segment that the NIC cannot cut up arrives as frames of the right size.
TEST_F(FramePumpTest, CutsUpWhatTheNicCannot) {
  Bytes segment = Pattern(54 + 5000, 0);
  Store16(&segment[12], 0x0800);
  segment[14] = 0x45;
  segment[23] = 6;
  segment[46] = 0x50;
  KernelSends({.flags = kNeedsChecksum,
               .gso_type = kGsoTcp4,
               .gso_size = 1460,
               .csum_start = 34,
               .csum_offset = 16},
              segment);
  EXPECT_EQ(pump_->ToNic(), 1u);
  const auto taken = NicTakes();
  ASSERT_EQ(taken.size(), 4u);
  Bytes payload;
  for (const Bytes& frame : taken) {
    payload.insert(payload.end(), frame.begin() + 54, frame.end());
  }
  EXPECT_TRUE(std::equal(payload.begin(), payload.end(), segment.begin() + 54,
                         segment.end()));
  EXPECT_EQ(pump_->counters().to_nic_cut_here, 1u);
}

// What the kernel cannot have meant is dropped and counted; its buffers are
// used again.
TEST_F(FramePumpTest, S8_NonsenseIsCounted) {
  for (int i = 0; i < 200; ++i) {
    KernelSends({.gso_type = 9}, Pattern(60, 0));
    EXPECT_EQ(pump_->ToNic(), 1u);
  }
  EXPECT_EQ(pump_->counters().to_nic_unintelligible, 200u);
  EXPECT_EQ(pump_->counters().to_nic, 0u);
}

// Received frames reach the kernel whole, with the NIC's word about checksums;
// when the interface takes none they are counted.
TEST_F(FramePumpTest, S8_FramesReachTheKernel) {
  std::array<uint32_t, 3> buffers;
  ASSERT_EQ(provider_->TakeFreeRx(buffers), 3u);
  const Bytes frame = Pattern(5000, 9);
  const auto at = [this, &buffers](size_t i) {
    return buffers[i] * session_.geometry().buffer_bytes;
  };
  std::copy_n(frame.begin(), 4096, session_.rx_data() + at(0));
  std::copy_n(frame.begin() + 4096, 904, session_.rx_data() + at(1));
  std::copy_n(frame.begin(), 60, session_.rx_data() + at(2));
  const Descriptor pieces[] = {
      {.offset = at(0),
       .length = 4096,
       .flags = kMore | packet_stream::kChecksumGood},
      {.offset = at(1), .length = 904, .flags = packet_stream::kChecksumGood},
      {.offset = at(2), .length = 60}};
  provider_->SubmitRx(pieces);
  provider_->Flush();
  EXPECT_EQ(pump_->FromNic(), 2u);
  VirtioHeader header;
  Bytes got;
  ASSERT_TRUE(KernelReceives(&header, &got));
  EXPECT_EQ(header.flags, kDataValid);
  EXPECT_EQ(got, frame);
  ASSERT_TRUE(KernelReceives(&header, &got));
  EXPECT_EQ(header.flags, 0);
  EXPECT_EQ(got, Bytes(frame.begin(), frame.begin() + 60));
  EXPECT_EQ(pump_->counters().from_nic, 2u);

  client_->Flush();
  ::shutdown(ours_.get(), SHUT_WR);
  ASSERT_EQ(provider_->TakeFreeRx({buffers.data(), 1}), 1u);
  const Descriptor last = {.offset = at(0), .length = 60};
  provider_->SubmitRx({&last, 1});
  provider_->Flush();
  EXPECT_EQ(pump_->FromNic(), 1u);
  EXPECT_EQ(pump_->counters().from_nic_refused, 1u);
}

}  // namespace
}  // namespace bulkhead::nic_tap
