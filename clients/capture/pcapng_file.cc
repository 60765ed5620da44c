#include "clients/capture/pcapng_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "clients/arguments/version.h"

namespace bulkhead::capture {
namespace {

// Section 4: block types; 3.5 and 4.1 to 4.6: options.
constexpr uint32_t kSectionHeader = 0x0a0d0d0a;
constexpr uint32_t kByteOrderMagic = 0x1a2b3c4d;
constexpr uint32_t kInterfaceDescription = 1;
constexpr uint32_t kInterfaceStatistics = 5;
constexpr uint32_t kEnhancedPacket = 6;
constexpr uint16_t kLinkTypeEthernet = 1;

constexpr uint16_t kOptEnd = 0;
constexpr uint16_t kOptComment = 1;
constexpr uint16_t kShbUserApplication = 4;
constexpr uint16_t kIfName = 2;
constexpr uint16_t kIfDescription = 3;
constexpr uint16_t kIfTimeResolution = 9;
constexpr uint16_t kIfFilter = 11;
constexpr uint16_t kEpbFlags = 2;
constexpr uint16_t kEpbDropCount = 4;
constexpr uint16_t kIsbReceived = 4;
constexpr uint16_t kIsbDropped = 5;

// Builds one block; numbers are in the byte order of this machine, as the
// section header says.
class Block {
 public:
  Block(std::vector<uint8_t>& bytes, uint32_t type) : bytes_(bytes) {
    bytes_.clear();
    Add(type);
    Add(uint32_t{0});  // Its length, written by End.
  }

  template <typename Number>
  void Add(Number value) {
    AddBytes({reinterpret_cast<const uint8_t*>(&value), sizeof(value)});
  }
  void AddTime(const timespec& when) {
    const uint64_t ns = static_cast<uint64_t>(when.tv_sec) * 1'000'000'000u +
                        static_cast<uint64_t>(when.tv_nsec);
    Add(static_cast<uint32_t>(ns >> 32));
    Add(static_cast<uint32_t>(ns));
  }
  void AddBytes(std::span<const uint8_t> bytes) {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  }
  void Pad() { bytes_.resize((bytes_.size() + 3) & ~size_t{3}); }

  template <typename Number>
  void AddOption(uint16_t code, Number value) {
    AddOption(code, {reinterpret_cast<const uint8_t*>(&value), sizeof(value)});
  }
  void AddOption(uint16_t code, std::span<const uint8_t> value) {
    constexpr size_t kLongest = 0xffff;
    value = value.first(std::min(value.size(), kLongest));
    Add(code);
    Add(static_cast<uint16_t>(value.size()));
    AddBytes(value);
    Pad();
    options_ = true;
  }
  void AddText(uint16_t code, absl::string_view text) {
    if (text.empty()) return;
    AddOption(code,
              {reinterpret_cast<const uint8_t*>(text.data()), text.size()});
  }

  void End(FILE* file) {
    if (options_) Add(uint32_t{kOptEnd});
    const auto total = static_cast<uint32_t>(bytes_.size() + sizeof(uint32_t));
    Add(total);
    std::memcpy(&bytes_[sizeof(uint32_t)], &total, sizeof(total));
    // A failure is seen in Flush.
    ::fwrite(bytes_.data(), 1, bytes_.size(), file);
  }

 private:
  std::vector<uint8_t>& bytes_;
  bool options_ = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<PcapngFile>> PcapngFile::Create(
    const std::string& path, const CaptureInterface& interface) {
  FILE* file = path == "-" ? ::fdopen(::dup(STDOUT_FILENO), "wb")
                           : ::fopen(path.c_str(), "wbe");
  if (file == nullptr) {
    return ErrnoStatus(absl::StrCat("write the capture ", path));
  }
  std::unique_ptr<PcapngFile> capture(new PcapngFile(path, file));
  capture->WriteHead();
  capture->AddInterface(interface);
  return capture;
}

PcapngFile::~PcapngFile() { ::fclose(file_); }

void PcapngFile::WriteHead() {
  Block section(block_, kSectionHeader);
  section.Add(kByteOrderMagic);
  section.Add(uint16_t{1});   // Major version
  section.Add(uint16_t{0});   // and minor.
  section.Add(~uint64_t{0});  // Length: not known yet.
  section.AddText(kShbUserApplication, absl::StrCat("Bulkhead ", kVersion));
  section.End(file_);
}

uint32_t PcapngFile::AddInterface(const CaptureInterface& interface) {
  Block description(block_, kInterfaceDescription);
  description.Add(kLinkTypeEthernet);
  description.Add(uint16_t{0});
  description.Add(interface.snap_bytes);
  description.AddText(kIfName, interface.name);
  description.AddText(kIfDescription, interface.description);
  description.AddOption(kIfTimeResolution, uint8_t{9});
  if (!interface.filter.empty()) {
    // 0: a libpcap expression follows.
    description.AddText(kIfFilter, std::string(1, '\0') + interface.filter);
  }
  description.End(file_);
  return interfaces_++;
}

void PcapngFile::Write(const CapturedFrame& frame) {
  Block block(block_, kEnhancedPacket);
  block.Add(frame.interface);
  block.AddTime(frame.when);
  block.Add(static_cast<uint32_t>(frame.bytes.size()));
  block.Add(frame.length);
  block.AddBytes(frame.bytes);
  block.Pad();
  if (frame.direction != Direction::kUnknown) {
    block.AddOption(kEpbFlags, static_cast<uint32_t>(frame.direction));
  }
  if (frame.lost_before > 0) {
    block.AddOption(kEpbDropCount, frame.lost_before);
    block.AddText(kOptComment,
                  absl::StrCat(frame.lost_before,
                               " frames before this one were not captured"));
  }
  block.AddText(kOptComment, frame.comment);
  block.End(file_);
}

void PcapngFile::WriteTotals(uint32_t interface, const CaptureCount& count,
                             const timespec& when) {
  Block block(block_, kInterfaceStatistics);
  block.Add(interface);
  block.AddTime(when);
  block.AddOption(kIsbReceived, count.received);
  block.AddOption(kIsbDropped, count.lost);
  if (count.lost > 0) {
    block.AddText(kOptComment,
                  absl::StrCat(count.lost,
                               " frames were not captured: they were "
                               "overwritten before they were copied"));
  }
  block.End(file_);
}

absl::Status PcapngFile::Flush() {
  if (::fflush(file_) == 0 && ::ferror(file_) == 0) return absl::OkStatus();
  return ErrnoStatus(absl::StrCat("write the capture ", path_));
}

}  // namespace bulkhead::capture
