// CRC-32C (Castagnoli, RFC 3720 appendix B.4): the checksum of test frames.
#ifndef BULKHEAD_CLIENTS_NIC_TRAFFIC_CRC32C_H_
#define BULKHEAD_CLIENTS_NIC_TRAFFIC_CRC32C_H_

#include <cstdint>
#include <span>

namespace bulkhead::nic_traffic {

// The checksum of `bytes`, going on from `crc`, the checksum of what came
// before (0 for nothing). Uses the processor's instruction where it has one.
uint32_t Crc32c(std::span<const uint8_t> bytes, uint32_t crc = 0);

// The same by table, on any processor.
uint32_t Crc32cPortable(std::span<const uint8_t> bytes, uint32_t crc = 0);

}  // namespace bulkhead::nic_traffic

#endif  // BULKHEAD_CLIENTS_NIC_TRAFFIC_CRC32C_H_
