#include "nic_router/dhcp/client.h"

#include <gtest/gtest.h>

#include <vector>

namespace bulkhead::nic_router::dhcp {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;
constexpr MacAddress kMac = {2, 0, 0, 0, 0, 7};
constexpr MacAddress kServerMac = {2, 0, 0, 0, 0, 9};
constexpr Ipv4Address kServer = 0x0a000201;
constexpr Ipv4Address kAddress = 0x0a000215;
using State = DhcpClient::State;

class ClientTest : public testing::Test {
 protected:
  // Sends what is due, and nothing twice; the last message, read.
  bool Sends() {
    if (!client_->Poll(now_, out_)) return false;
    EXPECT_EQ(ParseMessage({out_.bytes.data(), out_.size}, sent_),
              ParseError::kNone);
    EXPECT_FALSE(sent_.reply);
    ClientMessage another;
    EXPECT_FALSE(client_->Poll(now_, another));
    return true;
  }
  Message Answer(MessageType type) const {
    Message message;
    message.reply = true;
    message.type = type;
    message.transaction = sent_.transaction;
    message.hardware = sent_.hardware;
    message.server_identifier = kServer;
    if (type == MessageType::kNak) return message;
    message.your_address = kAddress;
    message.netmask = 0xffffff00;
    message.lease_s = 1000;
    message.routers.Add(kServer);
    message.dns.Add(0x08080808);
    return message;
  }
  ClientVerdict Handle(const Message& message) {
    std::array<uint8_t, kMaxMessageBytes> bytes;
    const size_t size = BuildMessage(message, bytes);
    return client_->Handle({bytes.data(), size}, kServerMac, now_);
  }
  void Bind() {
    client_->LinkUp(kMac, now_);
    ASSERT_TRUE(Sends());
    ASSERT_EQ(Handle(Answer(MessageType::kOffer)), ClientVerdict::kTaken);
    ASSERT_TRUE(Sends());
    ASSERT_EQ(Handle(Answer(MessageType::kAck)), ClientVerdict::kTaken);
    ASSERT_EQ(client_->state(), State::kBound);
  }
  // Lets time pass up to the next thing to do.
  bool Later() {
    const auto next = client_->NextDeadline();
    if (!next) return false;
    now_ = std::max(now_, *next);
    return true;
  }
  // The router dies and another one starts.
  void RestartRouter() { client_.emplace("uplink", slot_, 5, now_); }

  alignas(8) std::byte slot_[sizeof(IdentityEntry)] = {};
  uint64_t now_ = kSecond;
  std::optional<DhcpClient> client_{std::in_place, "uplink", slot_, 4, now_};
  ClientMessage out_;
  Message sent_;
};

// The usual exchange gives an identity; each message says what its state must.
TEST_F(ClientTest, DiscoverToBound) {
  EXPECT_FALSE(Sends());  // No link.
  client_->LinkUp(kMac, now_);
  ASSERT_TRUE(Sends());
  EXPECT_EQ(sent_.type, MessageType::kDiscover);
  EXPECT_EQ(sent_.hardware, kMac);
  EXPECT_TRUE(sent_.parameters[option::kDns]);
  EXPECT_EQ(out_.to, 0xffffffffu);
  EXPECT_EQ(out_.from, 0u);

  ASSERT_EQ(Handle(Answer(MessageType::kOffer)), ClientVerdict::kTaken);
  ASSERT_TRUE(Sends());
  EXPECT_EQ(sent_.type, MessageType::kRequest);
  EXPECT_EQ(sent_.requested_address, kAddress);
  EXPECT_EQ(sent_.server_identifier, kServer);
  EXPECT_EQ(sent_.client_address, 0u);
  EXPECT_FALSE(client_->identity().has_value());

  ASSERT_EQ(Handle(Answer(MessageType::kAck)), ClientVerdict::kTaken);
  ASSERT_TRUE(client_->identity().has_value());
  EXPECT_EQ(client_->identity()->interface, (Ipv4Prefix{kAddress, 24}));
  EXPECT_EQ(client_->identity()->gateway, kServer);
  EXPECT_EQ(client_->identity()->dns.addresses()[0], 0x08080808u);
  EXPECT_EQ(client_->TakeChanges(), DhcpClient::kAddressChanged |
                                        DhcpClient::kGatewayChanged |
                                        DhcpClient::kDnsChanged);
  EXPECT_EQ(client_->NextDeadline(), now_ + 500 * kSecond);
}

// Nobody answers: each wait doubles, a second more or less, up to 64 s, and the
// same seed waits the same.
TEST_F(ClientTest, Backoff) {
  client_->LinkUp(kMac, now_);
  std::vector<uint64_t> waits;
  for (int i = 0; i < 8; ++i) {
    ASSERT_TRUE(Sends());
    const uint64_t before = now_;
    ASSERT_TRUE(Later());
    waits.push_back(now_ - before);
  }
  const uint64_t expected[] = {4, 8, 16, 32, 64, 64, 64, 64};
  for (int i = 0; i < 8; ++i) {
    EXPECT_GE(waits[i], (expected[i] - 1) * kSecond);
    EXPECT_LT(waits[i], (expected[i] + 1) * kSecond);
  }
  EXPECT_NE(waits[6], waits[7]);
}

// An offer that is not kept is looked for elsewhere in the end.
TEST_F(ClientTest, ServerThatOffersAndFallsSilent) {
  client_->LinkUp(kMac, now_);
  ASSERT_TRUE(Sends());
  ASSERT_EQ(Handle(Answer(MessageType::kOffer)), ClientVerdict::kTaken);
  int requests = 0;
  while (Sends() && sent_.type == MessageType::kRequest) {
    ++requests;
    ASSERT_TRUE(Later());
  }
  EXPECT_EQ(requests, 3);
  EXPECT_EQ(sent_.type, MessageType::kDiscover);
}

// Renewing goes to the server alone, rebinding to all, and at the end of the
// lease the identity is gone.
TEST_F(ClientTest, RenewingRebindingExpiry) {
  Bind();
  (void)client_->TakeChanges();
  const uint64_t bound = now_;
  ASSERT_TRUE(Later());
  EXPECT_EQ(now_, bound + 500 * kSecond);
  ASSERT_TRUE(Sends());
  EXPECT_EQ(client_->state(), State::kRenewing);
  EXPECT_EQ(sent_.client_address, kAddress);
  EXPECT_FALSE(sent_.requested_address.has_value());
  EXPECT_FALSE(sent_.server_identifier.has_value());
  EXPECT_EQ(out_.to, kServer);
  EXPECT_EQ(out_.to_mac, kServerMac);
  EXPECT_EQ(out_.from, kAddress);

  while (now_ < bound + 875 * kSecond) {
    ASSERT_TRUE(Later());
    ASSERT_TRUE(Sends());
  }
  EXPECT_EQ(client_->state(), State::kRebinding);
  EXPECT_EQ(out_.to, 0xffffffffu);
  while (client_->identity()) {
    ASSERT_TRUE(Later());
    (void)Sends();
  }
  EXPECT_EQ(now_, bound + 1000 * kSecond);
  EXPECT_EQ(client_->TakeChanges(),
            DhcpClient::kAddressChanged | DhcpClient::kGatewayChanged);
  EXPECT_EQ(sent_.type, MessageType::kDiscover);
}

// A renewed lease changes nothing but its times, and says what else it changed.
TEST_F(ClientTest, RenewalReportsWhatChanged) {
  Bind();
  (void)client_->TakeChanges();
  ASSERT_TRUE(Later());
  ASSERT_TRUE(Sends());
  ASSERT_EQ(Handle(Answer(MessageType::kAck)), ClientVerdict::kTaken);
  EXPECT_EQ(client_->TakeChanges(), 0u);
  EXPECT_EQ(client_->identity()->expire_ns, now_ + 1000 * kSecond);

  ASSERT_TRUE(Later());
  ASSERT_TRUE(Sends());
  Message ack = Answer(MessageType::kAck);
  ack.dns.Add(0x01010101);
  ASSERT_EQ(Handle(ack), ClientVerdict::kTaken);
  EXPECT_EQ(client_->TakeChanges(), DhcpClient::kDnsChanged);
}

// The link goes and comes back, as when the driver restarts: the identity stays
// in use, and the server is asked whether it agrees. It does not answer: the
// lease is good until its end. It refuses: the identity is gone.
TEST_F(ClientTest, LinkLossKeepsTheLease) {
  Bind();
  (void)client_->TakeChanges();
  client_->LinkDown();
  EXPECT_FALSE(Sends());
  client_->LinkUp(kMac, now_);
  ASSERT_TRUE(Sends());
  EXPECT_EQ(client_->state(), State::kRebooting);
  EXPECT_EQ(sent_.requested_address, kAddress);
  EXPECT_FALSE(sent_.server_identifier.has_value());
  EXPECT_TRUE(client_->identity().has_value());
  while (client_->state() == State::kRebooting) {
    ASSERT_TRUE(Later());
    (void)Sends();
  }
  EXPECT_EQ(client_->state(), State::kBound);
  EXPECT_EQ(client_->TakeChanges(), 0u);

  client_->LinkUp(kMac, now_);
  ASSERT_TRUE(Sends());
  EXPECT_EQ(Handle(Answer(MessageType::kNak)), ClientVerdict::kTaken);
  EXPECT_FALSE(client_->identity().has_value());
  ASSERT_TRUE(Sends());
  EXPECT_EQ(sent_.type, MessageType::kDiscover);
}

// A lease whose time runs out without a link is over.
TEST_F(ClientTest, ExpiryWithoutLink) {
  Bind();
  client_->LinkDown();
  ASSERT_TRUE(Later());
  EXPECT_EQ(now_, kSecond + 1000 * kSecond);
  EXPECT_FALSE(Sends());
  EXPECT_FALSE(client_->identity().has_value());
  EXPECT_FALSE(Later());
}

// The next router has the identity at once, and asks about it as after a link
// loss, under the name that the server knows although its uplink is another.
TEST_F(ClientTest, RouterRestartKeepsTheLease) {
  Bind();
  RestartRouter();
  EXPECT_FALSE(client_->dropped_stored());
  ASSERT_TRUE(client_->identity().has_value());
  EXPECT_EQ(client_->identity()->interface, (Ipv4Prefix{kAddress, 24}));
  EXPECT_EQ(client_->identity()->gateway, kServer);
  EXPECT_EQ(client_->TakeChanges() & DhcpClient::kAddressChanged,
            DhcpClient::kAddressChanged);
  const MacAddress other = {2, 0, 0, 0, 0, 8};
  client_->LinkUp(other, now_);
  ASSERT_TRUE(Sends());
  EXPECT_EQ(sent_.hardware, other);
  const auto identifier = sent_.client_identifier.bytes();
  ASSERT_EQ(identifier.size(), 7u);
  EXPECT_TRUE(std::equal(kMac.begin(), kMac.end(), identifier.begin() + 1));
  EXPECT_EQ(Handle(Answer(MessageType::kAck)), ClientVerdict::kTaken);
  EXPECT_EQ(client_->state(), State::kBound);
}

// Damaged anywhere, another domain's, or over: not believed.
TEST_F(ClientTest, S7_StoredIdentityIsChecked) {
  Bind();
  for (size_t at = 0; at < sizeof slot_; ++at) {
    slot_[at] ^= std::byte{4};
    RestartRouter();
    EXPECT_TRUE(client_->dropped_stored()) << at;
    EXPECT_FALSE(client_->identity().has_value());
    slot_[at] ^= std::byte{4};
  }
  client_.emplace("another", slot_, 5, now_);
  EXPECT_TRUE(client_->dropped_stored());
  now_ += 1000 * kSecond;
  RestartRouter();
  EXPECT_FALSE(client_->dropped_stored());
  EXPECT_FALSE(client_->identity().has_value());
}

// A server that offers and refuses, again and again: the waits grow.
TEST_F(ClientTest, RefusalsInARowWait) {
  client_->LinkUp(kMac, now_);
  int exchanges = 0;
  while (now_ < 100 * kSecond) {
    if (!Sends()) {
      ASSERT_TRUE(Later());
      continue;
    }
    if (sent_.type == MessageType::kDiscover) {
      ++exchanges;
      ASSERT_EQ(Handle(Answer(MessageType::kOffer)), ClientVerdict::kTaken);
    } else {
      ASSERT_EQ(Handle(Answer(MessageType::kNak)), ClientVerdict::kTaken);
    }
  }
  EXPECT_LE(exchanges, 7);
}

// Answers that are not for us, not awaited, or of no use are dropped by name,
// and change nothing.
TEST_F(ClientTest, S7_HostileAnswers) {
  client_->LinkUp(kMac, now_);
  ASSERT_TRUE(Sends());
  const auto offer = [this](auto change) {
    Message message = Answer(MessageType::kOffer);
    change(message);
    return Handle(message);
  };
  EXPECT_EQ(offer([](Message& m) { ++m.transaction; }),
            ClientVerdict::kNotOurs);
  EXPECT_EQ(offer([](Message& m) { m.hardware[5] ^= 1; }),
            ClientVerdict::kNotOurs);
  EXPECT_EQ(offer([](Message& m) { m.reply = false; }),
            ClientVerdict::kNotOurs);
  EXPECT_EQ(offer([](Message& m) { m.type = MessageType::kAck; }),
            ClientVerdict::kUnexpected);
  EXPECT_EQ(offer([](Message& m) { m.type = MessageType::kNak; }),
            ClientVerdict::kUnexpected);
  EXPECT_EQ(offer([](Message& m) { m.type = MessageType::kInform; }),
            ClientVerdict::kNotOurs);
  for (const Ipv4Address address : {0x00000000u, 0x7f000001u, 0xe0000001u,
                                    0xffffffffu, 0x0a000200u, 0x0a0002ffu}) {
    EXPECT_EQ(offer([&](Message& m) { m.your_address = address; }),
              ClientVerdict::kUnusable);
  }
  for (const uint32_t netmask : {0u, 0xff00ff00u, 0x000000ffu}) {
    EXPECT_EQ(offer([&](Message& m) { m.netmask = netmask; }),
              ClientVerdict::kUnusable);
  }
  EXPECT_EQ(offer([](Message& m) { m.netmask.reset(); }),
            ClientVerdict::kUnusable);
  EXPECT_EQ(offer([](Message& m) { m.lease_s = 0; }), ClientVerdict::kUnusable);
  EXPECT_EQ(offer([](Message& m) { m.server_identifier.reset(); }),
            ClientVerdict::kUnusable);
  const uint8_t garbage[] = {2, 1, 6};
  EXPECT_EQ(client_->Handle(garbage, kServerMac, now_),
            ClientVerdict::kMalformed);
  EXPECT_EQ(client_->state(), State::kSelecting);

  // Another server steps in after the offer.
  ASSERT_EQ(Handle(Answer(MessageType::kOffer)), ClientVerdict::kTaken);
  ASSERT_TRUE(Sends());
  for (const MessageType type : {MessageType::kAck, MessageType::kNak}) {
    Message other = Answer(type);
    other.server_identifier = kServer + 1;
    EXPECT_EQ(Handle(other), ClientVerdict::kUnexpected);
  }
  Message other = Answer(MessageType::kAck);
  other.your_address = kAddress + 1;
  EXPECT_EQ(Handle(other), ClientVerdict::kUnexpected);
  EXPECT_EQ(Handle(Answer(MessageType::kAck)), ClientVerdict::kTaken);
}

// Odd but possible: no gateway in the network, an endless lease, a lease that
// says its own times.
TEST_F(ClientTest, UnusualLeases) {
  client_->LinkUp(kMac, now_);
  ASSERT_TRUE(Sends());
  ASSERT_EQ(Handle(Answer(MessageType::kOffer)), ClientVerdict::kTaken);
  ASSERT_TRUE(Sends());
  Message ack = Answer(MessageType::kAck);
  ack.routers = AddressList();
  ack.routers.Add(0x0b000001);
  ack.lease_s = 0xffffffff;
  ASSERT_EQ(Handle(ack), ClientVerdict::kTaken);
  EXPECT_FALSE(client_->identity()->gateway.has_value());
  EXPECT_FALSE(Later());

  client_->LinkUp(kMac, now_);
  ASSERT_TRUE(Sends());
  ack = Answer(MessageType::kAck);
  ack.renewal_s = 100;
  ack.rebinding_s = 200;
  ASSERT_EQ(Handle(ack), ClientVerdict::kTaken);
  EXPECT_EQ(client_->identity()->renew_ns, now_ + 100 * kSecond);
  EXPECT_EQ(client_->identity()->rebind_ns, now_ + 200 * kSecond);
}

}  // namespace
}  // namespace bulkhead::nic_router::dhcp
