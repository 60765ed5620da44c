// Completes a frame whose sender left its TCP or UDP checksum to hardware that
// the frame never met: between two interfaces of one machine that is the rule.
#ifndef BULKHEAD_NIC_DRIVER_AF_PACKET_MISSING_CHECKSUM_H_
#define BULKHEAD_NIC_DRIVER_AF_PACKET_MISSING_CHECKSUM_H_

#include <cstdint>
#include <span>

namespace bulkhead::nic_driver {

// Ethernet, with up to two VLAN tags, IPv4 or IPv6 without extension headers,
// TCP or UDP; the checksum field holds the pseudo header's sum (RFC 768,
// RFC 9293). False: it is no such frame, and stays as it is.
bool CompleteChecksum(std::span<uint8_t> frame);

}  // namespace bulkhead::nic_driver

#endif  // BULKHEAD_NIC_DRIVER_AF_PACKET_MISSING_CHECKSUM_H_
