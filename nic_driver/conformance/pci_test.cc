// What a PCIe device shows beside: it filters, counts what it misses, is known
// by its PCI identity, and, if it is a model, lies when it is told to.
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <utility>

#include "base/clock.h"
#include "nic_driver/conformance/conformance_suite.h"

namespace bulkhead::nic_driver {
namespace {

// A driver for another NIC says so and ends; it does not touch the device.
TEST_F(Conformance, RefusesAnotherNic) {
  testing::FakePlatformOptions options = Options();
  options.device = 0xffff;
  ASSERT_NO_FATAL_FAILURE(Create(options));
  const absl::Status status = platform_->StartDriver();
  ASSERT_FALSE(status.ok());
  EXPECT_NE(std::string(status.message()).find(":ffff"), std::string::npos)
      << status;
  const auto exit = platform_->driver().WaitForExit(testing::kPatienceMs);
  ASSERT_TRUE(exit.ok()) << exit.status();
  EXPECT_EQ(*exit, 1);
  if (Shows(TheDevice().limits.no_witness)) {
    EXPECT_EQ(platform_->port().resets, 0u);
  }
}

// The death of the NIC ends the driver, with a reason.
TEST_F(Conformance, EndsWhenTheNicIsGone) {
  SKIP_IF(no_unplug);
  ASSERT_NO_FATAL_FAILURE(Up());
  Echo(0, 10);
  platform_->device().Unplug();
  ASSERT_OK(platform_->ServeUntil(
      [this] { return !platform_->news().failed.empty(); }));
  EXPECT_NE(platform_->news().failed.find("NIC is gone"), std::string::npos)
      << platform_->news().failed;
}

// Devices that lie (attacks 30–35): the driver neither crashes nor shows a
// client a byte that is not its own; it goes on or ends with a reason.
TEST_F(Conformance, S7_SurvivesALyingDevice) {
  SKIP_IF(no_faults);
  for (const char* fault : {"complete_twice", "length_beyond_buffer",
                            "interrupt_storm", "head_backwards"}) {
    SCOPED_TRACE(fault);
    testing::FakePlatformOptions options = Options();
    options.faults = {fault};
    ASSERT_NO_FATAL_FAILURE(Up(options, kGeometry));
    for (uint32_t i = 0; i < 100; ++i) {
      ASSERT_TRUE(testing::SendFrame(*session_, testing::MakeFrame(i, 60)));
    }
    session_->Flush();
    EXPECT_TRUE(Pump([this] {
      return session_->tx_in_flight() == 0 &&
             platform_->counters().rx_packets +
                     platform_->counters().rx_errors >=
                 100;
    }));
    for (const testing::ReceivedFrame& frame : received_) {
      EXPECT_TRUE(testing::CheckFrame(frame.bytes).has_value());
    }
    ASSERT_OK(platform_->Ping());
    session_.reset();
  }
}

// A device that reads as all ones, or whose reset never ends, is named.
TEST_F(Conformance, NamesADeadDevice) {
  SKIP_IF(no_faults);
  struct Case {
    const char* fault;
    const char* reason;
  };
  for (const Case& c :
       {Case{"all_ones", "gone"}, Case{"reset_never_ends", "reset the NIC"}}) {
    SCOPED_TRACE(c.fault);
    testing::FakePlatformOptions options = Options();
    options.faults = {c.fault};
    ASSERT_NO_FATAL_FAILURE(Create(options));
    const absl::Status status = platform_->StartDriver();
    ASSERT_FALSE(status.ok());
    EXPECT_NE(std::string(status.message()).find(c.reason), std::string::npos)
        << status;
  }
}

// A device that completes nothing: the heartbeat shows waiting work and no
// progress, so that the supervisor can call it a hang.
TEST_F(Conformance, ShowsWorkThatDoesNotProgress) {
  SKIP_IF(no_faults);
  testing::FakePlatformOptions options = Options();
  options.faults = {"never_complete"};
  ASSERT_NO_FATAL_FAILURE(Up(options, kGeometry));
  ASSERT_TRUE(testing::SendFrame(*session_, testing::MakeFrame(1, 60)));
  session_->Flush();
  ASSERT_OK(platform_->ServeUntil([this] {
    return platform_->Ping().ok() && platform_->news().pong->work_waiting();
  }));
  const uint64_t done = platform_->news().pong->work_done();
  ASSERT_OK(platform_->Ping());
  EXPECT_TRUE(platform_->news().pong->work_waiting());
  EXPECT_EQ(platform_->news().pong->work_done(), done);
}

// A jumbo frame from the network is dropped by the device unless the MTU allows
// it; then it arrives whole.
TEST_F(Conformance, ReceivesJumboFramesByTheMtu) {
  testing::FakePlatformOptions options = Options();
  options.wire = true;
  ASSERT_NO_FATAL_FAILURE(Up(options, kGeometry));
  ASSERT_NO_FATAL_FAILURE(WaitForReceiver());
  SendOnWire(testing::MakeFrameToNic(1, 4000));
  SendOnWire(testing::MakeFrameToNic(2, 1000));
  ASSERT_TRUE(Pump([this] { return !received_.empty(); }));
  EXPECT_EQ(testing::CheckFrame(received_[0].bytes), 2u);

  platform::NicConfig config;
  config.set_mtu(TheDevice().max_mtu);
  ASSERT_OK(platform_->Configure(config));
  ASSERT_OK(platform_->Ping());
  ASSERT_NO_FATAL_FAILURE(WaitForReceiver());
  received_.clear();
  SendOnWire(testing::MakeFrameToNic(3, 4000));
  ASSERT_TRUE(Pump([this] { return !received_.empty(); }));
  EXPECT_EQ(testing::CheckFrame(received_[0].bytes), 3u);
  EXPECT_EQ(received_[0].pieces, 2u);
  if (Shows(TheDevice().limits.no_witness)) {
    EXPECT_EQ(platform_->port().rx_oversize, 1u);
  }
}

// Foreign unicast is filtered, unless the NIC is promiscuous; multicast is
// filtered, unless it was asked for; all of it switched while attached.
TEST_F(Conformance, FiltersByConfiguration) {
  testing::FakePlatformOptions options = Options();
  options.wire = true;
  ASSERT_NO_FATAL_FAILURE(Up(options, kGeometry));
  ASSERT_NO_FATAL_FAILURE(WaitForReceiver());
  const std::string group("\x01\x00\x5e\x01\x02\x03", 6);
  std::vector<uint8_t> foreign = testing::MakeFrameToNic(1, 60);
  foreign[5] ^= 0x40;
  std::vector<uint8_t> multicast = testing::MakeFrameToNic(2, 60);
  std::copy(group.begin(), group.end(), multicast.begin());
  std::vector<uint8_t> broadcast = testing::MakeFrameToNic(3, 60);
  std::fill_n(broadcast.begin(), 6, 0xff);
  const std::vector<uint8_t> last = testing::MakeFrameToNic(4, 60);

  const auto arrived = [&] {
    received_.clear();
    for (const auto& frame : {foreign, multicast, broadcast, last}) {
      SendOnWire(frame);
    }
    EXPECT_TRUE(Pump([&] {
      return !received_.empty() &&
             testing::CheckFrame(received_.back().bytes) == 4u;
    }));
    std::vector<uint32_t> numbers;
    for (const testing::ReceivedFrame& frame : received_) {
      numbers.push_back(testing::CheckFrame(frame.bytes).value_or(0));
    }
    return numbers;
  };
  const auto configure = [&](const platform::NicConfig& config) {
    ASSERT_OK(platform_->Configure(config));
    ASSERT_OK(platform_->Ping());
    // A register read that follows shows that the writes were carried out.
    ASSERT_NO_FATAL_FAILURE(WaitForReceiver());
  };

  EXPECT_EQ(arrived(), (std::vector<uint32_t>{3, 4}));
  platform::NicConfig config;
  config.add_multicast(group);
  configure(config);
  EXPECT_EQ(arrived(), (std::vector<uint32_t>{2, 3, 4}));
  config.Clear();
  config.set_all_multicast(true);
  configure(config);
  EXPECT_EQ(arrived(), (std::vector<uint32_t>{2, 3, 4}));
  config.set_promiscuous(true);
  configure(config);
  EXPECT_EQ(arrived(), (std::vector<uint32_t>{1, 2, 3, 4}));
  configure({});
  EXPECT_EQ(arrived(), (std::vector<uint32_t>{3, 4}));
}

// Frames that come while the driver is busy (here it is stopped) are told by
// few interrupts, not by one each.
TEST_F(Conformance, InterruptsAreFewerThanFrames) {
  testing::FakePlatformOptions options = Options();
  options.wire = true;
  ASSERT_NO_FATAL_FAILURE(Up(options, kGeometry));
  ASSERT_NO_FATAL_FAILURE(WaitForReceiver());
  constexpr uint32_t kFrames = 200;  // Fewer than any ring has entries.
  const uint64_t seen = platform_->counters().interrupts;
  const uint64_t raised = platform_->port().interrupts;
  ASSERT_EQ(::kill(platform_->driver().pid(), SIGSTOP), 0);
  for (uint32_t i = 0; i < kFrames; ++i) {
    SendOnWire(testing::MakeFrameToNic(i, 60));
  }
  ASSERT_OK(platform_->ServeUntil([this] { return WireIsEmpty(); }));
  ASSERT_EQ(::kill(platform_->driver().pid(), SIGCONT), 0);
  ASSERT_TRUE(Pump([this] { return received_.size() >= kFrames; }));
  EXPECT_EQ(received_.size(), kFrames);
  EXPECT_LE(platform_->counters().interrupts - seen, kFrames / 10);
  // Without an event index, nobody but its driver silences a virtio device.
  const std::vector<std::string>& variant = TheDevice().variant;
  if (std::count(variant.begin(), variant.end(), "no_event_index") == 0 &&
      Shows(TheDevice().limits.no_witness)) {
    EXPECT_LE(platform_->port().interrupts - raised, kFrames / 10);
  }
}

// Where nothing happens there is no interrupt: after some traffic, a time comes
// without any.
TEST_F(Conformance, IsSilentWhenIdle) {
  ASSERT_NO_FATAL_FAILURE(Up());
  Echo(0, 1000);
  constexpr uint64_t kQuietNs = 300'000'000;
  const std::atomic<uint64_t>& interrupts = platform_->counters().interrupts;
  EXPECT_GT(interrupts, 0u);
  uint64_t last = interrupts, since_ns = MonotonicNs();
  EXPECT_TRUE(Pump([&] {
    const uint64_t now = interrupts;
    if (std::exchange(last, now) != now) since_ns = MonotonicNs();
    return MonotonicNs() - since_ns >= kQuietNs;
  })) << last
      << " interrupts";
}

// A client that holds all buffers: the device misses frames, which are counted;
// once it releases them, frames arrive again.
TEST_F(Conformance, S8_CountsWhatFindsNoBuffer) {
  SKIP_IF(no_misses);
  testing::FakePlatformOptions options = Options();
  options.wire = true;
  constexpr uint32_t kBuffers = 16;
  ASSERT_NO_FATAL_FAILURE(
      Up(options,
         {.tx_buffers = 16, .rx_buffers = kBuffers, .buffer_bytes = 2048}));
  ASSERT_NO_FATAL_FAILURE(WaitForReceiver());
  constexpr uint32_t kSent = 200;
  for (uint32_t i = 0; i < kSent; ++i) {
    SendOnWire(testing::MakeFrameToNic(i, 1500));
  }
  const nic_model::PortCounters& port = platform_->port();
  ASSERT_OK(platform_->ServeUntil([this] { return WireIsEmpty(); }));
  ASSERT_OK(platform_->ServeUntil([&] { return port.rx_missed > 0; }));
  // All buffers wait for the client, which now takes them and what the device
  // kept in its FIFO.
  ASSERT_TRUE(Pump([&] { return received_.size() + port.rx_missed == kSent; }));
  EXPECT_GE(received_.size(), kBuffers);
  // The statistics follow on their own time.
  ASSERT_OK(platform_->ServeUntil([&] {
    return platform_->counters().rx_missed_errors == port.rx_missed;
  }));
  // And on it goes.
  received_.clear();
  SendOnWire(testing::MakeFrameToNic(1000, 60));
  ASSERT_TRUE(Pump([this] { return !received_.empty(); }));
  EXPECT_EQ(testing::CheckFrame(received_[0].bytes), 1000u);
}

// No session: the receiver has no buffers, and the device counts what it
// misses.
TEST_F(Conformance, S8_CountsWhatFindsNoSession) {
  SKIP_IF(no_misses);
  testing::FakePlatformOptions options = Options();
  options.wire = true;
  ASSERT_NO_FATAL_FAILURE(Create(options));
  ASSERT_OK(platform_->StartDriver());
  for (uint32_t i = 0; i < 100; ++i) {
    SendOnWire(testing::MakeFrameToNic(i, 1500));
  }
  const nic_model::PortCounters& port = platform_->port();
  ASSERT_OK(platform_->ServeUntil([&] {
    return port.rx_missed > 0 &&
           platform_->counters().rx_missed_errors == port.rx_missed;
  }));
  EXPECT_EQ(port.rx_frames, 0u);
}

}  // namespace
}  // namespace bulkhead::nic_driver
