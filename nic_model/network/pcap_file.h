// A reader of classic pcap files.
//
// Source: draft-gharris-opsawg-pcap: "PCAP Capture File Format".
#ifndef BULKHEAD_NIC_MODEL_NETWORK_PCAP_FILE_H_
#define BULKHEAD_NIC_MODEL_NETWORK_PCAP_FILE_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "absl/status/statusor.h"

namespace bulkhead::nic_model {

// Walks the records of a file in memory. Both byte orders, microseconds and
// nanoseconds; Ethernet alone. The bytes are hostile input.
class PcapFile {
 public:
  // InvalidArgument: no pcap file, or not of Ethernet. `bytes` outlive this.
  static absl::StatusOr<PcapFile> Open(std::span<const uint8_t> bytes);

  // The next whole frame of 14 … kMaxFrameBytes bytes, or an empty span at the
  // end, which is also where a record is cut off or longer than the file.
  // Frames of other lengths, and frames captured in part, are skipped.
  std::span<const uint8_t> Next();
  void Rewind() { at_ = kHeaderBytes; }
  uint64_t skipped() const { return skipped_; }

 private:
  static constexpr size_t kHeaderBytes = 24;

  PcapFile(std::span<const uint8_t> bytes, bool swapped)
      : bytes_(bytes), swapped_(swapped) {}
  uint32_t Load(size_t at) const;

  std::span<const uint8_t> bytes_;
  bool swapped_;
  size_t at_ = kHeaderBytes;
  uint64_t skipped_ = 0;
};

}  // namespace bulkhead::nic_model

#endif  // BULKHEAD_NIC_MODEL_NETWORK_PCAP_FILE_H_
