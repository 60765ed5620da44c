// Takes PCIe functions from the kernel's drivers, and gives them back (S10).
#ifndef BULKHEAD_PLATFORM_SERVICE_VFIO_FUNCTION_TAKER_H_
#define BULKHEAD_PLATFORM_SERVICE_VFIO_FUNCTION_TAKER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "platform_service/linux_interface/interface_settings.h"
#include "platform_service/pci/host_network.h"
#include "platform_service/vfio/sysfs.h"

namespace bulkhead::platform {

// What a function was before it was taken.
struct TakenRecord {
  std::string address;
  std::string driver;           // Empty: none was bound.
  std::string driver_override;  // Empty: none was set.
  std::string reset_method;     // As sysfs showed it; empty: unknown.
  std::string interface;        // Its Linux interface; empty: none.
  InterfaceSettings settings;   // Of that interface.

  bool operator==(const TakenRecord&) const = default;
};

// A record is written before anything is changed and removed when everything is
// as it was: whoever finds one, however this process ended, can undo it.
//
// Guarantees: Take changes everything or, when it fails, nothing. GiveBack can
// be repeated. Only functions with a record are ever given back.
class FunctionTaker {
 public:
  // S9: of a function that the machine itself uses.
  enum class InUse : uint8_t {
    kLeft,   // Never taken.
    kTaken,  // The scenario says so in plain words.
  };
  using Network = std::function<std::vector<pci::HostInterface>()>;

  // `records` is a directory, made when it is needed. `network`: what the
  // machine's interfaces carry now.
  FunctionTaker(
      std::unique_ptr<Sysfs> sysfs, std::string records,
      Network network = [] { return pci::ReadHostNetwork(); })
      : sysfs_(std::move(sysfs)),
        records_(std::move(records)),
        network_(std::move(network)) {}

  // Why the function cannot be taken: FailedPrecondition with the cause and
  // what mends it. Looks only.
  absl::Status Check(const std::string& address) const;
  // Binds the function to vfio-pci. Returns its IOMMU group's number. Looks at
  // its use each time: one that was put in anew is the machine's like any
  // other.
  absl::StatusOr<int> Take(const std::string& address, InUse in_use);
  // Of one with a record that is on the bus anew: from now on no driver but
  // vfio-pci finds it. Refused when the machine uses it already (S9).
  absl::Status Reserve(const std::string& address);
  // As the record says. Nobody may hold the function's VFIO descriptor any
  // more, or this waits for them.
  absl::Status GiveBack(const std::string& address);

  // What stands on the function's interface (a VLAN): lost when it is taken,
  // and not made anew when it is given back.
  std::vector<std::string> StandsOn(const std::string& address) const;

  // Whose it was before it was taken: a kernel driver, or empty.
  std::string OwnerOf(const std::string& address) const;
  bool IsTaken(const std::string& address) const {
    return Recall(address).ok();
  }
  // The functions that have a record.
  std::vector<std::string> Taken() const;
  Sysfs& sysfs() { return *sysfs_; }

 private:
  absl::Status CheckGroup(const std::string& address) const;
  absl::Status CheckUse(const std::string& address, InUse in_use) const;
  absl::Status Bind(const std::string& address);
  absl::Status Unbind(const std::string& address);
  absl::Status Restore(const TakenRecord& record);
  // Ends what a function without a driver may still do.
  void Quiet(const std::string& dir) const;
  absl::Status LookAtInterface(TakenRecord* record) const;
  void RestoreInterface(const TakenRecord& record) const;
  std::string InterfaceOf(const std::string& address) const;
  std::string AwaitInterface(const std::string& address) const;
  absl::Status Remember(const TakenRecord& record) const;
  absl::StatusOr<TakenRecord> Recall(const std::string& address) const;
  absl::Status Forget(const std::string& address) const;

  std::unique_ptr<Sysfs> sysfs_;
  const std::string records_;
  const Network network_;
};

// Gives back whatever RUN_DIR/taken has records of; for the end of a system,
// and for the time after one that was killed. Returns how many.
absl::StatusOr<int> GiveBackAll(const std::string& run_dir);

// Where the records are.
std::string RecordsOf(const std::string& run_dir);

// One line "key=value" each; what does not belong to a record is DataLoss.
std::string RecordText(const TakenRecord& record);
absl::StatusOr<TakenRecord> ParseRecord(const std::string& address,
                                        absl::string_view text);

}  // namespace bulkhead::platform

#endif  // BULKHEAD_PLATFORM_SERVICE_VFIO_FUNCTION_TAKER_H_
