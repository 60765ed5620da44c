// Prints what a driver costs on its model, one JSON object a line: from the
// grant to the first frame, warm; frames per second through an echo; private
// memory. A program, not a test: figures belong to no assertion.
//
//   bazel run -c opt //nic_driver/e1000e:bench
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "base/clock.h"
#include "nic_driver/conformance/device_under_test.h"
#include "nic_driver/conformance/testing/fake_platform.h"
#include "nic_driver/conformance/testing/frames.h"

namespace bulkhead::nic_driver {
namespace {

using testing::FakePlatform;

void Check(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  std::exit(1);
}

void Print(const char* name, double value, const char* unit) {
  std::printf(
      "{\"bench\":\"driver\",\"case\":\"%s\",\"value\":%.1f,\"unit\":\"%s\"}\n",
      name, value, unit);
}

std::unique_ptr<FakePlatform> MakePlatform() {
  const DeviceUnderTest& device = TheDevice();
  testing::FakePlatformOptions options;
  options.driver_program = device.driver_program;
  options.model_program = device.model_program;
  options.model = device.model;
  options.vendor = device.vendor;
  options.device = device.device;
  options.irq_vectors = device.irq_vectors;
  options.make_device = device.make_device;
  auto platform = FakePlatform::Create(options);
  Check(platform.status());
  return *std::move(platform);
}

// Kill, make safe, grant to a warm spare that waits, with frames waiting in the
// session: the time until the driver has moved the first one.
void MeasureStart() {
  std::unique_ptr<FakePlatform> platform = MakePlatform();
  Check(platform->StartDriver());
  auto session = platform->OpenSession({});
  Check(session.status());
  std::vector<double> micros;
  for (int round = 0; round < 200; ++round) {
    Check(platform->KillDriver());
    Check(platform->SpawnDriver());
    for (int i = 0; i < 32; ++i) {
      (void)testing::TakeFrames(**session);
      (*session)->Flush();
      if (!testing::SendFrame(**session, testing::MakeFrame(0, 60))) break;
    }
    (*session)->Flush();
    Check(platform->BeginDriver());
    Check(platform->ServeUntil(
        [&] { return platform->news().first_frame_ns != 0; }));
    micros.push_back(
        (platform->news().first_frame_ns - platform->granted_ns()) / 1000.0);
  }
  std::sort(micros.begin(), micros.end());
  Print("grant_to_first_frame_min", micros.front(), "us");
  Print("grant_to_first_frame_p50", micros[micros.size() / 2], "us");
  Print("grant_to_first_frame_p99", micros[micros.size() * 99 / 100], "us");
}

void MeasureEcho(size_t bytes) {
  std::unique_ptr<FakePlatform> platform = MakePlatform();
  Check(platform->StartDriver());
  auto opened = platform->OpenSession({});
  Check(opened.status());
  packet_stream::Session& session = **opened;
  constexpr uint32_t kWindow = 256;
  uint64_t sent = 0, received = 0;
  const uint64_t start_ns = MonotonicNs();
  while (MonotonicNs() - start_ns < 1'000'000'000) {
    packet_stream::RxPiece pieces[64];
    const size_t got = session.Receive(pieces);
    session.Release({pieces, got});
    received += got;
    packet_stream::TxBuffer buffers[64];
    const size_t room = std::min<uint64_t>(
        64, kWindow - std::min<uint64_t>(kWindow, sent - received));
    const size_t count = session.AllocTx({buffers, room});
    packet_stream::Descriptor frames[64];
    for (size_t i = 0; i < count; ++i) {
      // Addresses only: the payload is not what is measured.
      std::fill_n(buffers[i].data, 14, uint8_t{2});
      std::copy_n(testing::NicMac().begin(), 6, buffers[i].data + 6);
      frames[i] = {.offset = buffers[i].offset,
                   .length = static_cast<uint16_t>(bytes)};
    }
    session.SubmitTx({frames, count});
    sent += count;
    session.Flush();
    if (got == 0 && count == 0) session.Wait(10);
  }
  const double seconds = (MonotonicNs() - start_ns) / 1e9;
  Print(bytes == 60 ? "echo_60" : "echo_1514", received / seconds, "frames/s");
  if (bytes == 60) {
    Print("private_dirty", platform->driver().PrivateDirtyBytes() / 1024.0,
          "KiB");
    Print("echo_60_wakeups",
          static_cast<double>(platform->counters().wakeups.load()), "count");
    Print("echo_60_interrupts",
          static_cast<double>(platform->counters().interrupts.load()), "count");
    Print("echo_60_missed",
          static_cast<double>(platform->port().rx_missed.load()), "frames");
  }
}

// One frame at a time: every step of waking up.
void MeasureRoundTrip() {
  std::unique_ptr<FakePlatform> platform = MakePlatform();
  Check(platform->StartDriver());
  auto session = platform->OpenSession({});
  Check(session.status());
  std::vector<double> micros;
  for (int i = 0; i < 2000; ++i) {
    const uint64_t start_ns = MonotonicNs();
    if (!testing::SendFrame(**session, testing::MakeFrame(0, 60))) break;
    (*session)->Flush();
    while (testing::TakeFrames(**session).empty()) (*session)->Wait(100);
    (*session)->Flush();
    micros.push_back((MonotonicNs() - start_ns) / 1000.0);
  }
  std::sort(micros.begin(), micros.end());
  Print("round_trip_p50", micros[micros.size() / 2], "us");
}

}  // namespace
}  // namespace bulkhead::nic_driver

int main() {
  bulkhead::nic_driver::MeasureStart();
  bulkhead::nic_driver::MeasureEcho(60);
  bulkhead::nic_driver::MeasureEcho(1514);
  bulkhead::nic_driver::MeasureRoundTrip();
}
