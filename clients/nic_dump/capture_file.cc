#include "clients/nic_dump/capture_file.h"

#include <pcap/pcap.h>
#include <stdio.h>

#include <algorithm>
#include <cerrno>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"

namespace bulkhead::nic_dump {

absl::StatusOr<std::unique_ptr<CaptureFile>> CaptureFile::Create(
    const std::string& path, uint32_t snap_bytes) {
  std::unique_ptr<CaptureFile> file(new CaptureFile(path, snap_bytes));
  file->pcap_ = ::pcap_open_dead_with_tstamp_precision(
      DLT_EN10MB, static_cast<int>(snap_bytes), PCAP_TSTAMP_PRECISION_NANO);
  if (file->pcap_ == nullptr) {
    return absl::ResourceExhaustedError("make a capture: out of memory");
  }
  file->dumper_ = ::pcap_dump_open(file->pcap_, path.c_str());
  if (file->dumper_ == nullptr) {
    return absl::UnavailableError(
        absl::StrCat("write the capture: ", ::pcap_geterr(file->pcap_)));
  }
  return file;
}

CaptureFile::~CaptureFile() {
  if (dumper_ != nullptr) ::pcap_dump_close(dumper_);
  if (pcap_ != nullptr) ::pcap_close(pcap_);
}

void CaptureFile::Write(std::span<const uint8_t> frame, const timespec& when) {
  const auto bytes = static_cast<uint32_t>(frame.size());
  pcap_pkthdr header = {};
  header.ts.tv_sec = when.tv_sec;
  header.ts.tv_usec = when.tv_nsec;  // The file's precision is nanoseconds.
  header.caplen = std::min(bytes, snap_bytes_);
  header.len = bytes;
  ::pcap_dump(reinterpret_cast<u_char*>(dumper_), &header, frame.data());
}

absl::Status CaptureFile::Flush() {
  if (::pcap_dump_flush(dumper_) == 0 &&
      ::ferror(::pcap_dump_file(dumper_)) == 0) {
    return absl::OkStatus();
  }
  return ErrnoStatus(absl::StrCat("write the capture ", path_));
}

}  // namespace bulkhead::nic_dump
