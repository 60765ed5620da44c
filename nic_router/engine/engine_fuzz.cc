// Whatever clients and the outside send, in whatever pieces, while links come
// and go: no buffer is lost, every frame is in one counter, and the engine goes
// on. The first byte of each step says what happens, the next how long a frame
// follows; frames start as good ones, so that the changes reach far.
#include <cstdlib>
#include <string>

#include "nic_router/engine/engine.h"
#include "nic_router/engine/fake_port.h"
#include "nic_router/packet/arp.h"
#include "nic_router/packet/icmp.h"
#include "nic_router/packet/ipv4.h"
#include "nic_router/packet/ipv6.h"
#include "packet_stream/fuzz_input.h"

namespace {

using namespace bulkhead::nic_router;  // NOLINT
using bulkhead::packet_stream::FuzzCheck;
using bulkhead::packet_stream::FuzzInput;
using Bytes = std::vector<uint8_t>;

constexpr uint64_t kSecond = 1'000'000'000;
constexpr MacAddress kClientMac = {2, 0, 0, 0, 1, 2};
constexpr MacAddress kNicMac = {2, 0, 0, 0, 9, 0};
constexpr MacAddress kPeerMac = {2, 0, 0, 0, 9, 9};

RouterConfig Config() {
  RouterConfig config;
  DomainConfig in;
  in.name = "in";
  in.interface = Ipv4Prefix{0x0a000101, 24};
  Ipv6Prefix network;
  network.address = {0xfd, 1};
  network.bits = 64;
  in.interface6 = network;
  in.tcp = {{.to = {}, .permit_any = "out", .permit = {}}};
  in.udp = {{.to = {}, .permit_any = "out", .permit = {}}};
  in.icmp = {{.to = {}, .domain = "out"}};
  in.ip = {{.to = {0x0a090000, 24}, .domain = "out"}};
  in.ip6 = {{.to = {}, .domain = "out"}};
  DomainConfig out;
  out.name = "out";
  out.interface = Ipv4Prefix{0x0a090001, 24};
  network.address = {0xfd, 9};
  out.interface6 = network;
  out.tcp_forward = {
      {.port = 80, .domain = "in", .to = 0x0a000102, .to_port = 8080}};
  out.nat = {{.domain = "in", .tcp_ports = 6, .udp_ports = 6, .icmp_ids = 3}};
  out.ip = {{.to = {0x0a000100, 24}, .domain = "in"}};
  config.domains = {in, out};
  config.uplinks = {{.instances = {"nic"},
                     .domain = "out",
                     .vlans = {{.vlan = 3, .domain = "in"}}}};
  config.policies = {{.label = "", .domain = "in"}};
  config.max_flows = 8;
  return config;
}

Bytes Good(uint8_t kind, bool outside, const MacAddress& router) {
  Bytes frame(14);
  StoreMac(&frame[0], kind % 7 == 6 ? kBroadcastMac : router);
  StoreMac(&frame[6], outside ? kPeerMac : kClientMac);
  if (kind % 4 == 3) {
    Store16(&frame[12], kEtherTypeArp);
    frame.resize(42);
    WriteArp(std::span(frame).subspan(14),
             {.operation = static_cast<uint16_t>(1 + kind / 16 % 2),
              .sender_mac = outside ? kPeerMac : kClientMac,
              .sender_ip = outside ? 0x0a090009u : 0x0a000102u,
              .target_mac = router,
              .target_ip = outside ? 0x0a090001u : 0x0a000101u});
    return frame;
  }
  const uint8_t protocols[] = {kProtocolTcp, kProtocolUdp, kProtocolIcmp};
  const uint8_t protocol = protocols[kind % 3];
  if (kind >= 0xe0) {
    Store16(&frame[12], kEtherTypeIpv6);
    frame.resize(54 + 24);
    Ipv6Fields fields;
    fields.source = {0xfd, static_cast<uint8_t>(outside ? 9 : 1)};
    fields.source[15] = 2;
    fields.destination = {0xfd, static_cast<uint8_t>(outside ? 1 : 9)};
    fields.destination[15] = 2;
    fields.next_header = protocol == kProtocolIcmp ? kProtocolIcmp6 : protocol;
    WriteIpv6(std::span(frame).subspan(14), fields, 24);
    frame[54 + 12] = 0x50;
    frame[54 + 13] = kind;
    return frame;
  }
  Store16(&frame[12], kEtherTypeIpv4);
  frame.resize(34 + 36);
  WriteIpv4(std::span(frame).subspan(14),
            {.source = outside ? 0x0a090009u : 0x0a000102u,
             .destination = outside ? 0x0a090001u : 0x0a090009u,
             .protocol = protocol,
             .dont_fragment = (kind & 0x10) == 0},
            36);
  uint8_t* const upper = &frame[34];
  if (protocol == kProtocolIcmp) {
    upper[0] = outside ? kIcmpTimeExceeded : kIcmpEchoRequest;
  } else {
    Store16(upper, 1000);
    Store16(upper + 2, 80);
    if (protocol == kProtocolTcp) {
      upper[12] = 0x50;
      upper[13] = 2;
    } else {
      Store16(upper + 4, 36);
    }
  }
  return frame;
}

// Makes good what would stop it at the first check.
void Mend(Bytes& frame) {
  if (frame.size() < 34 || Load16(&frame[12]) != kEtherTypeIpv4) return;
  auto ip = bulkhead::nic_router::Ipv4Writer::In(std::span(frame).subspan(14));
  if (!ip.has_value()) return;
  ip->FillChecksum();
  const size_t upper = 14 + ip->header_bytes();
  if (ip->total_bytes() < ip->header_bytes() ||
      frame.size() < 14u + ip->total_bytes()) {
    return;
  }
  const size_t bytes = ip->total_bytes() - ip->header_bytes();
  const size_t at = ip->protocol() == kProtocolTcp   ? 16
                    : ip->protocol() == kProtocolUdp ? 6
                                                     : 2;
  if (bytes < at + 2) return;
  Store16(&frame[upper + at], 0);
  ChecksumSum sum;
  if (ip->protocol() != kProtocolIcmp) {
    sum = PseudoHeader4(ip->source(), ip->destination(), ip->protocol(),
                        static_cast<uint16_t>(bytes));
  }
  sum.Add(std::span(frame).subspan(upper, bytes));
  Store16(&frame[upper + at], sum.Checksum());
}

struct Totals {
  uint64_t frames = 0;
  uint64_t waiting = 0;
  uint64_t drops = 0;
  uint64_t sent = 0;
};
Totals Read(const Engine& engine) {
  Totals totals;
  for (const auto& row : engine.Counters().rows) {
    const uint64_t value = std::stoull(row[1]);
    if (row[0] == "frames") totals.frames = value;
    if (row[0] == "waiting") totals.waiting = value;
    if (row[0] == "sent") totals.sent = value;
    if (row[0].starts_with("drop_")) totals.drops += value;
  }
  return totals;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const RouterConfig config = Config();
  static const size_t bytes = Engine::StateBytes(config);
  static uint8_t* const state =
      static_cast<uint8_t*>(std::aligned_alloc(4096, bytes));
  std::fill_n(state, bytes, uint8_t{0});
  uint64_t now = kSecond;
  auto engine = Engine::Create(config, {state, bytes}, now);
  FuzzCheck(engine.ok());
  FakePort client(kClientMac);
  FakePort nic(kNicMac);
  FuzzCheck((*engine)->AddClient("a", kClientMac, &client, now).ok());
  FuzzCheck((*engine)->AddUplink(0, 0, &nic, now).ok());
  FuzzInput input(data, size);
  uint64_t put = 0;
  while (!input.empty()) {
    const uint8_t what = input.Byte();
    if (what >= 0xf0) {
      now += kSecond << (what & 7);
    } else if (what >= 0xe8) {
      nic.set_mtu((what & 2) != 0 ? 44 : 1500);
      nic.set_link((what & 1) != 0);
    } else if (what >= 0xe4) {
      nic.set_tx_room(what & 3);
    } else {
      const bool outside = (what & 1) != 0;
      Bytes frame =
          Good(input.Byte(), outside,
               outside ? kNicMac : (*engine)->RouterMac("in", kEveryMember));
      for (uint8_t changes = input.Byte() % 6; changes > 0; --changes) {
        const size_t at = input.Byte() % frame.size();
        frame[at] = input.Byte();
      }
      const uint8_t shape = input.Byte();
      if (shape < 32) frame.resize(1 + shape * 3);
      if ((shape & 0x40) != 0) Mend(frame);
      const size_t piece = (shape & 0x80) != 0 ? 7 + shape % 50u : 65535;
      (outside ? nic : client).Put(std::move(frame), piece);
      ++put;
    }
    while ((*engine)->Turn(now)) {
    }
    // What waits for room does so for a moment.
    while (client.lent() > 0) {
      now += kSecond / 100;
      while ((*engine)->Turn(now)) {
      }
    }
    FuzzCheck(client.lent() == 0 && nic.lent() == 0);
    FuzzCheck(client.allocated() == 0 && nic.allocated() == 0);
    const Totals totals = Read(**engine);
    FuzzCheck(totals.frames + client.waiting() + nic.waiting() == put);
    FuzzCheck(totals.drops + totals.waiting <= totals.frames);
    client.Take();
    nic.Take();
  }
  (void)(*engine)->Links();
  (void)(*engine)->Arp();
  // Whatever state came of it, the next engine reads it.
  FuzzCheck(Engine::Create(config, {state, bytes}, now).ok());
  return 0;
}
