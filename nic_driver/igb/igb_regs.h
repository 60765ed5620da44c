// Registers and descriptors of the Intel 82576, in the order of its datasheet
// ("Intel 82576EB Gigabit Ethernet Controller Datasheet", revision 2.87). Names
// are the datasheet's; only what the driver uses is here. Registers that exist
// once for each queue are arrays, 0x40 bytes apart.
#ifndef BULKHEAD_NIC_DRIVER_IGB_IGB_REGS_H_
#define BULKHEAD_NIC_DRIVER_IGB_IGB_REGS_H_

#include <cstdint>

#include "nic_driver/framework/registers.h"
#include "nic_driver/intel/descriptors.h"

namespace bulkhead::nic_driver::igb {

// Of each of the 16 queues.
template <uint32_t kOffsetOfQueue0>
struct QueueRegister : RegisterArray<kOffsetOfQueue0, ReadWrite, 16, 0x40> {};

// All registers are in BAR 0, 128 KiB (8.1).
constexpr int kRegisterBar = 0;

// --- 8.2 General registers

// Device Control.
struct CTRL : Register<0x00000, ReadWrite> {
  static constexpr Bit<CTRL, 0> FD{};                  // Full duplex.
  static constexpr Bit<CTRL, 2> GIO_MASTER_DISABLE{};  // No new bus requests.
  static constexpr Bit<CTRL, 6> SLU{};                 // Set link up.
  static constexpr Bit<CTRL, 11> FRCSPD{};             // Force speed.
  static constexpr Bit<CTRL, 12> FRCDPLX{};            // Force duplex.
  static constexpr Bit<CTRL, 26> RST{};                // Reset; clears itself.
  static constexpr Bit<CTRL, 31> PHY_RST{};
};

// Device Status.
struct STATUS : Register<0x00008, ReadOnly> {
  static constexpr Bit<STATUS, 0> FD{};
  static constexpr Bit<STATUS, 1> LU{};           // Link up.
  static constexpr Field<STATUS, 2, 2> LAN_ID{};  // Which port of the chip.
  static constexpr Field<STATUS, 6, 2> SPEED{};   // 0: 10, 1: 100, 2, 3: 1000.
  static constexpr Bit<STATUS, 19> GIO_MASTER_ENABLE{};  // Requests are pending
                                                         // or possible.
};

// Extended Device Control.
struct CTRL_EXT : Register<0x00018, ReadWrite> {
  static constexpr Bit<CTRL_EXT, 28> DRV_LOAD{};  // For the firmware.
};

// --- 8.6 Semaphore registers

// Software Semaphore.
struct SWSM : Register<0x05B50, ReadWrite> {
  static constexpr Bit<SWSM, 0> SMBI{};     // Of the drivers: a read of 0 takes
                                            // it, a write of 0 gives it back.
  static constexpr Bit<SWSM, 1> SWESMBI{};  // Of drivers and firmware: set, and
                                            // ours if it then reads as set.
};
// Software-Firmware Synchronization: what SWSM guards.
struct SW_FW_SYNC : Register<0x05B5C, ReadWrite> {
  static constexpr Field<SW_FW_SYNC, 1, 2> SW_PHY_SM{};   // PHY 0, PHY 1.
  static constexpr Field<SW_FW_SYNC, 17, 2> FW_PHY_SM{};  // The firmware's.
};

// --- 8.8 Interrupt registers

// With GPIE.MULTIPLE_MSIX: a bit for each vector, in EICR, EICS, EIMS, EIMC,
// EIAC and EIAM.
template <typename R>
struct Vectors {
  static constexpr Field<R, 0, 25> VECTORS{};
};

// Extended Interrupt Mask Set: ones enable, zeros leave alone.
struct EIMS : Register<0x01524, ReadWrite>, Vectors<EIMS> {};
// Extended Interrupt Mask Clear: ones disable.
struct EIMC : Register<0x01528, WriteOnly>, Vectors<EIMC> {};
// Extended Interrupt Auto Clear: what a message clears in EICR as it leaves.
struct EIAC : Register<0x0152C, ReadWrite>, Vectors<EIAC> {};
// Extended Interrupt Auto Mask: what it then clears in EIMS.
struct EIAM : Register<0x01530, ReadWrite>, Vectors<EIAM> {};

// The causes that share the vector of IVAR_MISC. At the addresses that older
// controllers have, which are aliases of 0x1500 and following (8.1.3): QEMU's
// 82576 knows no others.
template <typename R>
struct Causes {
  static constexpr Bit<R, 2> LSC{};     // Link status change.
  static constexpr Bit<R, 6> RXMISS{};  // A frame was missed.
};
// Interrupt Cause. A read clears it, too; we never read it.
struct ICR : Register<0x000C0, WriteOneToClear>, Causes<ICR> {};
// Interrupt Mask Set, Interrupt Mask Clear.
struct IMS : Register<0x000D0, ReadWrite>, Causes<IMS> {};
struct IMC : Register<0x000D8, WriteOnly>, Causes<IMC> {};

// General Purpose Interrupt Enable.
struct GPIE : Register<0x01514, ReadWrite> {
  static constexpr Bit<GPIE, 4> MULTIPLE_MSIX{};
  static constexpr Bit<GPIE, 30> EIAME{};        // EIAM acts at each message.
  static constexpr Bit<GPIE, 31> PBA_SUPPORT{};  // MSI-X pending bits.
};
// Moderation of each vector: least time between two messages, in µs.
struct EITR : RegisterArray<0x01680, ReadWrite, 25> {
  static constexpr Field<EITR, 2, 13> INTERVAL{};
};
// Vector allocation: [n] holds queues n and n + 8, rx and tx of each.
struct IVAR : RegisterArray<0x01700, ReadWrite, 8> {
  static constexpr Field<IVAR, 0, 5> RX{};
  static constexpr Bit<IVAR, 7> RX_VALID{};
  static constexpr Field<IVAR, 8, 5> TX{};
  static constexpr Bit<IVAR, 15> TX_VALID{};
};
struct IVAR_MISC : Register<0x01740, ReadWrite> {
  static constexpr Field<IVAR_MISC, 8, 5> OTHER{};
  static constexpr Bit<IVAR_MISC, 15> OTHER_VALID{};
};

// --- 8.10 Receive registers

// Receive Control.
struct RCTL : Register<0x00100, ReadWrite> {
  static constexpr Bit<RCTL, 1> EN{};
  static constexpr Bit<RCTL, 3> UPE{};          // Unicast promiscuous.
  static constexpr Bit<RCTL, 4> MPE{};          // Multicast promiscuous.
  static constexpr Bit<RCTL, 5> LPE{};          // Long frames, up to RLPML.
  static constexpr Field<RCTL, 12, 2> MO{};     // Which 12 bits index MTA.
  static constexpr Bit<RCTL, 15> BAM{};         // Accept broadcast.
  static constexpr Field<RCTL, 16, 2> BSIZE{};  // 2048, 1024, 512, 256.
  static constexpr Bit<RCTL, 26> SECRC{};       // Strip the FCS.
};
// Split and Replication Receive Control.
struct SRRCTL : QueueRegister<0x0C00C> {
  static constexpr Field<SRRCTL, 0, 7> BSIZEPACKET{};  // KiB; 0: RCTL.BSIZE.
  static constexpr Field<SRRCTL, 25, 3> DESCTYPE{};    // 1: advanced, one
                                                       // buffer.
  static constexpr Bit<SRRCTL, 31> DROP_EN{};
};
// Ring: base, length in bytes, head, tail.
struct RDBAL : QueueRegister<0x0C000> {};
struct RDBAH : QueueRegister<0x0C004> {};
struct RDLEN : QueueRegister<0x0C008> {};
struct RDH : QueueRegister<0x0C010> {};
struct RDT : QueueRegister<0x0C018> {};
// When descriptors are fetched and written back.
struct RXDCTL : QueueRegister<0x0C028> {
  static constexpr Field<RXDCTL, 0, 5> PTHRESH{};
  static constexpr Field<RXDCTL, 8, 5> HTHRESH{};
  static constexpr Field<RXDCTL, 16, 5> WTHRESH{};
  static constexpr Bit<RXDCTL, 25> ENABLE{};
};
// Receive Checksum Control.
struct RXCSUM : Register<0x05000, ReadWrite> {
  static constexpr Bit<RXCSUM, 8> IPOFLD{};
  static constexpr Bit<RXCSUM, 9> TUOFLD{};
  static constexpr Bit<RXCSUM, 13> PCSD{};  // RSS hash in its place.
};
// Receive Long Packet Maximum Length, FCS and tags included.
struct RLPML : Register<0x05004, ReadWrite> {};
// Multicast Table: 4096 bits, one per hash.
struct MTA : RegisterArray<0x05200, ReadWrite, 128> {};
// Receive Address 0: the station's own, loaded from the EEPROM by a reset.
struct RAL0 : Register<0x05400, ReadWrite> {};
struct RAH0 : Register<0x05404, ReadWrite> {
  static constexpr Field<RAH0, 0, 16> ADDRESS{};  // Bytes 4 and 5.
  static constexpr Bit<RAH0, 31> AV{};            // Address valid.
};

// Multiple Receive Queues Command: how frames find their queue, and what of
// them is hashed for it.
struct MRQC : Register<0x05818, ReadWrite> {
  static constexpr uint32_t kRss = 2;
  static constexpr Field<MRQC, 0, 3> MODE{};
  static constexpr Bit<MRQC, 16> TCP_IPV4{};
  static constexpr Bit<MRQC, 17> IPV4{};
  static constexpr Bit<MRQC, 20> IPV6{};
  static constexpr Bit<MRQC, 21> TCP_IPV6{};
};
// Redirection Table: 128 entries, four in each. The low bits of a hash pick
// one.
struct RETA : RegisterArray<0x05C00, ReadWrite, 32> {
  static constexpr Field<RETA, 0, 4> ENTRY0{};
  static constexpr Field<RETA, 8, 4> ENTRY1{};
  static constexpr Field<RETA, 16, 4> ENTRY2{};
  static constexpr Field<RETA, 24, 4> ENTRY3{};
};
// RSS Random Key: 40 bytes, the first in the lowest bits of the first.
struct RSSRK : RegisterArray<0x05C80, ReadWrite, 10> {};

// --- 8.12 Transmit registers

// Transmit Control. Reserved bits keep what a reset gives them.
struct TCTL : Register<0x00400, ReadWrite> {
  static constexpr Bit<TCTL, 1> EN{};
  static constexpr Bit<TCTL, 3> PSP{};      // Pad short packets to 64 bytes.
  static constexpr Field<TCTL, 4, 8> CT{};  // Collision threshold.
  static constexpr Bit<TCTL, 24> RTLC{};    // Retransmit on late collision.
};
struct TDBAL : QueueRegister<0x0E000> {};
struct TDBAH : QueueRegister<0x0E004> {};
struct TDLEN : QueueRegister<0x0E008> {};
struct TDH : QueueRegister<0x0E010> {};
struct TDT : QueueRegister<0x0E018> {};
struct TXDCTL : QueueRegister<0x0E028> {
  static constexpr Field<TXDCTL, 0, 5> PTHRESH{};
  static constexpr Field<TXDCTL, 8, 5> HTHRESH{};
  static constexpr Field<TXDCTL, 16, 5> WTHRESH{};
  static constexpr Bit<TXDCTL, 25> ENABLE{};
};

// --- 7.1 Advanced receive descriptor

using intel::RxDescriptor;
namespace rx {
using namespace intel::rx;                    // DD, EOP, Length.
constexpr uint64_t UDPCS = uint64_t{1} << 4;  // UDP checksum was checked.
constexpr uint64_t L4CS = uint64_t{1} << 5;   // TCP or UDP checksum was.
constexpr uint64_t L4E = uint64_t{1} << 29;   // And it is wrong.
constexpr uint64_t RXE = uint64_t{1} << 31;   // Data error.
constexpr uint64_t kFrameErrors = RXE;
}  // namespace rx

// --- 7.2.2 Transmit descriptors

// Context (7.2.2.2): IPLEN in bits 0–8 of `address`, MACLEN in 9–15; DTYP in
// bits 20–23 of `command`, TUCMD in 9–19, DCMD in 24–31, IDX in 36–38, L4LEN in
// 40–47, MSS in 48–63.
// Data (7.2.2.3): DTALEN in bits 0–15 of `command`, DTYP in 20–23, DCMD in
// 24–31, STA in 32–35, POPTS in 40–45, PAYLEN in 46–63.
using intel::TxDescriptor;

namespace tx {
using namespace intel::tx;       // DD, DEXT, EOP, IFCS, IXSM, RS, TXSM.
constexpr uint64_t kErrors = 0;  // Of STA, only DD is defined.
constexpr uint64_t DTYP_CONTEXT = uint64_t{2} << 20;
constexpr uint64_t DTYP_DATA = uint64_t{3} << 20;
constexpr uint64_t TSE = uint64_t{1} << 31;  // TCP segmentation.
constexpr uint64_t Paylen(uint32_t bytes) {
  return uint64_t{bytes & 0x3ffff} << 46;
}
// Of a context: where the L4 header begins, and which it is; how long it is,
// and how much payload follows it on the wire.
constexpr uint64_t TUCMD_IPV4 = uint64_t{1} << 10;
constexpr uint64_t L4T_UDP = uint64_t{0} << 11;
constexpr uint64_t L4T_TCP = uint64_t{1} << 11;
constexpr uint64_t Lengths(uint32_t mac_bytes, uint32_t ip_bytes) {
  return uint64_t{mac_bytes & 0x7f} << 9 | (ip_bytes & 0x1ff);
}
constexpr uint64_t L4Len(uint32_t bytes) {
  return uint64_t{bytes & 0xff} << 40;
}
constexpr uint64_t Mss(uint32_t bytes) {
  return uint64_t{bytes & 0xffff} << 48;
}
}  // namespace tx

}  // namespace bulkhead::nic_driver::igb

#endif  // BULKHEAD_NIC_DRIVER_IGB_IGB_REGS_H_
