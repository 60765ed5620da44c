// The fixture of the conformance suite: one device, one driver, one session.
#ifndef BULKHEAD_NIC_DRIVER_CONFORMANCE_CONFORMANCE_SUITE_H_
#define BULKHEAD_NIC_DRIVER_CONFORMANCE_CONFORMANCE_SUITE_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "nic_driver/conformance/device_under_test.h"
#include "nic_driver/conformance/testing/fake_platform.h"
#include "nic_driver/conformance/testing/frames.h"

namespace bulkhead::nic_driver {

#define ASSERT_OK(expr)                                 \
  do {                                                  \
    const absl::Status assert_status_ = (expr);         \
    ASSERT_TRUE(assert_status_.ok()) << assert_status_; \
  } while (false)

// Skips a test of what the bench cannot show: a member of BenchLimits. The
// output has the reason.
#define SKIP_IF(limit)                                     \
  do {                                                     \
    const char* const why_not_ = TheDevice().limits.limit; \
    if (why_not_ != nullptr) GTEST_SKIP() << why_not_;     \
  } while (false)

class Conformance : public ::testing::Test {
 protected:
  static constexpr packet_stream::SessionGeometry kGeometry = {
      .tx_buffers = 1024, .rx_buffers = 1024, .buffer_bytes = 2048};

  void SetUp() override;

  // False: this part of a test cannot be shown on the bench, and the output has
  // the reason, a member of BenchLimits.
  static bool Shows(const char* why_not);

  // The options for TheDevice().
  testing::FakePlatformOptions Options() const;
  // Creates the platform; on an echo network unless `options` says otherwise.
  void Create() { Create(Options()); }
  void Create(testing::FakePlatformOptions options);
  // Platform, driver, session, link.
  void Up() { Up(Options(), kGeometry); }
  void Up(testing::FakePlatformOptions options,
          const packet_stream::SessionGeometry& geometry);
  // A real PHY takes its time after a reset.
  void AwaitLink();
  // A session; where a driver runs, once it has link.
  void Open(const packet_stream::SessionGeometry& geometry = kGeometry);

  // Waits for the session until `done`, taking frames and serving the driver.
  // False: not within `timeout_ms`.
  bool Pump(const std::function<bool()>& done,
            int timeout_ms = testing::kPatienceMs);
  // Sends frames first … first + count - 1 of `bytes(number)` and waits until
  // each has come back whole. Reports what is missing.
  void Echo(uint32_t first, uint32_t count,
            const std::function<size_t(uint32_t)>& bytes,
            size_t piece_bytes = 0);
  void Echo(uint32_t first, uint32_t count, size_t bytes = 60) {
    Echo(first, count, [bytes](uint32_t) { return bytes; });
  }

  // The wire's end of a NIC that is not plugged into an echo.
  void SendOnWire(const std::vector<uint8_t>& frame);
  std::vector<uint8_t> TakeFromWire(int timeout_ms = testing::kPatienceMs);
  // The device has read all that was sent on the wire.
  bool WireIsEmpty() const;
  // Until the session is served and the receiver has its buffers, and all that
  // the driver wrote to the NIC before has happened: a frame goes out.
  void WaitForReceiver();

  // S8: everything that the port, the driver and the session counted agrees.
  void ExpectCountersAddUp();
  // What everybody counted, for the message of a failure.
  std::string Tally() const;

  std::unique_ptr<testing::FakePlatform> platform_;
  std::unique_ptr<packet_stream::ClientEnd> session_;
  std::vector<testing::ReceivedFrame> received_;  // Since it was cleared.
  // Otherwise a session that the driver calls broken is a failure.
  bool expect_broken_ = false;
};

}  // namespace bulkhead::nic_driver

#endif  // BULKHEAD_NIC_DRIVER_CONFORMANCE_CONFORMANCE_SUITE_H_
