// A driver's deaths, restarts, ends and reconfigurations.
#include <algorithm>

#include "nic_driver/conformance/conformance_suite.h"

namespace bulkhead::nic_driver {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

// A session lives through many kills under load: no reconnect, nothing
// damaged, every frame accounted for (the ones in doubt as indeterminate).
TEST_F(Conformance, S6_SessionSurvivesKills) {
  ASSERT_NO_FATAL_FAILURE(Up());
  Echo(0, 100);
  uint32_t next = 100;
  const uint32_t kills = std::min(20u, TheDevice().many_drivers);
  for (uint32_t kill = 0; kill < kills; ++kill) {
    // Frames that the dying driver holds.
    for (int i = 0; i < 200; ++i) {
      if (!testing::SendFrame(*session_, testing::MakeFrame(next, 60))) break;
      ++next;
    }
    session_->Flush();
    ASSERT_OK(platform_->KillDriver());
    ASSERT_OK(platform_->StartDriver());
    EXPECT_EQ(platform_->news().alloc_requests, 0u)
        << "prepared DMA was not used";
    ASSERT_NO_FATAL_FAILURE(AwaitLink());
    // Until the session goes on, and what the dead one left is drained.
    ASSERT_TRUE(Pump([&] {
      return session_->counters().recoveries == kill + 1 &&
             session_->tx_in_flight() == 0;
    }));
    received_.clear();
    // Late echoes of doubtful frames may still come.
    for (const testing::ReceivedFrame& frame : testing::TakeFrames(*session_)) {
      EXPECT_TRUE(testing::CheckFrame(frame.bytes).has_value());
    }
  }
  const packet_stream::SessionCounters& counters = session_->counters();
  EXPECT_EQ(counters.recoveries, kills);
  EXPECT_EQ(counters.tx_submitted,
            counters.tx_done + counters.tx_indeterminate +
                counters.tx_dropped_invalid + counters.tx_dropped_no_link +
                counters.tx_dropped_device);
  EXPECT_EQ(counters.tx_dropped_invalid + counters.tx_dropped_device, 0u);
  EXPECT_EQ(platform_->port().dma_faults, 0u);
  EXPECT_TRUE(session_->health().ok()) << session_->health();
}

// A driver starts on a device that another left dirty: rings set, receiver on,
// no reset between, as after a death of the whole platform service.
TEST_F(Conformance, StartsOnADirtyDevice) {
  ASSERT_NO_FATAL_FAILURE(Up());
  Echo(0, 100);
  session_.reset();
  ASSERT_OK(platform_->ForgetDriver());
  ASSERT_OK(platform_->StartDriver());
  ASSERT_NO_FATAL_FAILURE(Open());
  Echo(100, 100);
  EXPECT_EQ(platform_->port().dma_faults, 0u);
}

// Stop ends the process with status 0 and gives back all DMA memory; the next
// driver starts. Many times, and nothing is left over in the device.
TEST_F(Conformance, S10_AttachesAndDetachesWithoutALeak) {
  ASSERT_NO_FATAL_FAILURE(Create());
  size_t device_descriptors = 0;
  for (uint32_t round = 0; round < TheDevice().many_drivers; ++round) {
    ASSERT_OK(platform_->StartDriver());
    const auto exit = platform_->StopDriver();
    ASSERT_TRUE(exit.ok()) << exit.status();
    EXPECT_EQ(*exit, 0);
    EXPECT_EQ(platform_->dma_areas(), 0u);
    // A model notices the closed connection on its own time.
    if (round == 0) {
      ASSERT_OK(platform_->StartDriver());
      device_descriptors = platform_->device().OpenDescriptors();
      ASSERT_TRUE(platform_->StopDriver().ok());
    }
  }
  ASSERT_OK(platform_->StartDriver());
  EXPECT_LE(platform_->device().OpenDescriptors(), device_descriptors + 1);
}

// A thousand sessions, one after the other, leave nothing behind: descriptors,
// memory, DMA areas. (Fewer, where each takes its time.)
TEST_F(Conformance, S10_AThousandSessionsLeakNothing) {
  ASSERT_NO_FATAL_FAILURE(Create());
  ASSERT_OK(platform_->StartDriver());
  constexpr packet_stream::SessionGeometry kSmall = {
      .tx_buffers = 64, .rx_buffers = 64, .buffer_bytes = 2048};
  size_t descriptors = 0, memory = 0;
  for (uint32_t round = 0; round < TheDevice().many_sessions; ++round) {
    ASSERT_NO_FATAL_FAILURE(Open(kSmall));
    // Some are closed while frames are on their way.
    if (round % 10 == 0) Echo(round, 1);
    ASSERT_TRUE(testing::SendFrame(*session_, testing::MakeFrame(round, 60)));
    session_->Flush();
    ASSERT_OK(platform_->CloseSession());
    session_.reset();
    if (round == 10) {
      descriptors = platform_->driver().OpenDescriptors();
      memory = platform_->driver().PrivateDirtyBytes();
    }
  }
  EXPECT_EQ(platform_->driver().OpenDescriptors(), descriptors);
  // A sanitizer keeps freed memory for a while.
  if (!kSanitized) {
    EXPECT_LE(platform_->driver().PrivateDirtyBytes(), memory + 64 * 1024);
  }
  ASSERT_NO_FATAL_FAILURE(Open());
  Echo(5000, 100);
  EXPECT_EQ(platform_->port().dma_faults, 0u);
  EXPECT_TRUE(platform_->news().broken.empty());
}

// After SessionClosed the device does not touch the session's memory: the
// platform unmaps it, and a model would count an access as a fault.
TEST_F(Conformance, S4_NoDmaAfterSessionClosed) {
  testing::FakePlatformOptions options = Options();
  options.wire = true;
  ASSERT_NO_FATAL_FAILURE(Up(options, kGeometry));
  ASSERT_NO_FATAL_FAILURE(WaitForReceiver());
  for (uint32_t round = 0; round < 20; ++round) {
    for (uint32_t i = 0; i < 50; ++i) {
      SendOnWire(testing::MakeFrameToNic(i, 1000));
    }
    ASSERT_OK(platform_->CloseSession());
    for (uint32_t i = 0; i < 50; ++i) {
      SendOnWire(testing::MakeFrameToNic(i, 1000));
    }
    ASSERT_NO_FATAL_FAILURE(Open());
  }
  EXPECT_EQ(platform_->port().dma_faults, 0u);
}

// A new client never sees a frame that arrived before its session was open.
TEST_F(Conformance, NoStaleFrameReachesANewSession) {
  SKIP_IF(no_misses);
  testing::FakePlatformOptions options = Options();
  options.wire = true;
  ASSERT_NO_FATAL_FAILURE(Create(options));
  ASSERT_OK(platform_->StartDriver());
  for (uint32_t i = 0; i < 5; ++i) SendOnWire(testing::MakeFrameToNic(i, 60));
  // The device took them from the wire.
  ASSERT_OK(platform_->ServeUntil([this] { return WireIsEmpty(); }));
  ASSERT_NO_FATAL_FAILURE(Open());
  // Once its own frame has come through, older ones would have, too.
  ASSERT_TRUE(testing::SendFrame(*session_, testing::MakeFrame(1, 60)));
  session_->Flush();
  ASSERT_TRUE(Pump([this] { return session_->tx_in_flight() == 0; }));
  SendOnWire(testing::MakeFrameToNic(100, 60));
  ASSERT_TRUE(Pump([this] { return !received_.empty(); }));
  ASSERT_EQ(received_.size(), 1u);
  EXPECT_EQ(testing::CheckFrame(received_[0].bytes), 100u);
}

// The heartbeat's answer counts work, and none waits when all is quiet.
TEST_F(Conformance, AnswersPingsWithProgress) {
  ASSERT_NO_FATAL_FAILURE(Up());
  ASSERT_OK(platform_->Ping());
  const uint64_t before = platform_->news().pong->work_done();
  Echo(0, 100);
  ASSERT_OK(platform_->Ping());
  EXPECT_GE(platform_->news().pong->work_done(), before + 200);
  EXPECT_FALSE(platform_->news().pong->work_waiting());
}

// The death of the supervisor ends the driver.
TEST_F(Conformance, S5_EndsWithTheSupervisor) {
  ASSERT_NO_FATAL_FAILURE(Up());
  platform_->driver().CloseChannel();
  const auto exit = platform_->driver().WaitForExit(testing::kPatienceMs);
  ASSERT_TRUE(exit.ok()) << exit.status();
  EXPECT_EQ(*exit, 0);
}

// The death of the platform service leaves the frames flowing.
TEST_F(Conformance, S5_ServesOnWithoutThePlatform) {
  ASSERT_NO_FATAL_FAILURE(Up());
  Echo(0, 100);
  platform_->ClosePlatformChannel();
  Echo(100, 1000);
  ASSERT_OK(platform_->Ping());
}

}  // namespace
}  // namespace bulkhead::nic_driver
