// Registers and descriptors of the Intel 82574L, in the order of its datasheet
// ("Intel 82574 GbE Controller Family Datasheet", revision 3.4). Names are the
// datasheet's; only what the driver uses is here.
#ifndef BULKHEAD_NIC_DRIVER_E1000E_E1000E_REGS_H_
#define BULKHEAD_NIC_DRIVER_E1000E_E1000E_REGS_H_

#include <cstdint>

#include "nic_driver/framework/registers.h"
#include "nic_driver/intel/descriptors.h"

namespace bulkhead::nic_driver::e1000e {

// All registers are in BAR 0, 128 KiB (10.1).
constexpr int kRegisterBar = 0;

// --- 10.2.2 General registers

// Device Control.
struct CTRL : Register<0x00000, ReadWrite> {
  static constexpr Bit<CTRL, 0> FD{};                  // Full duplex.
  static constexpr Bit<CTRL, 2> GIO_MASTER_DISABLE{};  // No new bus requests.
  static constexpr Bit<CTRL, 5> ASDE{};                // Auto speed detection.
  static constexpr Bit<CTRL, 6> SLU{};                 // Set link up.
  static constexpr Bit<CTRL, 11> FRCSPD{};             // Force speed.
  static constexpr Bit<CTRL, 12> FRCDPLX{};            // Force duplex.
  static constexpr Bit<CTRL, 26> RST{};                // Reset; clears itself.
  static constexpr Bit<CTRL, 31> PHY_RST{};
};

// Device Status.
struct STATUS : Register<0x00008, ReadOnly> {
  static constexpr Bit<STATUS, 0> FD{};
  static constexpr Bit<STATUS, 1> LU{};          // Link up.
  static constexpr Field<STATUS, 6, 2> SPEED{};  // 0: 10, 1: 100, 2, 3: 1000.
  static constexpr Bit<STATUS, 19> GIO_MASTER_ENABLE{};  // Requests are pending
                                                         // or possible.
};

// Extended Device Control.
struct CTRL_EXT : Register<0x00018, ReadWrite> {
  static constexpr Bit<CTRL_EXT, 24> EIAME{};        // Auto-mask by IAM when an
                                                     // MSI-X message leaves.
  static constexpr Bit<CTRL_EXT, 28> DRV_LOAD{};     // For the firmware.
  static constexpr Bit<CTRL_EXT, 31> PBA_SUPPORT{};  // MSI-X pending bits.
};

// Extended Configuration Control: whose turn it is at MDIC.
struct EXTCNF_CTRL : Register<0x00F00, ReadWrite> {
  static constexpr Bit<EXTCNF_CTRL, 5> MDIO_SW{};  // Set, and ours if it then
                                                   // reads as set.
};

// --- 10.2.4 Interrupt registers

// The causes, with the same positions in ICR, ICS, IMS, IMC, EIAC and IAM.
template <typename R>
struct Causes {
  static constexpr Bit<R, 0> TXDW{};    // Transmit descriptor written back.
  static constexpr Bit<R, 2> LSC{};     // Link status change.
  static constexpr Bit<R, 6> RXO{};     // Receiver overrun: a frame was missed.
  static constexpr Bit<R, 7> RXT0{};    // Receiver timer.
  static constexpr Bit<R, 20> RXQ0{};   // MSI-X: receive queue 0.
  static constexpr Bit<R, 22> TXQ0{};   // MSI-X: transmit queue 0.
  static constexpr Bit<R, 24> OTHER{};  // MSI-X: any of the others.
};

// Interrupt Cause. Also clears on read in some modes; we never read it.
struct ICR : Register<0x000C0, WriteOneToClear>, Causes<ICR> {};
// Interrupt Mask Set: ones enable, zeros leave alone.
struct IMS : Register<0x000D0, ReadWrite>, Causes<IMS> {};
// Interrupt Mask Clear: ones disable.
struct IMC : Register<0x000D8, WriteOnly>, Causes<IMC> {};
// Auto clear: causes that an MSI-X message clears in ICR as it leaves.
struct EIAC : Register<0x000DC, ReadWrite>, Causes<EIAC> {};
// Auto mask: what it then clears in IMS.
struct IAM : Register<0x000E0, ReadWrite>, Causes<IAM> {};
// Vector allocation: three bits of vector and a valid bit for each cause.
struct IVAR : Register<0x000E4, ReadWrite> {
  static constexpr Field<IVAR, 0, 3> RXQ0{};
  static constexpr Bit<IVAR, 3> RXQ0_VALID{};
  static constexpr Field<IVAR, 8, 3> TXQ0{};
  static constexpr Bit<IVAR, 11> TXQ0_VALID{};
  static constexpr Field<IVAR, 16, 3> OTHER{};
  static constexpr Bit<IVAR, 19> OTHER_VALID{};
  static constexpr Bit<IVAR, 31> TX_EVERY_WRITE_BACK{};
};
// Moderation of each vector: least time between two messages, in 256 ns.
struct EITR : RegisterArray<0x000E8, ReadWrite, 5> {
  static constexpr Field<EITR, 0, 16> INTERVAL{};
};

// --- 10.2.5 Receive registers

// Receive Control.
struct RCTL : Register<0x00100, ReadWrite> {
  static constexpr Bit<RCTL, 1> EN{};
  static constexpr Bit<RCTL, 3> UPE{};       // Unicast promiscuous.
  static constexpr Bit<RCTL, 4> MPE{};       // Multicast promiscuous.
  static constexpr Bit<RCTL, 5> LPE{};       // Frames longer than 1522 bytes.
  static constexpr Field<RCTL, 12, 2> MO{};  // Which 12 bits index MTA.
  static constexpr Bit<RCTL, 15> BAM{};      // Accept broadcast.
  static constexpr Field<RCTL, 16, 2> BSIZE{};
  static constexpr Bit<RCTL, 25> BSEX{};   // BSIZE times 16.
  static constexpr Bit<RCTL, 26> SECRC{};  // Strip the FCS.
};
// Ring of queue 0: base, length in bytes, head, tail.
struct RDBAL : Register<0x02800, ReadWrite> {};
struct RDBAH : Register<0x02804, ReadWrite> {};
struct RDLEN : Register<0x02808, ReadWrite> {};
struct RDH : Register<0x02810, ReadWrite> {};
struct RDT : Register<0x02818, ReadWrite> {};
// When descriptors are fetched and written back.
struct RXDCTL : Register<0x02828, ReadWrite> {
  static constexpr Field<RXDCTL, 0, 6> PTHRESH{};
  static constexpr Field<RXDCTL, 8, 6> HTHRESH{};
  static constexpr Field<RXDCTL, 16, 6> WTHRESH{};
  static constexpr Bit<RXDCTL, 24> GRAN{};  // Thresholds count descriptors.
};
// Receive Checksum Control.
struct RXCSUM : Register<0x05000, ReadWrite> {
  static constexpr Bit<RXCSUM, 8> IPOFLD{};
  static constexpr Bit<RXCSUM, 9> TUOFLD{};
};
// Receive Filter Control.
struct RFCTL : Register<0x05008, ReadWrite> {
  static constexpr Bit<RFCTL, 12> ACK_DIS{};
  static constexpr Bit<RFCTL, 15> EXSTEN{};  // Extended rx descriptors.
};
// Multicast Table: 4096 bits, one per hash.
struct MTA : RegisterArray<0x05200, ReadWrite, 128> {};
// Receive Address 0: the station's own, loaded from the NVM by a reset.
struct RAL0 : Register<0x05400, ReadWrite> {};
struct RAH0 : Register<0x05404, ReadWrite> {
  static constexpr Field<RAH0, 0, 16> ADDRESS{};  // Bytes 4 and 5.
  static constexpr Bit<RAH0, 31> AV{};            // Address valid.
};

// --- 10.2.6 Transmit registers

// Transmit Control.
struct TCTL : Register<0x00400, ReadWrite> {
  static constexpr Bit<TCTL, 1> EN{};
  static constexpr Bit<TCTL, 3> PSP{};      // Pad short packets to 64 bytes.
  static constexpr Field<TCTL, 4, 8> CT{};  // Collision threshold.
  static constexpr Field<TCTL, 12, 10> COLD{};  // Collision distance.
  static constexpr Bit<TCTL, 24> RTLC{};        // Retransmit on late collision.
  static constexpr Bit<TCTL, 28> MULR{};        // Several requests at a time.
};
// Inter-packet gap.
struct TIPG : Register<0x00410, ReadWrite> {
  static constexpr Field<TIPG, 0, 10> IPGT{};
  static constexpr Field<TIPG, 10, 10> IPGR1{};
  static constexpr Field<TIPG, 20, 10> IPGR2{};
};
struct TDBAL : Register<0x03800, ReadWrite> {};
struct TDBAH : Register<0x03804, ReadWrite> {};
struct TDLEN : Register<0x03808, ReadWrite> {};
struct TDH : Register<0x03810, ReadWrite> {};
struct TDT : Register<0x03818, ReadWrite> {};
struct TXDCTL : Register<0x03828, ReadWrite> {
  static constexpr Field<TXDCTL, 0, 6> PTHRESH{};
  static constexpr Field<TXDCTL, 8, 6> HTHRESH{};
  static constexpr Field<TXDCTL, 16, 6> WTHRESH{};
  static constexpr Bit<TXDCTL, 22> ONE{};  // "Must be set to 1b".
  static constexpr Bit<TXDCTL, 24> GRAN{};
};

// --- 7.1.5 Extended receive descriptor

using intel::RxDescriptor;
namespace rx {
using namespace intel::rx;                    // DD, EOP, Length.
constexpr uint64_t IXSM = uint64_t{1} << 2;   // Ignore the checksum bits.
constexpr uint64_t UDPCS = uint64_t{1} << 4;  // UDP checksum was checked.
constexpr uint64_t TCPCS = uint64_t{1} << 5;
constexpr uint64_t CE = uint64_t{1} << 24;    // CRC error.
constexpr uint64_t SE = uint64_t{1} << 25;    // Symbol error.
constexpr uint64_t SEQ = uint64_t{1} << 26;   // Sequence error.
constexpr uint64_t CXE = uint64_t{1} << 28;   // Carrier extension error.
constexpr uint64_t TCPE = uint64_t{1} << 29;  // TCP or UDP checksum is wrong.
constexpr uint64_t RXE = uint64_t{1} << 31;   // Data error.
constexpr uint64_t kFrameErrors = CE | SE | SEQ | CXE | RXE;
}  // namespace rx

// --- 7.2.10 Legacy transmit descriptor

// `command`: length in bits 0–15, CSO in 16–23, CMD in 24–31, STA in 32–35, CSS
// in 40–47.
using intel::TxDescriptor;

// A context descriptor (7.2.10.1) says how the frames after it are summed and
// cut up:
// IPCSS in bits 0–7 of `address`, IPCSO in 8–15, IPCSE in 16–31, TUCSS in
// 32–39, TUCSO in 40–47, TUCSE in 48–63; PAYLEN in bits 0–19 of `command`,
// TUCMD in 24–31, HDRLEN in 40–47, MSS in 48–63. A data descriptor (7.2.10.2):
// length in 0–19, DTYP in 20–23, DCMD in 24–31, STA in 32–35, POPTS in 40–47.
namespace tx {
using namespace intel::tx;  // DD, DEXT, EOP, IFCS, IXSM, RS, TXSM.
constexpr uint64_t EC = uint64_t{1} << 33;  // Excess collisions: not sent.
constexpr uint64_t LC = uint64_t{1} << 34;  // Late collision.
constexpr uint64_t kErrors = EC | LC;

constexpr uint64_t DTYP_DATA = uint64_t{1} << 20;
constexpr uint64_t TSE = uint64_t{1} << 26;  // Context and data: segmentation.
constexpr uint64_t TUCMD_TCP = uint64_t{1} << 24;
constexpr uint64_t TUCMD_IPV4 = uint64_t{1} << 25;
constexpr uint64_t HdrLen(uint32_t bytes) { return uint64_t{bytes} << 40; }
constexpr uint64_t Mss(uint32_t bytes) { return uint64_t{bytes} << 48; }
}  // namespace tx

}  // namespace bulkhead::nic_driver::e1000e

#endif  // BULKHEAD_NIC_DRIVER_E1000E_E1000E_REGS_H_
