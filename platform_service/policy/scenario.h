// A scenario as plain structs: what the user's YAML file says, checked and with
// every default filled in. scenario_parser.h makes it.
//
// Two scenarios compare equal when they ask for the same thing: the lines in
// which they ask do not count, so that editing a comment changes nothing.
#ifndef BULKHEAD_PLATFORM_SERVICE_POLICY_SCENARIO_H_
#define BULKHEAD_PLATFORM_SERVICE_POLICY_SCENARIO_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "nic_router/config.h"

namespace bulkhead::policy {

// Where in the file something stands, from 1; 0: not from a file. Never part of
// a comparison.
struct SourceLine {
  int number = 0;
  friend bool operator==(SourceLine, SourceLine) { return true; }
};

// Which devices there are besides the simulated ones.
struct DeviceSources {
  bool sysfs = false;       // This machine's bus.
  bool interfaces = false;  // Linux interfaces of this network namespace.
  std::vector<std::string> namespaces;  // And of these, which have names.
  std::string recorded;  // An `lspci -xxxx` dump; empty: none. The path is
                         // absolute, or relative to the working directory: the
                         // parser has put the scenario's folder in front.
  SourceLine line;

  bool operator==(const DeviceSources&) const = default;
};

using MacAddress = std::array<uint8_t, 6>;

// What a simulated NIC's port is plugged into.
struct EchoNetwork {
  bool operator==(const EchoNetwork&) const = default;
};
struct CableNetwork {  // Exactly two NICs name the same cable.
  std::string name;
  bool operator==(const CableNetwork&) const = default;
};
struct SwitchNetwork {  // Any number of NICs name the same switch.
  std::string name;
  bool operator==(const SwitchNetwork&) const = default;
};
struct GeneratorNetwork {
  uint64_t frames_per_second = 0;  // 0: as fast as the NIC takes them.
  uint32_t frame_bytes = 60;       // 60 … 9018, without FCS.
  uint64_t count = 0;              // 0: without end.
  bool operator==(const GeneratorNetwork&) const = default;
};
struct SinkNetwork {
  bool operator==(const SinkNetwork&) const = default;
};
struct TapNetwork {
  std::string interface;  // At most 15 characters.
  bool operator==(const TapNetwork&) const = default;
};
struct PcapNetwork {
  std::string file;  // Path as DeviceSources::recorded.
  bool loop = false;
  bool operator==(const PcapNetwork&) const = default;
};
using Network =
    std::variant<EchoNetwork, CableNetwork, SwitchNetwork, GeneratorNetwork,
                 SinkNetwork, TapNetwork, PcapNetwork>;

struct SimulatedNic {
  std::string name;     // Unique; [a-z][a-z0-9_-]*, at most 32 characters.
  std::string model;    // "82574l"
  MacAddress mac{};     // Unique; derived from the name when not given.
  uint64_t serial = 0;  // Device Serial Number; 0: the model derives it.
  Network network;
  std::vector<std::string> faults;  // For tests, see nic_model/faults.h.
  SourceLine line;

  bool operator==(const SimulatedNic&) const = default;
};

// Every given part must hold. At least one is given.
struct MatchSpec {
  // `class: ethernet`: (class_code & class_mask) must equal class_value.
  uint32_t class_value = 0;
  uint32_t class_mask = 0;
  std::optional<uint16_t> vendor;
  std::optional<uint16_t> device;
  std::optional<uint16_t> subsystem_vendor;
  std::optional<uint16_t> subsystem_device;
  std::string address;  // Globs with * and ?; empty: any.
  std::string slot;
  std::string serial;
  std::string name;
  // Globs of what Linux interfaces have.
  std::string interface;
  std::string kernel_driver;
  std::string mac;
  std::string network_namespace;

  // Linux interfaces are matched by these alone, and PCI devices by the others.
  bool of_interfaces() const {
    return !interface.empty() || !kernel_driver.empty() || !mac.empty() ||
           !network_namespace.empty();
  }

  bool operator==(const MatchSpec&) const = default;
};

// Names and units as in supervisor.proto's ProcessSpec, but with no "0 means":
// these are the values themselves.
struct RestartSpec {
  uint32_t backoff_first_ms = 10;
  uint32_t backoff_max_ms = 5000;
  uint32_t park_after = 10;
  uint32_t stable_after_ms = 10000;
  bool operator==(const RestartSpec&) const = default;
};

struct HeartbeatSpec {
  uint32_t interval_ms = 100;
  uint32_t misses = 3;
  bool operator==(const HeartbeatSpec&) const = default;
};

struct LimitsSpec {
  uint64_t memory_bytes = 0;   // 0: no limit.
  std::vector<uint32_t> cpus;  // Sorted; empty: any.
  uint32_t max_fds = 256;
  uint32_t queues = 1;  // The most that the driver uses, with a thread each:
                        // its NIC's sessions have no more lanes.
  bool operator==(const LimitsSpec&) const = default;
};

// As driver.proto's NicConfig.
struct NicConfigSpec {
  uint32_t mtu = 1500;
  bool promiscuous = false;
  // The groups whose frames it receives; none given: all.
  std::optional<std::vector<MacAddress>> multicast;
  bool rx_checksum = true;
  bool tx_checksum = true;
  uint32_t interrupt_interval_us = 0;  // 0: the driver's default.
  bool busy_poll = false;              // Of af_xdp.
  bool operator==(const NicConfigSpec&) const = default;
};

// One rule of `drivers:`. A NIC belongs to the first rule that matches it.
struct DriverRule {
  MatchSpec match;
  std::string driver;  // [a-z0-9_]+: a name, never a path.
  // The instance's name, with {index} (counted from 0 for each pattern) or
  // {name} (of the NIC) filled in.
  std::string instance = "nic{index}";
  bool standby = false;  // Keep a warm spare.
  RestartSpec restart;
  HeartbeatSpec heartbeat;
  LimitsSpec limits;
  NicConfigSpec config;
  // S9: take the NIC even though the machine itself uses it. It counts only in
  // a rule that names exactly that one: by its address, or as an interface.
  bool take = false;
  SourceLine line;

  bool operator==(const DriverRule&) const = default;
};

struct ClientRule {
  std::string label;                  // Unique.
  std::vector<std::string> may_open;  // Globs of instance names.
  uint64_t memory_bytes = 0;          // Of all its sessions; 0: no limit.
  SourceLine line;

  bool operator==(const ClientRule&) const = default;
};

// The router, and the process that it is.
struct RouterSpec {
  nic_router::RouterConfig config;  // Its `cpus` are those of `limits`.
  bool standby = false;
  RestartSpec restart;
  HeartbeatSpec heartbeat;
  LimitsSpec limits;
  SourceLine line;

  bool operator==(const RouterSpec&) const = default;
};

struct Scenario {
  std::string path;  // As given; for messages such as "FILE:LINE".
  DeviceSources devices;
  std::vector<SimulatedNic> simulated;
  std::vector<DriverRule> drivers;
  // Absent: any permitted user may open any instance under any label.
  std::optional<std::vector<ClientRule>> clients;
  std::optional<RouterSpec> router;
};

}  // namespace bulkhead::policy

#endif  // BULKHEAD_PLATFORM_SERVICE_POLICY_SCENARIO_H_
