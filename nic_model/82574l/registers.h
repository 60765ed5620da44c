// Registers, bits and descriptors of the Intel 82574 GbE controller, as far as
// the model acts on them.
//
// Source: Intel 82574 GbE Controller Family Datasheet: chapter 10 (registers),
// 7.1 (receive), 7.2 (transmit), 7.4 (interrupts). Names are the datasheet's.
#ifndef BULKHEAD_NIC_MODEL_82574L_REGISTERS_H_
#define BULKHEAD_NIC_MODEL_82574L_REGISTERS_H_

#include <cstdint>

#include "nic_model/intel/registers.h"

namespace bulkhead::nic_model::i82574 {

using namespace intel;  // NOLINT: what it shares with its family.

constexpr uint32_t kMsixVectors = 5;

// 10.2.2 General.
constexpr uint32_t kFcal = 0x0028;
constexpr uint32_t kFcah = 0x002c;
constexpr uint32_t kFct = 0x0030;
constexpr uint32_t kFcttv = 0x0170;
constexpr uint32_t kExtcnfCtrl = 0x0f00;
constexpr uint32_t kPba = 0x1000;
// 10.2.4 Interrupts.
constexpr uint32_t kIcr = 0x00c0;
constexpr uint32_t kItr = 0x00c4;
constexpr uint32_t kIcs = 0x00c8;
constexpr uint32_t kIms = 0x00d0;
constexpr uint32_t kImc = 0x00d8;
constexpr uint32_t kEiac = 0x00dc;
constexpr uint32_t kIam = 0x00e0;
constexpr uint32_t kIvar = 0x00e4;
constexpr uint32_t kEitr0 = 0x00e8;  // Five, one a vector.
// 10.2.5 Receive.
constexpr uint32_t kErt = 0x2008;
constexpr uint32_t kFcrtl = 0x2160;
constexpr uint32_t kFcrth = 0x2168;
constexpr uint32_t kPsrctl = 0x2170;
constexpr uint32_t kRdbal = 0x2800;
constexpr uint32_t kRdbah = 0x2804;
constexpr uint32_t kRdlen = 0x2808;
constexpr uint32_t kRdh = 0x2810;
constexpr uint32_t kRdt = 0x2818;
constexpr uint32_t kRdtr = 0x2820;
constexpr uint32_t kRxdctl = 0x2828;
constexpr uint32_t kRadv = 0x282c;
// 10.2.6 Transmit.
constexpr uint32_t kTdbal = 0x3800;
constexpr uint32_t kTdbah = 0x3804;
constexpr uint32_t kTdlen = 0x3808;
constexpr uint32_t kTdh = 0x3810;
constexpr uint32_t kTdt = 0x3818;
constexpr uint32_t kTidv = 0x3820;
constexpr uint32_t kTxdctl = 0x3828;
constexpr uint32_t kTadv = 0x382c;
constexpr uint32_t kTarc0 = 0x3840;
// 10.2.8 and later: management, PCIe, semaphores.
constexpr uint32_t kGcr = 0x5b00;
constexpr uint32_t kPbaClear = 0x5b68;

// CTRL_EXT.
constexpr uint32_t kCtrlExtEiame = 1u << 24;
constexpr uint32_t kCtrlExtIame = 1u << 27;

// ICR, ICS, IMS, IMC, IAM.
constexpr uint32_t kIcrTxqe = 1u << 1;
constexpr uint32_t kIcrRxo = 1u << 6;
constexpr uint32_t kIcrRxt0 = 1u << 7;
constexpr uint32_t kIcrTxdLow = 1u << 15;
constexpr uint32_t kIcrSrpd = 1u << 16;
constexpr uint32_t kIcrAck = 1u << 17;
constexpr uint32_t kIcrMng = 1u << 18;
constexpr uint32_t kIcrRxq0 = 1u << 20;
constexpr uint32_t kIcrRxq1 = 1u << 21;
constexpr uint32_t kIcrTxq0 = 1u << 22;
constexpr uint32_t kIcrTxq1 = 1u << 23;
constexpr uint32_t kIcrOther = 1u << 24;
constexpr uint32_t kIcrOtherCauses =
    kIcrLsc | kIcrRxo | kIcrMdac | kIcrSrpd | kIcrAck | kIcrMng;
constexpr uint32_t kIcrMsixCauses =
    kIcrRxq0 | kIcrRxq1 | kIcrTxq0 | kIcrTxq1 | kIcrOther;
constexpr uint32_t kIcrAll = kIcrTxdw | kIcrTxqe | kIcrRxdmt0 | kIcrRxt0 |
                             kIcrTxdLow | kIcrOtherCauses | kIcrMsixCauses;

// RCTL, RFCTL, RXCSUM.
constexpr uint32_t kRctlBsex = 1u << 25;
constexpr uint32_t kRfctlExsten = 1u << 15;

// 7.1.4 Legacy receive descriptor, second quadword: length 15:0, packet
// checksum 31:16, status 39:32, errors 47:40, VLAN 63:48. 7.1.5 Extended,
// written back: MRQ 31:0, packet checksum and IP id or RSS hash 63:32; then
// extended status 19:0, extended error 31:20, length 47:32, VLAN 63:48.
constexpr uint32_t kRxIxsm = 1u << 2;
constexpr uint32_t kRxTcpcs = 1u << 5;
// In `errors` of the legacy descriptor; in bits 31:24 of the extended status.
constexpr uint32_t kRxErrorTcpe = 1u << 5;
constexpr uint32_t kRxErrorIpe = 1u << 6;

// 7.2.10 Transmit descriptors, second quadword. Legacy: length 15:0, CSO 23:16,
// CMD 31:24, status 35:32, CSS 47:40. Data (DEXT, DTYP 1): length 19:0, DTYP
// 23:20, DCMD 31:24, status 35:32, POPTS 47:40. Context (DEXT, DTYP 0).
constexpr uint32_t kTxIc = 1u << 26;   // Legacy.
constexpr uint32_t kTxTse = 1u << 26;  // Data: segmentation.
constexpr uint32_t kTxIde = 1u << 31;
constexpr uint32_t kTxTypeData = 1u << 20;
constexpr uint32_t kTxPoptsIxsm = 1u << 0;
constexpr uint32_t kTxPoptsTxsm = 1u << 1;

}  // namespace bulkhead::nic_model::i82574

#endif  // BULKHEAD_NIC_MODEL_82574L_REGISTERS_H_
