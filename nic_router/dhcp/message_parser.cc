#include "absl/strings/string_view.h"
#include "nic_router/dhcp/message.h"
#include "nic_router/dhcp/wire_layout.h"
#include "nic_router/packet/bytes.h"

namespace bulkhead::nic_router::dhcp {
namespace {

// Options of one message, over the up to three fields that hold them.
class OptionReader {
 public:
  explicit OptionReader(Message& message) : message_(message) {}

  // RFC 2132 3: tag, length, value, until the end option or the field's end.
  // An end option is not insisted on: widespread clients forget it.
  ParseError ReadField(std::span<const uint8_t> field) {
    size_t at = 0;
    while (at < field.size()) {
      const uint8_t tag = field[at++];
      if (tag == option::kPad) continue;
      if (tag == option::kEnd) break;
      if (at == field.size()) return ParseError::kOption;
      const size_t length = field[at++];
      if (length > field.size() - at) return ParseError::kOption;
      const ParseError error = Take(tag, field.subspan(at, length));
      if (error != ParseError::kNone) return error;
      at += length;
    }
    return ParseError::kNone;
  }

  uint8_t overload() const { return overload_; }

 private:
  ParseError Take(uint8_t tag, std::span<const uint8_t> value) {
    switch (tag) {
      case option::kNetmask:
        return TakeWord(value, message_.netmask);
      case option::kBroadcastAddress:
        return TakeWord(value, message_.broadcast_address);
      case option::kRequestedAddress:
        return TakeWord(value, message_.requested_address);
      case option::kServerIdentifier:
        return TakeWord(value, message_.server_identifier);
      case option::kLeaseTime:
        return TakeWord(value, message_.lease_s);
      case option::kRenewalTime:
        return TakeWord(value, message_.renewal_s);
      case option::kRebindingTime:
        return TakeWord(value, message_.rebinding_s);
      case option::kRouter:
        return TakeAddresses(value, message_.routers);
      case option::kDns:
        return TakeAddresses(value, message_.dns);
      case option::kDomainName:
        return TakeBytes(value, message_.domain_name);
      case option::kClientIdentifier:
        return TakeBytes(value, message_.client_identifier);
      case option::kMessageType:
        return TakeType(value);
      case option::kOverload:
        return TakeOverload(value);
      case option::kParameterList:
        for (const uint8_t number : value) message_.parameters.set(number);
        return ParseError::kNone;
      default:
        return ParseError::kNone;
    }
  }

  ParseError TakeWord(std::span<const uint8_t> value,
                      std::optional<uint32_t>& out) {
    if (value.size() != 4) return ParseError::kOption;
    const uint32_t word = Load32(value.data());
    // Two readers of one message must not be able to differ about it.
    if (out && *out != word) return ParseError::kContradicts;
    out = word;
    return ParseError::kNone;
  }

  ParseError TakeAddresses(std::span<const uint8_t> value, AddressList& out) {
    if (value.empty() || value.size() % 4 != 0) return ParseError::kOption;
    for (; !value.empty(); value = value.subspan(4)) {
      out.Add(Load32(value.data()));
    }
    return ParseError::kNone;
  }

  // A second option of the kind continues the first: RFC 3396.
  template <size_t kCapacity>
  ParseError TakeBytes(std::span<const uint8_t> value,
                       OptionBytes<kCapacity>& out) {
    if (value.empty()) return ParseError::kOption;
    return out.Append(value) ? ParseError::kNone : ParseError::kOption;
  }

  ParseError TakeType(std::span<const uint8_t> value) {
    if (value.size() != 1 || value[0] < 1 ||
        value[0] > static_cast<uint8_t>(MessageType::kInform)) {
      return ParseError::kOption;
    }
    const auto type = static_cast<MessageType>(value[0]);
    if (message_.type != MessageType::kNone && message_.type != type) {
      return ParseError::kContradicts;
    }
    message_.type = type;
    return ParseError::kNone;
  }

  // RFC 2132 9.3: 1 the file field, 2 the server name, 3 both.
  ParseError TakeOverload(std::span<const uint8_t> value) {
    if (value.size() != 1 || value[0] < 1 || value[0] > 3) {
      return ParseError::kOption;
    }
    if (overload_ != 0) return ParseError::kOverload;
    overload_ = value[0];
    return ParseError::kNone;
  }

  Message& message_;
  uint8_t overload_ = 0;
};

}  // namespace

absl::string_view ParseErrorWord(ParseError error) {
  switch (error) {
    case ParseError::kNone:
      return "none";
    case ParseError::kTruncated:
      return "truncated";
    case ParseError::kNotDhcp:
      return "not DHCP";
    case ParseError::kHardware:
      return "not Ethernet";
    case ParseError::kOption:
      return "malformed option";
    case ParseError::kOverload:
      return "nested overload";
    case ParseError::kContradicts:
      return "contradicting options";
  }
  return "unknown";
}

ParseError ParseMessage(std::span<const uint8_t> bytes, Message& out) {
  out = Message();
  if (bytes.size() < kOptionsAt) return ParseError::kTruncated;
  if (Load32(&bytes[kCookieAt]) != kCookie) return ParseError::kNotDhcp;
  const uint8_t op = bytes[kOpAt];
  if (op != kRequestOp && op != kReplyOp) return ParseError::kNotDhcp;
  if (bytes[kHardwareTypeAt] != kEthernet ||
      bytes[kHardwareLengthAt] != kEthernetBytes) {
    return ParseError::kHardware;
  }
  out.reply = op == kReplyOp;
  out.transaction = Load32(&bytes[kTransactionAt]);
  out.seconds = Load16(&bytes[kSecondsAt]);
  out.broadcast = (Load16(&bytes[kFlagsAt]) & kBroadcastFlag) != 0;
  out.client_address = Load32(&bytes[kClientAddressAt]);
  out.your_address = Load32(&bytes[kYourAddressAt]);
  out.relay_address = Load32(&bytes[kRelayAddressAt]);
  std::copy_n(&bytes[kHardwareAt], kEthernetBytes, out.hardware.begin());

  OptionReader reader(out);
  ParseError error = reader.ReadField(bytes.subspan(kOptionsAt));
  const uint8_t overload = reader.overload();
  if (error == ParseError::kNone && (overload & 1) != 0) {
    error = reader.ReadField(bytes.subspan(kFileAt, kFileBytes));
  }
  if (error == ParseError::kNone && (overload & 2) != 0) {
    error = reader.ReadField(bytes.subspan(kServerNameAt, kServerNameBytes));
  }
  if (error != ParseError::kNone) return error;
  return out.type == MessageType::kNone ? ParseError::kNotDhcp
                                        : ParseError::kNone;
}

}  // namespace bulkhead::nic_router::dhcp
