// The engine's test network with DHCP and IPv6 in the domain of its clients:
// the whole router but for its sessions, for attacks on all of it.
#ifndef BULKHEAD_NIC_ROUTER_HOSTILE_HOSTILE_NETWORK_H_
#define BULKHEAD_NIC_ROUTER_HOSTILE_HOSTILE_NETWORK_H_

#include <map>
#include <string>

#include "nic_router/dhcp/message.h"
#include "nic_router/engine/test_network.h"
#include "nic_router/ipv6/nd_message.h"
#include "nic_router/packet/ipv6.h"
#include "nic_router/protocols/domain_protocols.h"

namespace bulkhead::nic_router {

constexpr Ipv6Address Guest6(uint8_t last) {
  return {0xfd, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, last};
}
constexpr Ipv6Address kGuestsRouter6 = Guest6(1);

inline RouterConfig HostileConfig() {
  RouterConfig config = NatConfig();
  DomainConfig& guests = config.domains[0];
  guests.interface6 = Ipv6Prefix{kGuestsRouter6, 64};
  guests.dhcp_server.emplace();
  guests.dhcp_server->first = Ip(10, 0, 1, 100);
  guests.dhcp_server->last = Ip(10, 0, 1, 100);  // One address.
  return config;
}

// An ICMPv6 message with a right checksum.
inline Bytes MakeIcmp6(const MacAddress& from, const MacAddress& to,
                       const Ipv6Address& source,
                       const Ipv6Address& destination, Bytes message,
                       uint8_t hop_limit = 255) {
  Bytes frame(kEthernetBytes + kIpv6Bytes);
  auto ethernet = EthernetWriter::In(frame);
  ethernet->set_destination(to);
  ethernet->set_source(from);
  ethernet->set_type(kEtherTypeIpv6);
  WriteIpv6(std::span(frame).subspan(kEthernetBytes),
            {.source = source,
             .destination = destination,
             .next_header = kProtocolIcmp6,
             .hop_limit = hop_limit},
            message.size());
  Store16(&message[kIcmpChecksumOffset], 0);
  ChecksumSum sum = PseudoHeader6(source, destination, kProtocolIcmp6,
                                  static_cast<uint32_t>(message.size()));
  sum.Add(message);
  Store16(&message[kIcmpChecksumOffset], sum.Checksum());
  frame.insert(frame.end(), message.begin(), message.end());
  return frame;
}

// A neighbour message about `target`, with a MAC option.
inline Bytes NeighbourMessage(uint8_t type, const Ipv6Address& target,
                              const MacAddress& mac) {
  Bytes message(32);
  message[0] = type;
  StoreIpv6(&message[8], target);
  message[24] = type == 136 ? 2 : 1;
  message[25] = 1;
  StoreMac(&message[26], mac);
  return message;
}

inline Bytes MakeDhcp(const MacAddress& from, const dhcp::Message& message,
                      uint16_t from_port = dhcp::kClientPort,
                      uint16_t to_port = dhcp::kServerPort) {
  std::array<uint8_t, dhcp::kMaxMessageBytes> payload;
  const size_t size = dhcp::BuildMessage(message, payload);
  return Make({.from = from,
               .to = kBroadcastMac,
               .source = 0,
               .destination = 0xffffffff,
               .source_port = from_port,
               .destination_port = to_port,
               .payload = Bytes(payload.begin(), payload.begin() + size)});
}
inline dhcp::Message MakeDiscover(const MacAddress& hardware) {
  dhcp::Message message;
  message.type = dhcp::MessageType::kDiscover;
  message.hardware = hardware;
  return message;
}

class HostileNetwork : public Network {
 public:
  explicit HostileNetwork(const RouterConfig& config = HostileConfig())
      : Network(config),
        protocols_(
            config, engine(), 4, [](std::string_view) {}, now()) {
    engine().SetLocalProtocols(&protocols_);
    protocols_.AddClient(alice_id(), "guests", kAliceMac);
    protocols_.AddClient(bob_id(), "guests", kBobMac);
    LearnGateway();
    // Both have been heard of, by IPv4 and by IPv6.
    Pass(alice, Make(FromAlice()), nic0);
    Pass(bob, Make(FromBob()), nic0);
    for (const auto& [port, mac, last] :
         {std::tuple{&alice, kAliceMac, uint8_t{2}},
          std::tuple{&bob, kBobMac, uint8_t{3}}}) {
      Pass(
          *port,
          MakeIcmp6(mac, engine().RouterMac("guests"), Guest6(last),
                    kGuestsRouter6, NeighbourMessage(135, kGuestsRouter6, mac)),
          alice);
    }
    TakeAll();
  }

  void TakeAll() {
    for (FakePort* port : {&alice, &bob, &nic0, &nic1}) port->Take();
  }
  DomainProtocols& protocols() { return protocols_; }

  // Where frames end: reasons of drops, and what became of messages to the
  // router itself.
  std::map<std::string, uint64_t> Ends() {
    std::map<std::string, uint64_t> ends;
    for (const auto& [name, value] : Read(engine().Counters())) {
      if (name.starts_with("drop_")) ends[name.substr(5)] = value;
    }
    const auto messages = Read(protocols_.Counters());
    for (const std::string_view name : kProtocolCounterNames) {
      ends[std::string(name)] = messages.at(std::string(name));
    }
    return ends;
  }
  // The frame ends in `end`, once, and in nothing else.
  void ExpectEnd(FakePort& from, Bytes frame, const std::string& end,
                 const std::string& what) {
    auto before = Ends();
    from.Put(std::move(frame));
    Run();
    std::string changed;
    for (const auto& [name, value] : Ends()) {
      if (value != before[name]) {
        changed += name + "+" + std::to_string(value - before[name]) + " ";
      }
    }
    EXPECT_EQ(changed, end + "+1 ") << what;
  }

 private:
  DomainProtocols protocols_;
};

}  // namespace bulkhead::nic_router

#endif  // BULKHEAD_NIC_ROUTER_HOSTILE_HOSTILE_NETWORK_H_
