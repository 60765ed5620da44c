#include "nic_router/dhcp/message.h"
#include "nic_router/dhcp/wire_layout.h"
#include "nic_router/packet/bytes.h"

namespace bulkhead::nic_router::dhcp {
namespace {

// Appends options; each is written whole or not at all.
class OptionWriter {
 public:
  // The last byte is kept for the end option.
  explicit OptionWriter(std::span<uint8_t> out)
      : out_(out.first(out.size() - 1)) {}

  void Bytes(uint8_t tag, std::span<const uint8_t> value) {
    if (value.empty() || value.size() > 255) return;
    if (value.size() + 2 > out_.size() - at_) return;
    out_[at_] = tag;
    out_[at_ + 1] = static_cast<uint8_t>(value.size());
    std::copy(value.begin(), value.end(), out_.begin() + at_ + 2);
    at_ += value.size() + 2;
  }
  void Byte(uint8_t tag, uint8_t value) { Bytes(tag, {&value, 1}); }
  void Word(uint8_t tag, std::optional<uint32_t> value) {
    if (!value) return;
    std::array<uint8_t, 4> bytes;
    Store32(bytes.data(), *value);
    Bytes(tag, bytes);
  }
  void Addresses(uint8_t tag, const AddressList& list) {
    std::array<uint8_t, AddressList::kCapacity * 4> bytes;
    size_t size = 0;
    for (const Ipv4Address address : list.addresses()) {
      Store32(&bytes[size], address);
      size += 4;
    }
    Bytes(tag, {bytes.data(), size});
  }
  void Numbers(uint8_t tag, const std::bitset<256>& numbers) {
    std::array<uint8_t, 256> bytes;
    size_t size = 0;
    for (size_t number = 0; number < numbers.size(); ++number) {
      if (numbers[number]) bytes[size++] = static_cast<uint8_t>(number);
    }
    Bytes(tag, {bytes.data(), size});
  }
  size_t size() const { return at_; }

 private:
  std::span<uint8_t> out_;
  size_t at_ = 0;
};

void WriteFixedPart(const Message& message, std::span<uint8_t> out) {
  out[kOpAt] = message.reply ? kReplyOp : kRequestOp;
  out[kHardwareTypeAt] = kEthernet;
  out[kHardwareLengthAt] = kEthernetBytes;
  Store32(&out[kTransactionAt], message.transaction);
  Store16(&out[kSecondsAt], message.seconds);
  Store16(&out[kFlagsAt], message.broadcast ? kBroadcastFlag : 0);
  Store32(&out[kClientAddressAt], message.client_address);
  Store32(&out[kYourAddressAt], message.your_address);
  Store32(&out[kRelayAddressAt], message.relay_address);
  std::copy(message.hardware.begin(), message.hardware.end(),
            out.begin() + kHardwareAt);
  Store32(&out[kCookieAt], kCookie);
}

}  // namespace

size_t BuildMessage(const Message& message,
                    std::span<uint8_t, kMaxMessageBytes> out) {
  std::fill(out.begin(), out.end(), 0);
  WriteFixedPart(message, out);
  OptionWriter options(out.subspan(kOptionsAt));
  options.Byte(option::kMessageType, static_cast<uint8_t>(message.type));
  options.Word(option::kServerIdentifier, message.server_identifier);
  options.Word(option::kRequestedAddress, message.requested_address);
  options.Word(option::kLeaseTime, message.lease_s);
  options.Word(option::kRenewalTime, message.renewal_s);
  options.Word(option::kRebindingTime, message.rebinding_s);
  // RFC 2132 3.3: before the router.
  options.Word(option::kNetmask, message.netmask);
  options.Word(option::kBroadcastAddress, message.broadcast_address);
  options.Bytes(option::kClientIdentifier, message.client_identifier.bytes());
  options.Addresses(option::kRouter, message.routers);
  options.Addresses(option::kDns, message.dns);
  options.Numbers(option::kParameterList, message.parameters);
  options.Bytes(option::kDomainName, message.domain_name.bytes());
  const size_t end = kOptionsAt + options.size();
  out[end] = option::kEnd;
  return std::max(end + 1, kMinMessageBytes);
}

}  // namespace bulkhead::nic_router::dhcp
