// Shows that a configuration with every field set comes through the channel as
// it was, and that numbers which a type cannot hold are refused.
#include "nic_router/api/config_message.h"

#include <gtest/gtest.h>

namespace bulkhead::nic_router {
namespace {

RouterConfig Everything() {
  DomainConfig domain;
  domain.name = "guests";
  domain.interface = {0x0a000101, 24};
  domain.gateway = 0x0a0001fe;
  domain.interface6 = {{0x20, 1, 0xd, 0xb8}, 64};
  domain.gateway6 = {0xfe, 0x80};
  domain.router_advertisements = false;
  domain.dhcp_server = {1, 2, 60, {3, 4}, "uplink", "lab"};
  domain.icmp_echo_server = false;
  domain.use_arp = false;
  domain.ip = {{{0x0a000300, 24}, "dmz"}};
  domain.icmp = {{{0, 0}, "uplink"}};
  domain.tcp = {{{0, 0}, "uplink", {}}, {{5, 32}, "", {{443, "dmz"}}}};
  domain.udp = {{{0, 0}, "", {{53, "uplink"}}}};
  domain.tcp_forward = {{80, "dmz", 7, 8080}};
  domain.udp_forward = {{53, "dmz", 7, 53}};
  domain.nat = {{"dmz", 1, 2, 3}};
  domain.ip6 = {{{{}, 0}, "uplink"}};
  domain.verbose_packet_drop = true;
  RouterConfig config;
  config.name = "gate";
  config.domains = {domain, {}};
  config.domains[1].name = "plain";
  config.uplinks = {{{"nic0", "nic1"}, "guests", {{10, "plain"}}}};
  config.policies = {{PolicyRule::Kind::kSuffix, "x", "plain", 1, 2, 3}};
  config.timeouts = {1, 2, 3, 4, 5};
  config.max_flows = 9;
  config.max_packets_per_turn = 8;
  config.cpus = {0, 1};
  config.max_clients = 7;
  return config;
}

TEST(ConfigMessage, EveryFieldComesThrough) {
  const auto back = FromMessage(ToMessage(Everything()));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(*back, Everything());
}

TEST(ConfigMessage, NumbersOutOfRangeAreRefused) {
  api::Config message = ToMessage(Everything());
  message.mutable_domain(0)->mutable_interface()->set_bits(33);
  EXPECT_FALSE(FromMessage(message).ok());
  message = ToMessage(Everything());
  message.mutable_domain(0)->set_gateway6("short");
  EXPECT_FALSE(FromMessage(message).ok());
  message = ToMessage(Everything());
  message.mutable_policy(0)->set_kind(4);
  EXPECT_FALSE(FromMessage(message).ok());
}

}  // namespace
}  // namespace bulkhead::nic_router
