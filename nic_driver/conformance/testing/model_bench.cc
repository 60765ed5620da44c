#include "nic_driver/conformance/testing/model_bench.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/errno_status.h"
#include "base/seqpacket.h"
#include "nic_driver/conformance/testing/pci_bench.h"
#include "nic_model/model.pb.h"

namespace bulkhead::nic_driver::testing {
namespace {

// PCI 3.0, 6.2.2: the command register and its bits.
constexpr uint32_t kCommandOffset = 4;
constexpr uint16_t kMemorySpace = 1 << 1;
constexpr uint16_t kBusMaster = 1 << 2;

absl::StatusOr<sockaddr_un> Address(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": too long"));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

absl::StatusOr<UniqueFd> ListenStream(const std::string& path) {
  ASSIGN_OR_RETURN(const sockaddr_un address, Address(path));
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid() ||
      ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address),
             sizeof(address)) != 0 ||
      ::listen(fd.get(), 8) != 0) {
    return ErrnoStatus(absl::StrCat("listen on ", path));
  }
  return fd;
}

}  // namespace

const PciBench& ThePciBench() {
  static const PciBench kBench = {.make = ModelBench::Create};
  return kBench;
}

absl::StatusOr<std::unique_ptr<DeviceBench>> ModelBench::Create(
    const DeviceOptions& options) {
  std::unique_ptr<ModelBench> bench(new ModelBench(options));
  char directory[] = "/tmp/bulkhead_test_XXXXXX";
  if (::mkdtemp(directory) == nullptr) return ErrnoStatus("make a directory");
  bench->directory_ = directory;
  RETURN_IF_ERROR(bench->StartModel());
  ASSIGN_OR_RETURN(UniqueFd socket, bench->ConnectModel("owner"));
  ASSIGN_OR_RETURN(bench->owner_, vfio_user::Client::Create(std::move(socket)));
  RETURN_IF_ERROR(bench->SetBusMaster(false));
  RETURN_IF_ERROR(bench->ArmIrqs());
  return bench;
}

ModelBench::~ModelBench() {
  model_.reset();
  std::error_code ignored;
  if (!directory_.empty()) {
    std::filesystem::remove_all(directory_, ignored);
  }
}

absl::Status ModelBench::StartModel() {
  ASSIGN_OR_RETURN(UniqueFd owner, ListenStream(directory_ + "/owner"));
  ASSIGN_OR_RETURN(UniqueFd driver, ListenStream(directory_ + "/driver"));
  ASSIGN_OR_RETURN(UniqueFd counters, CreateSealedMemory("port", kPageBytes));
  ASSIGN_OR_RETURN(port_page_, Mapping::MapSealed(counters.get(), kPageBytes,
                                                  Access::kReadOnly));
  port_ = port_page_.As<const nic_model::PortCounters>();
  nic_model::ModelSpec spec;
  spec.set_name("port0");
  spec.set_model(options_.model);
  spec.set_mac(std::string(kNicMac.begin(), kNicMac.end()));
  std::vector<int> fds = {owner.get(), driver.get(), counters.get()};
  spec.set_owner_socket_fd(0);
  spec.set_driver_socket_fd(1);
  spec.set_counters_fd(2);
  for (const std::string& fault : options_.variant) spec.add_fault(fault);
  for (const std::string& fault : options_.faults) spec.add_fault(fault);
  SeqpacketChannel far_end;
  if (options_.wire) {
    ASSIGN_OR_RETURN(auto ends, SeqpacketChannel::CreatePair());
    wire_ = ends.first.ReleaseFd();
    far_end = std::move(ends.second);
    spec.mutable_wire()->set_socket_fd(static_cast<uint32_t>(fds.size()));
    fds.push_back(far_end.fd());
  } else {
    spec.mutable_echo();
  }
  ASSIGN_OR_RETURN(model_, ChildProcess::Spawn(options_.model_program));
  RETURN_IF_ERROR(model_->Start("port0", 1, spec.SerializeAsString(), fds));
  const uint64_t deadline_ns = MonotonicNs() + kPatienceNs;
  while (MonotonicNs() < deadline_ns) {
    pollfd waiting = {model_->channel_fd(), POLLIN, 0};
    ::poll(&waiting, 1, 100);
    supervisor::FromChild message;
    ASSIGN_OR_RETURN(const bool received, model_->Receive(&message));
    if (!received) continue;
    if (message.has_started()) return absl::OkStatus();
    if (message.has_failed()) {
      return absl::InternalError(message.failed().reason());
    }
  }
  return absl::DeadlineExceededError("start the model: it did not");
}

absl::StatusOr<UniqueFd> ModelBench::ConnectModel(const std::string& name) {
  ASSIGN_OR_RETURN(const sockaddr_un address,
                   Address(absl::StrCat(directory_, "/", name)));
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid() ||
      ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address),
                sizeof(address)) != 0) {
    return ErrnoStatus(absl::StrCat("connect to the model's ", name));
  }
  return fd;
}

absl::Status ModelBench::ArmIrqs() {
  std::vector<int> events;
  for (uint32_t i = 0; i < options_.irq_vectors; ++i) {
    irqs_.emplace_back(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    events.push_back(irqs_.back().get());
  }
  return owner_->SetIrqs(vfio_user::kMsixIrqIndex, events);
}

absl::Status ModelBench::SetBusMaster(bool on) {
  const uint16_t command = kMemorySpace | (on ? kBusMaster : 0);
  std::array<uint8_t, 2> bytes;
  std::memcpy(bytes.data(), &command, 2);
  return owner_->Write(vfio_user::kConfigRegion, kCommandOffset, bytes);
}

absl::Status ModelBench::AddToGrant(platform::DeviceGrant* grant,
                                    platform::FdList* fds) {
  grant->mutable_pci()->set_address("0000:01:00.0");
  grant->mutable_pci()->set_vendor(options_.vendor);
  grant->mutable_pci()->set_device(options_.device);
  ASSIGN_OR_RETURN(UniqueFd bus, ConnectModel("driver"));
  grant->mutable_vfio_user()->set_connection_fd(fds->Own(std::move(bus)));
  for (const UniqueFd& irq : irqs_) grant->add_irq_fd(fds->Add(irq));
  return absl::OkStatus();
}

}  // namespace bulkhead::nic_driver::testing
