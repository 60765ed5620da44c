// Where the fixed part of a DHCP message has its fields: RFC 2131 2, figure 1.
#ifndef BULKHEAD_NIC_ROUTER_DHCP_WIRE_LAYOUT_H_
#define BULKHEAD_NIC_ROUTER_DHCP_WIRE_LAYOUT_H_

#include <cstddef>
#include <cstdint>

namespace bulkhead::nic_router::dhcp {

constexpr size_t kOpAt = 0;
constexpr size_t kHardwareTypeAt = 1;
constexpr size_t kHardwareLengthAt = 2;
constexpr size_t kTransactionAt = 4;
constexpr size_t kSecondsAt = 8;
constexpr size_t kFlagsAt = 10;
constexpr size_t kClientAddressAt = 12;
constexpr size_t kYourAddressAt = 16;
constexpr size_t kRelayAddressAt = 24;
constexpr size_t kHardwareAt = 28;
constexpr size_t kServerNameAt = 44;
constexpr size_t kServerNameBytes = 64;
constexpr size_t kFileAt = 108;
constexpr size_t kFileBytes = 128;
constexpr size_t kCookieAt = 236;
constexpr size_t kOptionsAt = 240;

constexpr uint8_t kRequestOp = 1;
constexpr uint8_t kReplyOp = 2;
constexpr uint8_t kEthernet = 1;
constexpr uint8_t kEthernetBytes = 6;
constexpr uint16_t kBroadcastFlag = 0x8000;
constexpr uint32_t kCookie = 0x63825363;

}  // namespace bulkhead::nic_router::dhcp

#endif  // BULKHEAD_NIC_ROUTER_DHCP_WIRE_LAYOUT_H_
