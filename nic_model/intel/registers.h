// Registers and bits that Intel's gigabit controllers 82574 and 82576 have in
// the same places, as far as the models act on them.
//
// Source: chapter 10 of the 82574's datasheet, chapter 8 of the 82576's. Names
// are the datasheets'; sections are those of the 82574's.
#ifndef BULKHEAD_NIC_MODEL_INTEL_REGISTERS_H_
#define BULKHEAD_NIC_MODEL_INTEL_REGISTERS_H_

#include <cstdint>

namespace bulkhead::nic_model::intel {

constexpr uint32_t kBar0Bytes = 128 * 1024;  // Registers.
constexpr uint32_t kBar3Bytes = 16 * 1024;   // MSI-X table and PBA.

// 10.2.2 General.
constexpr uint32_t kCtrl = 0x0000;
constexpr uint32_t kCtrlDuplicate = 0x0004;
constexpr uint32_t kStatus = 0x0008;
constexpr uint32_t kEecd = 0x0010;
constexpr uint32_t kEerd = 0x0014;
constexpr uint32_t kCtrlExt = 0x0018;
constexpr uint32_t kMdic = 0x0020;
constexpr uint32_t kVet = 0x0038;
constexpr uint32_t kLedctl = 0x0e00;
constexpr uint32_t kEemngctl = 0x1010;
// 10.2.5 Receive.
constexpr uint32_t kRctl = 0x0100;
constexpr uint32_t kRxcsum = 0x5000;
constexpr uint32_t kRfctl = 0x5008;
constexpr uint32_t kMta = 0x5200;   // 128 words.
constexpr uint32_t kRal0 = 0x5400;  // 16 pairs RAL, RAH.
constexpr uint32_t kRah0 = 0x5404;
constexpr uint32_t kVfta = 0x5600;  // 128 words.
constexpr uint32_t kMrqc = 0x5818;
// 10.2.6 Transmit.
constexpr uint32_t kTctl = 0x0400;
constexpr uint32_t kTipg = 0x0410;
// 10.2.7 Statistics: every one clears when it is read.
constexpr uint32_t kStatisticsFirst = 0x4000;
constexpr uint32_t kMpc = 0x4010;
constexpr uint32_t kRlec = 0x4040;
constexpr uint32_t kXonrxc = 0x4048;
constexpr uint32_t kXontxc = 0x404c;
constexpr uint32_t kXoffrxc = 0x4050;
constexpr uint32_t kXofftxc = 0x4054;
constexpr uint32_t kPrc64 = 0x405c;  // 64, 127, 255, 511, 1023, 1522.
constexpr uint32_t kGprc = 0x4074;
constexpr uint32_t kBprc = 0x4078;
constexpr uint32_t kMprc = 0x407c;
constexpr uint32_t kGptc = 0x4080;
constexpr uint32_t kGorcl = 0x4088;
constexpr uint32_t kGotcl = 0x4090;
constexpr uint32_t kRnbc = 0x40a0;
constexpr uint32_t kRuc = 0x40a4;
constexpr uint32_t kRoc = 0x40ac;
constexpr uint32_t kTorl = 0x40c0;
constexpr uint32_t kTotl = 0x40c8;
constexpr uint32_t kTpr = 0x40d0;
constexpr uint32_t kTpt = 0x40d4;
constexpr uint32_t kPtc64 = 0x40d8;  // 64, 127, 255, 511, 1023, 1522.
constexpr uint32_t kMptc = 0x40f0;
constexpr uint32_t kBptc = 0x40f4;
constexpr uint32_t kIac = 0x4100;
constexpr uint32_t kStatisticsLast = 0x4124;
// 10.2.8 Semaphores.
constexpr uint32_t kSwsm = 0x5b50;
constexpr uint32_t kFwsm = 0x5b54;

// CTRL.
constexpr uint32_t kCtrlFd = 1u << 0;
constexpr uint32_t kCtrlGioMasterDisable = 1u << 2;
constexpr uint32_t kCtrlSlu = 1u << 6;
constexpr uint32_t kCtrlSpeed1000 = 2u << 8;
constexpr uint32_t kCtrlRst = 1u << 26;
constexpr uint32_t kCtrlRfce = 1u << 27;
constexpr uint32_t kCtrlTfce = 1u << 28;
constexpr uint32_t kCtrlPhyRst = 1u << 31;
// STATUS.
constexpr uint32_t kStatusFd = 1u << 0;
constexpr uint32_t kStatusLu = 1u << 1;
constexpr uint32_t kStatusTxoff = 1u << 4;
constexpr uint32_t kStatusSpeed1000 = 2u << 6;
constexpr uint32_t kStatusLanInitDone = 1u << 9;
constexpr uint32_t kStatusPhyra = 1u << 10;
constexpr uint32_t kStatusGioMasterEnable = 1u << 19;
// CTRL_EXT.
constexpr uint32_t kCtrlExtAsdchk = 1u << 12;
constexpr uint32_t kCtrlExtEeRst = 1u << 13;
// EECD, EERD.
constexpr uint32_t kEecdPresent = 1u << 8;
constexpr uint32_t kEecdAutoRead = 1u << 9;
constexpr uint32_t kEerdStart = 1u << 0;
constexpr uint32_t kEerdDone = 1u << 1;
// MDIC.
constexpr uint32_t kMdicWrite = 1u << 26;
constexpr uint32_t kMdicRead = 2u << 26;
constexpr uint32_t kMdicReady = 1u << 28;
constexpr uint32_t kMdicInterrupt = 1u << 29;
constexpr uint32_t kMdicError = 1u << 30;
// ICR, ICS, IMS, IMC.
constexpr uint32_t kIcrTxdw = 1u << 0;
constexpr uint32_t kIcrLsc = 1u << 2;
constexpr uint32_t kIcrRxdmt0 = 1u << 4;
constexpr uint32_t kIcrMdac = 1u << 9;
constexpr uint32_t kIcrIntAsserted = 1u << 31;
// RCTL.
constexpr uint32_t kRctlEn = 1u << 1;
constexpr uint32_t kRctlSbp = 1u << 2;
constexpr uint32_t kRctlUpe = 1u << 3;
constexpr uint32_t kRctlMpe = 1u << 4;
constexpr uint32_t kRctlLpe = 1u << 5;
constexpr uint32_t kRctlBam = 1u << 15;
constexpr uint32_t kRctlSecrc = 1u << 26;
// RXCSUM.
constexpr uint32_t kRxcsumIpofl = 1u << 8;
constexpr uint32_t kRxcsumTuofl = 1u << 9;
constexpr uint32_t kRxcsumPcsd = 1u << 13;
// RAH.
constexpr uint32_t kRahValid = 1u << 31;
// TCTL.
constexpr uint32_t kTctlEn = 1u << 1;
constexpr uint32_t kTctlPsp = 1u << 3;

// 7.1 Receive descriptors: bits of the status, whose place differs.
constexpr uint32_t kRxDd = 1u << 0;
constexpr uint32_t kRxEop = 1u << 1;
constexpr uint32_t kRxUdpcs = 1u << 4;
constexpr uint32_t kRxIpcs = 1u << 6;

// 7.2 Transmit descriptors of every kind, second quadword.
constexpr uint32_t kTxTypeMask = 0xfu << 20;
constexpr uint32_t kTxEop = 1u << 24;
constexpr uint32_t kTxRs = 1u << 27;
constexpr uint32_t kTxDext = 1u << 29;
constexpr uint64_t kTxDd = uint64_t{1} << 32;

}  // namespace bulkhead::nic_model::intel

#endif  // BULKHEAD_NIC_MODEL_INTEL_REGISTERS_H_
