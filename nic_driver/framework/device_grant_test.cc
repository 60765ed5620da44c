// Shows that a whole grant is taken apart as it was put together, and that each
// wrong one is refused by the name of its field, with every descriptor closed.
#include "nic_driver/framework/device_grant.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include <functional>
#include <utility>
#include <vector>

namespace bulkhead::nic_driver {
namespace {

std::vector<UniqueFd> Fds(size_t count) {
  std::vector<UniqueFd> fds;
  for (size_t i = 0; i < count; ++i)
    fds.emplace_back(::eventfd(0, EFD_CLOEXEC));
  return fds;
}

platform::DeviceGrant Good() {
  platform::DeviceGrant grant;
  grant.mutable_pci()->set_address("0000:01:00.0");
  grant.mutable_pci()->set_vendor(0x8086);
  grant.mutable_pci()->set_device(0x10d3);
  grant.mutable_vfio_user()->set_connection_fd(0);
  grant.mutable_vfio_user()->set_negotiated(true);
  platform::DeviceGrant::Doorbell* doorbell =
      grant.mutable_vfio_user()->add_doorbell();
  doorbell->set_offset(0x3818);
  doorbell->set_bytes(4);
  doorbell->set_event_fd(10);
  doorbell->set_shadow_fd(11);
  grant.set_platform_fd(1);
  grant.set_counters_fd(2);
  grant.add_irq_fd(3);
  grant.add_irq_fd(4);
  platform::DmaArea* area = grant.add_prepared();
  area->set_iova(0x1000);
  area->set_bytes(4096);
  area->set_memory_fd(5);
  platform::SessionGrant* session = grant.add_session();
  session->set_session_id(12);
  session->set_epoch(3);
  session->set_tx_buffers(64);
  session->set_rx_buffers(128);
  session->set_buffer_bytes(2048);
  session->set_tx_iova(0x10000);
  session->set_rx_iova(0x20000);
  session->set_client_control_fd(6);
  session->set_provider_control_fd(7);
  session->add_tx_doorbell_fd(8);
  session->add_rx_doorbell_fd(9);
  return grant;
}

TEST(DeviceGrant, IsTakenApart) {
  auto grant = ParseDeviceGrant(Good().SerializeAsString(), Fds(12));
  ASSERT_TRUE(grant.ok()) << grant.status();
  EXPECT_EQ(grant->identity.device, 0x10d3);
  const auto& bus = std::get<VfioUserGrant>(grant->bus);
  EXPECT_TRUE(bus.connection.valid());
  EXPECT_TRUE(bus.negotiated);
  ASSERT_EQ(bus.doorbells.size(), 1u);
  EXPECT_EQ(bus.doorbells[0].offset, 0x3818u);
  EXPECT_TRUE(bus.doorbells[0].shadow.valid());
  EXPECT_EQ(grant->irqs.size(), 2u);
  EXPECT_EQ(grant->config.mtu, 1500u) << "the default";
  ASSERT_EQ(grant->prepared.size(), 1u);
  EXPECT_EQ(grant->prepared[0].iova, 0x1000u);
  ASSERT_EQ(grant->sessions.size(), 1u);
  EXPECT_EQ(grant->sessions[0].provider.session_id, 12u);
  EXPECT_EQ(grant->sessions[0].provider.geometry.rx_buffers, 128u);
  EXPECT_EQ(grant->sessions[0].rx_iova, 0x20000u);
  EXPECT_TRUE(grant->sessions[0].provider.bells.at(0).rx_doorbell.valid());
  EXPECT_EQ(grant->sessions[0].provider.geometry.lanes, 1u);
}

platform::DeviceGrant GoodVfio() {
  platform::DeviceGrant grant = Good();
  grant.clear_vfio_user();
  auto* bus = grant.mutable_vfio();
  bus->set_device_fd(0);
  auto* bar = bus->add_bar();
  bar->set_index(0);
  bar->set_bytes(128 << 10);
  bus->set_config_space("config");
  return grant;
}

TEST(DeviceGrant, OfARealNicNamesItsBars) {
  auto grant = ParseDeviceGrant(GoodVfio().SerializeAsString(), Fds(12));
  ASSERT_TRUE(grant.ok()) << grant.status();
  const auto& bus = std::get<VfioGrant>(grant->bus);
  EXPECT_TRUE(bus.device.valid());
  ASSERT_EQ(bus.bars.size(), 1u);
  EXPECT_EQ(bus.bars[0].bytes, 128u << 10);
  EXPECT_EQ(bus.config_space, "config");
}

TEST(DeviceGrant, RefusesBarsThatNoDeviceHas) {
  using Bar = platform::DeviceGrant::VfioBus::Bar;
  const std::function<void(Bar*)> kSpoilt[] = {
      [](Bar* bar) { bar->set_index(6); },
      [](Bar* bar) { bar->set_bytes(0); },
      [](Bar* bar) { bar->set_bytes(100); },
      [](Bar* bar) { bar->set_bytes(uint64_t{1} << 40); },
      [](Bar* bar) { bar->set_offset(8); },
      [](Bar* bar) { bar->set_offset(uint64_t{1} << 63); },
  };
  for (const auto& spoil : kSpoilt) {
    platform::DeviceGrant grant = GoodVfio();
    spoil(grant.mutable_vfio()->mutable_bar(0));
    EXPECT_FALSE(ParseDeviceGrant(grant.SerializeAsString(), Fds(12)).ok());
  }
  platform::DeviceGrant twice = GoodVfio();
  *twice.mutable_vfio()->add_bar() = twice.vfio().bar(0);
  EXPECT_FALSE(ParseDeviceGrant(twice.SerializeAsString(), Fds(12)).ok());
}

TEST(DeviceGrant, RefusesWhatIsWrongByItsName) {
  struct Case {
    const char* named;
    std::function<void(platform::DeviceGrant&)> spoil;
  };
  const Case cases[] = {
      {"no bus", [](auto& g) { g.clear_vfio_user(); }},
      {"vfio_user.doorbell.shadow_fd",
       [](auto& g) {
         g.mutable_vfio_user()->mutable_doorbell(0)->set_shadow_fd(99);
       }},
      {"vfio_user.connection_fd",
       [](auto& g) { g.mutable_vfio_user()->set_connection_fd(12); }},
      {"platform_fd", [](auto& g) { g.set_platform_fd(0xffffffff); }},
      {"counters_fd", [](auto& g) { g.set_counters_fd(1); }},
      {"irq_fd", [](auto& g) { g.set_irq_fd(1, 3); }},
      {"prepared.memory_fd",
       [](auto& g) { g.mutable_prepared(0)->set_memory_fd(99); }},
      {"buffer counts",
       [](auto& g) { g.mutable_session(0)->set_tx_buffers(3); }},
      {"buffer_bytes",
       [](auto& g) { g.mutable_session(0)->set_buffer_bytes(100); }},
      {"session.tx_doorbell_fd",
       [](auto& g) { g.mutable_session(0)->set_tx_doorbell_fd(0, 6); }},
      {"session.rx_doorbell_fd",
       [](auto& g) { g.mutable_session(0)->add_tx_doorbell_fd(0); }},
      {"lanes",
       [](auto& g) {
         g.mutable_session(0)->clear_tx_doorbell_fd();
         g.mutable_session(0)->clear_rx_doorbell_fd();
       }},
      {"queues", [](auto& g) { g.set_queues(17); }},
      {"mtu", [](auto& g) { g.mutable_config()->set_mtu(20); }},
      {"multicast",
       [](auto& g) { g.mutable_config()->add_multicast("12345"); }},
  };
  for (const Case& c : cases) {
    platform::DeviceGrant grant = Good();
    c.spoil(grant);
    std::vector<UniqueFd> fds = Fds(12);
    const int first = fds[0].get();
    const auto parsed =
        ParseDeviceGrant(grant.SerializeAsString(), std::move(fds));
    ASSERT_FALSE(parsed.ok()) << c.named;
    EXPECT_NE(std::string(parsed.status().message()).find(c.named),
              std::string::npos)
        << parsed.status();
    EXPECT_LT(::fcntl(first, F_GETFD), 0) << "left open";
  }
  EXPECT_FALSE(ParseDeviceGrant("\xff\xff garbage", {}).ok());
}

}  // namespace
}  // namespace bulkhead::nic_driver
