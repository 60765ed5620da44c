#include "nic_router/dhcp/message.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "nic_router/dhcp/wire_layout.h"

namespace bulkhead::nic_router::dhcp {
namespace {

using Bytes = std::vector<uint8_t>;

constexpr MacAddress kMac = {2, 0, 0, 0, 0, 7};

Message Discover() {
  Message message;
  message.transaction = 0x01020304;
  message.hardware = kMac;
  message.type = MessageType::kDiscover;
  return message;
}

Bytes Built(const Message& message) {
  std::array<uint8_t, kMaxMessageBytes> buffer;
  const size_t size = BuildMessage(message, buffer);
  return Bytes(buffer.begin(), buffer.begin() + size);
}

// A message of a fixed part and these options.
Bytes WithOptions(const Bytes& options) {
  Bytes bytes = Built(Discover());
  bytes.resize(kOptionsAt);
  bytes.insert(bytes.end(), options.begin(), options.end());
  return bytes;
}

Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// Everything that is built is read back as it was.
TEST(Message, RoundTrip) {
  Message in = Discover();
  in.reply = true;
  in.type = MessageType::kAck;
  in.seconds = 3;
  in.broadcast = true;
  in.client_address = 0x0a000102;
  in.your_address = 0x0a000103;
  in.relay_address = 0x0a000104;
  in.requested_address = 0x0a000105;
  in.server_identifier = 0x0a000001;
  in.lease_s = 3600;
  in.renewal_s = 1800;
  in.rebinding_s = 3150;
  in.netmask = 0xffffff00;
  in.broadcast_address = 0x0a0000ff;
  in.routers.Add(0x0a000001);
  in.dns.Add(0x08080808);
  in.dns.Add(0x01010101);
  const std::string name = "lab.example";
  ASSERT_TRUE(in.domain_name.Append(Bytes(name.begin(), name.end())));
  ASSERT_TRUE(in.client_identifier.Append(Bytes{1, 2, 0, 0, 0, 0, 7}));
  in.parameters.set(option::kRouter).set(option::kDns);

  const Bytes bytes = Built(in);
  EXPECT_GE(bytes.size(), kMinMessageBytes);
  Message out;
  ASSERT_EQ(ParseMessage(bytes, out), ParseError::kNone);
  EXPECT_TRUE(out.reply);
  EXPECT_EQ(out.type, MessageType::kAck);
  EXPECT_EQ(out.transaction, in.transaction);
  EXPECT_EQ(out.seconds, 3);
  EXPECT_TRUE(out.broadcast);
  EXPECT_EQ(out.client_address, in.client_address);
  EXPECT_EQ(out.your_address, in.your_address);
  EXPECT_EQ(out.relay_address, in.relay_address);
  EXPECT_EQ(out.hardware, kMac);
  EXPECT_EQ(out.requested_address, in.requested_address);
  EXPECT_EQ(out.server_identifier, in.server_identifier);
  EXPECT_EQ(out.lease_s, in.lease_s);
  EXPECT_EQ(out.renewal_s, in.renewal_s);
  EXPECT_EQ(out.rebinding_s, in.rebinding_s);
  EXPECT_EQ(out.netmask, in.netmask);
  EXPECT_EQ(out.broadcast_address, in.broadcast_address);
  EXPECT_EQ(out.routers, in.routers);
  EXPECT_EQ(out.dns, in.dns);
  EXPECT_EQ(out.domain_name, in.domain_name);
  EXPECT_EQ(out.client_identifier, in.client_identifier);
  EXPECT_EQ(out.parameters, in.parameters);
}

// What does not fit is left out, and what is left is a good message.
TEST(Message, TooMuchToSay) {
  Message in = Discover();
  in.netmask = 0xffffff00;
  ASSERT_TRUE(in.client_identifier.Append(Bytes(255, 1)));
  ASSERT_TRUE(in.domain_name.Append(Bytes(255, 'x')));
  for (uint32_t i = 0; i < 20; ++i) in.dns.Add(i);
  const Bytes bytes = Built(in);
  EXPECT_LE(bytes.size(), kMaxMessageBytes);
  Message out;
  ASSERT_EQ(ParseMessage(bytes, out), ParseError::kNone);
  EXPECT_EQ(out.netmask, in.netmask);
  EXPECT_EQ(out.client_identifier, in.client_identifier);
  EXPECT_TRUE(out.domain_name.empty());
}

struct Case {
  const char* what;
  Bytes options;
  ParseError expected;
};

// Options that hostile senders make up: each is read within its field, or
// refused with its reason.
TEST(Message, S7_HostileOptions) {
  const Bytes type = {53, 1, 1};
  const Bytes end = {255};
  const Case cases[] = {
      {"no end option", type, ParseError::kNone},
      {"pads", Bytes(200, 0) + type, ParseError::kNone},
      {"no message type", end, ParseError::kNotDhcp},
      {"type after the end", end + type, ParseError::kNotDhcp},
      {"tag without length", type + Bytes{12}, ParseError::kOption},
      {"length beyond the message", type + Bytes{12, 4, 'a', 'b'},
       ParseError::kOption},
      {"length 255 at the end", type + Bytes{12, 255}, ParseError::kOption},
      {"type of length 0", {53, 0}, ParseError::kOption},
      {"type of length 2", {53, 2, 1, 1}, ParseError::kOption},
      {"type 0", {53, 1, 0}, ParseError::kOption},
      {"type 9", {53, 1, 9}, ParseError::kOption},
      {"two types", type + Bytes{53, 1, 3}, ParseError::kContradicts},
      {"the same type twice", type + type, ParseError::kNone},
      {"address of length 3", type + Bytes{50, 3, 1, 2, 3},
       ParseError::kOption},
      {"address of length 5", type + Bytes{50, 5, 1, 2, 3, 4, 5},
       ParseError::kOption},
      {"two addresses", type + Bytes{50, 4, 1, 2, 3, 4, 50, 4, 1, 2, 3, 5},
       ParseError::kContradicts},
      {"no DNS server", type + Bytes{6, 0}, ParseError::kOption},
      {"half a DNS server", type + Bytes{6, 6, 1, 2, 3, 4, 5, 6},
       ParseError::kOption},
      {"63 DNS servers", type + Bytes{6, 252} + Bytes(252, 9),
       ParseError::kNone},
      {"empty client identifier", type + Bytes{61, 0}, ParseError::kOption},
      {"identifier in two parts", type + Bytes{61, 1, 9, 61, 1, 8},
       ParseError::kNone},
      {"identifier in two parts, too long",
       type + (Bytes{61, 255} + Bytes(255, 9)) + Bytes{61, 1, 9},
       ParseError::kOption},
      {"overload 0", type + Bytes{52, 1, 0}, ParseError::kOption},
      {"overload 4", type + Bytes{52, 1, 4}, ParseError::kOption},
      {"overload twice", type + Bytes{52, 1, 1, 52, 1, 1},
       ParseError::kOverload},
      {"overload into empty fields", type + Bytes{52, 1, 3}, ParseError::kNone},
      {"empty parameter list", type + Bytes{55, 0}, ParseError::kNone},
  };
  for (const Case& c : cases) {
    Message message;
    EXPECT_EQ(ParseMessage(WithOptions(c.options), message), c.expected)
        << c.what;
  }
}

// Thousands of options in the largest frame: one pass, and the list of servers
// keeps its size.
TEST(Message, S7_OptionBomb) {
  Bytes options = {53, 1, 1};
  while (options.size() < 60'000) options = options + Bytes{6, 4, 1, 2, 3, 4};
  Message message;
  EXPECT_EQ(ParseMessage(WithOptions(options), message), ParseError::kNone);
  EXPECT_EQ(message.dns.addresses().size(), AddressList::kCapacity);
}

// Options in the file and server name fields count when the overload option
// says so, and an overload in there is refused.
TEST(Message, Overload) {
  Bytes bytes = WithOptions({52, 1, 3});
  bytes[kFileAt] = 53;
  bytes[kFileAt + 1] = 1;
  bytes[kFileAt + 2] = 3;
  const Bytes address = {50, 4, 10, 0, 0, 5, 255};
  std::copy(address.begin(), address.end(), bytes.begin() + kServerNameAt);
  Message message;
  ASSERT_EQ(ParseMessage(bytes, message), ParseError::kNone);
  EXPECT_EQ(message.type, MessageType::kRequest);
  EXPECT_EQ(message.requested_address, 0x0a000005u);

  bytes[kFileAt + 3] = 52;
  bytes[kFileAt + 4] = 1;
  bytes[kFileAt + 5] = 2;
  EXPECT_EQ(ParseMessage(bytes, message), ParseError::kOverload);

  // An option that runs from one field into the next.
  bytes[kFileAt + 3] = 12;
  bytes[kFileAt + 4] = 200;
  EXPECT_EQ(ParseMessage(bytes, message), ParseError::kOption);
}

// Every shorter message than a good one is refused or good, and the fixed part
// has to be Ethernet's.
TEST(Message, S7_TruncatedAndForeign) {
  const Bytes good = WithOptions({53, 1, 1, 50, 4, 10, 0, 0, 5, 255});
  for (size_t size = 0; size < kOptionsAt; ++size) {
    Message message;
    EXPECT_EQ(ParseMessage({good.data(), size}, message),
              ParseError::kTruncated);
  }
  for (const auto& [at, expected] :
       {std::pair{kOpAt, ParseError::kNotDhcp},
        std::pair{kHardwareTypeAt, ParseError::kHardware},
        std::pair{kHardwareLengthAt, ParseError::kHardware},
        std::pair{kCookieAt, ParseError::kNotDhcp}}) {
    Bytes bytes = good;
    bytes[at] = 0x77;
    Message message;
    EXPECT_EQ(ParseMessage(bytes, message), expected) << at;
  }
}

}  // namespace
}  // namespace bulkhead::nic_router::dhcp
