#include "clients/bulkhead/json_view.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_format.h"

namespace bulkhead::cli {
namespace {

namespace api = ::bulkhead::platform::v1;

template <typename Repeated>
Json ListOf(const Repeated& items) {
  Json list = Json::array();
  for (const auto& item : items) {
    if constexpr (requires { ToJson(item); }) {
      list.push_back(ToJson(item));
    } else {
      list.push_back(item);
    }
  }
  return list;
}

// As lspci and plan print them.
std::string Hex(uint32_t number, int digits) {
  return absl::StrFormat("%0*x", digits, number);
}

// {"rx_packets": 1, …}
template <typename Repeated>
Json CountersOf(const Repeated& counters) {
  Json object = Json::object();
  for (const api::Counter& counter : counters) {
    object[counter.name()] = counter.value();
  }
  return object;
}

}  // namespace

Json ToJson(const api::Device& device) {
  return {{"address", device.address()},
          {"source", device.source()},
          {"name", device.name()},
          {"vendor", Hex(device.vendor(), 4)},
          {"device", Hex(device.device(), 4)},
          {"subsystem_vendor", Hex(device.subsystem_vendor(), 4)},
          {"subsystem_device", Hex(device.subsystem_device(), 4)},
          {"class_code", Hex(device.class_code(), 6)},
          {"revision", device.revision()},
          {"vendor_name", device.vendor_name()},
          {"device_name", device.device_name()},
          {"serial", device.serial()},
          {"slot", device.slot()},
          {"mac", device.mac()},
          {"network_namespace", device.network_namespace()},
          {"kernel_driver", device.kernel_driver()},
          {"interfaces", ListOf(device.interfaces())},
          {"used_by", device.used_by()},
          {"instance", device.instance()},
          {"rule", device.rule()},
          {"refused", device.refused()}};
}

Json ToJson(const api::Instance& instance) {
  return {{"name", instance.name()},
          {"driver", instance.driver()},
          {"device", instance.device()},
          {"phase", instance.phase()},
          {"generation", instance.generation()},
          {"pid", instance.pid()},
          {"restarts", instance.restarts()},
          {"reason", instance.reason()},
          {"link_up", instance.link_up()},
          {"speed_mbps", instance.speed_mbps()},
          {"half_duplex", instance.half_duplex()},
          {"mac", instance.mac()},
          {"mtu", instance.mtu()},
          {"mode", instance.mode()},
          {"spare_ready", instance.spare_ready()},
          {"sandbox_not_applied", ListOf(instance.sandbox_not_applied())},
          {"counters", CountersOf(instance.counter())},
          {"model_counters", CountersOf(instance.model_counter())},
          {"up_since_ns", instance.up_since_ns()},
          {"cpus", ListOf(instance.cpus())},
          {"memory_limit_bytes", instance.memory_limit_bytes()},
          {"private_bytes", instance.private_bytes()}};
}

Json ToJson(const api::Session& session) {
  return {{"id", session.id()},
          {"label", session.label()},
          {"instance", session.instance()},
          {"epoch", session.epoch()},
          {"state", session.state()},
          {"client_pid", session.client_pid()},
          {"bytes", session.bytes()},
          {"tx_buffers", session.tx_buffers()},
          {"rx_buffers", session.rx_buffers()},
          {"buffer_bytes", session.buffer_bytes()},
          {"lanes", session.lanes()}};
}

Json ToJson(const api::Process& process) {
  return {{"name", process.name()},
          {"kind", process.kind()},
          {"pid", process.pid()},
          {"phase", process.phase()},
          {"generation", process.generation()},
          {"restarts", process.restarts()},
          {"reason", process.reason()},
          {"sandbox_not_applied", ListOf(process.sandbox_not_applied())},
          {"counters", CountersOf(process.counter())}};
}

Json ToJson(const api::Event& event) {
  return {{"sequence", event.sequence()}, {"time_ns", event.time_ns()},
          {"process", event.process()},   {"generation", event.generation()},
          {"kind", event.kind()},         {"text", event.text()}};
}

Json ToJson(const api::Router& router) {
  Json uplinks = Json::array();
  for (const auto& uplink : router.uplink()) {
    uplinks.push_back(
        {{"instance", uplink.instance()}, {"open", uplink.open()}});
  }
  return {{"name", router.name()},
          {"phase", router.phase()},
          {"generation", router.generation()},
          {"pid", router.pid()},
          {"restarts", router.restarts()},
          {"reason", router.reason()},
          {"spare_ready", router.spare_ready()},
          {"attached", router.attached()},
          {"clients", router.clients()},
          {"domains", router.domains()},
          {"uplinks", uplinks}};
}

Json ToJson(const api::RouterTable& table) {
  Json rows = Json::array();
  for (const auto& row : table.row()) {
    Json object = Json::object();
    for (int i = 0; i < row.cell_size() && i < table.column_size(); ++i) {
      object[table.column(i)] = row.cell(i);
    }
    rows.push_back(std::move(object));
  }
  return rows;
}

Json ToJson(const api::Status& status) {
  return {{"scenario", status.scenario()},
          {"platform_generation", status.platform_generation()},
          {"up_since_ns", status.up_since_ns()},
          {"instances", ListOf(status.instance())},
          {"sessions", ListOf(status.session())},
          {"processes", ListOf(status.process())},
          {"router",
           status.has_router() ? ToJson(status.router()) : Json(nullptr)},
          {"failures", ListOf(status.failure())},
          {"warnings", ListOf(status.warning())}};
}

std::string Dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace bulkhead::cli
