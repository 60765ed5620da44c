#include "nic_router/ipv6/neighbour_discovery.h"

#include <gtest/gtest.h>

#include <vector>

#include "nic_router/packet/ethernet.h"
#include "nic_router/packet/ipv4.h"
#include "nic_router/packet/ipv6.h"

namespace bulkhead::nic_router::ipv6 {
namespace {

using Bytes = std::vector<uint8_t>;

constexpr uint64_t kSecond = 1'000'000'000;
constexpr MacAddress kRouterMac = {2, 0, 0, 0, 0, 1};
constexpr MacAddress kAnna = {2, 0, 0, 0, 0, 7};
constexpr MacAddress kBert = {2, 0, 0, 0, 0, 8};

constexpr Ipv6Address Lab(uint8_t last) {
  return {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last};
}
constexpr Ipv6Address kRouter = Lab(1);

class NeighbourDiscoveryTest : public testing::Test {
 protected:
  // A client's message of this type about `target`, with its MAC as option.
  NdResult Handle(uint8_t type, const MacAddress& sender,
                  const Ipv6Address& from, const Ipv6Address& to,
                  const Ipv6Address& target = {},
                  std::optional<MacAddress> option = std::nullopt,
                  bool from_client = true) {
    Bytes message(type == 133 ? 8 : 24);
    message[0] = type;
    if (type != 133) {
      std::copy(target.begin(), target.end(), message.begin() + 8);
    }
    if (option) {
      message.push_back(type == 136 ? 2 : 1);
      message.push_back(1);
      message.insert(message.end(), option->begin(), option->end());
    }
    Bytes packet(kIpv6Bytes + message.size());
    WriteIpv6(packet,
              {.source = from,
               .destination = to,
               .next_header = kProtocolIcmp6,
               .hop_limit = kNdHopLimit},
              message.size());
    std::copy(message.begin(), message.end(), packet.begin() + kIpv6Bytes);
    const NdResult result = discovery_.Handle({.packet = packet,
                                               .message_offset = kIpv6Bytes,
                                               .message_bytes = message.size(),
                                               .sender = sender,
                                               .from_client = from_client,
                                               .router_mac = kRouterMac},
                                              now_, out_);
    if (result.reply) Read();
    return result;
  }
  void Read() {
    const auto ethernet = EthernetView::In(out_.frame());
    to_mac_ = ethernet->destination();
    const auto packet = out_.frame().subspan(kEthernetBytes);
    EXPECT_EQ(
        ParseNdMessage(packet, kIpv6Bytes, packet.size() - kIpv6Bytes, sent_),
        NdError::kNone);
  }

  bool Asks(const Ipv6Address& address) {
    if (!discovery_.Open(address, now_)) return false;
    discovery_.Solicit(address, kRouterMac, out_);
    return true;
  }
  bool Advertises() {
    if (!discovery_.AdvertisementIsDue(now_)) return false;
    discovery_.Advertise(kRouterMac, out_);
    Read();
    return true;
  }

  uint64_t now_ = kSecond;
  NeighbourDiscovery discovery_{
      {.interface = {kRouter, 64}, .advertise = true, .mac = kRouterMac},
      4,
      now_};
  NdFrame out_;
  NdMessage sent_;
  MacAddress to_mac_{};
};

// A question for either of the router's addresses is answered to the asker, who
// is known from then on; one for anybody else is not for the router.
TEST_F(NeighbourDiscoveryTest, AnswersForItsAddresses) {
  for (const Ipv6Address& target : {kRouter, discovery_.link_local()}) {
    const NdResult result =
        Handle(135, kAnna, Lab(7), SolicitedNode(target), target, kAnna);
    ASSERT_TRUE(result.reply);
    EXPECT_EQ(sent_.type, NdType::kNeighbourAdvertisement);
    EXPECT_EQ(sent_.target, target);
    EXPECT_EQ(sent_.source, target);
    EXPECT_EQ(sent_.destination, Lab(7));
    EXPECT_TRUE(sent_.solicited && sent_.from_router);
    EXPECT_EQ(sent_.target_mac, kRouterMac);
    EXPECT_EQ(to_mac_, kAnna);
    ASSERT_TRUE(result.learned.has_value());
    EXPECT_EQ(result.learned->address, Lab(7));
    EXPECT_EQ(result.learned->mac, kAnna);
  }
  EXPECT_EQ(Handle(135, kAnna, Lab(7), SolicitedNode(Lab(8)), Lab(8)).verdict,
            NdVerdict::kNotForRouter);
}

// Who wants to take the router's address hears that it is taken; all hear it.
TEST_F(NeighbourDiscoveryTest, DuplicateAddressDetection) {
  const NdResult result =
      Handle(135, kAnna, {}, SolicitedNode(kRouter), kRouter);
  ASSERT_TRUE(result.reply);
  EXPECT_EQ(sent_.destination, kAllNodes);
  EXPECT_FALSE(sent_.solicited);
  EXPECT_TRUE(sent_.override_entry);
  EXPECT_FALSE(result.learned.has_value());
}

// An answer counts once, to an open question, in time.
TEST_F(NeighbourDiscoveryTest, AnswersCountToOpenQuestions) {
  const auto answer = [this] {
    return Handle(136, kAnna, Lab(7), kRouter, Lab(7), kAnna);
  };
  EXPECT_EQ(answer().verdict, NdVerdict::kUnexpected);
  ASSERT_TRUE(Asks(Lab(7)));
  Read();
  EXPECT_EQ(sent_.type, NdType::kNeighbourSolicitation);
  EXPECT_EQ(sent_.destination, SolicitedNode(Lab(7)));
  EXPECT_EQ(sent_.source, kRouter);
  EXPECT_EQ(answer().learned->mac, kAnna);
  EXPECT_EQ(answer().verdict, NdVerdict::kUnexpected);
  ASSERT_TRUE(Asks(Lab(7)));
  now_ += NeighbourDiscovery::kOpenNs;
  EXPECT_EQ(answer().verdict, NdVerdict::kUnexpected);
}

// A client that speaks of another's MAC, or claims the router's address, is
// refused; what comes from a wire may speak for others.
TEST_F(NeighbourDiscoveryTest, SpoofedMessages) {
  ASSERT_TRUE(Asks(Lab(7)));
  NdResult result = Handle(136, kBert, Lab(7), kRouter, Lab(7), kAnna);
  EXPECT_EQ(result.verdict, NdVerdict::kSpoofed);
  EXPECT_FALSE(result.learned.has_value());
  result = Handle(135, kBert, Lab(8), SolicitedNode(kRouter), kRouter, kAnna);
  EXPECT_EQ(result.verdict, NdVerdict::kSpoofed);
  result = Handle(133, kBert, Lab(8), kAllNodes, {}, kAnna);
  EXPECT_EQ(result.verdict, NdVerdict::kSpoofed);
  result = Handle(136, kBert, kRouter, kAllNodes, kRouter, kBert);
  EXPECT_EQ(result.verdict, NdVerdict::kSpoofed);
  result = Handle(136, kBert, Lab(7), kRouter, Lab(7), kAnna, false);
  EXPECT_EQ(result.learned->mac, kAnna);
}

// Only so many questions are open at a time; the same one again is no second.
TEST_F(NeighbourDiscoveryTest, OpenQuestionsAreBounded) {
  for (size_t i = 0; i < NeighbourDiscovery::kMaxOpen; ++i) {
    for (int again = 0; again < 2; ++again) {
      ASSERT_TRUE(Asks(Lab(static_cast<uint8_t>(10 + i))));
    }
  }
  EXPECT_FALSE(Asks(Lab(200)));
  now_ += NeighbourDiscovery::kOpenNs;
  EXPECT_TRUE(Asks(Lab(200)));
}

// Three advertisements soon after the start, then between 200 and 600 s apart.
TEST_F(NeighbourDiscoveryTest, PeriodicAdvertisements) {
  std::vector<uint64_t> times;
  while (times.size() < 8) {
    now_ = std::max(now_, *discovery_.NextDeadline());
    ASSERT_TRUE(Advertises());
    EXPECT_FALSE(Advertises());
    EXPECT_EQ(sent_.type, NdType::kRouterAdvertisement);
    EXPECT_EQ(sent_.source_mac, kRouterMac);
    EXPECT_EQ(sent_.destination, kAllNodes);
    EXPECT_EQ(sent_.source, discovery_.link_local());
    times.push_back(now_);
  }
  EXPECT_EQ(times[1] - times[0], 16 * kSecond);
  EXPECT_EQ(times[2] - times[1], 16 * kSecond);
  for (size_t i = 3; i < times.size(); ++i) {
    EXPECT_GE(times[i] - times[i - 1], 200 * kSecond);
    EXPECT_LE(times[i] - times[i - 1], 600 * kSecond);
  }
}

// A host that asks is answered alone; hosts without an address get an
// advertisement to all, however many ask not more often than every 3 s.
TEST_F(NeighbourDiscoveryTest, Solicitations) {
  ASSERT_TRUE(Advertises());
  const NdResult result =
      Handle(133, kAnna, LinkLocal(kAnna), kAllNodes, {}, kAnna);
  ASSERT_TRUE(result.reply);
  EXPECT_EQ(sent_.type, NdType::kRouterAdvertisement);
  EXPECT_EQ(sent_.destination, LinkLocal(kAnna));
  EXPECT_EQ(to_mac_, kAnna);
  int sent = 0;
  const uint64_t end = now_ + 30 * kSecond;
  for (; now_ < end; now_ += kSecond / 10) {
    EXPECT_FALSE(Handle(133, kAnna, {}, kAllNodes).reply);
    if (Advertises()) ++sent;
  }
  EXPECT_GE(sent, 9);
  EXPECT_LE(sent, 10);
}

// A router that advertises no longer says so; one that never did is silent.
TEST_F(NeighbourDiscoveryTest, FarewellAndSilence) {
  discovery_.Farewell(kRouterMac, out_);
  EXPECT_EQ(out_.frame()[kEthernetBytes + kIpv6Bytes + 6], 0);
  EXPECT_EQ(out_.frame()[kEthernetBytes + kIpv6Bytes + 7], 0);
  NeighbourDiscovery silent({.interface = {kRouter, 64}, .mac = kRouterMac}, 4,
                            now_);
  EXPECT_FALSE(silent.AdvertisementIsDue(now_ + 10000 * kSecond));
  EXPECT_FALSE(silent.NextDeadline().has_value());
}

}  // namespace
}  // namespace bulkhead::nic_router::ipv6
