#include "nic_driver/conformance/conformance_suite.h"

#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/clock.h"

namespace bulkhead::nic_driver {

using packet_stream::SessionCounters;

testing::FakePlatformOptions Conformance::Options() const {
  const DeviceUnderTest& device = TheDevice();
  testing::FakePlatformOptions options;
  options.driver_program = device.driver_program;
  options.model_program = device.model_program;
  options.model = device.model;
  options.variant = device.variant;
  options.vendor = device.vendor;
  options.device = device.device;
  options.irq_vectors = device.irq_vectors;
  options.max_mtu = device.max_mtu;
  options.set_link = device.set_link;
  options.make_device = device.make_device;
  return options;
}

void Conformance::SetUp() {
  if (!TheDevice().usable()) GTEST_SKIP() << "this user can have no device";
}

bool Conformance::Shows(const char* why_not) {
  if (why_not == nullptr) return true;
  std::printf("not shown: %s\n", why_not);
  RecordProperty("not_shown", why_not);
  return false;
}

void Conformance::Create(testing::FakePlatformOptions options) {
  auto platform = testing::FakePlatform::Create(std::move(options));
  ASSERT_TRUE(platform.ok()) << platform.status();
  platform_ = *std::move(platform);
}

void Conformance::Up(testing::FakePlatformOptions options,
                     const packet_stream::SessionGeometry& geometry) {
  ASSERT_NO_FATAL_FAILURE(Create(std::move(options)));
  ASSERT_OK(platform_->StartDriver());
  ASSERT_NO_FATAL_FAILURE(Open(geometry));
}

void Conformance::AwaitLink() {
  ASSERT_OK(platform_->ServeUntil([this] {
    const testing::DriverNews& news = platform_->news();
    return news.link.has_value() && news.link->up();
  }));
}

void Conformance::Open(const packet_stream::SessionGeometry& geometry) {
  if (platform_->news().attached.has_value()) {
    ASSERT_NO_FATAL_FAILURE(AwaitLink());
  }
  auto session = platform_->OpenSession(geometry);
  ASSERT_TRUE(session.ok()) << session.status();
  session_ = *std::move(session);
}

bool Conformance::Pump(const std::function<bool()>& done, int timeout_ms) {
  const uint64_t deadline_ns =
      MonotonicNs() + static_cast<uint64_t>(timeout_ms) * 1'000'000;
  while (!done()) {
    if (MonotonicNs() > deadline_ns) return false;
    for (const auto& broken : platform_->news().broken) {
      if (!expect_broken_) ADD_FAILURE() << broken.reason();
      if (!expect_broken_) return false;
    }
    std::vector<testing::ReceivedFrame> frames = testing::TakeFrames(*session_);
    session_->Flush();
    std::move(frames.begin(), frames.end(), std::back_inserter(received_));
    if (!platform_->Serve().ok()) return false;
    if (frames.empty() && !done()) session_->Wait(1);
  }
  return true;
}

void Conformance::Echo(uint32_t first, uint32_t count,
                       const std::function<size_t(uint32_t)>& bytes,
                       size_t piece_bytes) {
  // Fewer than the receiver has buffers, so that an echo never finds none.
  constexpr uint32_t kInFlight = 64;
  received_.clear();
  std::set<uint32_t> missing;
  uint32_t next = first;
  size_t checked = 0;
  const bool complete = Pump([&] {
    for (; checked < received_.size(); ++checked) {
      const auto number = testing::CheckFrame(received_[checked].bytes);
      EXPECT_TRUE(number.has_value()) << "a frame came back damaged";
      // Kept by QEMU from a session before.
      if (number < first && TheDevice().limits.no_misses != nullptr) continue;
      if (number) {
        EXPECT_EQ(missing.erase(*number), 1u) << "unexpected " << *number;
      }
    }
    bool sent = false;
    while (next != first + count && missing.size() < kInFlight) {
      if (!testing::SendFrame(*session_, testing::MakeFrame(next, bytes(next)),
                              piece_bytes)) {
        break;
      }
      missing.insert(next++);
      sent = true;
    }
    if (sent) session_->Flush();
    return next == first + count && missing.empty();
  });
  EXPECT_TRUE(complete) << missing.size() << " frames of " << count
                        << " did not come back; " << first + count - next
                        << " were not sent; " << session_->health() << "; "
                        << Tally();
}

std::string Conformance::Tally() const {
  const SessionCounters& client = session_->counters();
  const DriverCounters& driver = platform_->counters();
  const nic_model::PortCounters& port = platform_->port();
  return absl::StrCat(
      "client tx ", client.tx_submitted, " done ", client.tx_done, " held ",
      session_->tx_in_flight(), " rx ", client.rx_received, "; driver tx ",
      driver.tx_packets.load(), " rx ", driver.rx_packets.load(), " missed ",
      driver.rx_missed_errors.load(), " invalid ",
      driver.tx_dropped_invalid.load(), " interrupts ",
      driver.interrupts.load(), " wakeups ", driver.wakeups.load(),
      "; port tx ", port.tx_frames.load(), " rx ", port.rx_frames.load(),
      " missed ", port.rx_missed.load(), " disabled ", port.rx_disabled.load());
}

void Conformance::SendOnWire(const std::vector<uint8_t>& frame) {
  ASSERT_EQ(::send(platform_->wire(), frame.data(), frame.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(frame.size()));
}

std::vector<uint8_t> Conformance::TakeFromWire(int timeout_ms) {
  pollfd waiting = {platform_->wire(), POLLIN, 0};
  if (::poll(&waiting, 1, timeout_ms) <= 0) return {};
  std::vector<uint8_t> frame(16384);
  const ssize_t size =
      ::recv(platform_->wire(), frame.data(), frame.size(), MSG_DONTWAIT);
  frame.resize(static_cast<size_t>(std::max<ssize_t>(size, 0)));
  return frame;
}

bool Conformance::WireIsEmpty() const {
  int waiting = 0;
  return ::ioctl(platform_->wire(), SIOCOUTQ, &waiting) == 0 && waiting == 0;
}

void Conformance::WaitForReceiver() {
  ASSERT_TRUE(testing::SendFrame(*session_, testing::MakeFrame(0, 60)));
  session_->Flush();
  ASSERT_TRUE(Pump([this] { return session_->tx_in_flight() == 0; }));
  ASSERT_FALSE(TakeFromWire().empty());
}

void Conformance::ExpectCountersAddUp() {
  // What is under way settles first.
  EXPECT_TRUE(Pump([this] { return session_->tx_in_flight() == 0; }));
  ASSERT_OK(platform_->Ping());
  const SessionCounters& client = session_->counters();
  const DriverCounters& driver = platform_->counters();
  const nic_model::PortCounters& port = platform_->port();
  EXPECT_EQ(client.tx_submitted, client.tx_done + client.tx_dropped_invalid +
                                     client.tx_dropped_no_link +
                                     client.tx_dropped_device +
                                     client.tx_indeterminate);
  EXPECT_EQ(port.rx_offered, port.rx_frames + port.rx_missed +
                                 port.rx_disabled + port.rx_filtered +
                                 port.rx_oversize);
  EXPECT_EQ(driver.tx_packets, port.tx_frames + port.network_dropped);
  EXPECT_EQ(driver.rx_packets + driver.rx_errors + driver.rx_too_long +
                driver.rx_no_session,
            port.rx_frames);
  EXPECT_EQ(port.dma_faults, 0u);
}

}  // namespace bulkhead::nic_driver
