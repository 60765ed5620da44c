// Shows that only text that libpci can read gets past the check of a dump, and
// that a refusal names the line.
#include "platform_service/pci/recorded_dump.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/testing/scratch_dir.h"

namespace bulkhead::pci {
namespace {

constexpr char kLine[] =
    "00: 86 80 d3 10 07 00 10 00 00 00 00 02 10 00 00 00\n";

struct Case {
  const char* name;
  std::string text;
  std::string message;  // Empty: a dump.
};

class RecordedDump : public testing::TestWithParam<Case> {};

TEST_P(RecordedDump, IsChecked) {
  const absl::Status status = CheckDump(GetParam().text, "m.lspci");
  EXPECT_EQ(std::string(status.message()), GetParam().message);
}

const std::string kAnew = "; record the machine anew with `lspci -xxxx`";

INSTANTIATE_TEST_SUITE_P(
    Table, RecordedDump,
    testing::Values(
        Case{"Short", absl::StrCat("01:00.0 Ethernet\n", kLine, "\n"), ""},
        Case{"WithDomain", absl::StrCat("0001:01:00.0 Ethernet\n", kLine), ""},
        Case{"Crlf", "01:00.0 Ethernet\r\n00: 86 80\r\n", ""},
        Case{"WordsBetween",
             absl::StrCat("# note\n01:00.0 x\n\tKernel driver\n", kLine), ""},
        Case{"Empty", "",
             "m.lspci: error: there is no PCI device in this file; record a "
             "machine with `lspci -xxxx`"},
        Case{"NoDevice", kLine,
             "m.lspci: error: there is no PCI device in this file; record a "
             "machine with `lspci -xxxx`"},
        Case{"Twice", "01:00.0 a\n0000:01:00.0 b\n",
             "m.lspci:2: error: the device 0000:01:00.0 comes twice" + kAnew},
        Case{"BadByte", "01:00.0 a\n00: 86 8x\n",
             "m.lspci:2: error: this is no line of config space" + kAnew},
        Case{"TornLine", "01:00.0 a\n00: 86 8",
             "m.lspci:2: error: this is no line of config space" + kAnew},
        Case{"Torn", "01:00.0 a\n00: 86 80",
             "m.lspci:2: error: the file breaks off in its last line" + kAnew},
        Case{"Beyond", "01:00.0 a\nff0: 86 80\nfff: 00 00\n",
             "m.lspci:3: error: config space ends at 4096 bytes" + kAnew},
        Case{"BeyondInFourDigits", "01:00.0 a\n1000: 86\n",
             "m.lspci:2: error: config space ends at 4096 bytes" + kAnew},
        Case{"BeforeTheBuffer", "01:00.0 a\nffffffff: 86\n",
             "m.lspci:2: error: config space ends at 4096 bytes" + kAnew},
        Case{"OneSpaceAfter", "01:00.0 a\n00: 86 80 \n", ""},
        Case{"TwoSpacesAfter", "01:00.0 a\n00: 86 80  \n",
             "m.lspci:2: error: this is no line of config space" + kAnew},
        Case{"FeedAfter", "01:00.0 a\n00: 86 80\f\n",
             "m.lspci:2: error: this is no line of config space" + kAnew},
        Case{"LongLine", "01:00.0 a\n" + std::string(300, 'x') + "\n",
             "m.lspci:2: error: this line is too long" + kAnew},
        Case{"Binary", std::string("01:00.0 a\n\0\n", 12),
             "m.lspci:2: error: this line is not text" + kAnew}),
    [](const auto& info) { return info.param.name; });

TEST(RecordedDumpFile, OnlyARegularFile) {
  const ScratchDir scratch;
  const std::string& folder = scratch.path();
  const std::string fifo = folder + "/fifo";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_EQ(ReadDump(fifo).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ReadDump(folder + "/none").status().code(),
            absl::StatusCode::kNotFound);
  const std::string file = folder + "/file";
  std::ofstream(file) << "01:00.0 a\n" << kLine;
  EXPECT_TRUE(ReadDump(file).ok());
}

}  // namespace
}  // namespace bulkhead::pci
