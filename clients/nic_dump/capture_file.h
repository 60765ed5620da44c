// A pcap file (or pipe) of Ethernet frames with nanosecond times.
#ifndef BULKHEAD_CLIENTS_NIC_DUMP_CAPTURE_FILE_H_
#define BULKHEAD_CLIENTS_NIC_DUMP_CAPTURE_FILE_H_

#include <time.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

struct pcap;
struct pcap_dumper;

namespace bulkhead::nic_dump {

class CaptureFile {
 public:
  // `path` "-" is standard output. An existing file is written anew. Of longer
  // frames the first `snap_bytes` are kept.
  static absl::StatusOr<std::unique_ptr<CaptureFile>> Create(
      const std::string& path, uint32_t snap_bytes);
  ~CaptureFile();
  CaptureFile(const CaptureFile&) = delete;
  CaptureFile& operator=(const CaptureFile&) = delete;

  void Write(std::span<const uint8_t> frame, const timespec& when);
  // Errors: the disk is full, the reader of a pipe is gone.
  absl::Status Flush();

 private:
  CaptureFile(std::string path, uint32_t snap_bytes)
      : path_(std::move(path)), snap_bytes_(snap_bytes) {}

  std::string path_;
  uint32_t snap_bytes_;
  pcap* pcap_ = nullptr;
  pcap_dumper* dumper_ = nullptr;
};

}  // namespace bulkhead::nic_dump

#endif  // BULKHEAD_CLIENTS_NIC_DUMP_CAPTURE_FILE_H_
