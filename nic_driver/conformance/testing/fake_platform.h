// Supervisor and platform service in one object, for tests of drivers: spawns a
// driver, grants it a device of the bench, serves DMA, opens and closes
// sessions, makes the device safe after a death. Everything over the real
// channels.
#ifndef BULKHEAD_NIC_DRIVER_CONFORMANCE_TESTING_FAKE_PLATFORM_H_
#define BULKHEAD_NIC_DRIVER_CONFORMANCE_TESTING_FAKE_PLATFORM_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/seqpacket.h"
#include "base/shared_memory.h"
#include "base/unique_fd.h"
#include "nic_driver/conformance/testing/child_process.h"
#include "nic_driver/conformance/testing/device_bench.h"
#include "nic_driver/framework/counters.h"
#include "nic_model/counters.h"
#include "packet_stream/client_end.h"
#include "packet_stream/session_areas.h"
#include "platform_service/api/driver.pb.h"
#include "platform_service/parking/parking_lot.h"

namespace bulkhead::nic_driver::testing {

struct FakePlatformOptions : DeviceOptions {
  absl::StatusOr<std::unique_ptr<DeviceBench>> (*make_device)(
      const DeviceOptions& options) = nullptr;
  platform::NicConfig config;
};

// What the driver said.
struct DriverNews {
  std::optional<platform::FromDriver::Attached> attached;
  std::optional<platform::FromDriver::Link> link;
  std::vector<platform::FromDriver::SessionBroken> broken;
  std::vector<uint64_t> closed;
  uint64_t first_frame_ns = 0;
  uint32_t alloc_requests = 0;
  bool started = false;
  std::string failed;
  std::optional<supervisor::FromChild::Pong> pong;
};

// Threading: one thread; messages of the driver are served inside the calls
// that wait.
class FakePlatform {
 public:
  // Makes the device.
  static absl::StatusOr<std::unique_ptr<FakePlatform>> Create(
      FakePlatformOptions options);

  // Spawns a driver that waits for its grant: a warm spare.
  absl::Status SpawnDriver();
  // Gives it the grant, and waits until it said Started and Attached.
  absl::Status BeginDriver();
  // Both.
  absl::Status StartDriver();
  // The grant alone, for tests that do not want it to succeed.
  absl::Status SendGrant();

  // SIGKILL, then what the platform does: bus master off, reset, old rings
  // unmapped, the session's epoch raised.
  absl::Status KillDriver();
  // The driver was killed and nobody made the device safe: only its ring memory
  // is taken away and the session forgotten.
  absl::Status ForgetDriver();
  // Stop message; the exit status.
  absl::StatusOr<int> StopDriver();

  // Creates the areas, maps them for the NIC, tells a running driver, and
  // returns the client's end.
  absl::StatusOr<std::unique_ptr<packet_stream::ClientEnd>> OpenSession(
      const packet_stream::SessionGeometry& geometry,
      packet_stream::OnRestart on_restart =
          packet_stream::OnRestart::kCountIndeterminate);
  // Waits for SessionClosed, then unmaps.
  absl::Status CloseSession();
  // Unmaps a session that the driver reported broken.
  absl::Status DropSession();
  // Offers a session of its own areas under this number.
  absl::Status OfferAnotherSession(uint64_t session_id);
  // Offers the open session once more, as a platform service that was restarted
  // does.
  absl::Status OfferAgain();
  // Rings as the client does.
  static void RingTxDoorbell(const packet_stream::ClientGrant& grant);
  // As if the platform service had died for good.
  void ClosePlatformChannel() { channel_.Close(); }
  absl::Status Configure(const platform::NicConfig& config);
  // The cable; the driver may take a moment to say so.
  absl::Status SetLink(bool up);
  absl::Status Ping();

  // Serves the driver until `done` is true.
  absl::Status ServeUntil(const std::function<bool()>& done,
                          int timeout_ms = kPatienceMs);
  // Serves what waits.
  absl::Status Serve() { return ServeOnce(0); }

  DriverNews& news() { return news_; }
  // Of queue 0: all that a driver of one queue counts.
  const DriverCounters& counters() const { return *counters_; }
  const DriverCounters& counters_of(uint32_t queue) const {
    return *counters_page_.As<const DriverCounters>(queue * kCounterBlockBytes);
  }
  const nic_model::PortCounters& port() const { return device_->port(); }
  packet_stream::SessionAreas& areas() { return *areas_; }
  DeviceBench& device() { return *device_; }
  ChildProcess& driver() { return *driver_; }
  int wire() const { return device_->wire(); }
  uint64_t session_id() const { return session_id_; }
  uint64_t granted_ns() const { return granted_ns_; }
  // DMA areas that the driver holds.
  size_t dma_areas() const { return dma_areas_.size(); }

 private:
  struct DmaArea {
    uint64_t bytes = 0;
    UniqueFd memory;
  };

  explicit FakePlatform(FakePlatformOptions options)
      : options_(std::move(options)) {}

  absl::StatusOr<uint64_t> AllocArea(uint64_t bytes);
  absl::Status FreeArea(uint64_t iova);
  absl::Status AddSession(const packet_stream::SessionAreas& areas,
                          uint64_t session_id, platform::SessionGrant* message,
                          platform::FdList* fds);
  absl::Status MapSession();
  absl::Status UnmapSession();
  absl::Status ServeOnce(int timeout_ms);
  absl::Status HandleDriver(const platform::FromDriver& message);
  void HandleChild(const supervisor::FromChild& message);

  FakePlatformOptions options_;
  std::unique_ptr<DeviceBench> device_;  // Outlives the driver.
  UniqueFd counters_memory_;
  Mapping counters_page_;
  const DriverCounters* counters_ = nullptr;

  std::unique_ptr<ChildProcess> driver_;
  SeqpacketChannel channel_;
  uint32_t generation_ = 0;
  uint64_t granted_ns_ = 0;
  DriverNews news_;
  std::map<uint64_t, DmaArea> dma_areas_;  // By iova.
  std::vector<uint64_t> wanted_areas_;     // Sizes that the last one asked for.
  uint64_t next_iova_ = 0x10000000;

  std::unique_ptr<packet_stream::SessionAreas> areas_;
  uint64_t session_id_ = 0;
  uint32_t epoch_ = 0;
  uint64_t tx_iova_ = 0;
  uint64_t rx_iova_ = 0;
};

}  // namespace bulkhead::nic_driver::testing

#endif  // BULKHEAD_NIC_DRIVER_CONFORMANCE_TESTING_FAKE_PLATFORM_H_
