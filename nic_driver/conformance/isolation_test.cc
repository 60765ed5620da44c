// What a driver must not be able to do, and what others must not be able to do
// to it.
#include <cstring>
#include <sstream>

#include "nic_driver/conformance/conformance_suite.h"

namespace bulkhead::nic_driver {
namespace {

// The driver is data-blind: no frame memory is mapped in it, before, during and
// after traffic.
TEST_F(Conformance, S3_MapsNoFrameMemory) {
  if (!TheDevice().data_blind) GTEST_SKIP() << "it has to copy";
  ASSERT_NO_FATAL_FAILURE(Up());
  Echo(0, 1000);
  // Sizes and names of everything that is mapped from a memfd.
  std::istringstream maps(platform_->driver().Maps());
  std::string line;
  size_t control_areas = 0;
  while (std::getline(maps, line)) {
    if (line.find("memfd:") == std::string::npos) continue;
    EXPECT_EQ(line.find("data"), std::string::npos) << line;
    uint64_t start = 0, end = 0;
    ASSERT_EQ(std::sscanf(line.c_str(), "%lx-%lx", &start, &end), 2);
    EXPECT_LT(end - start, kGeometry.TxDataBytes()) << line;
    control_areas += line.find("control") != std::string::npos;
  }
  EXPECT_EQ(control_areas, 2u) << platform_->driver().Maps();
}

// It holds no descriptor of frame memory either.
TEST_F(Conformance, S3_HoldsNoDescriptorOfFrameMemory) {
  if (!TheDevice().data_blind) GTEST_SKIP() << "it has to copy";
  ASSERT_NO_FATAL_FAILURE(Up());
  Echo(0, 10);
  for (const std::string& target : platform_->driver().DescriptorTargets()) {
    EXPECT_EQ(target.find("data"), std::string::npos) << target;
  }
}

// A client that corrupts its ring loses its session, with a reason; the driver
// lives on and serves the next client.
TEST_F(Conformance, S7_HostileClientBreaksOnlyItsSession) {
  struct Attack {
    const char* what;
    void (*corrupt)(packet_stream::ControlHeader& header, uint8_t* ring);
  };
  const Attack attacks[] = {
      {"tail far ahead",
       [](packet_stream::ControlHeader& header, uint8_t*) {
         header.submit_tail.value.fetch_add(1u << 20);
       }},
      {"tail backwards",
       [](packet_stream::ControlHeader& header, uint8_t*) {
         header.submit_tail.value.fetch_sub(1);
       }},
      {"acknowledgements of what it does not hold",
       [](packet_stream::ControlHeader& header, uint8_t*) {
         header.ack_tail.value.fetch_add(1);
       }},
      {"zeroes as descriptors",
       [](packet_stream::ControlHeader& header, uint8_t*) {
         header.submit_tail.value.fetch_add(1);
       }},
      {"an offset that wraps",
       [](packet_stream::ControlHeader& header, uint8_t* ring) {
         const packet_stream::Descriptor bad = {.offset = 0xffffff00,
                                                .length = 0xffff};
         const uint32_t tail = header.submit_tail.value.load();
         std::memcpy(ring + (tail & 1023) * sizeof(bad), &bad, sizeof(bad));
         header.submit_tail.value.store(tail + 1);
       }},
      {"a frame without end",
       [](packet_stream::ControlHeader& header, uint8_t* ring) {
         const uint32_t tail = header.submit_tail.value.load();
         for (uint32_t i = 0; i < 64; ++i) {
           const packet_stream::Descriptor piece = {
               .offset = i * 2048, .length = 60, .flags = packet_stream::kMore};
           std::memcpy(ring + ((tail + i) & 1023) * sizeof(piece), &piece,
                       sizeof(piece));
         }
         header.submit_tail.value.store(tail + 64);
       }},
  };
  ASSERT_NO_FATAL_FAILURE(Create());
  ASSERT_OK(platform_->StartDriver());
  expect_broken_ = true;
  uint32_t next = 0;
  for (const Attack& attack : attacks) {
    SCOPED_TRACE(attack.what);
    ASSERT_NO_FATAL_FAILURE(Open());
    Echo(next, 10);
    next += 10;
    auto grant = platform_->areas().MakeClientGrant(platform_->session_id(), 1);
    ASSERT_TRUE(grant.ok());
    auto mapping =
        Mapping::MapSealed(grant->client_control.get(),
                           kGeometry.ClientControlBytes(), Access::kReadWrite);
    ASSERT_TRUE(mapping.ok()) << mapping.status();
    platform_->news().broken.clear();
    attack.corrupt(
        *mapping->As<packet_stream::ControlHeader>(),
        mapping->data() + packet_stream::SessionGeometry::SubmitRingOffset());
    platform_->RingTxDoorbell(*grant);
    ASSERT_OK(platform_->ServeUntil(
        [this] { return !platform_->news().broken.empty(); }));
    EXPECT_EQ(platform_->news().broken[0].session_id(),
              platform_->session_id());
    EXPECT_FALSE(platform_->news().broken[0].reason().empty());
    ASSERT_OK(platform_->DropSession());
    session_.reset();
  }
  // The driver is the same process, and works.
  ASSERT_NO_FATAL_FAILURE(Open());
  Echo(next, 1000);
  EXPECT_EQ(platform_->port().dma_faults, 0u);
  ASSERT_OK(platform_->Ping());
}

// A client that floods the doorbell slows nobody but itself, and breaks
// nothing.
TEST_F(Conformance, S7_DoorbellFloodIsHarmless) {
  ASSERT_NO_FATAL_FAILURE(Up());
  Echo(0, 10);
  auto grant = platform_->areas().MakeClientGrant(platform_->session_id(), 1);
  ASSERT_TRUE(grant.ok());
  for (int i = 0; i < 20'000; ++i) platform_->RingTxDoorbell(*grant);
  Echo(10, 100);
  ASSERT_OK(platform_->Ping());
}

// A second session is refused while one is open; the first goes on.
TEST_F(Conformance, RefusesASecondSession) {
  ASSERT_NO_FATAL_FAILURE(Up());
  Echo(0, 10);
  expect_broken_ = true;
  ASSERT_OK(platform_->OfferAnotherSession(999));
  ASSERT_OK(platform_->ServeUntil(
      [this] { return !platform_->news().broken.empty(); }));
  EXPECT_EQ(platform_->news().broken[0].session_id(), 999u);
  Echo(10, 100);
}

// A platform service that was restarted does not know what its predecessor came
// to say: a session that is served is offered again, which changes nothing.
TEST_F(Conformance, S6_TakesASecondOfferForARepetition) {
  ASSERT_NO_FATAL_FAILURE(Up());
  Echo(0, 10);
  ASSERT_OK(platform_->OfferAgain());
  ASSERT_OK(platform_->Ping());
  EXPECT_TRUE(platform_->news().broken.empty());
  Echo(10, 100);
  ExpectCountersAddUp();
}

}  // namespace
}  // namespace bulkhead::nic_driver
