#include "platform_service/describe.h"

#include "absl/strings/str_format.h"

namespace bulkhead::platform {
namespace {

using nic_model::PortCounters;
using supervisor::ProcessState;

struct NamedCounter {
  const char* name;
  std::atomic<uint64_t> PortCounters::*counter;
};

constexpr NamedCounter kModelCounters[] = {
    {"tx_frames", &PortCounters::tx_frames},
    {"tx_bytes", &PortCounters::tx_bytes},
    {"tx_bad", &PortCounters::tx_bad},
    {"rx_offered", &PortCounters::rx_offered},
    {"rx_frames", &PortCounters::rx_frames},
    {"rx_missed", &PortCounters::rx_missed},
    {"rx_disabled", &PortCounters::rx_disabled},
    {"rx_filtered", &PortCounters::rx_filtered},
    {"rx_oversize", &PortCounters::rx_oversize},
    {"network_dropped", &PortCounters::network_dropped},
    {"dma_faults", &PortCounters::dma_faults},
    {"interrupts", &PortCounters::interrupts},
    {"resets", &PortCounters::resets},
};

std::string MacText(const std::array<uint8_t, 6>& mac) {
  return absl::StrFormat("%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1],
                         mac[2], mac[3], mac[4], mac[5]);
}

const char* StateWord(packet_stream::SessionState state) {
  switch (state) {
    case packet_stream::SessionState::kRunning:
      return "running";
    case packet_stream::SessionState::kRecovering:
      return "recovering";
    case packet_stream::SessionState::kParked:
      return "parked";
    case packet_stream::SessionState::kClosed:
      return "closed";
  }
  return "";
}

}  // namespace

const char* PhaseWord(ProcessState::Phase phase) {
  switch (phase) {
    case ProcessState::WAITING:
      return "waiting";
    case ProcessState::STARTING:
      return "starting";
    case ProcessState::RUNNING:
      return "running";
    case ProcessState::BACKING_OFF:
      return "backing_off";
    case ProcessState::PARKED:
      return "parked";
    case ProcessState::STOPPING:
      return "stopping";
    default:
      return "waiting";
  }
}

std::vector<v1::Counter> DescribeCounters(const PortCounters& port) {
  std::vector<v1::Counter> counters;
  for (const NamedCounter& named : kModelCounters) {
    v1::Counter& counter = counters.emplace_back();
    counter.set_name(named.name);
    counter.set_value((port.*named.counter).load(std::memory_order_relaxed));
  }
  return counters;
}

v1::Device DescribeDevice(const policy::PlanEntry& entry,
                          const Instance* instance) {
  const pci::PciDeviceInfo& info = entry.device;
  v1::Device device;
  device.set_address(info.address);
  device.set_source(pci::SourceName(info.source));
  device.set_name(info.name);
  device.set_vendor(info.vendor);
  device.set_device(info.device);
  device.set_subsystem_vendor(info.subsystem_vendor);
  device.set_subsystem_device(info.subsystem_device);
  device.set_class_code(info.class_code);
  device.set_revision(info.revision);
  device.set_vendor_name(info.vendor_name);
  device.set_device_name(info.device_name);
  device.set_kernel_driver(info.kernel_driver);
  for (const std::string& interface : info.interfaces) {
    device.add_interfaces(interface);
  }
  device.set_used_by(info.used_by);
  if (instance != nullptr) device.set_instance(instance->spec().name);
  device.set_rule(entry.rule_place);
  device.set_refused(entry.refused);
  device.set_serial(info.serial);
  device.set_slot(info.slot);
  device.set_mac(info.mac);
  device.set_network_namespace(info.network_namespace);
  return device;
}

v1::Instance DescribeInstance(const Instance& instance,
                              const ProcessState* process,
                              const SimPort* port) {
  const InstanceSpec& spec = instance.spec();
  const NicFacts& facts = instance.facts();
  v1::Instance message;
  message.set_name(spec.name);
  message.set_driver(spec.rule.driver);
  message.set_device(spec.device.address);
  message.set_phase(instance.phase() == Instance::Phase::kParked ? "parked"
                                                                 : "waiting");
  message.set_reason(instance.reason());
  if (process != nullptr) {
    message.set_phase(PhaseWord(process->phase()));
    message.set_generation(process->generation());
    message.set_pid(process->pid());
    message.set_restarts(process->restarts());
    // Why its last process ended is not why there is none: a NIC that is gone
    // is waited for.
    const bool waits = process->phase() == ProcessState::WAITING;
    if (!process->reason().empty() && !(waits && !instance.reason().empty())) {
      message.set_reason(process->reason());
    }
    message.set_spare_ready(process->spare_ready());
    *message.mutable_sandbox_not_applied() = process->not_applied();
    message.set_up_since_ns(process->phase_since_ns());
  }
  message.set_link_up(facts.link_up);
  message.set_speed_mbps(facts.speed_mbps);
  message.set_half_duplex(facts.link_up && !facts.full_duplex);
  if (facts.attached) message.set_mac(MacText(facts.mac));
  message.set_mtu(facts.mtu);
  message.set_mode(instance.mode());
  for (const auto& [name, value] : instance.counters().Read()) {
    v1::Counter* counter = message.add_counter();
    counter->set_name(std::string(name));
    counter->set_value(value);
  }
  if (port != nullptr) {
    for (v1::Counter& counter : DescribeCounters(port->counters())) {
      *message.add_model_counter() = std::move(counter);
    }
  }
  message.mutable_cpus()->Assign(spec.rule.limits.cpus.begin(),
                                 spec.rule.limits.cpus.end());
  message.set_memory_limit_bytes(spec.rule.limits.memory_bytes);
  return message;
}

v1::Router DescribeRouter(const RouterHost& router,
                          const ProcessState* process) {
  v1::Router message;
  message.set_name(router.spec().config.name);
  message.set_phase(router.phase() == RouterHost::Phase::kParked ? "parked"
                                                                 : "waiting");
  message.set_reason(router.reason());
  if (process != nullptr) {
    message.set_phase(PhaseWord(process->phase()));
    message.set_generation(process->generation());
    message.set_pid(process->pid());
    message.set_restarts(process->restarts());
    if (!process->reason().empty()) message.set_reason(process->reason());
    message.set_spare_ready(process->spare_ready());
  }
  message.set_attached(router.phase() == RouterHost::Phase::kAttached);
  message.set_clients(static_cast<uint32_t>(router.sessions().size()));
  message.set_domains(
      static_cast<uint32_t>(router.spec().config.domains.size()));
  for (const auto& [instance, open] : router.Uplinks()) {
    v1::Router::Uplink* uplink = message.add_uplink();
    uplink->set_instance(instance);
    uplink->set_open(open);
  }
  return message;
}

v1::RouterTable DescribeTable(const RouterAnswer& answer) {
  v1::RouterTable table;
  table.mutable_column()->Add(answer.columns.begin(), answer.columns.end());
  for (const std::vector<std::string>& row : answer.rows) {
    table.add_row()->mutable_cell()->Add(row.begin(), row.end());
  }
  return table;
}

v1::Session DescribeSession(const Session& session) {
  const SessionIdentity& identity = session.identity();
  v1::Session message;
  message.set_id(identity.id);
  message.set_label(identity.label);
  message.set_instance(identity.instance);
  message.set_epoch(session.epoch());
  message.set_state(StateWord(session.status().state));
  message.set_client_pid(identity.client_pid);
  message.set_bytes(identity.geometry.TotalBytes());
  message.set_tx_buffers(identity.geometry.tx_buffers);
  message.set_rx_buffers(identity.geometry.rx_buffers);
  message.set_buffer_bytes(identity.geometry.buffer_bytes);
  message.set_lanes(identity.geometry.lanes);
  return message;
}

v1::Process DescribeProcess(const ProcessState& process, const char* kind) {
  v1::Process message;
  message.set_name(process.name());
  message.set_kind(kind);
  message.set_pid(process.pid());
  message.set_phase(PhaseWord(process.phase()));
  message.set_generation(process.generation());
  message.set_restarts(process.restarts());
  message.set_reason(process.reason());
  *message.mutable_sandbox_not_applied() = process.not_applied();
  return message;
}

}  // namespace bulkhead::platform
