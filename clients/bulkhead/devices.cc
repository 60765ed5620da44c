#include <nlohmann/json.hpp>

#include "absl/strings/str_format.h"
#include "base/errno_status.h"
#include "clients/bulkhead/commands.h"
#include "clients/bulkhead/connection.h"
#include "clients/bulkhead/json_view.h"
#include "clients/bulkhead/table.h"

namespace bulkhead::cli {
namespace {

// "82574L Gigabit Network Connection", else the numbers alone say it.
std::string NameOf(const api::Device& device) {
  if (!device.name().empty()) {
    return absl::StrCat(device.name(), ": ", device.device_name());
  }
  return device.device_name();
}

Table::Cell StateOf(const api::Device& device) {
  if (!device.instance().empty()) {
    return {absl::StrCat("driven by ", device.instance()), Colour::kGood};
  }
  if (!device.refused().empty()) {
    return {absl::StrCat("refused: ", device.refused()), Colour::kBad};
  }
  if (!device.used_by().empty()) {
    return {absl::StrCat("the machine's own: ", device.used_by())};
  }
  if (!device.kernel_driver().empty()) {
    return {absl::StrCat("kernel driver ", device.kernel_driver())};
  }
  return {"free", Colour::kDim};
}

}  // namespace

absl::Status RunCommand(const DevicesOptions&, const Context& context) {
  const auto connection = Connection::Create(context.run_dir);
  ASSIGN_OR_RETURN(const api::ListDevicesResponse devices,
                   connection->ListDevices());
  const Console& console = context.console;
  if (console.json) {
    Json list = Json::array();
    for (const api::Device& device : devices.device()) {
      list.push_back(ToJson(device));
    }
    console.out << Dump(list) << "\n";
    return absl::OkStatus();
  }
  Table table({{"ADDRESS"}, {"ID"}, {"SOURCE"}, {"NAME"}, {"STATE"}});
  for (const api::Device& device : devices.device()) {
    table.Add({device.address(),
               absl::StrFormat("%04x:%04x", device.vendor(), device.device()),
               device.source(), NameOf(device), StateOf(device)});
  }
  console.out << table.ToText(console);
  return absl::OkStatus();
}

}  // namespace bulkhead::cli
