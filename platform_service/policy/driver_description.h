// What a driver's author says of its NICs, in `driver.yaml` beside the program:
// which ones it drives, and how the platform service may reset one whose driver
// is dead.
//
//   drives: [{vendor: 0x8086, device: 0x10d3, name: 82574L}]
//   reset:
//     software: {bar: 0, offset: 0x0, set: 0x04000000}
//     witness: [{bar: 0, offset: 0x100, mask: 0x2, value: 0}]
//
// or, of a driver of Linux interfaces, the sockets that it drives them by:
//
//   interfaces: af_xdp
//
// The file is as trusted as the program beside it. It is read as strictly as a
// scenario, since a slip in it would be found at the first crash otherwise.
#ifndef BULKHEAD_PLATFORM_SERVICE_POLICY_DRIVER_DESCRIPTION_H_
#define BULKHEAD_PLATFORM_SERVICE_POLICY_DRIVER_DESCRIPTION_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "platform_service/policy/diagnostic.h"

namespace bulkhead::policy {

struct DrivenDevice {
  uint16_t vendor = 0;
  uint16_t device = 0;
  std::string name;  // For people; may be empty.

  bool operator==(const DrivenDevice&) const = default;
};

// A register: of a BAR, or of the structure that a virtio capability points to
// (Virtio 1.2, section 4.1.4), whose BAR differs from device to device.
struct RegisterPlace {
  enum class Base : uint8_t {
    kBar,
    kVirtioCommon,
    kVirtioNotify,
    kVirtioIsr,
    kVirtioDevice,
  };
  Base base = Base::kBar;
  uint8_t bar = 0;  // Of kBar: 0 … 5.
  uint32_t offset = 0;
  uint8_t width = 4;  // Bytes: 1, 2 or 4.

  bool operator==(const RegisterPlace&) const = default;
};

struct RegisterWrite {
  RegisterPlace place;
  uint32_t value = 0;
  // `set:` sets the bits of `value` in what the register holds; `write:` writes
  // it as it is.
  bool keeps_other_bits = false;

  bool operator==(const RegisterWrite&) const = default;
};

// Reads as `value` under `mask` after any reset that did reset. A `mark` is
// written before the reset, so that a device that was not reset cannot pass.
struct RegisterWitness {
  RegisterPlace place;
  uint32_t mask = ~uint32_t{0};
  uint32_t value = 0;
  std::optional<uint32_t> mark;

  bool operator==(const RegisterWitness&) const = default;
};

struct ResetDescription {
  std::vector<RegisterWrite> software;  // In order; empty: there is no such.
  std::vector<RegisterWitness> witness;
  // How long the software reset may take until the witnesses hold.
  uint32_t within_ms = 50;

  bool operator==(const ResetDescription&) const = default;
};

// What a driver of Linux interfaces is handed.
enum class SocketKind : uint8_t { kNone, kPacket, kXdp };

struct DriverDescription {
  std::vector<DrivenDevice> drives;
  ResetDescription reset;
  SocketKind socket = SocketKind::kNone;

  bool Drives(uint16_t vendor, uint16_t device) const;
};

struct ParsedDescription {
  DriverDescription description;  // Of use only when ok().
  std::vector<Diagnostic> diagnostics;

  bool ok() const { return diagnostics.empty(); }
};

// Guarantees as ParseScenario's. `path` stands in messages.
ParsedDescription ParseDriverDescription(absl::string_view text,
                                         const std::string& path);
// Reads a regular file of at most 64 KiB.
ParsedDescription ParseDriverDescriptionFile(const std::string& path);

}  // namespace bulkhead::policy

#endif  // BULKHEAD_PLATFORM_SERVICE_POLICY_DRIVER_DESCRIPTION_H_
