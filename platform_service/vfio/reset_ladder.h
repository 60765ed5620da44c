// From the mildest reset to the harshest, until one is seen to have reset.
//
// Nobody believes a return value: a NIC is known whose default reset returns
// success and resets nothing. A rung counts when the registers that the driver
// description names as witnesses read as after a reset, and the function is
// still the same one with bus mastering off (S4).
#ifndef BULKHEAD_PLATFORM_SERVICE_VFIO_RESET_LADDER_H_
#define BULKHEAD_PLATFORM_SERVICE_VFIO_RESET_LADDER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "platform_service/devices/device_owner.h"
#include "platform_service/policy/driver_description.h"

namespace bulkhead::platform {

// A function as the ladder sees it.
class ResetTarget {
 public:
  virtual ~ResetTarget() = default;

  virtual absl::StatusOr<uint32_t> ReadConfig(uint32_t offset,
                                              uint32_t width) = 0;
  virtual absl::Status WriteConfig(uint32_t offset, uint32_t width,
                                   uint32_t value) = 0;
  virtual absl::StatusOr<uint32_t> ReadRegister(
      const policy::RegisterPlace& place) = 0;
  virtual absl::Status WriteRegister(const policy::RegisterPlace& place,
                                     uint32_t value) = 0;
  // The kernel's reset methods for it, in the kernel's words and order: "flr",
  // "af_flr", "device_specific", "pm", "bus", …
  virtual std::vector<std::string> Methods() = 0;
  virtual absl::Status Reset(const std::string& method) = 0;

  virtual uint64_t NowNs() = 0;
  virtual void SleepMs(uint32_t ms) = 0;
};

// Where the PCI Express capability is in config space; 0: conventional PCI.
absl::StatusOr<uint32_t> FindExpress(ResetTarget& target);

// Which rung worked last, by vendor and device: the next NIC of the model
// starts there. What is milder may have failed once only, so that it is tried
// first again after kClimbsToForget climbs.
struct RememberedRung {
  std::string rung;
  uint32_t climbs = 0;  // Since it was found to work.
};
using ResetMemory = std::map<std::pair<uint16_t, uint16_t>, RememberedRung>;
constexpr uint32_t kClimbsToForget = 16;

// Rungs are called "software" and by the kernel's method. What is milder comes
// first: it keeps the link and takes 1 ms in place of 100.
class ResetLadder {
 public:
  ResetLadder(const policy::ResetDescription& description, uint16_t vendor,
              uint16_t device, ResetMemory& memory)
      : description_(description),
        vendor_(vendor),
        device_(device),
        memory_(memory) {}

  // Bus mastering off and read back, no transaction pending, and what was under
  // way pushed out: from here on the function starts no DMA, and what it had
  // started is in memory.
  //
  // PCI Express Base 4.0, section 2.4.1: a completion does not pass posted
  // writes, so that the answer to our read arrives behind the last of them.
  static absl::Status StopDma(ResetTarget& target);

  // Climbs until a rung is verified, and returns its name. Each attempt is an
  // event. An error: none was, and the function has to be taken off the bus.
  // Requires: StopDma.
  absl::StatusOr<std::string> Climb(ResetTarget& target,
                                    const StepRecorder& record);

 private:
  // What is to be tried, in order.
  std::vector<std::string> Rungs(ResetTarget& target);
  void Remember(const std::string& rung);
  absl::Status Try(ResetTarget& target, const std::string& rung);
  absl::Status Software(ResetTarget& target);
  // Marks the witnesses; true when one of them reads otherwise than after a
  // reset, so that a reset will show.
  absl::StatusOr<bool> Mark(ResetTarget& target);
  absl::Status Verify(ResetTarget& target);
  absl::Status WitnessesHold(ResetTarget& target);

  const policy::ResetDescription& description_;
  const uint16_t vendor_;
  const uint16_t device_;
  ResetMemory& memory_;
};

}  // namespace bulkhead::platform

#endif  // BULKHEAD_PLATFORM_SERVICE_VFIO_RESET_LADDER_H_
