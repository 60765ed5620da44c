// Shows that what was captured is what libpcap reads back, times to the
// nanosecond, long frames cut to the snap length.
#include "clients/nic_dump/capture_file.h"

#include <gtest/gtest.h>
#include <pcap/pcap.h>

#include <string>
#include <vector>

namespace bulkhead::nic_dump {
namespace {

TEST(CaptureFile, ReadsBackWhatWasWritten) {
  const std::string path = testing::TempDir() + "/capture_file_test.pcap";
  {
    auto file = CaptureFile::Create(path, 100);
    ASSERT_TRUE(file.ok()) << file.status();
    (*file)->Write(std::vector<uint8_t>(60, 0xaa), {.tv_sec = 5, .tv_nsec = 7});
    (*file)->Write(std::vector<uint8_t>(1514, 0xbb),
                   {.tv_sec = 6, .tv_nsec = 999'999'999});
    EXPECT_TRUE((*file)->Flush().ok());
  }
  char error[PCAP_ERRBUF_SIZE];
  pcap_t* read = ::pcap_open_offline_with_tstamp_precision(
      path.c_str(), PCAP_TSTAMP_PRECISION_NANO, error);
  ASSERT_NE(read, nullptr) << error;
  EXPECT_EQ(::pcap_datalink(read), DLT_EN10MB);
  pcap_pkthdr* header = nullptr;
  const u_char* bytes = nullptr;
  ASSERT_EQ(::pcap_next_ex(read, &header, &bytes), 1);
  EXPECT_EQ(header->len, 60u);
  EXPECT_EQ(header->ts.tv_sec, 5);
  EXPECT_EQ(header->ts.tv_usec, 7);
  EXPECT_EQ(bytes[59], 0xaa);
  ASSERT_EQ(::pcap_next_ex(read, &header, &bytes), 1);
  EXPECT_EQ(header->len, 1514u);
  EXPECT_EQ(header->caplen, 100u);
  EXPECT_EQ(header->ts.tv_usec, 999'999'999);
  EXPECT_EQ(::pcap_next_ex(read, &header, &bytes), PCAP_ERROR_BREAK);
  ::pcap_close(read);
}

TEST(CaptureFile, AFullDiskIsAnError) {
  auto file = CaptureFile::Create("/dev/full", 65535);
  ASSERT_TRUE(file.ok()) << file.status();
  (*file)->Write(std::vector<uint8_t>(60, 0), {});
  EXPECT_FALSE((*file)->Flush().ok());
}

TEST(CaptureFile, AFolderThatIsNotThereIsNamed) {
  const auto file = CaptureFile::Create("/nowhere/capture.pcap", 65535);
  ASSERT_FALSE(file.ok());
  EXPECT_NE(file.status().message().find("/nowhere/capture.pcap"),
            std::string::npos);
}

}  // namespace
}  // namespace bulkhead::nic_dump
