// The statistics of Intel's 1 Gb/s NICs: 10.2.7 of the 82574's datasheet, 8.19
// of the 82576's. Each read clears.
#ifndef BULKHEAD_NIC_DRIVER_INTEL_STATISTICS_H_
#define BULKHEAD_NIC_DRIVER_INTEL_STATISTICS_H_

#include "nic_driver/framework/driver.h"
#include "nic_driver/framework/registers.h"

namespace bulkhead::nic_driver::intel {

struct CRCERRS : Register<0x04000, ReadToClear> {};   // CRC errors.
struct ALGNERRC : Register<0x04004, ReadToClear> {};  // Misaligned.
struct RXERRC : Register<0x0400C, ReadToClear> {};    // Receive errors.
struct MPC : Register<0x04010, ReadToClear> {};       // Missed: no room.
struct COLC : Register<0x04028, ReadToClear> {};      // Collisions.
struct CEXTERR : Register<0x0403C, ReadToClear> {};   // Carrier extensions.
struct XONRXC : Register<0x04048, ReadToClear> {};    // Pause frames: on, off.
struct XONTXC : Register<0x0404C, ReadToClear> {};
struct XOFFRXC : Register<0x04050, ReadToClear> {};
struct XOFFTXC : Register<0x04054, ReadToClear> {};
struct MPRC : Register<0x0407C, ReadToClear> {};  // Multicast received.
struct RUC : Register<0x040A4, ReadToClear> {};   // Undersize.
struct RFC : Register<0x040A8, ReadToClear> {};   // The same, with a bad CRC.
struct ROC : Register<0x040AC, ReadToClear> {};   // Oversize.

// A NIC that is gone has counted nothing.
template <typename... R>
uint64_t ReadSum(const Registers& regs) {
  const auto counted = [](auto value) {
    return ReadsAsGone(value) ? 0 : uint64_t{value.bits()};
  };
  return (counted(regs.ReadAndClear<R>()) + ...);
}

// RJC is not read: its frames, oversize with a bad CRC, are in CRCERRS as well.
inline DeviceStatistics ReadStatistics(const Registers& regs) {
  return {.rx_missed = ReadSum<MPC>(regs),
          .rx_crc = ReadSum<CRCERRS>(regs),
          .rx_frame = ReadSum<ALGNERRC, RXERRC, CEXTERR>(regs),
          .rx_length = ReadSum<RUC, RFC, ROC>(regs),
          .multicast = ReadSum<MPRC>(regs),
          .collisions = ReadSum<COLC>(regs),
          .rx_pause = ReadSum<XONRXC, XOFFRXC>(regs),
          .tx_pause = ReadSum<XONTXC, XOFFTXC>(regs)};
}

}  // namespace bulkhead::nic_driver::intel

#endif  // BULKHEAD_NIC_DRIVER_INTEL_STATISTICS_H_
