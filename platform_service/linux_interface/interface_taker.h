// Makes a Linux interface ready to be driven, and as it was again (S10).
//
// Attached programs, sockets and filters end with their descriptors. What
// does not are settings: these are written down before they are changed, so
// that whoever finds the record, however this process ended, can undo it.
#ifndef BULKHEAD_PLATFORM_SERVICE_LINUX_INTERFACE_INTERFACE_TAKER_H_
#define BULKHEAD_PLATFORM_SERVICE_LINUX_INTERFACE_INTERFACE_TAKER_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "platform_service/linux_interface/ethtool.h"

namespace bulkhead::platform {

// What an interface was before it was taken.
struct InterfaceRecord {
  std::string network_namespace;  // Empty: this one.
  int index = 0;
  std::string name;  // For messages: it may have another one by now.
  bool up = false;
  bool gro = false;
  bool lro = false;
  Ethtool::Channels channels;

  bool operator==(const InterfaceRecord&) const = default;
};

// Guarantees: Take changes everything or, when it fails, nothing. GiveBack can
//   be repeated, and leaves alone what is gone. Only interfaces with a record
//   are ever given back.
class InterfaceTaker {
 public:
  // `records` is a directory, made when it is needed.
  explicit InterfaceTaker(std::string records) : records_(std::move(records)) {}

  // Sets the interface up, with no receive merging and, for a driver that
  // serves each queue by itself, with at most `most_queues` receive queues, all
  // of which can send as well; never with more than it had. 0: however many.
  // Returns how many there are now.
  absl::StatusOr<uint32_t> Take(const std::string& network_namespace, int index,
                                const std::string& name,
                                uint32_t most_queues) const;
  // As the record says.
  absl::Status GiveBack(const std::string& network_namespace, int index) const;
  // The interfaces that have a record.
  std::vector<InterfaceRecord> Taken() const;
  // Gives back all of them.
  absl::Status GiveBackAll() const;

 private:
  absl::Status Change(const InterfaceRecord& now,
                      const Ethtool::Channels& wanted) const;
  absl::Status Restore(const InterfaceRecord& record) const;
  absl::StatusOr<InterfaceRecord> Remember(const InterfaceRecord& record) const;
  std::string PathOf(const std::string& network_namespace, int index) const;

  const std::string records_;
};

// Where the records of a run directory are.
std::string InterfaceRecordsOf(const std::string& run_dir);

// One line "key=value" each; what does not belong to a record is DataLoss.
std::string RecordText(const InterfaceRecord& record);
absl::StatusOr<InterfaceRecord> ParseInterfaceRecord(absl::string_view text);

}  // namespace bulkhead::platform

#endif  // BULKHEAD_PLATFORM_SERVICE_LINUX_INTERFACE_INTERFACE_TAKER_H_
