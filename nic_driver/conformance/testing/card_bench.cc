#include "nic_driver/conformance/testing/card_bench.h"

#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/errno_status.h"
#include "nic_driver/conformance/testing/pci_bench.h"
#include "platform_service/policy/driver_description.h"
#include "platform_service/vfio/kernel_log.h"
#include "platform_service/vfio/vfio_bus.h"

namespace bulkhead::nic_driver::testing {
namespace {

constexpr char kRecords[] = "/run/bulkhead_conformance";

std::string Setting(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

MacAddress SettingMac() {
  MacAddress mac = kNicMac;
  std::sscanf(Setting("CARD_MAC").c_str(),
              "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx", &mac[0], &mac[1], &mac[2],
              &mac[3], &mac[4], &mac[5]);
  return mac;
}

absl::Status Run(const std::string& command) {
  if (command.empty()) return absl::OkStatus();
  const int status = std::system(command.c_str());
  if (status == 0) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(command, ": status ", status));
}

absl::StatusOr<UniqueFd> Copy(int fd) {
  UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (!copy.valid()) return ErrnoStatus("copy a descriptor");
  return copy;
}

}  // namespace

const PciBench& ThePciBench() {
  static const PciBench kBench = {
      .make = CardBench::Create,
      .usable = CardBench::Usable,
      .nic_mac = SettingMac(),
      .limits =
          {.no_faults = "a real card does not lie when a test asks for it",
           .no_unplug = "the platform hears first that a real card is pulled "
                        "out, and takes it from its driver: "
                        "tests/hardware/vfio.test",
           .no_misses = "QEMU keeps a frame for which its card has no buffer, "
                        "until it has one: none is missed",
           .no_witness =
               "what a real card filtered, refused or raised is not told",
           .no_order = "what finds a card of QEMU's ready goes to it before "
                       "what is queued for it (qemu_net_queue_send)"},
      .many_drivers = 10,
      .many_sessions = 50};
  return kBench;
}

Card::Card() : taker_(std::make_unique<platform::Sysfs>(), kRecords) {}

absl::StatusOr<std::unique_ptr<Card>> Card::Create(
    const DeviceOptions& options) {
  std::unique_ptr<Card> card(new Card());
  ASSIGN_OR_RETURN(const int group,
                   card->taker_.Take(Setting("CARD"),
                                     platform::FunctionTaker::InUse::kLeft));
  RETURN_IF_ERROR(card->Open(options, group));
  return card;
}

absl::StatusOr<uint16_t> Card::Identity(const char* file) {
  ASSIGN_OR_RETURN(const std::string text,
                   taker_.sysfs().Read(absl::StrCat(
                       "bus/pci/devices/", Setting("CARD"), "/", file)));
  return static_cast<uint16_t>(std::strtoul(text.c_str(), nullptr, 16));
}

absl::Status Card::Open(const DeviceOptions& options, int group) {
  const std::string path = std::filesystem::path(options.driver_program)
                               .replace_filename("driver.yaml");
  const policy::ParsedDescription parsed =
      policy::ParseDriverDescriptionFile(path);
  if (!parsed.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": ", parsed.diagnostics.front().message));
  }
  ASSIGN_OR_RETURN(platform::VfioContainer container,
                   platform::VfioContainer::Open(group));
  ASSIGN_OR_RETURN(UniqueFd device, container.OpenDevice(Setting("CARD")));
  // Not what the test says that it is.
  ASSIGN_OR_RETURN(const uint16_t vendor, Identity("vendor"));
  ASSIGN_OR_RETURN(const uint16_t model, Identity("device"));
  // A second hold on the same container: a FakePlatform chooses addresses
  // itself.
  ASSIGN_OR_RETURN(UniqueFd container_fd, Copy(container.container_fd()));
  ASSIGN_OR_RETURN(UniqueFd group_fd, Copy(container.group_fd()));
  container_ = std::make_unique<platform::VfioContainer>(
      std::move(container_fd), std::move(group_fd));
  ASSIGN_OR_RETURN(
      owner_,
      platform::VfioOwner::Create(
          std::move(container), platform::VfioDeviceFd(std::move(device)),
          {Setting("CARD"), vendor, model}, parsed.description.reset,
          taker_.sysfs(), resets_));
  return absl::OkStatus();
}

Card::~Card() {
  owner_.reset();
  container_.reset();
  if (!taker_.IsTaken(Setting("CARD"))) return;
  const absl::Status status = taker_.GiveBack(Setting("CARD"));
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
}

bool CardBench::Usable() { return !Setting("CARD").empty(); }

absl::StatusOr<std::unique_ptr<DeviceBench>> CardBench::Create(
    const DeviceOptions& options) {
  static std::unique_ptr<Card> card;
  if (card == nullptr) {
    ASSIGN_OR_RETURN(card, Card::Create(options));
  }
  std::unique_ptr<CardBench> bench(new CardBench(options, *card));
  // Those of the test before.
  RETURN_IF_ERROR(Run(Setting("CARD_FORGET")));
  bench->kernel_log_.Reset(
      ::open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (!bench->kernel_log_.valid() ||
      ::lseek(bench->kernel_log_.get(), 0, SEEK_END) < 0) {
    return ErrnoStatus("read /dev/kmsg");
  }
  RETURN_IF_ERROR(bench->Reset());
  RETURN_IF_ERROR(bench->ArmIrqs());
  ASSIGN_OR_RETURN(bench->far_end_,
                   FarEnd::Create({.network_namespace = Setting("CARD_FAR_END"),
                                   .type = ETH_P_ALL,
                                   .echo = !options.wire,
                                   .tries = kPatienceMs}));
  return bench;
}

// Its driver is dead.
CardBench::~CardBench() {
  const auto expect = [](const absl::Status& status) {
    if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
  };
  expect(SetBusMaster(false));
  expect(Reset());
  expect(card_.container().UnmapAll());
  expect(card_.owner().ArmIrqs({}));
  if (far_end_ == nullptr) return;
  // What the test sent is on its way to the next one's Forget.
  const uint64_t deadline_ns = MonotonicNs() + kPatienceNs;
  int waiting = 1;
  while (::ioctl(far_end_->wire(), SIOCOUTQ, &waiting) == 0 && waiting != 0 &&
         MonotonicNs() < deadline_ns) {
    ::poll(nullptr, 0, 1);
  }
}

absl::Status CardBench::ArmIrqs() {
  std::vector<int> events;
  const uint32_t count =
      std::min(options_.irq_vectors, card_.owner().irq_count());
  for (uint32_t i = 0; i < count; ++i) {
    irqs_.emplace_back(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    events.push_back(irqs_.back().get());
  }
  return card_.owner().ArmIrqs(events);
}

absl::Status CardBench::SetBusMaster(bool on) {
  return on ? card_.owner().EnableBusMaster() : card_.owner().ClearBusMaster();
}

absl::Status CardBench::AddToGrant(platform::DeviceGrant* grant,
                                   platform::FdList* fds) {
  grant->mutable_pci()->set_address(Setting("CARD"));
  grant->mutable_pci()->set_vendor(options_.vendor);
  grant->mutable_pci()->set_device(options_.device);
  ASSIGN_OR_RETURN(const std::vector<uint8_t> config,
                   card_.owner().ReadConfigSpace());
  ASSIGN_OR_RETURN(UniqueFd device, Copy(card_.owner().device().fd()));
  platform::VfioBus(std::move(device), card_.owner().bars(),
                    std::string(config.begin(), config.end()))
      .AddTo(grant, fds);
  for (const UniqueFd& irq : irqs_) grant->add_irq_fd(fds->Add(irq));
  return absl::OkStatus();
}

absl::Status CardBench::SetLink(bool up, platform::ToDriver*) {
  return Run(absl::StrCat(Setting("CARD_CABLE"), up ? " on" : " off"));
}

const nic_model::PortCounters& CardBench::port() const {
  nic_model::PortCounters& port = far_end_->port();
  std::array<char, 8192> record;
  while (true) {
    const ssize_t got = ::read(kernel_log_.get(), record.data(), record.size());
    if (got < 0 && (errno == EPIPE || errno == EINTR)) continue;
    if (got <= 0) return port;
    const auto fault =
        platform::ParseKernelRecord({record.data(), static_cast<size_t>(got)});
    if (fault.has_value() && fault->address == Setting("CARD") &&
        fault->kind == platform::DeviceFault::Kind::kDma) {
      nic_model::Bump(port.dma_faults);
    }
  }
}

}  // namespace bulkhead::nic_driver::testing
