// Sessions of several lanes: for drivers of NICs with several queues. The
// frames are TCP segments of many flows, which the NIC spreads; the network
// echoes them.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <map>
#include <set>
#include <span>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "base/shared_memory.h"
#include "nic_driver/conformance/conformance_suite.h"
#include "nic_driver/conformance/testing/flow_segment.h"
#include "packet_stream/control_area.h"

namespace bulkhead::nic_driver {
namespace {

using packet_stream::Descriptor;
using packet_stream::Lane;
using packet_stream::RxPiece;
using packet_stream::SessionGeometry;
using packet_stream::TxBuffer;
using testing::FlowSegment;

constexpr uint32_t kLanes = 2;
constexpr SessionGeometry kTwoLanes = {.tx_buffers = 256,
                                       .rx_buffers = 256,
                                       .buffer_bytes = 2048,
                                       .lanes = kLanes};
constexpr uint32_t kFlows = 32;
// Fewer in flight than a lane has buffers, wherever the flows go.
constexpr uint32_t kInFlight = 64;
// Buffers that a turn of the driver brings (kBatchPieces of driver.h).
constexpr uint32_t kBatch = 64;

bool Send(Lane& lane, uint32_t flow, uint32_t number) {
  TxBuffer buffer;
  if (lane.AllocTx({&buffer, 1}) == 0) return false;
  constexpr std::array<uint8_t, 6> kOther = {0x02, 0, 0, 0, 0, 1};
  const auto frame =
      testing::MakeSegment(kOther, testing::NicMac(), {flow, number});
  std::memcpy(buffer.data, frame.data(), frame.size());
  const Descriptor piece = {.offset = buffer.offset,
                            .length = testing::kSegmentBytes};
  lane.SubmitTx({&piece, 1});
  return true;
}

// What came on a lane, in order.
std::vector<FlowSegment> Receive(Lane& lane) {
  std::vector<FlowSegment> arrived;
  RxPiece pieces[32];
  while (const size_t count = lane.Receive(pieces)) {
    for (const RxPiece& piece : std::span(pieces).first(count)) {
      arrived.push_back(testing::ReadSegment({piece.data, piece.length}));
    }
    lane.Release({pieces, count});
  }
  return arrived;
}

class LanesConformance : public Conformance {
 protected:
  testing::FakePlatformOptions LaneOptions() const {
    testing::FakePlatformOptions options = Options();
    options.queues = kLanes;
    options.irq_vectors = std::max(options.irq_vectors, kLanes + 1);
    return options;
  }
  void LanesUp() {
    ASSERT_NO_FATAL_FAILURE(Up(LaneOptions(), kTwoLanes));
    ASSERT_EQ(platform_->news().attached->queues(), kLanes);
    ServeAllLanes();
  }

  // Until every lane's receiver has all of its buffers: an echo may come back
  // on a lane whose thread has only begun, and not every NIC keeps it until
  // then. A turn that sends has brought a batch of buffers before. These frames
  // themselves may be lost.
  void ServeAllLanes() {
    for (uint32_t turn = 0; turn < kTwoLanes.rx_buffers / kBatch; ++turn) {
      const uint32_t number = NewNumbers(1);
      for (uint32_t i = 0; i < lanes_; ++i) {
        ASSERT_TRUE(Send(session_->lane(i), i, number));
      }
      ASSERT_TRUE(PumpLanes([this] {
        TakeOld();
        return InFlight() == 0;
      }));
    }
  }
  void TakeOld() {
    for (uint32_t i = 0; i < lanes_; ++i) {
      arrived_ += Receive(session_->lane(i)).size();
    }
  }

  // Sends `count` frames of every flow, all from the lane of the flow's number,
  // and takes what comes back on all lanes until everything has. What is older
  // may come, too.
  void EchoFlows(uint32_t count) {
    const uint32_t base = NewNumbers(count);
    std::map<uint32_t, uint32_t> next_sent, next_due;
    uint32_t in_flight = 0, left = kFlows * count;
    const bool complete = PumpLanes([&] {
      for (uint32_t i = 0; i < lanes_; ++i) {
        for (const FlowSegment& frame : Receive(session_->lane(i))) {
          ++arrived_;
          EXPECT_LT(frame.flow, kFlows) << "a frame came back damaged";
          if (lanes_ == kLanes) NoteLane(frame.flow, i);
          if (frame.number < base) continue;
          EXPECT_EQ(frame.number - base, next_due[frame.flow]++) << frame.flow;
          --in_flight;
          --left;
        }
      }
      for (uint32_t flow = 0; flow < kFlows; ++flow) {
        if (next_sent[flow] == count || in_flight == kInFlight) continue;
        if (!Send(session_->lane(flow % lanes_), flow,
                  base + next_sent[flow])) {
          break;
        }
        ++next_sent[flow];
        ++in_flight;
      }
      return left == 0;
    });
    EXPECT_TRUE(complete) << left << " frames did not come back; "
                          << session_->lane(0).health() << "; "
                          << session_->lane(lanes_ - 1).health();
  }

  // The first of so many numbers that no frame had before.
  uint32_t NewNumbers(uint32_t count) {
    return std::exchange(next_number_, next_number_ + count);
  }

  // A flow stays on the lane where it was first seen.
  void NoteLane(uint32_t flow, uint32_t lane) {
    const auto [seen, fresh] = lane_of_.emplace(flow, lane);
    EXPECT_EQ(seen->second, lane) << "flow " << flow << " changed its lane";
  }
  size_t LanesSeen() const {
    std::set<uint32_t> lanes;
    for (const auto& [flow, lane] : lane_of_) lanes.insert(lane);
    return lanes.size();
  }

  // Calls `done`, which takes the frames, until it is true, and serves the
  // driver meanwhile. False: not within kPatienceMs.
  bool PumpLanes(const std::function<bool()>& done) {
    const uint64_t deadline_ns = MonotonicNs() + testing::kPatienceNs;
    while (true) {
      const bool finished = done();
      for (uint32_t i = 0; i < lanes_; ++i) session_->lane(i).Flush();
      if (finished) return true;
      if (MonotonicNs() > deadline_ns || !platform_->news().broken.empty() ||
          !platform_->Serve().ok()) {
        return false;
      }
      session_->Wait(1);
    }
  }

  uint32_t InFlight() const {
    uint32_t count = 0;
    for (uint32_t i = 0; i < lanes_; ++i) {
      count += session_->lane(i).tx_in_flight();
    }
    return count;
  }
  uint64_t Sum(std::atomic<uint64_t> DriverCounters::*counter) const {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < lanes_; ++i) {
      sum += (platform_->counters_of(i).*counter).load();
    }
    return sum;
  }

  uint32_t lanes_ = kLanes;  // Of the session.
  std::map<uint32_t, uint32_t> lane_of_;
  uint32_t next_number_ = 0;
  uint64_t arrived_ = 0;
};

// Flows are spread over the lanes, each stays on one, and its frames in order.
TEST_F(LanesConformance, S8_AFlowStaysOnOneLaneInOrder) {
  ASSERT_NO_FATAL_FAILURE(LanesUp());
  EchoFlows(100);
  EXPECT_EQ(LanesSeen(), kLanes) << "all flows came to one lane";
  for (uint32_t i = 0; i < kLanes; ++i) {
    EXPECT_GT(platform_->counters_of(i).tx_packets.load(), 0u) << i;
    EXPECT_GT(platform_->counters_of(i).rx_packets.load(), 0u) << i;
  }
  // A frame is counted once it is published (S8): its client may be faster.
  EXPECT_TRUE(PumpLanes([this] {
    TakeOld();
    return Sum(&DriverCounters::rx_packets) == arrived_;
  }));
  EXPECT_EQ(platform_->port().dma_faults, 0u);
}

// A thread for each lane of the client, as programs have them.
TEST_F(LanesConformance, S2_S8_ThreadsOfTheClientDoNotMeet) {
  ASSERT_NO_FATAL_FAILURE(LanesUp());
  constexpr uint32_t kFrames = 5000;
  const uint32_t base = NewNumbers(kFrames);
  std::atomic<uint32_t> back = 0;
  std::vector<std::thread> threads;
  for (uint32_t i = 0; i < kLanes; ++i) {
    threads.emplace_back([this, i, base, &back] {
      Lane& lane = session_->lane(i);
      uint32_t sent = 0;
      while (back < kLanes * kFrames && lane.health().ok()) {
        // Of all lanes together, fewer than the receiver of one has buffers.
        bool moved = false;
        while (sent < kFrames && sent * kLanes < back + kInFlight &&
               Send(lane, sent % kFlows, base + sent)) {
          ++sent;
          moved = true;
        }
        for (const FlowSegment& frame : Receive(lane)) {
          back += frame.number >= base;  // What is older may come, too.
          moved = true;
        }
        lane.Flush();
        if (!moved) lane.Wait(1);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(back.load(), kLanes * kFrames);
  for (uint32_t i = 0; i < kLanes; ++i) {
    EXPECT_TRUE(session_->lane(i).health().ok()) << session_->lane(i).health();
  }
  ASSERT_OK(platform_->Ping());
}

// The driver is killed while all lanes are busy, ten times; each lane recovers,
// and flows are where they were.
TEST_F(LanesConformance, S6_S8_KilledUnderLoadAllLanesRecover) {
  ASSERT_NO_FATAL_FAILURE(LanesUp());
  EchoFlows(10);
  for (uint32_t round = 1; round <= 10; ++round) {
    const uint32_t number = NewNumbers(1);
    for (uint32_t flow = 0; flow < kFlows; ++flow) {
      (void)Send(session_->lane(flow % kLanes), flow, number);
    }
    for (uint32_t i = 0; i < kLanes; ++i) session_->lane(i).Flush();
    ASSERT_OK(platform_->KillDriver());
    ASSERT_OK(platform_->StartDriver());
    ASSERT_NO_FATAL_FAILURE(AwaitLink());
    ASSERT_NO_FATAL_FAILURE(ServeAllLanes());
    EchoFlows(10);
    for (uint32_t i = 0; i < kLanes; ++i) {
      EXPECT_EQ(session_->lane(i).counters().recoveries, round);
    }
  }
  ASSERT_TRUE(PumpLanes([this] { return InFlight() == 0; }));
  for (uint32_t i = 0; i < kLanes; ++i) {
    const packet_stream::SessionCounters& c = session_->lane(i).counters();
    EXPECT_EQ(c.tx_submitted, c.tx_done + c.tx_dropped_invalid +
                                  c.tx_dropped_no_link + c.tx_dropped_device +
                                  c.tx_indeterminate);
  }
  EXPECT_EQ(platform_->port().dma_faults, 0u);
}

// Attached, served with all lanes, closed and detached over and over: the
// driver keeps no descriptor and no memory of what is over.
TEST_F(LanesConformance, S10_SessionsOfSeveralLanesLeakNothing) {
  ASSERT_NO_FATAL_FAILURE(Create(LaneOptions()));
  ASSERT_OK(platform_->StartDriver());
  size_t descriptors = 0;
  [[maybe_unused]] size_t memory = 0;  // A sanitizer keeps what is freed.
  const uint32_t rounds = std::min(200u, TheDevice().many_sessions);
  for (uint32_t round = 0; round < rounds; ++round) {
    // Also after one of a single lane, and before.
    lanes_ = round % 3 == 0 ? 1 : kLanes;
    ASSERT_NO_FATAL_FAILURE(Open(lanes_ == 1 ? kGeometry : kTwoLanes));
    if (lanes_ == 1 || round % 10 == 1) {
      ASSERT_NO_FATAL_FAILURE(ServeAllLanes());
      EchoFlows(1);
    }
    ASSERT_TRUE(Send(*session_, 1, NewNumbers(1)));
    session_->Flush();
    ASSERT_OK(platform_->CloseSession());
    session_.reset();
    if (round == 20) {
      descriptors = platform_->driver().OpenDescriptors();
      memory = platform_->driver().PrivateDirtyBytes();
    }
  }
  EXPECT_EQ(platform_->driver().OpenDescriptors(), descriptors);
#ifndef BULKHEAD_SANITIZER
  EXPECT_LE(platform_->driver().PrivateDirtyBytes(), memory + 64 * 1024);
#endif
  const auto exit = platform_->StopDriver();
  ASSERT_TRUE(exit.ok()) << exit.status();
  EXPECT_EQ(*exit, 0);
  EXPECT_EQ(platform_->dma_areas(), 0u);
  EXPECT_EQ(platform_->port().dma_faults, 0u);
}

// S7: a client that lies in a lane other than the first loses its session, and
// the driver serves the next one with all its lanes.
TEST_F(LanesConformance, S7_ALieInOneLaneEndsTheSessionAlone) {
  ASSERT_NO_FATAL_FAILURE(Create(LaneOptions()));
  ASSERT_OK(platform_->StartDriver());
  for (uint32_t lane = 0; lane < kLanes; ++lane) {
    platform_->news().broken.clear();
    ASSERT_NO_FATAL_FAILURE(Open(kTwoLanes));
    ASSERT_NO_FATAL_FAILURE(ServeAllLanes());
    EchoFlows(5);
    auto grant = platform_->areas().MakeClientGrant(platform_->session_id(), 1);
    ASSERT_TRUE(grant.ok());
    auto area =
        Mapping::MapSealed(grant->client_control.get(),
                           kTwoLanes.ClientControlBytes(), Access::kReadWrite);
    ASSERT_TRUE(area.ok()) << area.status();
    area->As<packet_stream::ControlHeader>(lane *
                                           kTwoLanes.LaneClientControlBytes())
        ->submit_tail.value += 100'000;
    const uint64_t one = 1;
    ASSERT_EQ(::write(grant->bells[lane].tx_doorbell.get(), &one, 8), 8);
    ASSERT_OK(platform_->ServeUntil(
        [this] { return !platform_->news().broken.empty(); }));
    EXPECT_EQ(platform_->news().broken[0].session_id(),
              platform_->session_id());
    ASSERT_OK(platform_->DropSession());
    session_.reset();
  }
  platform_->news().broken.clear();
  ASSERT_NO_FATAL_FAILURE(Open(kTwoLanes));
  ASSERT_NO_FATAL_FAILURE(ServeAllLanes());
  EchoFlows(50);
  EXPECT_EQ(platform_->port().dma_faults, 0u);
}

// More lanes than the NIC has queues: the session is refused in plain words,
// and the driver lives.
TEST_F(LanesConformance, RefusesMoreLanesThanItHasQueues) {
  ASSERT_NO_FATAL_FAILURE(Create(LaneOptions()));
  ASSERT_OK(platform_->StartDriver());
  SessionGeometry many = kTwoLanes;
  many.lanes = kLanes + 1;
  ASSERT_NO_FATAL_FAILURE(Open(many));
  ASSERT_OK(platform_->ServeUntil(
      [this] { return !platform_->news().broken.empty(); }));
  EXPECT_NE(platform_->news().broken[0].reason().find("3 lanes"),
            std::string::npos)
      << platform_->news().broken[0].reason();
  ASSERT_OK(platform_->DropSession());
  session_.reset();
  platform_->news().broken.clear();
  ASSERT_NO_FATAL_FAILURE(Open(kTwoLanes));
  ASSERT_NO_FATAL_FAILURE(ServeAllLanes());
  EchoFlows(5);
}

// A change of the configuration halts all lanes for a moment and loses nothing.
TEST_F(LanesConformance, S8_ConfigureUnderLoadLosesNothing) {
  ASSERT_NO_FATAL_FAILURE(LanesUp());
  platform::NicConfig config;
  config.set_mtu(1500);
  config.set_rx_checksum(true);
  config.set_tx_checksum(true);
  for (int round = 0; round < 20; ++round) {
    config.set_promiscuous(round % 2 == 0);
    config.set_rx_checksum(round % 3 == 0);
    ASSERT_OK(platform_->Configure(config));
    EchoFlows(10);
  }
}

// A heartbeat's answer tells of the work of all lanes.
TEST_F(LanesConformance, AnswersPingsWithTheProgressOfAllLanes) {
  ASSERT_NO_FATAL_FAILURE(LanesUp());
  ASSERT_OK(platform_->Ping());
  const uint64_t before = platform_->news().pong->work_done();
  EchoFlows(10);
  ASSERT_TRUE(PumpLanes([this] { return InFlight() == 0; }));
  ASSERT_OK(platform_->Ping());
  EXPECT_GE(platform_->news().pong->work_done(), before + 2 * 10 * kFlows);
  EXPECT_FALSE(platform_->news().pong->work_waiting());
}

}  // namespace
}  // namespace bulkhead::nic_driver
