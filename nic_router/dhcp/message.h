// A DHCP message (RFC 2131 2) as values: what the server and the client read,
// and what they answer with. Wire bytes are seen by ParseMessage and
// BuildMessage alone.
//
// Guarantees (S7): ParseMessage reads no byte outside of what it is given, each
// byte at most twice, and either fills a message in which every present field
// has its right length or says what is wrong. Nothing allocates.
#ifndef BULKHEAD_NIC_ROUTER_DHCP_MESSAGE_H_
#define BULKHEAD_NIC_ROUTER_DHCP_MESSAGE_H_

#include <algorithm>
#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "absl/strings/string_view.h"
#include "nic_router/config.h"

namespace bulkhead::nic_router::dhcp {

constexpr uint16_t kServerPort = 67;
constexpr uint16_t kClientPort = 68;
// Of a UDP payload; RFC 2131 2: every client takes so much, and BOOTP relays
// want no less than the minimum.
constexpr size_t kMaxMessageBytes = 548;
constexpr size_t kMinMessageBytes = 300;

// Bytes of an option that has no fixed length, kept without allocation.
template <size_t kCapacity>
class OptionBytes {
 public:
  // False, and nothing kept, when it does not fit.
  bool Append(std::span<const uint8_t> bytes) {
    if (bytes.size() > kCapacity - size_) return false;
    std::copy(bytes.begin(), bytes.end(), bytes_.begin() + size_);
    size_ += bytes.size();
    return true;
  }
  void clear() { size_ = 0; }
  bool empty() const { return size_ == 0; }
  std::span<const uint8_t> bytes() const { return {bytes_.data(), size_}; }
  bool operator==(const OptionBytes& other) const {
    return std::equal(bytes().begin(), bytes().end(), other.bytes().begin(),
                      other.bytes().end());
  }

 private:
  std::array<uint8_t, kCapacity> bytes_{};
  size_t size_ = 0;
};

// DNS servers or routers, in order of preference; more than fit are left out.
class AddressList {
 public:
  static constexpr size_t kCapacity = 8;

  void Add(Ipv4Address address) {
    if (size_ < kCapacity) addresses_[size_++] = address;
  }
  bool empty() const { return size_ == 0; }
  std::span<const Ipv4Address> addresses() const {
    return {addresses_.data(), size_};
  }
  bool operator==(const AddressList&) const = default;

 private:
  std::array<Ipv4Address, kCapacity> addresses_{};  // Zeros beyond size_.
  uint32_t size_ = 0;
};

// RFC 2132 9.6; kNone is a plain BOOTP message, which nobody here speaks.
enum class MessageType : uint8_t {
  kNone = 0,
  kDiscover,
  kOffer,
  kRequest,
  kDecline,
  kAck,
  kNak,
  kRelease,
  kInform,
};

// RFC 2132's numbers.
namespace option {
constexpr uint8_t kPad = 0;
constexpr uint8_t kNetmask = 1;
constexpr uint8_t kRouter = 3;
constexpr uint8_t kDns = 6;
constexpr uint8_t kDomainName = 15;
constexpr uint8_t kBroadcastAddress = 28;
constexpr uint8_t kRequestedAddress = 50;
constexpr uint8_t kLeaseTime = 51;
constexpr uint8_t kOverload = 52;
constexpr uint8_t kMessageType = 53;
constexpr uint8_t kServerIdentifier = 54;
constexpr uint8_t kParameterList = 55;
constexpr uint8_t kMaxMessageSize = 57;
constexpr uint8_t kRenewalTime = 58;
constexpr uint8_t kRebindingTime = 59;
constexpr uint8_t kClientIdentifier = 61;
constexpr uint8_t kEnd = 255;
}  // namespace option

struct Message {
  bool reply = false;  // BOOTREPLY: from a server.
  uint32_t transaction = 0;
  uint16_t seconds = 0;
  bool broadcast = false;
  Ipv4Address client_address = 0;  // ciaddr
  Ipv4Address your_address = 0;    // yiaddr
  Ipv4Address relay_address = 0;   // giaddr
  MacAddress hardware{};           // chaddr

  MessageType type = MessageType::kNone;
  std::optional<Ipv4Address> requested_address;
  std::optional<Ipv4Address> server_identifier;
  std::optional<uint32_t> lease_s;
  std::optional<uint32_t> renewal_s;
  std::optional<uint32_t> rebinding_s;
  std::optional<Ipv4Address> netmask;
  std::optional<Ipv4Address> broadcast_address;
  AddressList routers;
  AddressList dns;
  OptionBytes<255> domain_name;
  OptionBytes<255> client_identifier;
  // What the client asks for; empty when it has no preference. On building, a
  // request's list in this order of numbers.
  std::bitset<256> parameters;
};

enum class ParseError : uint8_t {
  kNone,
  kTruncated,   // Shorter than the fixed part and the cookie.
  kNotDhcp,     // No cookie, or no message type.
  kHardware,    // Not Ethernet.
  kOption,      // An option runs past its field, or has a wrong length.
  kOverload,    // An overload within an overload.
  kContradicts  // The same fixed-length option twice.
};
absl::string_view ParseErrorWord(ParseError error);

// `bytes` is a UDP payload and may be anything. `out` is overwritten; on an
// error it is unspecified.
[[nodiscard]] ParseError ParseMessage(std::span<const uint8_t> bytes,
                                      Message& out);

// Writes `message` and returns its bytes, kMinMessageBytes at least. Options
// that are absent or empty are left out, and so is what does not fit any more:
// the domain name, DNS servers, routers, in this order.
[[nodiscard]] size_t BuildMessage(const Message& message,
                                  std::span<uint8_t, kMaxMessageBytes> out);

}  // namespace bulkhead::nic_router::dhcp

#endif  // BULKHEAD_NIC_ROUTER_DHCP_MESSAGE_H_
