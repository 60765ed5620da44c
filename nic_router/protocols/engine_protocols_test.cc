// The protocols on the real engine: frames in, frames out.
#include <gtest/gtest.h>

#include "nic_router/dhcp/message.h"
#include "nic_router/engine/test_network.h"
#include "nic_router/protocols/domain_protocols.h"
#include "nic_router/protocols/udp_frame.h"

namespace bulkhead::nic_router {
namespace {

constexpr Ipv4Address kLeased = Ip(10, 9, 0, 77);

RouterConfig UplinkByDhcp() {
  RouterConfig config = NatConfig();
  config.domains[1].interface.reset();
  config.domains[1].gateway.reset();
  return config;
}

class EngineProtocolsTest : public testing::Test {
 protected:
  EngineProtocolsTest() {
    network_.engine().SetLocalProtocols(&protocols_);
    Step();
  }
  void Step() {
    protocols_.Advance(network_.now());
    network_.Run();
    protocols_.Advance(network_.now());
    network_.Run();
  }
  // The last DHCP message that left through `port`.
  std::optional<dhcp::Message> Asked(FakePort& port) {
    std::optional<dhcp::Message> asked;
    for (const Bytes& frame : port.Take()) {
      dhcp::Message message;
      if (frame.size() > kUdpFrameHeaderBytes &&
          dhcp::ParseMessage(std::span(frame).subspan(kUdpFrameHeaderBytes),
                             message) == dhcp::ParseError::kNone) {
        asked = message;
      }
    }
    return asked;
  }
  // The gateway's server answers it, to the NIC's own MAC.
  void Answer(FakePort& port, const dhcp::Message& asked,
              dhcp::MessageType type) {
    dhcp::Message answer;
    answer.reply = true;
    answer.type = type;
    answer.transaction = asked.transaction;
    answer.hardware = asked.hardware;
    answer.your_address = kLeased;
    answer.server_identifier = kGateway;
    answer.netmask = 0xffffff00;
    answer.lease_s = 1000;
    answer.routers.Add(kGateway);
    std::array<uint8_t, dhcp::kMaxMessageBytes> bytes;
    const size_t size = dhcp::BuildMessage(answer, bytes);
    port.Put(Make({.from = kGatewayMac,
                   .to = asked.hardware,
                   .source = kGateway,
                   .destination = kLeased,
                   .source_port = dhcp::kServerPort,
                   .destination_port = dhcp::kClientPort,
                   .payload = Bytes(bytes.begin(), bytes.begin() + size)}));
    Step();
  }
  void GetLease() {
    auto asked = Asked(network_.nic0);
    ASSERT_TRUE(asked.has_value());
    Answer(network_.nic0, *asked, dhcp::MessageType::kOffer);
    asked = Asked(network_.nic0);
    ASSERT_TRUE(asked.has_value());
    EXPECT_EQ(asked->requested_address, kLeased);
    Answer(network_.nic0, *asked, dhcp::MessageType::kAck);
    network_.nic0.Put(MakeArp(kGatewayMac, kNic0Mac,
                              {.operation = kArpRequest,
                               .sender_mac = kGatewayMac,
                               .sender_ip = kGateway,
                               .target_mac = {},
                               .target_ip = kLeased}));
    Step();
    network_.nic0.Take();
  }

  Network network_{UplinkByDhcp()};
  DomainProtocols protocols_{network_.config(), network_.engine(), 4,
                             [](std::string_view) {}, network_.now()};
};

// Without an identity nothing is forwarded, and that is counted; with the
// leased one packets leave under it.
TEST_F(EngineProtocolsTest, S8_UplinkIsLeased) {
  network_.ExpectDrop(network_.alice, Make(network_.FromAlice()),
                      "no_identity");
  GetLease();
  const auto out =
      network_.Pass(network_.alice, Make(network_.FromAlice()), network_.nic0);
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(Read(out[0]).source, kLeased);
  EXPECT_EQ(protocols_.Leases().rows.back()[4], "bound");
}

// The driver restarts: the link goes and comes, the link of the client stays,
// and the server is asked whether it agrees.
TEST_F(EngineProtocolsTest, S6_DriverRestartKeepsIdentityAndFlows) {
  GetLease();
  const auto before =
      network_.Pass(network_.alice, Make(network_.FromAlice()), network_.nic0);
  ASSERT_EQ(before.size(), 1u);
  network_.nic0.set_link(false);
  network_.nic1.set_link(false);
  Step();
  network_.nic0.set_link(true);
  Step();
  const auto asked = Asked(network_.nic0);
  ASSERT_TRUE(asked.has_value());
  EXPECT_EQ(asked->requested_address, kLeased);
  const auto after =
      network_.Pass(network_.alice, Make(network_.FromAlice()), network_.nic0);
  ASSERT_EQ(after.size(), 1u);
  EXPECT_EQ(Read(after[0]).source_port, Read(before[0]).source_port);
}

// Another NIC of the group takes over: the lease goes along, asked about from
// the new MAC under the old name.
TEST_F(EngineProtocolsTest, FailoverTakesTheLeaseAlong) {
  GetLease();
  network_.nic0.set_link(false);
  Step();
  const auto asked = Asked(network_.nic1);
  ASSERT_TRUE(asked.has_value());
  EXPECT_EQ(asked->hardware, kNic1Mac);
  const auto identifier = asked->client_identifier.bytes();
  ASSERT_EQ(identifier.size(), 7u);
  EXPECT_EQ(LoadMac(&identifier[1]), kNic0Mac);
}

}  // namespace
}  // namespace bulkhead::nic_router
