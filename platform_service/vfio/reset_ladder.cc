#include "platform_service/vfio/reset_ladder.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/errno_status.h"

namespace bulkhead::platform {
namespace {

// PCI Local Bus 3.0, section 6.1; PCI Express Base 4.0, section 7.5.
constexpr uint32_t kCommand = 0x04;
constexpr uint32_t kStatus = 0x06;
constexpr uint32_t kCapabilityPointer = 0x34;
constexpr uint32_t kCommandMemory = 1 << 1;
constexpr uint32_t kCommandBusMaster = 1 << 2;
constexpr uint32_t kStatusCapabilities = 1 << 4;
constexpr uint32_t kExpressCapability = 0x10;
constexpr uint32_t kDeviceStatus = 0x0a;  // In the PCI Express capability.
constexpr uint32_t kTransactionsPending = 1 << 5;
// The 192 bytes behind the header hold no longer list: a longer one is a loop.
constexpr int kMostCapabilities = 48;

// A completion may take 50 ms (2.8, the default completion timeout); then the
// transaction has failed, and is over as well.
constexpr uint32_t kPendingDeadlineMs = 100;

constexpr char kSoftware[] = "software";

// Where the kernel's methods stand on the ladder; one that is not here is not
// used ("acpi" may power more than the function down).
int Harshness(const std::string& method) {
  static constexpr const char* kOrder[] = {"device_specific", "flr", "af_flr",
                                           "pm", "bus"};
  for (size_t i = 0; i < std::size(kOrder); ++i) {
    if (method == kOrder[i]) return static_cast<int>(i);
  }
  return -1;
}

}  // namespace

absl::StatusOr<uint32_t> FindExpress(ResetTarget& target) {
  ASSIGN_OR_RETURN(const uint32_t status, target.ReadConfig(kStatus, 2));
  if ((status & kStatusCapabilities) == 0) return 0;
  ASSIGN_OR_RETURN(uint32_t offset, target.ReadConfig(kCapabilityPointer, 1));
  for (int i = 0; offset >= 0x40 && i < kMostCapabilities; ++i) {
    offset &= 0xfc;
    ASSIGN_OR_RETURN(const uint32_t header, target.ReadConfig(offset, 2));
    if ((header & 0xff) == kExpressCapability) return offset;
    offset = header >> 8;
  }
  return 0;
}

absl::Status ResetLadder::StopDma(ResetTarget& target) {
  RETURN_IF_ERROR(target.WriteConfig(kCommand, 2, kCommandMemory));
  ASSIGN_OR_RETURN(const uint32_t command, target.ReadConfig(kCommand, 2));
  if (command == 0xffff) {
    return absl::UnavailableError("the device is gone: it reads as all ones");
  }
  if ((command & kCommandBusMaster) != 0) {
    return absl::DataLossError(
        "device answers nonsense: bus mastering stays on");
  }
  // Conventional PCI has no such bit; its bus is held while a master is on it.
  ASSIGN_OR_RETURN(const uint32_t express, FindExpress(target));
  if (express == 0) return absl::OkStatus();
  for (uint32_t waited_ms = 0;; ++waited_ms) {
    ASSIGN_OR_RETURN(const uint32_t status,
                     target.ReadConfig(express + kDeviceStatus, 2));
    if ((status & kTransactionsPending) == 0) return absl::OkStatus();
    if (waited_ms == kPendingDeadlineMs) {
      return absl::DeadlineExceededError(absl::StrCat(
          "the device has transactions pending ", kPendingDeadlineMs,
          " ms after bus mastering was turned off"));
    }
    target.SleepMs(1);
  }
}

std::vector<std::string> ResetLadder::Rungs(ResetTarget& target) {
  std::vector<std::string> rungs = target.Methods();
  rungs.erase(std::remove_if(rungs.begin(), rungs.end(),
                             [](const std::string& method) {
                               return Harshness(method) < 0;
                             }),
              rungs.end());
  std::sort(rungs.begin(), rungs.end(),
            [](const std::string& a, const std::string& b) {
              return Harshness(a) < Harshness(b);
            });
  if (!description_.software.empty()) rungs.insert(rungs.begin(), kSoftware);
  const auto known = memory_.find({vendor_, device_});
  if (known == memory_.end() || ++known->second.climbs > kClimbsToForget) {
    return rungs;
  }
  const auto it = std::find(rungs.begin(), rungs.end(), known->second.rung);
  if (it != rungs.end()) std::rotate(rungs.begin(), it, it + 1);
  return rungs;
}

absl::StatusOr<bool> ResetLadder::Mark(ResetTarget& target) {
  bool shows = false;
  for (const policy::RegisterWitness& witness : description_.witness) {
    if (witness.mark.has_value()) {
      RETURN_IF_ERROR(target.WriteRegister(witness.place, *witness.mark));
    }
    ASSIGN_OR_RETURN(const uint32_t now, target.ReadRegister(witness.place));
    shows |= (now & witness.mask) != witness.value;
  }
  return shows;
}

absl::Status ResetLadder::WitnessesHold(ResetTarget& target) {
  for (const policy::RegisterWitness& witness : description_.witness) {
    ASSIGN_OR_RETURN(const uint32_t now, target.ReadRegister(witness.place));
    if ((now & witness.mask) != witness.value) {
      return absl::DataLossError(absl::StrFormat(
          "it did not reset: the register at 0x%x reads 0x%x, and 0x%x under "
          "0x%x after a reset",
          witness.place.offset, now, witness.value, witness.mask));
    }
  }
  return absl::OkStatus();
}

absl::Status ResetLadder::Verify(ResetTarget& target) {
  ASSIGN_OR_RETURN(const uint32_t identity, target.ReadConfig(0, 4));
  const uint32_t expected = vendor_ | uint32_t{device_} << 16;
  if (identity != expected) {
    return absl::UnavailableError(
        absl::StrFormat("it was %04x:%04x and reads %04x:%04x after a reset",
                        vendor_, device_, identity & 0xffff, identity >> 16));
  }
  // A reset may clear the memory enable bit, without which no register answers.
  RETURN_IF_ERROR(StopDma(target));
  return WitnessesHold(target);
}

absl::Status ResetLadder::Software(ResetTarget& target) {
  for (const policy::RegisterWrite& write : description_.software) {
    uint32_t value = write.value;
    if (write.keeps_other_bits) {
      ASSIGN_OR_RETURN(const uint32_t now, target.ReadRegister(write.place));
      value |= now;
    }
    RETURN_IF_ERROR(target.WriteRegister(write.place, value));
  }
  absl::Status held;
  for (uint32_t waited_ms = 0; waited_ms <= description_.within_ms;
       ++waited_ms) {
    held = WitnessesHold(target);
    if (held.ok()) return held;
    target.SleepMs(1);
  }
  return held;
}

absl::Status ResetLadder::Try(ResetTarget& target, const std::string& rung) {
  RETURN_IF_ERROR(rung == kSoftware ? Software(target) : target.Reset(rung));
  return Verify(target);
}

// A rung that went on working keeps its count.
void ResetLadder::Remember(const std::string& rung) {
  RememberedRung& known = memory_[{vendor_, device_}];
  if (known.rung == rung && known.climbs <= kClimbsToForget) return;
  known = {rung, 0};
}

absl::StatusOr<std::string> ResetLadder::Climb(ResetTarget& target,
                                               const StepRecorder& record) {
  absl::Status last = absl::UnimplementedError(
      "reset the device: neither its driver's description nor the kernel knows "
      "a way");
  for (const std::string& rung : Rungs(target)) {
    const absl::StatusOr<bool> shows = Mark(target);
    const uint64_t begin_ns = target.NowNs();
    last = shows.ok() ? Try(target, rung) : shows.status();
    const uint64_t took_us = (target.NowNs() - begin_ns) / 1000;
    if (record) {
      absl::string_view outcome = "verified";
      if (!last.ok()) outcome = last.message();
      // All witnesses read as after a reset before it.
      if (last.ok() && !*shows) outcome = "there was nothing to reset";
      record(last.ok() ? "reset" : "reset_failed",
             absl::StrFormat("by %s, %d.%03d ms: %s", rung, took_us / 1000,
                             took_us % 1000, outcome));
    }
    if (!last.ok()) continue;
    if (*shows) Remember(rung);
    return rung;
  }
  return last;
}

}  // namespace bulkhead::platform
