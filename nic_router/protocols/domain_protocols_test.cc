#include "nic_router/protocols/domain_protocols.h"

#include <gtest/gtest.h>

#include <map>
#include <vector>

#include "nic_router/dhcp/wire_layout.h"
#include "nic_router/ipv6/nd_message.h"
#include "nic_router/packet/checksum.h"
#include "nic_router/packet/ethernet.h"
#include "nic_router/packet/ipv4.h"
#include "nic_router/packet/ipv6.h"
#include "nic_router/packet/udp.h"
#include "nic_router/protocols/udp_frame.h"

namespace bulkhead::nic_router {
namespace {

using Bytes = std::vector<uint8_t>;

constexpr uint64_t kSecond = 1'000'000'000;
constexpr MacAddress kGuestsMac = {2, 0, 0, 0, 1, 0};
constexpr MacAddress kUplinkMac = {2, 0, 0, 0, 2, 0};
constexpr MacAddress kAnna = {2, 0, 0, 0, 0, 7};
constexpr MacAddress kServerMac = {2, 0, 0, 0, 0, 9};
constexpr Ipv4Address kGuestsRouter = 0x0a000101;
constexpr Ipv4Address kServer = 0xc0a80001;
constexpr MemberId kAnnaMember = 11;
constexpr MemberId kUplinkMember = 12;

// What an engine is told, and the frames that it is to send.
class FakeEngine final : public Engine {
 public:
  struct Sent {
    std::string domain;
    MemberId to;
    Bytes frame;
  };
  std::vector<Sent> sent;
  std::map<std::string, std::optional<Ipv4Prefix>> identities;
  std::map<MemberId, std::optional<Ipv4Address>> bound;
  std::vector<Ipv6Address> learned;
  MemberId uplink = 0;
  alignas(8) std::array<uint8_t, 16384> memory{};

  absl::StatusOr<Member> AddClient(std::string_view, const MacAddress&, Port*,
                                   uint64_t) override {
    return absl::UnimplementedError("fake");
  }
  absl::StatusOr<MemberId> AddUplink(size_t, size_t, Port*, uint64_t) override {
    return absl::UnimplementedError("fake");
  }
  void Remove(MemberId) override {}
  std::string DomainOf(MemberId) const override { return "guests"; }
  absl::StatusOr<std::vector<MemberId>> Reconfigure(const RouterConfig&,
                                                    uint64_t) override {
    return std::vector<MemberId>();
  }
  bool Turn(uint64_t) override { return false; }
  std::optional<uint64_t> NextDeadline() const override { return {}; }
  void SetLocalProtocols(LocalProtocols*) override {}
  void SetIdentity(std::string_view domain,
                   const std::optional<Ipv4Prefix>& interface,
                   std::optional<Ipv4Address>, uint64_t) override {
    identities[std::string(domain)] = interface;
  }
  void BindAddress(MemberId client,
                   std::optional<Ipv4Address> address) override {
    bound[client] = address;
  }
  void LearnNeighbour6(std::string_view, const Ipv6Address& address,
                       const MacAddress&, uint64_t) override {
    learned.push_back(address);
  }
  void SendFrame(std::string_view domain, MemberId to,
                 std::span<const uint8_t> frame) override {
    sent.push_back(
        {std::string(domain), to, Bytes(frame.begin(), frame.end())});
  }
  MacAddress RouterMac(std::string_view, MemberId towards) const override {
    return towards == kUplinkMember ? kUplinkMac : kGuestsMac;
  }
  std::vector<MemberId> MembersOf(std::string_view domain) const override {
    if (domain == "guests") return {kAnnaMember};
    return {kUplinkMember};
  }
  MemberId UplinkOf(std::string_view domain) const override {
    return domain == "uplink" ? uplink : 0;
  }
  std::span<uint8_t> lease_memory() override { return memory; }
  Table Links() const override { return {}; }
  Table Domains() const override { return {}; }
  Table Rules() const override { return {}; }
  Table Arp() const override { return {}; }
  Table Clients() const override { return {}; }
  Table Uplinks() const override { return {}; }
  Table Counters() const override { return {}; }
  absl::StatusOr<std::vector<std::string>> Explain(
      std::string_view) const override {
    return absl::UnimplementedError("fake");
  }
};

// A frame of the engine's, read.
struct Read {
  MacAddress to_mac{};
  MacAddress from_mac{};
  Ipv4Address from = 0;
  Ipv4Address to = 0;
  dhcp::Message message;
};
Read ReadDhcp(const Bytes& frame) {
  Read read;
  const auto ethernet = EthernetView::In(std::span(frame));
  read.to_mac = ethernet->destination();
  read.from_mac = ethernet->source();
  const auto packet = std::span(frame).subspan(kEthernetBytes);
  const auto ip = Ipv4View::In(packet);
  EXPECT_TRUE(ip->GoodChecksum());
  EXPECT_EQ(ip->total_bytes(), packet.size());
  read.from = ip->source();
  read.to = ip->destination();
  const auto udp = packet.subspan(kIpv4Bytes);
  ChecksumSum sum = PseudoHeader4(read.from, read.to, kProtocolUdp,
                                  static_cast<uint16_t>(udp.size()));
  sum.Add(udp);
  EXPECT_TRUE(sum.Good());
  EXPECT_EQ(dhcp::ParseMessage(udp.subspan(kUdpBytes), read.message),
            dhcp::ParseError::kNone);
  return read;
}

class DomainProtocolsTest : public testing::Test {
 protected:
  static RouterConfig Config() {
    RouterConfig config;
    DomainConfig uplink;
    uplink.name = "uplink";
    DomainConfig guests;
    guests.name = "guests";
    guests.interface = {kGuestsRouter, 24};
    guests.interface6 = {{0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1},
                         64};
    guests.dhcp_server.emplace();
    guests.dhcp_server->first = kGuestsRouter + 1;
    guests.dhcp_server->last = kGuestsRouter + 9;
    guests.dhcp_server->lease_s = 100;
    guests.dhcp_server->dns_from = "uplink";
    config.domains = {uplink, guests};
    return config;
  }
  void Start() {
    protocols_.emplace(
        Config(), engine_, 4,
        [this](std::string_view domain) { pulses_.emplace_back(domain); },
        now_);
    protocols_->AddClient(kAnnaMember, "guests", kAnna);
    protocols_->Advance(now_);  // Sends the first router advertisement.
  }
  // A message as the engine hands it over.
  void Deliver(std::string_view domain, MemberId from, bool from_client,
               const MacAddress& sender, uint16_t port,
               const dhcp::Message& message) {
    std::array<uint8_t, dhcp::kMaxMessageBytes> payload;
    const size_t size = dhcp::BuildMessage(message, payload);
    Bytes frame(kUdpFrameHeaderBytes + size);
    std::copy_n(payload.begin(), size, frame.begin() + kUdpFrameHeaderBytes);
    WriteUdpHeaders({.from_mac = sender,
                     .to_mac = kBroadcastMac,
                     .from = 0,
                     .to = 0xffffffff,
                     .from_port = static_cast<uint16_t>(135 - port),
                     .to_port = port},
                    frame);
    protocols_->OnDhcp({.domain = domain,
                        .from = from,
                        .from_client = from_client,
                        .bytes = frame,
                        .ip_offset = kEthernetBytes,
                        .payload_offset = kUdpFrameHeaderBytes,
                        .payload_bytes = size});
  }
  void FromAnna(const dhcp::Message& message) {
    Deliver("guests", kAnnaMember, true, kAnna, dhcp::kServerPort, message);
  }
  static dhcp::Message Ask(dhcp::MessageType type) {
    dhcp::Message message;
    message.type = type;
    message.hardware = kAnna;
    return message;
  }
  Ipv4Address LeaseToAnna() {
    FromAnna(Ask(dhcp::MessageType::kDiscover));
    dhcp::Message request = Ask(dhcp::MessageType::kRequest);
    request.server_identifier = kGuestsRouter;
    request.requested_address =
        ReadDhcp(engine_.sent.back().frame).message.your_address;
    FromAnna(request);
    return *request.requested_address;
  }
  // The uplink's server answers what the router sent last.
  void FromServer(dhcp::MessageType type, bool from_client = false) {
    const Read asked = ReadDhcp(engine_.sent.back().frame);
    dhcp::Message message;
    message.reply = true;
    message.type = type;
    message.transaction = asked.message.transaction;
    message.hardware = asked.message.hardware;
    message.your_address = kServer + 20;
    message.server_identifier = kServer;
    message.netmask = 0xffffff00;
    message.lease_s = 1000;
    message.routers.Add(kServer);
    message.dns.Add(0x09090909);
    Deliver("uplink", kUplinkMember, from_client, kServerMac, dhcp::kClientPort,
            message);
  }
  void LinkUp() {
    engine_.uplink = kUplinkMember;
    protocols_->OnLinksChanged();
    protocols_->Advance(now_);
  }
  void GetIdentity() {
    LinkUp();
    FromServer(dhcp::MessageType::kOffer);
    FromServer(dhcp::MessageType::kAck);
  }
  std::string Counter(std::string_view name) const {
    for (const auto& row : protocols_->Counters().rows) {
      if (row[0] == name) return row[1];
    }
    return "";
  }

  FakeEngine engine_;
  uint64_t now_ = kSecond;
  std::vector<std::string> pulses_;
  std::optional<DomainProtocols> protocols_;
};

// A client's exchange: answers go to it alone, from the domain's address and
// MAC, and the address is its own until it gives it back.
TEST_F(DomainProtocolsTest, ClientGetsAnAddress) {
  Start();
  const Ipv4Address address = LeaseToAnna();
  EXPECT_EQ(address, kGuestsRouter + 1);
  const FakeEngine::Sent& sent = engine_.sent.back();
  EXPECT_EQ(sent.domain, "guests");
  EXPECT_EQ(sent.to, kAnnaMember);
  const Read read = ReadDhcp(sent.frame);
  EXPECT_EQ(read.message.type, dhcp::MessageType::kAck);
  EXPECT_EQ(read.from, kGuestsRouter);
  EXPECT_EQ(read.from_mac, kGuestsMac);
  EXPECT_EQ(read.to_mac, kAnna);
  EXPECT_EQ(engine_.bound[kAnnaMember], address);
  EXPECT_EQ(protocols_->Leases().rows.back()[2], "10.0.1.2");

  dhcp::Message release = Ask(dhcp::MessageType::kRelease);
  release.server_identifier = kGuestsRouter;
  release.client_address = address;
  FromAnna(release);
  EXPECT_EQ(engine_.bound[kAnnaMember], std::nullopt);
}

// A lease that ends takes the address back.
TEST_F(DomainProtocolsTest, LeaseEnds) {
  Start();
  ASSERT_NE(LeaseToAnna(), 0u);
  while (engine_.bound[kAnnaMember]) {
    ASSERT_TRUE(protocols_->NextDeadline().has_value());
    now_ = std::max(now_ + 1, *protocols_->NextDeadline());
    protocols_->Advance(now_);
    ASSERT_LE(now_, 103 * kSecond);
  }
  EXPECT_GE(now_, 101 * kSecond);
}

// The domain without `interface` speaks over its uplink alone, from that NIC's
// MAC; what it leases becomes its identity, and its DNS servers those of the
// guests, whose links are pulsed once.
TEST_F(DomainProtocolsTest, UplinkIdentityAndPropagatedDns) {
  Start();
  const size_t before = engine_.sent.size();
  LinkUp();
  ASSERT_GT(engine_.sent.size(), before);
  EXPECT_EQ(engine_.sent.back().to, kUplinkMember);
  EXPECT_EQ(ReadDhcp(engine_.sent.back().frame).from_mac, kUplinkMac);
  EXPECT_EQ(ReadDhcp(engine_.sent.back().frame).message.hardware, kUplinkMac);
  FromServer(dhcp::MessageType::kOffer);
  EXPECT_EQ(engine_.identities.count("uplink"), 0u);
  FromServer(dhcp::MessageType::kAck);
  EXPECT_EQ(engine_.identities["uplink"], (Ipv4Prefix{kServer + 20, 24}));
  EXPECT_EQ(pulses_, std::vector<std::string>{"guests"});
  ASSERT_NE(LeaseToAnna(), 0u);
  const auto dns = ReadDhcp(engine_.sent.back().frame).message.dns;
  ASSERT_EQ(dns.addresses().size(), 1u);
  EXPECT_EQ(dns.addresses()[0], 0x09090909u);
}

// The uplink's link goes and comes back, as when its driver restarts: the
// identity is not touched.
TEST_F(DomainProtocolsTest, DriverRestartKeepsTheIdentity) {
  Start();
  GetIdentity();
  engine_.identities.clear();
  engine_.uplink = 0;
  protocols_->OnLinksChanged();
  protocols_->Advance(now_);
  LinkUp();
  EXPECT_EQ(ReadDhcp(engine_.sent.back().frame).message.type,
            dhcp::MessageType::kRequest);
  FromServer(dhcp::MessageType::kAck);
  EXPECT_TRUE(engine_.identities.empty());
  EXPECT_EQ(pulses_.size(), 1u);
}

// The router dies: the next one has its identity before any link, and its
// clients' addresses as soon as they are there.
TEST_F(DomainProtocolsTest, RouterRestartKeepsLeases) {
  Start();
  GetIdentity();
  const Ipv4Address address = LeaseToAnna();
  engine_.identities.clear();
  engine_.bound.clear();
  engine_.uplink = 0;
  Start();
  EXPECT_EQ(engine_.identities["uplink"], (Ipv4Prefix{kServer + 20, 24}));
  EXPECT_EQ(engine_.bound[kAnnaMember], address);
  EXPECT_EQ(Counter("dhcp_leases_not_believed"), "0");
  EXPECT_EQ(Counter("dhcp_identities_not_believed"), "0");
}

// Another configuration: a range that no longer holds the address ends the
// lease, a name that changes nothing disturbs nobody.
TEST_F(DomainProtocolsTest, Reconfiguration) {
  Start();
  GetIdentity();
  const Ipv4Address address = LeaseToAnna();
  engine_.identities.clear();
  protocols_->Reconfigure(Config(), now_);
  EXPECT_EQ(engine_.bound[kAnnaMember], address);
  EXPECT_TRUE(engine_.identities.empty());
  RouterConfig config = Config();
  config.domains[1].dhcp_server->first = address + 1;
  protocols_->Reconfigure(config, now_);
  EXPECT_EQ(engine_.bound[kAnnaMember], std::nullopt);
}

// What cannot be taken is in one counter each.
TEST_F(DomainProtocolsTest, S8_EveryMessageIsInOneCounter) {
  Start();
  const auto ask = Ask(dhcp::MessageType::kDiscover);
  Deliver("uplink", kUplinkMember, false, kServerMac, dhcp::kServerPort, ask);
  EXPECT_EQ(Counter("dhcp_no_server"), "1");
  Deliver("guests", kAnnaMember, true, kAnna, dhcp::kClientPort, ask);
  EXPECT_EQ(Counter("dhcp_no_client"), "1");
  Deliver("guests", kAnnaMember, true, kServerMac, dhcp::kServerPort, ask);
  EXPECT_EQ(Counter("dhcp_spoofed_hardware"), "1");
  LinkUp();
  // A client of the uplink's domain plays the server.
  FromServer(dhcp::MessageType::kOffer, true);
  EXPECT_EQ(Counter("dhcp_no_client"), "2");
  FromServer(dhcp::MessageType::kAck);
  EXPECT_EQ(Counter("dhcp_unexpected"), "1");
  EXPECT_EQ(Counter("dhcp_taken"), "0");
}

// Neighbour discovery reaches each member with the MAC that it knows the router
// by; questions are answered to the asker.
TEST_F(DomainProtocolsTest, NeighbourDiscovery) {
  Start();
  ASSERT_EQ(engine_.sent.size(), 1u);
  EXPECT_EQ(engine_.sent[0].to, kAnnaMember);
  protocols_->Resolve6("guests",
                       {0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7});
  ASSERT_EQ(engine_.sent.size(), 2u);
  // Sent back to the router, it is a question about somebody else.
  const Bytes frame = engine_.sent[1].frame;
  protocols_->OnNeighbourDiscovery(
      {.domain = "guests",
       .from = kAnnaMember,
       .from_client = false,
       .bytes = frame,
       .ip_offset = kEthernetBytes,
       .payload_offset = kEthernetBytes + kIpv6Bytes,
       .payload_bytes = frame.size() - kEthernetBytes - kIpv6Bytes});
  EXPECT_EQ(Counter("nd_not_for_router"), "1");
  EXPECT_EQ(engine_.sent.size(), 2u);
  protocols_->Resolve6("uplink", {});
  EXPECT_EQ(engine_.sent.size(), 2u);
}

}  // namespace
}  // namespace bulkhead::nic_router
