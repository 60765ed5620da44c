#include "platform_service/api/prepare_scenario.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "base/unique_fd.h"
#include "platform_service/policy/driver_catalog.h"
#include "platform_service/policy/expected_devices.h"
#include "platform_service/policy/scenario_parser.h"

namespace bulkhead::platform {
namespace {

constexpr size_t kMaxScenarioBytes = 1 << 20;

absl::StatusOr<std::string> ReadText(const std::string& path) {
  // O_NONBLOCK: a FIFO of that name must not hold us up.
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (!file.valid()) return ErrnoStatus(absl::StrCat("open ", path));
  struct stat info;
  if (::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
    return absl::InvalidArgumentError(
        absl::StrCat("read ", path, ": it is no regular file"));
  }
  std::string text(kMaxScenarioBytes + 1, '\0');
  size_t filled = 0;
  while (filled < text.size()) {
    const ssize_t got =
        ::read(file.get(), text.data() + filled, text.size() - filled);
    if (got < 0) return ErrnoStatus(absl::StrCat("read ", path));
    if (got == 0) break;
    filled += static_cast<size_t>(got);
  }
  if (filled > kMaxScenarioBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("read ", path, ": it is larger than 1 MiB"));
  }
  text.resize(filled);
  return text;
}

}  // namespace

absl::StatusOr<PreparedScenario> PrepareScenario(const std::string& text,
                                                 const std::string& path,
                                                 const std::string& bin_dir) {
  policy::ParseOptions options;
  const policy::DriverCatalog drivers = policy::ListDrivers(bin_dir);
  options.drivers = &drivers;
  const policy::ModelCatalog models = policy::ListModels(bin_dir);
  options.models = &models;
  policy::ParsedScenario parsed = policy::ParseScenario(text, path, options);
  if (!parsed.ok()) {
    return absl::InvalidArgumentError(policy::ToText(parsed.diagnostics));
  }
  PreparedScenario prepared;
  prepared.scenario = std::move(parsed.scenario);
  prepared.text = text;
  ASSIGN_OR_RETURN(pci::BusListing listing,
                   policy::ExpectedDevices(prepared.scenario, models));
  prepared.devices = std::move(listing.devices);
  return prepared;
}

absl::StatusOr<PreparedScenario> PrepareScenarioFile(
    const std::string& path, const std::string& bin_dir) {
  ASSIGN_OR_RETURN(const std::string text, ReadText(path));
  return PrepareScenario(text, path, bin_dir);
}

}  // namespace bulkhead::platform
