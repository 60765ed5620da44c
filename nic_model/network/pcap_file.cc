#include "nic_model/network/pcap_file.h"

#include <cstring>

#include "absl/strings/str_cat.h"
#include "nic_model/network/network.h"

namespace bulkhead::nic_model {
namespace {

constexpr uint32_t kMagicMicroseconds = 0xa1b2c3d4;
constexpr uint32_t kMagicNanoseconds = 0xa1b23c4d;
constexpr uint32_t kLinkEthernet = 1;
constexpr size_t kRecordBytes = 16;
constexpr size_t kEthernetBytes = 14;

bool IsMagic(uint32_t value) {
  return value == kMagicMicroseconds || value == kMagicNanoseconds;
}

}  // namespace

absl::StatusOr<PcapFile> PcapFile::Open(std::span<const uint8_t> bytes) {
  uint32_t magic = 0;
  if (bytes.size() >= kHeaderBytes) std::memcpy(&magic, bytes.data(), 4);
  const bool swapped = IsMagic(__builtin_bswap32(magic));
  if (!IsMagic(magic) && !swapped) {
    return absl::InvalidArgumentError(
        "replay a capture: it is no classic pcap file; convert pcapng with "
        "'editcap -F pcap'");
  }
  PcapFile file(bytes, swapped);
  // The upper bits may say how long an FCS is.
  const uint32_t link = file.Load(20) & 0xffff;
  if (link != kLinkEthernet) {
    return absl::InvalidArgumentError(absl::StrCat(
        "replay a capture: its link type is ", link, ", not Ethernet (1)"));
  }
  return file;
}

uint32_t PcapFile::Load(size_t at) const {
  uint32_t value;
  std::memcpy(&value, bytes_.data() + at, 4);
  return swapped_ ? __builtin_bswap32(value) : value;
}

std::span<const uint8_t> PcapFile::Next() {
  while (bytes_.size() - at_ >= kRecordBytes) {
    const uint32_t captured = Load(at_ + 8);
    const uint32_t original = Load(at_ + 12);
    if (captured > bytes_.size() - at_ - kRecordBytes) break;
    const auto frame = bytes_.subspan(at_ + kRecordBytes, captured);
    at_ += kRecordBytes + captured;
    if (captured == original && captured >= kEthernetBytes &&
        captured <= kMaxFrameBytes) {
      return frame;
    }
    ++skipped_;
  }
  at_ = bytes_.size();
  return {};
}

}  // namespace bulkhead::nic_model
