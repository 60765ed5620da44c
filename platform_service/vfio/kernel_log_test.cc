// Shows that what the kernel says of a function is understood, in the words of
// each of its parts, and that everything else is left alone.
#include "platform_service/vfio/kernel_log.h"

#include <gtest/gtest.h>

#include <string>

namespace bulkhead::platform {
namespace {

TEST(KernelLog, ADmaFaultOfIntelsIommu) {
  const auto fault = ParseKernelRecord(
      "3,812,5140900,-;DMAR: [DMA Write NO_PASID] Request device [01:00.0] "
      "fault addr 0xdead000 [fault reason 0x05] PTE Write access is not set\n"
      " SUBSYSTEM=x\n");
  ASSERT_TRUE(fault.has_value());
  EXPECT_EQ(fault->kind, DeviceFault::Kind::kDma);
  EXPECT_EQ(fault->address, "0000:01:00.0");
  EXPECT_EQ(fault->time_us, 5140900u);
  EXPECT_EQ(fault->text,
            "DMA write to 0xdead000 was blocked: PTE Write access is not set");
}

TEST(KernelLog, ADmaFaultOfAmdsIommu) {
  const auto fault = ParseKernelRecord(
      "3,1,2,-;vfio-pci 0000:02:00.0: AMD-Vi: Event logged [IO_PAGE_FAULT "
      "device=0000:02:00.0 domain=0x000e address=0x1000 flags=0x0020]\n");
  ASSERT_TRUE(fault.has_value());
  EXPECT_EQ(fault->address, "0000:02:00.0");
  EXPECT_EQ(fault->text, "DMA to 0x1000 was blocked: flags 0x0020");
}

TEST(KernelLog, AnErrorOfTheBus) {
  const auto fault = ParseKernelRecord(
      "4,1,2,-;vfio-pci 0000:03:00.0: PCIe Bus Error: severity=Corrected, "
      "type=Data Link Layer\n");
  ASSERT_TRUE(fault.has_value());
  EXPECT_EQ(fault->kind, DeviceFault::Kind::kBus);
  EXPECT_EQ(fault->address, "0000:03:00.0");
}

TEST(KernelLog, EverythingElseIsLeftAlone) {
  for (const char* record : {
           "",
           "3",
           ";",
           "3,1,2,-;usb 1-1: new device",
           "3,1,2,-;DMAR: DRHD: handling fault status reg 2",
           "3,1,2,-;DMAR: [DMA Write] Request device [../..] fault addr 0",
           "3,1,x,-;DMAR: [DMA Write] Request device [01:00.0] fault addr 0",
           // Written by a process, not by the kernel.
           "12,1,2,-;DMAR: [DMA Write] Request device [01:00.0] fault addr 0",
       }) {
    EXPECT_FALSE(ParseKernelRecord(record).has_value()) << record;
  }
}

TEST(KernelLog, WhatComesBackIsPrintable) {
  const auto fault = ParseKernelRecord(
      "3,1,2,-;DMAR: [DMA Read NO_PASID] Request device [01:00.0] fault addr "
      "\x1b[2J [fault reason \x07]");
  ASSERT_TRUE(fault.has_value());
  EXPECT_EQ(fault->text.find('\x1b'), std::string::npos);
  EXPECT_EQ(fault->text.find('\x07'), std::string::npos);
}

}  // namespace
}  // namespace bulkhead::platform
