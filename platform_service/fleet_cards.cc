// The real NICs of the fleet: taken when the plan wants them, watched, given
// back when their instance has gone.
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/log.h"
#include "platform_service/fleet.h"
#include "platform_service/vfio/helper.h"

namespace bulkhead::platform {
namespace {

constexpr char kOwnName[] = "platform_service";

}  // namespace

std::unique_ptr<VfioNic> Fleet::MakeCard(const policy::PlanEntry& entry,
                                         const policy::DriverCatalog& drivers) {
  const auto driver = drivers.find(entry.rule->driver);
  const std::string& address = entry.device.address;
  return std::make_unique<VfioNic>(
      VfioNic::Shared{loop_, link_, taker_, resets_, places_.run_dir},
      entry.instance, entry.device,
      entry.rule->take ? FunctionTaker::InUse::kTaken
                       : FunctionTaker::InUse::kLeft,
      driver == drivers.end() ? policy::ResetDescription()
                              : driver->second.reset,
      VfioNic::Handlers{[this, address] { OnCardUp(address); },
                        [this, address](const std::string& reason) {
                          if (Instance* instance = InstanceOn(address)) {
                            instance->OnDeviceDown(reason);
                          }
                        }});
}

void Fleet::StartCards() {
  policy::DriverCatalog drivers;  // Listed for the first one that is new.
  for (policy::PlanEntry& entry : plan_.entries) {
    const std::string& address = entry.device.address;
    if (!entry.driven() || entry.device.source != pci::Source::kSysfs ||
        cards_.count(address) != 0) {
      continue;
    }
    OpenKernelLog();
    if (drivers.empty()) drivers = policy::ListDrivers(places_.bin_dir);
    std::unique_ptr<VfioNic> card = MakeCard(entry, drivers);
    if (const absl::Status taken = card->Take(); !taken.ok()) {
      LogError(taken.message());
      link_.Record(entry.instance, 0, "refused", taken.message());
      // Until the next plan.
      entry.refused = std::string(taken.message());
      continue;
    }
    cards_[address] = std::move(card);
  }
}

void Fleet::RemoveUnwantedCards() {
  std::set<std::string> wanted;
  for (const policy::PlanEntry& entry : plan_.entries) {
    if (entry.driven()) wanted.insert(entry.device.address);
  }
  for (const auto& [address, card] : cards_) {
    // Its instance goes first, so that the driver stops its device in order.
    if (wanted.count(address) != 0 || InstanceOn(address) != nullptr ||
        !leaving_cards_.insert(address).second) {
      continue;
    }
    card->GiveBack(
        [this, address = address](absl::Status) { OnGivenBack(address); });
  }
}

void Fleet::OnGivenBack(const std::string& address) {
  leaving_cards_.erase(address);
  cards_.erase(address);
  Settle();
  CheckEmpty();
}

void Fleet::OnCardUp(const std::string& address) {
  const auto card = cards_.find(address);
  Instance* instance = InstanceOn(address);
  if (card != cards_.end() && instance != nullptr) {
    instance->OnDeviceUp(card->second->info());
  }
}

// --- The beginning and the end --------------------------------------------

void Fleet::GiveBackStale() {
  for (const InterfaceRecord& record : interface_taker_.Taken()) {
    const absl::Status status =
        interface_taker_.GiveBack(record.network_namespace, record.index);
    link_.Record(
        kOwnName, 0, status.ok() ? "given_back" : "device_error",
        absl::StrCat("left behind by a system that was killed: ", record.name,
                     status.ok() ? "" : ": ", status.message()));
  }
  const std::vector<std::string> left = taker_.Taken();
  if (left.empty()) return;
  const auto helper = StartGiveBack(places_.run_dir, "");
  const absl::Status status =
      helper.ok() ? ReapHelper(*helper) : helper.status();
  link_.Record(kOwnName, 0, status.ok() ? "given_back" : "device_error",
               absl::StrCat("left behind by a system that was killed: ",
                            absl::StrJoin(left, ", "), status.ok() ? "" : ": ",
                            status.message()));
}

void Fleet::GiveBackAtEnd() {
  if (!instances_.empty()) return;
  for (auto& [address, interface] : interfaces_) {
    interface->GiveBack().IgnoreError();
  }
  std::vector<UniqueFd> helpers;
  for (auto& [address, card] : cards_) {
    if (leaving_cards_.count(address) != 0) continue;
    card->Release();
    auto helper = StartGiveBack(places_.run_dir, address);
    if (helper.ok()) helpers.push_back(*std::move(helper));
  }
  for (const UniqueFd& helper : helpers) ReapHelper(helper).IgnoreError();
}

// --- What the kernel says -------------------------------------------------

void Fleet::OpenKernelLog() {
  if (kernel_log_ != nullptr) return;
  auto log = KernelLog::Open(
      loop_, [this](const DeviceFault& fault) { OnFault(fault); });
  if (!log.ok()) {
    LogWarning(absl::StrCat("faults of real NICs will not be told: ",
                            log.status().message()));
    return;
  }
  kernel_log_ = *std::move(log);
}

void Fleet::OnFault(const DeviceFault& fault) {
  Instance* instance = InstanceOn(fault.address);
  if (instance == nullptr) return;
  if (fault.kind == DeviceFault::Kind::kDma) {
    instance->OnDmaFault(fault.text);
  } else {
    instance->OnBusError(fault.text);
  }
}

}  // namespace bulkhead::platform
