// Captures whole, swapped, cut off and lying: only frames that are wholly
// there come out, and the walk always ends.
#include <sys/mman.h>

#include <cstring>

#include "gtest/gtest.h"
#include "nic_model/network/fake_port.h"
#include "nic_model/network/pcap_file.h"
#include "nic_model/network/pcap_replay.h"

namespace bulkhead::nic_model {
namespace {

class PcapBytes {
 public:
  explicit PcapBytes(bool swapped = false, uint32_t magic = 0xa1b2c3d4,
                     uint32_t link = 1)
      : swapped_(swapped) {
    Add(magic);
    Add(0x00040002);
    Add(0);
    Add(0);
    Add(65535);
    Add(link);
  }
  PcapBytes& Record(uint32_t captured, uint32_t original, size_t bytes) {
    Add(1);
    Add(2);
    Add(captured);
    Add(original);
    bytes_.resize(bytes_.size() + bytes, static_cast<uint8_t>(bytes));
    return *this;
  }
  PcapBytes& Frame(uint32_t bytes) { return Record(bytes, bytes, bytes); }
  const std::vector<uint8_t>& bytes() const { return bytes_; }

 private:
  void Add(uint32_t value) {
    if (swapped_) value = __builtin_bswap32(value);
    const auto* data = reinterpret_cast<const uint8_t*>(&value);
    bytes_.insert(bytes_.end(), data, data + 4);
  }
  bool swapped_;
  std::vector<uint8_t> bytes_;
};

std::vector<size_t> Lengths(const PcapBytes& pcap) {
  auto file = PcapFile::Open(pcap.bytes());
  EXPECT_TRUE(file.ok()) << file.status();
  std::vector<size_t> lengths;
  for (auto f = file->Next(); !f.empty(); f = file->Next()) {
    lengths.push_back(f.size());
  }
  return lengths;
}

TEST(PcapFile, ReadsFrames) {
  using Lens = std::vector<size_t>;
  EXPECT_EQ(Lengths(PcapBytes().Frame(60).Frame(1514)), Lens({60, 1514}));
  EXPECT_EQ(Lengths(PcapBytes(true).Frame(60).Frame(61)), Lens({60, 61}));
  EXPECT_EQ(Lengths(PcapBytes(false, 0xa1b23c4d).Frame(60)), Lens({60}));
  EXPECT_EQ(Lengths(PcapBytes()), Lens());
}

TEST(PcapFile, SkipsWhatIsNoWholeFrame) {
  using Lens = std::vector<size_t>;
  EXPECT_EQ(Lengths(PcapBytes().Record(0, 0, 0).Frame(60)), Lens({60}));
  EXPECT_EQ(Lengths(PcapBytes().Frame(13).Frame(60)), Lens({60}));
  EXPECT_EQ(Lengths(PcapBytes().Record(60, 1514, 60).Frame(70)), Lens({70}));
  EXPECT_EQ(Lengths(PcapBytes().Frame(kMaxFrameBytes + 1).Frame(60)),
            Lens({60}));
}

TEST(PcapFile, EndsAtALie) {
  using Lens = std::vector<size_t>;
  for (const uint32_t captured : {61u, 1u << 20, ~0u, ~0u - 15}) {
    EXPECT_EQ(Lengths(PcapBytes().Frame(60).Record(captured, captured, 60)),
              Lens({60}));
  }
}

TEST(PcapFile, RefusesOtherFiles) {
  EXPECT_FALSE(PcapFile::Open({}).ok());
  EXPECT_FALSE(PcapFile::Open(std::vector<uint8_t>(24)).ok());
  const std::vector<uint8_t> whole = PcapBytes().bytes();
  EXPECT_FALSE(PcapFile::Open(std::span(whole).first(23)).ok());
  EXPECT_FALSE(PcapFile::Open(PcapBytes(false, 0x0a0d0d0a).bytes()).ok());
  const absl::Status wifi =
      PcapFile::Open(PcapBytes(false, 0xa1b2c3d4, 105).bytes()).status();
  EXPECT_NE(wifi.message().find("105"), std::string::npos);
}

UniqueFd FileOf(const std::vector<uint8_t>& bytes) {
  UniqueFd fd(::memfd_create("pcap", MFD_CLOEXEC));
  EXPECT_EQ(::write(fd.get(), bytes.data(), bytes.size()),
            static_cast<ssize_t>(bytes.size()));
  return fd;
}

TEST(PcapReplay, SendsOnceOrForEver) {
  auto loop = *EventLoop::Create();
  for (const bool repeat : {false, true}) {
    FakePort port;
    port.room = 5;
    auto replay = PcapReplay::Create(
        *loop, port, FileOf(PcapBytes().Frame(60).Frame(61).bytes()), repeat);
    ASSERT_TRUE(replay.ok()) << replay.status();
    (*replay)->PortReady();
    for (int i = 0; i < 10; ++i) loop->RunOnce(0);
    EXPECT_EQ(port.received.size(), repeat ? 5u : 2u);
    EXPECT_EQ(port.received[1].size(), 61u);
  }
}

TEST(PcapReplay, RefusesACaptureWithoutFrames) {
  auto loop = *EventLoop::Create();
  FakePort port;
  EXPECT_FALSE(
      PcapReplay::Create(*loop, port, FileOf(PcapBytes().bytes()), true).ok());
}

}  // namespace
}  // namespace bulkhead::nic_model
