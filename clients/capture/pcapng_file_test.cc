// Shows that what was captured is what libpcap reads back, times to the
// nanosecond; that the blocks fit together; and that a failure is told.
#include "clients/capture/pcapng_file.h"

#include <gtest/gtest.h>
#include <pcap/pcap.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace bulkhead::capture {
namespace {

std::string WriteSample() {
  const std::string path = testing::TempDir() + "/pcapng_file_test.pcapng";
  auto file = PcapngFile::Create(path, {.name = "nic0",
                                        .description = "a test",
                                        .filter = "icmp",
                                        .snap_bytes = 100});
  EXPECT_TRUE(file.ok()) << file.status();
  const std::vector<uint8_t> first(60, 0xaa), second(99, 0xbb);
  (*file)->Write({.bytes = first,
                  .length = 60,
                  .when = {.tv_sec = 5, .tv_nsec = 7},
                  .direction = Direction::kInbound});
  (*file)->Write({.bytes = second,
                  .length = 1514,
                  .when = {.tv_sec = 1'800'000'000, .tv_nsec = 999'999'999},
                  .direction = Direction::kOutbound,
                  .lost_before = 3,
                  .comment = "a comment"});
  (*file)->WriteTotals(0, {.received = 5, .lost = 3},
                       {.tv_sec = 1'800'000'001, .tv_nsec = 0});
  EXPECT_TRUE((*file)->Flush().ok());
  return path;
}

TEST(PcapngFile, ReadsBackWhatWasWritten) {
  const std::string path = WriteSample();
  char error[PCAP_ERRBUF_SIZE];
  pcap_t* read = ::pcap_open_offline_with_tstamp_precision(
      path.c_str(), PCAP_TSTAMP_PRECISION_NANO, error);
  ASSERT_NE(read, nullptr) << error;
  EXPECT_EQ(::pcap_datalink(read), DLT_EN10MB);
  pcap_pkthdr* header = nullptr;
  const u_char* bytes = nullptr;
  ASSERT_EQ(::pcap_next_ex(read, &header, &bytes), 1);
  EXPECT_EQ(header->len, 60u);
  EXPECT_EQ(header->caplen, 60u);
  EXPECT_EQ(header->ts.tv_sec, 5);
  EXPECT_EQ(header->ts.tv_usec, 7);
  EXPECT_EQ(bytes[59], 0xaa);
  ASSERT_EQ(::pcap_next_ex(read, &header, &bytes), 1);
  EXPECT_EQ(header->len, 1514u);
  EXPECT_EQ(header->caplen, 99u);
  EXPECT_EQ(header->ts.tv_sec, 1'800'000'000);
  EXPECT_EQ(header->ts.tv_usec, 999'999'999);
  EXPECT_EQ(bytes[98], 0xbb);
  EXPECT_EQ(::pcap_next_ex(read, &header, &bytes), PCAP_ERROR_BREAK);
  ::pcap_close(read);
}

// Each block's two lengths agree, and lead from block to block to the end.
TEST(PcapngFile, BlocksFitTogether) {
  std::ifstream in(WriteSample(), std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(in)), {});
  std::vector<uint32_t> types;
  size_t at = 0;
  while (at + 12 <= bytes.size()) {
    uint32_t type, length, again;
    std::memcpy(&type, &bytes[at], 4);
    std::memcpy(&length, &bytes[at + 4], 4);
    ASSERT_EQ(length % 4, 0u);
    ASSERT_LE(at + length, bytes.size());
    std::memcpy(&again, &bytes[at + length - 4], 4);
    EXPECT_EQ(length, again);
    types.push_back(type);
    at += length;
  }
  EXPECT_EQ(at, bytes.size());
  EXPECT_EQ(types, (std::vector<uint32_t>{0x0a0d0d0a, 1, 6, 6, 5}));
}

// Frames name the interface that they are from, by its number in the file.
TEST(PcapngFile, SeveralInterfaces) {
  const std::string path = testing::TempDir() + "/two.pcapng";
  auto file = PcapngFile::Create(path, {.name = "router"});
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ((*file)->AddInterface({.name = "router/one"}), 1u);
  EXPECT_EQ((*file)->AddInterface({.name = "nic0"}), 2u);
  const std::vector<uint8_t> bytes(60, 0xaa);
  (*file)->Write({.interface = 2, .bytes = bytes, .length = 60});
  ASSERT_TRUE((*file)->Flush().ok());
  // Three descriptions lie before it; its block's third word is the interface.
  std::ifstream in(path, std::ios::binary);
  const std::string written((std::istreambuf_iterator<char>(in)), {});
  std::vector<uint32_t> types;
  uint32_t interface = 0;
  for (size_t at = 0; at + 12 <= written.size();) {
    uint32_t type, length;
    std::memcpy(&type, &written[at], 4);
    std::memcpy(&length, &written[at + 4], 4);
    if (type == 6) std::memcpy(&interface, &written[at + 8], 4);
    types.push_back(type);
    at += length;
  }
  EXPECT_EQ(types, (std::vector<uint32_t>{0x0a0d0d0a, 1, 1, 1, 6}));
  EXPECT_EQ(interface, 2u);
}

TEST(PcapngFile, AFullDiskIsAnError) {
  auto file = PcapngFile::Create("/dev/full", {});
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_FALSE((*file)->Flush().ok());
}

TEST(PcapngFile, AFolderThatIsNotThereIsNamed) {
  const auto file = PcapngFile::Create("/nowhere/capture.pcapng", {});
  ASSERT_FALSE(file.ok());
  EXPECT_NE(file.status().message().find("/nowhere/capture.pcapng"),
            std::string::npos);
}

}  // namespace
}  // namespace bulkhead::capture
