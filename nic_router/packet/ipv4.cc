#include "nic_router/packet/ipv4.h"

#include <cstring>

namespace bulkhead::nic_router {
namespace {

constexpr uint8_t kEndOfOptions = 0;
constexpr uint8_t kNoOperation = 1;
constexpr uint8_t kLooseSourceRoute = 131;
constexpr uint8_t kStrictSourceRoute = 137;

}  // namespace

Ipv4Options CheckIpv4Options(std::span<const uint8_t> options) {
  while (!options.empty()) {
    const uint8_t type = options[0];
    if (type == kEndOfOptions) return Ipv4Options::kGood;
    if (type == kNoOperation) {
      options = options.subspan(1);
      continue;
    }
    if (options.size() < 2 || options[1] < 2 || options[1] > options.size()) {
      return Ipv4Options::kMalformed;
    }
    if (type == kLooseSourceRoute || type == kStrictSourceRoute) {
      return Ipv4Options::kSourceRoute;
    }
    options = options.subspan(options[1]);
  }
  return Ipv4Options::kGood;
}

void WriteIpv4(std::span<uint8_t> bytes, const Ipv4Fields& fields,
               size_t payload_bytes) {
  uint8_t* const at = bytes.data();
  std::memset(at, 0, kIpv4Bytes);
  at[0] = 0x45;
  at[1] = fields.type_of_service;
  Store16(at + 2, static_cast<uint16_t>(kIpv4Bytes + payload_bytes));
  Store16(at + 4, fields.identification);
  Store16(at + 6, fields.dont_fragment ? kIpv4DontFragment : 0);
  at[8] = fields.ttl;
  at[9] = fields.protocol;
  Store32(at + 12, fields.source);
  Store32(at + 16, fields.destination);
  Ipv4Writer::In(bytes)->FillChecksum();
}

}  // namespace bulkhead::nic_router
