// Any bytes as a DHCP message: what is read is built again and read as the
// same.
#include <array>

#include "nic_router/dhcp/message.h"
#include "packet_stream/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace bulkhead::nic_router::dhcp;  // NOLINT
  using bulkhead::packet_stream::FuzzCheck;
  Message message;
  if (ParseMessage({data, size}, message) != ParseError::kNone) return 0;
  FuzzCheck(message.type != MessageType::kNone);
  std::array<uint8_t, kMaxMessageBytes> bytes;
  const size_t built = BuildMessage(message, bytes);
  FuzzCheck(built >= kMinMessageBytes && built <= kMaxMessageBytes);
  Message again;
  FuzzCheck(ParseMessage({bytes.data(), built}, again) == ParseError::kNone);
  FuzzCheck(again.type == message.type);
  FuzzCheck(again.hardware == message.hardware);
  FuzzCheck(again.lease_s == message.lease_s);
  FuzzCheck(again.client_identifier == message.client_identifier);
  return 0;
}
