// Registers, bits and descriptors of the Intel 82576, as far as the model acts
// on them.
//
// Source: Intel 82576EB Gigabit Ethernet Controller Datasheet, revision 2.87:
// chapter 8 (registers), 7.1 (receive), 7.2 (transmit), 7.3 (interrupts). Names
// are the datasheet's.
#ifndef BULKHEAD_NIC_MODEL_82576_REGISTERS_H_
#define BULKHEAD_NIC_MODEL_82576_REGISTERS_H_

#include <cstdint>

#include "nic_model/intel/registers.h"

namespace bulkhead::nic_model::i82576 {

using namespace intel;  // NOLINT: what it shares with its family.

constexpr uint32_t kMsixVectors = 10;
constexpr uint32_t kQueues = 16;

// 8.3 Packet buffer.
constexpr uint32_t kRxpbs = 0x2404;
constexpr uint32_t kTxpbs = 0x3404;
// 8.6 Semaphores.
constexpr uint32_t kSwFwSync = 0x5b5c;
// 8.8 Interrupts. The second group has aliases where older controllers have it.
constexpr uint32_t kEics = 0x1520;
constexpr uint32_t kEims = 0x1524;
constexpr uint32_t kEimc = 0x1528;
constexpr uint32_t kEiac = 0x152c;
constexpr uint32_t kEiam = 0x1530;
constexpr uint32_t kEicr = 0x1580;
constexpr uint32_t kIcr = 0x1500;
constexpr uint32_t kIcs = 0x1504;
constexpr uint32_t kIms = 0x1508;
constexpr uint32_t kImc = 0x150c;
constexpr uint32_t kIam = 0x1510;
constexpr uint32_t kGpie = 0x1514;
constexpr uint32_t kEitr0 = 0x1680;  // 25, one a vector.
constexpr uint32_t kIvar0 = 0x1700;  // 8: queues n and n + 8.
constexpr uint32_t kIvarMisc = 0x1740;
// 8.10 Receive; ring registers 0x40 apart.
constexpr uint32_t kQueueStride = 0x40;
constexpr uint32_t OfQueue(uint32_t queue, uint32_t of_queue_0) {
  return of_queue_0 + queue * kQueueStride;
}
constexpr uint32_t kRdbal = 0xc000;
constexpr uint32_t kRdbah = 0xc004;
constexpr uint32_t kRdlen = 0xc008;
constexpr uint32_t kSrrctl = 0xc00c;
constexpr uint32_t kRdh = 0xc010;
constexpr uint32_t kRdt = 0xc018;
constexpr uint32_t kRxdctl = 0xc028;
constexpr uint32_t kRqdpc = 0xc030;
constexpr uint32_t kRlpml = 0x5004;
constexpr uint32_t kReta = 0x5c00;   // 32 words of four entries.
constexpr uint32_t kRssrk = 0x5c80;  // 10 words.
// 8.12 Transmit.
constexpr uint32_t kTdbal = 0xe000;
constexpr uint32_t kTdbah = 0xe004;
constexpr uint32_t kTdlen = 0xe008;
constexpr uint32_t kTdh = 0xe010;
constexpr uint32_t kTdt = 0xe018;
constexpr uint32_t kTxdctl = 0xe028;

// ICR, ICS, IMS, IMC.
constexpr uint32_t kIcrRxmiss = 1u << 6;
constexpr uint32_t kIcrRxdw = 1u << 7;
constexpr uint32_t kIcrAll =
    kIcrTxdw | kIcrLsc | kIcrRxdmt0 | kIcrRxmiss | kIcrRxdw | kIcrMdac;
// EICR, EICS, EIMS, EIMC, EIAC, EIAM with GPIE.Multiple_MSIX.
constexpr uint32_t kEicrAll = (1u << 25) - 1;
// GPIE.
constexpr uint32_t kGpieMultipleMsix = 1u << 4;
constexpr uint32_t kGpieEiame = 1u << 30;
// IVAR, a byte an entry: rx n, tx n, rx n + 8, tx n + 8. IVAR_MISC: the second
// byte is for the causes in ICR.
constexpr uint32_t kIvarValid = 1u << 7;
constexpr uint32_t kIvarVector = 0x1f;
// EITR: µs in bits 14:2.
constexpr uint32_t kEitrMask = 0x7ffc;
constexpr uint32_t kEitrShift = 2;

// SRRCTL.
constexpr uint32_t kSrrctlKib = 0x7f;
constexpr uint32_t kSrrctlTypeMask = 7u << 25;
constexpr uint32_t kSrrctlTypeOneBuffer = 1u << 25;  // Advanced.
constexpr uint32_t kSrrctlDropEn = 1u << 31;
// MRQC: which mode, and which fields are hashed.
constexpr uint32_t kMrqcModeMask = 7;
constexpr uint32_t kMrqcModeRss = 2;
constexpr uint32_t kMrqcTcpIpv4 = 1u << 16;
constexpr uint32_t kMrqcIpv4 = 1u << 17;
constexpr uint32_t kMrqcTcpIpv6Ex = 1u << 18;
constexpr uint32_t kMrqcIpv6Ex = 1u << 19;
constexpr uint32_t kMrqcIpv6 = 1u << 20;
constexpr uint32_t kMrqcTcpIpv6 = 1u << 21;
constexpr uint32_t kMrqcUdpIpv4 = 1u << 22;
constexpr uint32_t kMrqcUdpIpv6 = 1u << 23;
constexpr uint32_t kMrqcUdpIpv6Ex = 1u << 24;
// RETA, of an entry's byte.
constexpr uint32_t kRetaQueue = 0xf;
// RXDCTL, TXDCTL.
constexpr uint32_t kQueueEnable = 1u << 25;

// 7.1 Advanced receive descriptor, written back: RSS type 3:0 and hash 63:32 in
// the first quadword; in the second extended status 19:0, extended error 31:20,
// length 47:32, VLAN 63:48.
constexpr uint32_t kRxL4cs = 1u << 5;
constexpr uint32_t kRxErrorL4e = 1u << 29;
constexpr uint32_t kRxErrorIpe = 1u << 30;

// 7.2.2 Advanced transmit descriptors, second quadword. Data: length 15:0, DTYP
// 23:20, DCMD 31:24, STA 35:32, IDX 38:36, POPTS 45:40, PAYLEN 63:46. Context:
// TUCMD 19:9, DTYP 23:20, IDX 38:36, L4LEN 47:40, MSS 63:48; in the first
// quadword IPLEN 8:0 and MACLEN 15:9.
constexpr uint32_t kTxTse = 1u << 31;
constexpr uint32_t kTxTypeContext = 2u << 20;
constexpr uint32_t kTxTypeData = 3u << 20;
constexpr uint64_t kTxIndex = uint64_t{1} << 36;  // A queue has two contexts.
constexpr uint64_t kTxIxsm = uint64_t{1} << 40;
constexpr uint64_t kTxTxsm = uint64_t{1} << 41;
constexpr uint32_t kTxIpv4 = 1u << 10;  // Of a context.
constexpr uint32_t kTxL4tMask = 3u << 11;
constexpr uint32_t kTxL4tUdp = 0u << 11;
constexpr uint32_t kTxL4tTcp = 1u << 11;

}  // namespace bulkhead::nic_model::i82576

#endif  // BULKHEAD_NIC_MODEL_82576_REGISTERS_H_
