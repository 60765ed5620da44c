// Shows that what the kernel says of a function is understood, in the words of
// each of its parts, and that everything else is left alone.
#include "platform_service/vfio/kernel_log.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"

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

// Linux names the function of one that it knows in front of the line, and only
// there.
TEST(KernelLog, ADmaFaultOfAmdsIommu) {
  for (const char* line : {
           "vfio-pci 0000:02:00.0: AMD-Vi: Event logged [IO_PAGE_FAULT "
           "domain=0x000e address=0xdead0000 flags=0x0020]",
           // Of one that it does not know; before and since Linux 6.0.
           "AMD-Vi: Event logged [IO_PAGE_FAULT device=02:00.0 domain=0x000e "
           "address=0xdead0000 flags=0x0020]",
           "AMD-Vi: Event logged [IO_PAGE_FAULT device=0000:02:00.0 "
           "domain=0x000e address=0xdead0000 flags=0x0020]",
       }) {
    const auto fault =
        ParseKernelRecord(absl::StrCat("3,1,2,-;", line, "\n SUBSYSTEM=pci\n"));
    ASSERT_TRUE(fault.has_value()) << line;
    EXPECT_EQ(fault->kind, DeviceFault::Kind::kDma);
    EXPECT_EQ(fault->address, "0000:02:00.0") << line;
    EXPECT_EQ(fault->text, "DMA to 0xdead0000 was blocked: flags 0x0020");
  }
}

// A card whose vectors somebody wrote over.
TEST(KernelLog, AnInterruptThatIsNotTheCardsOwn) {
  const auto intel = ParseKernelRecord(
      "3,1,2,-;DMAR: [INTR-REMAP] Request device [01:00.0] fault index 0x7fff "
      "[fault reason 0x22] Present field in the IRTE entry is clear\n");
  ASSERT_TRUE(intel.has_value());
  EXPECT_EQ(intel->kind, DeviceFault::Kind::kDma);
  EXPECT_EQ(intel->address, "0000:01:00.0");
  EXPECT_EQ(intel->text,
            "interrupt request 0x7fff was blocked: Present field in the IRTE "
            "entry is clear");
  const auto amd = ParseKernelRecord(
      "3,1,2,-;vfio-pci 0000:02:00.0: AMD-Vi: Event logged [IO_PAGE_FAULT "
      "domain=0x000e address=0xfffffffdf8000000 flags=0x0008]\n");
  ASSERT_TRUE(amd.has_value());
  EXPECT_EQ(amd->address, "0000:02:00.0");
  EXPECT_EQ(amd->text,
            "interrupt request to 0xfffffffdf8000000 was blocked: flags "
            "0x0008");
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
           // What the kernel's limit of the rate says names nobody.
           "4,1,2,-;amd_iommu_report_page_fault: 12 callbacks suppressed",
           "4,1,2,-;dmar_fault: 12 callbacks suppressed",
           "3,1,2,-;AMD-Vi: Event logged [IO_PAGE_FAULT domain=0x000e",
           "3,1,2,-;vfio-pci ../..: AMD-Vi: Event logged [IO_PAGE_FAULT d=1]",
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
