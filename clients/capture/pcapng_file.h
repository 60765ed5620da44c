// A capture file (or pipe) of Ethernet frames with nanosecond times, in pcapng
// (draft-ietf-opsawg-pcapng): it says where each frame is from, which way it
// went, and how many are missing.
#ifndef BULKHEAD_CLIENTS_CAPTURE_PCAPNG_FILE_H_
#define BULKHEAD_CLIENTS_CAPTURE_PCAPNG_FILE_H_

#include <stdio.h>
#include <time.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace bulkhead::capture {

// What the frames are from.
struct CaptureInterface {
  std::string name;              // "nic0"
  std::string description = {};  // Empty: none.
  std::string filter = {};       // As the user gave it; empty: none.
  uint32_t snap_bytes = 65535;
};

// What there was on an interface in all.
struct CaptureCount {
  uint64_t received = 0;  // With those that are missing.
  uint64_t lost = 0;
};

enum class Direction : uint8_t { kUnknown = 0, kInbound = 1, kOutbound = 2 };

struct CapturedFrame {
  uint32_t interface = 0;
  std::span<const uint8_t> bytes;  // At most snap_bytes; its beginning.
  uint32_t length = 0;             // Of the whole frame.
  timespec when = {};
  Direction direction = Direction::kUnknown;
  uint64_t lost_before = 0;  // Frames missing between the last and this one.
  absl::string_view comment = {};  // Empty: none.
};

// Threading: one thread.
class PcapngFile {
 public:
  // `path` "-" is standard output. An existing file is written anew. The
  // interface is number 0.
  static absl::StatusOr<std::unique_ptr<PcapngFile>> Create(
      const std::string& path, const CaptureInterface& interface);
  ~PcapngFile();
  PcapngFile(const PcapngFile&) = delete;
  PcapngFile& operator=(const PcapngFile&) = delete;

  // Returns its number. Requires: snap_bytes is that of all.
  uint32_t AddInterface(const CaptureInterface& interface);
  void Write(const CapturedFrame& frame);
  // One of the last blocks.
  void WriteTotals(uint32_t interface, const CaptureCount& count,
                   const timespec& when);
  // Errors: the disk is full. FailedPrecondition: the reader of a pipe is gone.
  absl::Status Flush();

 private:
  PcapngFile(std::string path, FILE* file)
      : path_(std::move(path)), file_(file) {}

  void WriteHead();

  std::string path_;
  FILE* file_;
  uint32_t interfaces_ = 0;
  std::vector<uint8_t> block_;  // The one being made.
};

}  // namespace bulkhead::capture

#endif  // BULKHEAD_CLIENTS_CAPTURE_PCAPNG_FILE_H_
