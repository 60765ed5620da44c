#include "nic_router/dhcp/server.h"

#include <gtest/gtest.h>

#include <string>

namespace bulkhead::nic_router::dhcp {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;
constexpr Ipv4Address kRouter = 0x0a000101;
constexpr Ipv4Address kFirst = 0x0a000102;
constexpr Ipv4Address kLast = 0x0a000104;  // Three addresses.
constexpr MacAddress kAnna = {2, 0, 0, 0, 0, 1};
constexpr MacAddress kBert = {2, 0, 0, 0, 0, 2};
constexpr MacAddress kCarl = {2, 0, 0, 0, 0, 3};
constexpr MacAddress kDora = {2, 0, 0, 0, 0, 4};

class ServerTest : public testing::Test {
 protected:
  static DhcpServer::Settings Settings() {
    DhcpServerConfig config;
    config.first = kFirst;
    config.last = kLast;
    config.lease_s = 100;
    config.dns = {0x08080808};
    config.domain_name = "lab.example";
    return {"guests", {kRouter, 24}, config};
  }

  static Message Ask(MessageType type, const MacAddress& mac) {
    Message message;
    message.type = type;
    message.transaction = 77;
    message.hardware = mac;
    return message;
  }

  ServerVerdict Handle(const Message& message) {
    return HandleFrom(message.hardware, message);
  }
  ServerVerdict HandleFrom(const MacAddress& sender, const Message& message) {
    std::array<uint8_t, kMaxMessageBytes> bytes;
    const size_t size = BuildMessage(message, bytes);
    const ServerVerdict verdict =
        server_.Handle({bytes.data(), size}, sender, now_, reply_);
    if (verdict == ServerVerdict::kAnswered) {
      EXPECT_EQ(ParseMessage({reply_.bytes.data(), reply_.size}, answer_),
                ParseError::kNone);
      EXPECT_TRUE(answer_.reply);
      EXPECT_EQ(answer_.transaction, 77u);
      EXPECT_EQ(answer_.hardware, message.hardware);
      EXPECT_EQ(answer_.server_identifier, kRouter);
    }
    return verdict;
  }
  // DISCOVER and REQUEST; the address, or 0.
  Ipv4Address Lease(const MacAddress& mac) {
    if (Handle(Ask(MessageType::kDiscover, mac)) != ServerVerdict::kAnswered) {
      return 0;
    }
    Message request = Ask(MessageType::kRequest, mac);
    request.server_identifier = kRouter;
    request.requested_address = answer_.your_address;
    EXPECT_EQ(Handle(request), ServerVerdict::kAnswered);
    EXPECT_EQ(answer_.type, MessageType::kAck);
    return answer_.your_address;
  }
  // A request without a server identifier: INIT-REBOOT, or RENEWING with
  // `has`.
  MessageType Again(const MacAddress& mac, Ipv4Address wanted, bool has) {
    Message request = Ask(MessageType::kRequest, mac);
    if (has) {
      request.client_address = wanted;
    } else {
      request.requested_address = wanted;
    }
    EXPECT_EQ(Handle(request), ServerVerdict::kAnswered);
    return answer_.type;
  }

  alignas(8) std::byte region_[64 * sizeof(LeaseEntry)] = {};
  LeaseMemory memory_{region_};
  uint64_t now_ = kSecond;
  DhcpServer server_{Settings(), memory_, now_};
  ServerReply reply_;
  Message answer_;
};

// The usual exchange: the answers say everything that the domain's
// configuration does, and go to the client alone.
TEST_F(ServerTest, DiscoverToAck) {
  EXPECT_EQ(Lease(kAnna), kFirst);
  EXPECT_EQ(answer_.lease_s, 100u);
  EXPECT_EQ(answer_.renewal_s, 50u);
  EXPECT_EQ(answer_.rebinding_s, 87u);
  EXPECT_EQ(answer_.netmask, 0xffffff00u);
  EXPECT_EQ(answer_.broadcast_address, 0x0a0001ffu);
  ASSERT_EQ(answer_.routers.addresses().size(), 1u);
  EXPECT_EQ(answer_.routers.addresses()[0], kRouter);
  ASSERT_EQ(answer_.dns.addresses().size(), 1u);
  EXPECT_EQ(answer_.dns.addresses()[0], 0x08080808u);
  const auto name = answer_.domain_name.bytes();
  EXPECT_EQ(std::string(name.begin(), name.end()), "lab.example");
  EXPECT_EQ(reply_.to, kFirst);
  EXPECT_EQ(reply_.to_mac, kAnna);
  EXPECT_EQ(server_.counters().offers, 1u);
  EXPECT_EQ(server_.counters().acks, 1u);
}

// Only what the parameter list asks for is said, the netmask and the client
// identifier in any case.
TEST_F(ServerTest, ParameterListAndClientIdentifier) {
  Message discover = Ask(MessageType::kDiscover, kAnna);
  discover.parameters.set(option::kDns);
  const uint8_t identifier[] = {0xff, 1, 2, 3};
  ASSERT_TRUE(discover.client_identifier.Append(identifier));
  ASSERT_EQ(Handle(discover), ServerVerdict::kAnswered);
  EXPECT_FALSE(answer_.dns.empty());
  EXPECT_TRUE(answer_.routers.empty());
  EXPECT_TRUE(answer_.domain_name.empty());
  EXPECT_FALSE(answer_.broadcast_address.has_value());
  EXPECT_TRUE(answer_.netmask.has_value());
  EXPECT_EQ(answer_.client_identifier, discover.client_identifier);
}

// A client that cannot receive unicast yet says so and gets a broadcast; one
// that renews has its address.
TEST_F(ServerTest, WhereAnswersGo) {
  Message discover = Ask(MessageType::kDiscover, kAnna);
  discover.broadcast = true;
  ASSERT_EQ(Handle(discover), ServerVerdict::kAnswered);
  EXPECT_EQ(reply_.to, 0xffffffffu);
  EXPECT_EQ(reply_.to_mac, (MacAddress{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}));
  Lease(kAnna);
  EXPECT_EQ(Again(kAnna, kFirst, true), MessageType::kAck);
  EXPECT_EQ(reply_.to, kFirst);
  EXPECT_EQ(answer_.client_address, kFirst);
}

// An offer is reserved for its time, then it is free.
TEST_F(ServerTest, OffersAreReservedForABoundedTime) {
  for (const MacAddress& mac : {kAnna, kBert, kCarl}) {
    ASSERT_EQ(Handle(Ask(MessageType::kDiscover, mac)),
              ServerVerdict::kAnswered);
  }
  EXPECT_EQ(Handle(Ask(MessageType::kDiscover, kDora)),
            ServerVerdict::kExhausted);
  EXPECT_EQ(server_.counters().exhausted, 1u);
  now_ += DhcpServer::kOfferNs;
  server_.Expire(now_);
  EXPECT_EQ(Lease(kDora), kFirst);
}

// Who comes again, however often and with whatever wish, has one address; the
// others find theirs (attack 25: starvation).
TEST_F(ServerTest, OneClientHoldsOneAddress) {
  for (int i = 0; i < 100; ++i) {
    Message discover = Ask(MessageType::kDiscover, kAnna);
    discover.requested_address = kFirst + i % 3;
    const uint8_t identifier = static_cast<uint8_t>(i);
    ASSERT_TRUE(discover.client_identifier.Append({&identifier, 1}));
    ASSERT_EQ(Handle(discover), ServerVerdict::kAnswered);
    EXPECT_EQ(answer_.your_address, kFirst);
  }
  EXPECT_EQ(Lease(kBert), kFirst + 1);
  EXPECT_EQ(Lease(kCarl), kFirst + 2);
}

// A message that speaks for another MAC is dropped, and changes nothing.
TEST_F(ServerTest, SpoofedHardwareAddress) {
  ASSERT_EQ(Lease(kAnna), kFirst);
  for (const MessageType type :
       {MessageType::kDiscover, MessageType::kRequest, MessageType::kRelease,
        MessageType::kDecline, MessageType::kInform}) {
    Message message = Ask(type, kAnna);
    message.server_identifier = kRouter;
    message.client_address = kFirst;
    message.requested_address = kFirst;
    EXPECT_EQ(HandleFrom(kBert, message), ServerVerdict::kSpoofed);
  }
  EXPECT_EQ(server_.pool().Find(kAnna)->state, LeaseState::kBound);
}

// A client gets its former address again, after a release and after the lease
// ended, as long as there are others for the rest; when there are not, the one
// that ended first is given away.
TEST_F(ServerTest, FormerAddress) {
  ASSERT_EQ(Lease(kAnna), kFirst);
  ASSERT_EQ(Lease(kBert), kFirst + 1);
  Message release = Ask(MessageType::kRelease, kBert);
  release.server_identifier = kRouter;
  release.client_address = kFirst + 1;
  EXPECT_EQ(Handle(release), ServerVerdict::kTaken);
  EXPECT_EQ(Handle(release), ServerVerdict::kTaken);  // Sent again.
  now_ += 101 * kSecond;
  server_.Expire(now_);
  EXPECT_EQ(Lease(kCarl), kFirst + 2);
  EXPECT_EQ(Lease(kAnna), kFirst);
  EXPECT_EQ(Lease(kDora), kFirst + 1);
  EXPECT_EQ(Lease(kBert), 0u);
}

// The four kinds of REQUEST that are refused, and those that are granted.
TEST_F(ServerTest, Requests) {
  ASSERT_EQ(Lease(kAnna), kFirst);
  EXPECT_EQ(Again(kAnna, kFirst, false), MessageType::kAck);
  EXPECT_EQ(Again(kAnna, kFirst, true), MessageType::kAck);
  EXPECT_EQ(Again(kAnna, kFirst + 1, false), MessageType::kNak);
  EXPECT_EQ(reply_.to, 0xffffffffu);
  EXPECT_EQ(Again(kBert, kFirst, true), MessageType::kNak);
  EXPECT_EQ(Again(kBert, 0x0a000201, false), MessageType::kNak);
  EXPECT_EQ(Again(kBert, kRouter, true), MessageType::kNak);
  // Nothing is known of it, but the address is free.
  EXPECT_EQ(Again(kBert, kFirst + 1, true), MessageType::kAck);
  // Selecting something that was not offered.
  Message request = Ask(MessageType::kRequest, kCarl);
  request.server_identifier = kRouter;
  request.requested_address = kFirst + 2;
  ASSERT_EQ(Handle(request), ServerVerdict::kAnswered);
  EXPECT_EQ(answer_.type, MessageType::kNak);
  EXPECT_EQ(server_.counters().naks, 5u);
}

// A lease is renewed by as much as it lasted at first.
TEST_F(ServerTest, Renewal) {
  ASSERT_EQ(Lease(kAnna), kFirst);
  for (int i = 0; i < 10; ++i) {
    now_ += 50 * kSecond;
    server_.Expire(now_);
    EXPECT_EQ(Again(kAnna, kFirst, true), MessageType::kAck);
  }
  EXPECT_EQ(server_.pool().Find(kAnna)->expires_ns, now_ + 100 * kSecond);
}

// Who took another server's offer leaves ours to others.
TEST_F(ServerTest, AnotherServerWasSelected) {
  ASSERT_EQ(Handle(Ask(MessageType::kDiscover, kAnna)),
            ServerVerdict::kAnswered);
  Message request = Ask(MessageType::kRequest, kAnna);
  request.server_identifier = kRouter + 100;
  request.requested_address = 0x0a000199;
  EXPECT_EQ(Handle(request), ServerVerdict::kTaken);
  EXPECT_EQ(server_.pool().Find(kAnna)->state, LeaseState::kFormer);
}

// A declined address is given to nobody for a while; a client that declines
// everything takes two addresses out of the range at most.
TEST_F(ServerTest, DeclinesAreBounded) {
  for (int i = 0; i < 50; ++i) {
    const Ipv4Address address = Lease(kAnna);
    ASSERT_NE(address, 0u);
    Message decline = Ask(MessageType::kDecline, kAnna);
    decline.server_identifier = kRouter;
    decline.requested_address = address;
    EXPECT_EQ(Handle(decline), ServerVerdict::kTaken);
    EXPECT_EQ(Handle(decline), ServerVerdict::kUnknownLease);
  }
  EXPECT_NE(Lease(kAnna), 0u);
  EXPECT_NE(Lease(kBert), 0u);
  EXPECT_EQ(Lease(kCarl), 0u);
  now_ += DhcpServer::kDeclinedNs;
  server_.Expire(now_);
  EXPECT_NE(Lease(kCarl), 0u);
}

// INFORM is told of the network and gets no lease; from elsewhere it is
// malformed.
TEST_F(ServerTest, Inform) {
  Message inform = Ask(MessageType::kInform, kAnna);
  inform.client_address = 0x0a000163;
  ASSERT_EQ(Handle(inform), ServerVerdict::kAnswered);
  EXPECT_EQ(answer_.type, MessageType::kAck);
  EXPECT_EQ(answer_.your_address, 0u);
  EXPECT_FALSE(answer_.lease_s.has_value());
  EXPECT_FALSE(answer_.dns.empty());
  EXPECT_EQ(reply_.to, 0x0a000163u);
  inform.client_address = 0x08080808;
  EXPECT_EQ(Handle(inform), ServerVerdict::kMalformed);
}

// What is not for a server, or came from a relay, is dropped by that name.
TEST_F(ServerTest, NotForUs) {
  Message message = Ask(MessageType::kOffer, kAnna);
  EXPECT_EQ(Handle(message), ServerVerdict::kNotForServers);
  message = Ask(MessageType::kDiscover, kAnna);
  message.reply = true;
  EXPECT_EQ(Handle(message), ServerVerdict::kNotForServers);
  message.reply = false;
  message.relay_address = 0x0a000109;
  EXPECT_EQ(Handle(message), ServerVerdict::kRelayed);
  message = Ask(MessageType::kRequest, kAnna);
  EXPECT_EQ(Handle(message), ServerVerdict::kMalformed);
}

// DNS servers of another domain: told to who asks from now on, and only a
// change calls for a link pulse.
TEST_F(ServerTest, PropagatedDns) {
  AddressList dns;
  dns.Add(0x01010101);
  dns.Add(0x02020202);
  EXPECT_TRUE(server_.SetDns(dns));
  EXPECT_FALSE(server_.SetDns(dns));
  ASSERT_NE(Lease(kAnna), 0u);
  EXPECT_EQ(answer_.dns, dns);
}

}  // namespace
}  // namespace bulkhead::nic_router::dhcp
