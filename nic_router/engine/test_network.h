// A router with fake ports around it, and packets to put into them: what the
// engine's tests have in common.
//
//   domain guests   10.0.1.1/24, clients alice (10.0.1.2) and bob (10.0.1.3)
//   domain uplink   10.9.0.1/24, gateway 10.9.0.254, NICs nic0 and nic1
#ifndef BULKHEAD_NIC_ROUTER_ENGINE_TEST_NETWORK_H_
#define BULKHEAD_NIC_ROUTER_ENGINE_TEST_NETWORK_H_

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "nic_router/engine/engine.h"
#include "nic_router/engine/fake_port.h"
#include "nic_router/packet/arp.h"
#include "nic_router/packet/ethernet.h"
#include "nic_router/packet/icmp.h"
#include "nic_router/packet/ipv4.h"
#include "nic_router/packet/tcp.h"
#include "nic_router/packet/udp.h"

namespace bulkhead::nic_router {

using Bytes = std::vector<uint8_t>;

constexpr uint64_t kSecond = 1'000'000'000;
constexpr MacAddress kAliceMac = {2, 0, 0, 0, 1, 2};
constexpr MacAddress kBobMac = {2, 0, 0, 0, 1, 3};
constexpr MacAddress kNic0Mac = {2, 0, 0, 0, 9, 0};
constexpr MacAddress kNic1Mac = {2, 0, 0, 0, 9, 1};
constexpr MacAddress kGatewayMac = {2, 0, 0, 0, 9, 0xfe};

constexpr Ipv4Address Ip(uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
  return a << 24 | b << 16 | c << 8 | d;
}
constexpr Ipv4Address kAlice = Ip(10, 0, 1, 2);
constexpr Ipv4Address kBob = Ip(10, 0, 1, 3);
constexpr Ipv4Address kGuestsRouter = Ip(10, 0, 1, 1);
constexpr Ipv4Address kUplinkRouter = Ip(10, 9, 0, 1);
constexpr Ipv4Address kGateway = Ip(10, 9, 0, 254);
constexpr Ipv4Address kServer = Ip(192, 0, 2, 7);  // Behind the gateway.

// What a test packet says; fields that a test does not set are sensible.
struct Packet {
  MacAddress from{};
  MacAddress to{};
  Ipv4Address source = 0;
  Ipv4Address destination = 0;
  uint8_t protocol = kProtocolUdp;
  uint16_t source_port = 0;
  uint16_t destination_port = 0;
  uint8_t tcp_flags = kTcpSyn;
  uint8_t icmp_type = kIcmpEchoRequest;  // The id is source_port.
  uint8_t ttl = 64;
  Bytes payload = Bytes(3, 'x');
};

inline void FillUpperSum(Bytes& frame) {
  const auto ip = *Ipv4View::In(std::span(frame).subspan(14));
  const size_t upper = 14 + ip.header_bytes();
  const size_t bytes = ip.total_bytes() - ip.header_bytes();
  const size_t at = upper + (ip.protocol() == kProtocolTcp   ? 16
                             : ip.protocol() == kProtocolUdp ? 6
                                                             : 2);
  Store16(&frame[at], 0);
  ChecksumSum sum =
      ip.protocol() == kProtocolIcmp
          ? ChecksumSum()
          : PseudoHeader4(ip.source(), ip.destination(), ip.protocol(),
                          static_cast<uint16_t>(bytes));
  sum.Add(std::span(frame).subspan(upper, bytes));
  Store16(&frame[at], sum.NonZeroChecksum());
}

inline Bytes Make(const Packet& packet) {
  const size_t upper_bytes = packet.protocol == kProtocolTcp ? 20 : 8;
  Bytes frame(14 + 20 + upper_bytes);
  auto ethernet = EthernetWriter::In(frame);
  ethernet->set_destination(packet.to);
  ethernet->set_source(packet.from);
  ethernet->set_type(kEtherTypeIpv4);
  WriteIpv4(std::span(frame).subspan(14),
            {.source = packet.source,
             .destination = packet.destination,
             .protocol = packet.protocol,
             .ttl = packet.ttl},
            upper_bytes + packet.payload.size());
  uint8_t* const upper = &frame[34];
  if (packet.protocol == kProtocolIcmp) {
    upper[0] = packet.icmp_type;
    Store16(upper + 4, packet.source_port);
  } else {
    Store16(upper, packet.source_port);
    Store16(upper + 2, packet.destination_port);
  }
  if (packet.protocol == kProtocolTcp) {
    upper[12] = 0x50;
    upper[13] = packet.tcp_flags;
  }
  if (packet.protocol == kProtocolUdp) {
    Store16(upper + 4, static_cast<uint16_t>(8 + packet.payload.size()));
  }
  frame.insert(frame.end(), packet.payload.begin(), packet.payload.end());
  FillUpperSum(frame);
  return frame;
}

inline void FixIpSum(Bytes& frame) {
  Ipv4Writer::In(std::span(frame).subspan(14))->FillChecksum();
}

// A frame that left, read; checksums are verified.
struct Seen {
  MacAddress from;
  MacAddress to;
  Ipv4Address source;
  Ipv4Address destination;
  uint8_t protocol;
  uint16_t source_port;
  uint16_t destination_port;
  uint8_t icmp_type;
  uint8_t icmp_code;
  uint16_t icmp_id;
  uint8_t ttl;
  bool good_sums;
};
inline Seen Read(const Bytes& frame) {
  Seen seen{};
  const auto ethernet = EthernetView::In(frame);
  const auto ip = Ipv4View::In(std::span(frame).subspan(14));
  if (!ethernet || !ip) return seen;
  seen.from = ethernet->source();
  seen.to = ethernet->destination();
  seen.source = ip->source();
  seen.destination = ip->destination();
  seen.protocol = ip->protocol();
  seen.ttl = ip->ttl();
  const auto upper = std::span(frame)
                         .first(14 + ip->total_bytes())
                         .subspan(14 + ip->header_bytes());
  seen.source_port = Load16(&upper[0]);
  seen.destination_port = Load16(&upper[2]);
  seen.icmp_type = upper[0];
  seen.icmp_code = upper[1];
  seen.icmp_id = Load16(&upper[4]);
  ChecksumSum sum =
      ip->protocol() == kProtocolIcmp
          ? ChecksumSum()
          : PseudoHeader4(ip->source(), ip->destination(), ip->protocol(),
                          static_cast<uint16_t>(upper.size()));
  sum.Add(upper);
  seen.good_sums = ip->GoodChecksum() && sum.Good();
  return seen;
}

inline Bytes MakeArp(const MacAddress& from, const MacAddress& to,
                     const ArpMessage& message) {
  Bytes frame(42);
  auto ethernet = EthernetWriter::In(frame);
  ethernet->set_destination(to);
  ethernet->set_source(from);
  ethernet->set_type(kEtherTypeArp);
  WriteArp(std::span(frame).subspan(14), message);
  return frame;
}

inline bool IsArp(const Bytes& frame) {
  return Load16(&frame[12]) == kEtherTypeArp;
}

inline RouterConfig NatConfig() {
  RouterConfig config;
  DomainConfig guests;
  guests.name = "guests";
  guests.interface = Ipv4Prefix{kGuestsRouter, 24};
  guests.tcp = {{.to = {}, .permit_any = "uplink", .permit = {}}};
  guests.udp = {{.to = {}, .permit_any = "uplink", .permit = {}}};
  guests.icmp = {{.to = {}, .domain = "uplink"}};
  DomainConfig uplink;
  uplink.name = "uplink";
  uplink.interface = Ipv4Prefix{kUplinkRouter, 24};
  uplink.gateway = kGateway;
  uplink.nat = {
      {.domain = "guests", .tcp_ports = 100, .udp_ports = 100, .icmp_ids = 10}};
  config.domains = {guests, uplink};
  config.uplinks = {
      {.instances = {"nic0", "nic1"}, .domain = "uplink", .vlans = {}}};
  config.policies = {{.label = "", .domain = "guests"}};
  config.max_flows = 256;
  return config;
}

// State memory, aligned as a mapping is.
class StateMemory {
 public:
  explicit StateMemory(size_t bytes)
      : bytes_(bytes),
        memory_(static_cast<uint8_t*>(std::aligned_alloc(4096, bytes))) {
    std::fill_n(memory_.get(), bytes, uint8_t{0});
  }
  std::span<uint8_t> span() { return {memory_.get(), bytes_}; }

 private:
  struct Free {
    void operator()(uint8_t* memory) const { std::free(memory); }
  };
  size_t bytes_;
  std::unique_ptr<uint8_t, Free> memory_;
};

class Network {
 public:
  explicit Network(const RouterConfig& config = NatConfig())
      : config_(config), state_(Engine::StateBytes(config)) {
    Start();
    AddDefaults();
  }
  // A new engine on the old state; the ports are new, and nobody joined yet.
  void Restart(const RouterConfig& config) {
    engine_.reset();
    config_ = config;
    Start();
  }
  void AddDefaults() {
    alice_ = AddClient("alice", kAliceMac, &alice);
    bob_ = AddClient("bob", kBobMac, &bob);
    if (config_.uplinks.empty()) return;
    EXPECT_TRUE(engine_->AddUplink(0, 0, &nic0, now_).ok());
    if (config_.uplinks[0].instances.size() > 1) {
      EXPECT_TRUE(engine_->AddUplink(0, 1, &nic1, now_).ok());
    }
    Run();
    nic0.Take();
    nic1.Take();
  }
  MemberId AddClient(const std::string& label, const MacAddress& mac,
                     FakePort* port) {
    auto member = engine_->AddClient(label, mac, port, now_);
    EXPECT_TRUE(member.ok()) << member.status();
    return member.ok() ? member->id : 0;
  }

  // `settled`: no frame is left waiting in its sender's buffers.
  void Run(bool settled = true) {
    for (int i = 0; i < 100 && engine_->Turn(now_); ++i) {
    }
    if (!settled) return;
    for (FakePort* port : {&alice, &bob, &nic0, &nic1}) {
      EXPECT_EQ(port->lent(), 0u);
      EXPECT_EQ(port->allocated(), 0u);
    }
  }
  void Advance(uint64_t ns, bool settled = true) {
    now_ += ns;
    Run(settled);
  }
  // One frame in, what comes of it at `port`.
  std::vector<Bytes> Pass(FakePort& from, Bytes frame, FakePort& to,
                          size_t piece_bytes = 65535) {
    from.Put(std::move(frame), piece_bytes);
    Run();
    return to.Take();
  }
  // The gateway says where it is.
  void LearnGateway() {
    nic0.Put(MakeArp(kGatewayMac, kNic0Mac,
                     {.operation = kArpRequest,
                      .sender_mac = kGatewayMac,
                      .sender_ip = kGateway,
                      .target_mac = {},
                      .target_ip = kUplinkRouter}));
    Run();
    nic0.Take();
  }
  // nic0 takes so many bytes now, and the gateway is known.
  void SetMtu(uint32_t mtu) {
    nic0.set_mtu(mtu);
    nic0.set_link(false);
    Run();
    nic0.set_link(true);
    LearnGateway();
  }
  // Alice's packets, to the router.
  Packet FromAlice() const {
    return {.from = kAliceMac,
            .to = engine_->RouterMac("guests"),
            .source = kAlice,
            .destination = kServer,
            .source_port = 1000,
            .destination_port = 53};
  }
  Packet FromBob() const {
    Packet packet = FromAlice();
    packet.from = kBobMac;
    packet.source = kBob;
    return packet;
  }
  // What answers a packet that left through the uplink.
  Packet Answer(const Seen& seen) const {
    return {.from = kGatewayMac,
            .to = seen.from,
            .source = seen.destination,
            .destination = seen.source,
            .protocol = seen.protocol,
            .source_port = seen.destination_port,
            .destination_port = seen.source_port};
  }

  static std::map<std::string, uint64_t> Read(const Table& table) {
    std::map<std::string, uint64_t> values;
    for (const auto& row : table.rows) values[row[0]] = std::stoull(row[1]);
    return values;
  }
  uint64_t Counter(const std::string& name) const {
    const auto values = Read(engine_->Counters());
    const auto at = values.find(name);
    EXPECT_NE(at, values.end()) << name;
    return at == values.end() ? 0 : at->second;
  }
  uint64_t Drops() const {
    uint64_t drops = 0;
    for (const auto& [name, value] : Read(engine_->Counters())) {
      if (name.starts_with("drop_")) drops += value;
    }
    return drops;
  }
  // A frame that ends here ends in this counter and in no other (S8).
  void ExpectDrop(FakePort& from, Bytes frame, const std::string& reason,
                  const std::string& what = "") {
    const uint64_t before = Counter("drop_" + reason);
    const uint64_t all = Drops();
    const auto counters = Read(engine_->Counters());
    from.Put(std::move(frame));
    Run();
    EXPECT_EQ(Counter("drop_" + reason), before + 1)
        << what << ": " << Difference(counters);
    EXPECT_EQ(Drops(), all + 1) << what << ": " << Difference(counters);
  }
  std::string Difference(std::map<std::string, uint64_t> before) const {
    std::string text;
    for (const auto& [name, value] : Read(engine_->Counters())) {
      if (value != before[name]) {
        text += name + " +" + std::to_string(value - before[name]) + " ";
      }
    }
    return text;
  }

  Engine& engine() { return *engine_; }
  std::span<uint8_t> state() { return state_.span(); }
  uint64_t now() const { return now_; }
  const RouterConfig& config() const { return config_; }
  MemberId alice_id() const { return alice_; }
  MemberId bob_id() const { return bob_; }

  FakePort alice{kAliceMac};
  FakePort bob{kBobMac};
  FakePort nic0{kNic0Mac};
  FakePort nic1{kNic1Mac};

 private:
  void Start() {
    auto engine = Engine::Create(config_, state_.span(), now_);
    ASSERT_TRUE(engine.ok()) << engine.status();
    engine_ = *std::move(engine);
  }

  RouterConfig config_;
  StateMemory state_;
  uint64_t now_ = 1000 * kSecond;
  std::unique_ptr<Engine> engine_;
  MemberId alice_ = 0;
  MemberId bob_ = 0;
};

}  // namespace bulkhead::nic_router

#endif  // BULKHEAD_NIC_ROUTER_ENGINE_TEST_NETWORK_H_
