#include "platform_service/models/model_spec.h"

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <cstring>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"

namespace bulkhead::platform {
namespace {

// One call for each kind of network that the scenario has.
struct AddNetwork {
  ModelOrder& order;
  int wire_fd;

  absl::Status operator()(const policy::EchoNetwork&) {
    order.spec.mutable_echo();
    return absl::OkStatus();
  }
  absl::Status operator()(const policy::SinkNetwork&) {
    order.spec.mutable_sink();
    return absl::OkStatus();
  }
  absl::Status operator()(const policy::CableNetwork& cable) {
    return PlugInto("cable", cable.name);
  }
  absl::Status operator()(const policy::SwitchNetwork& network) {
    return PlugInto("switch", network.name);
  }
  absl::Status operator()(const policy::GeneratorNetwork& network) {
    auto* generator = order.spec.mutable_generator();
    generator->set_frames_per_second(network.frames_per_second);
    generator->set_frame_bytes(network.frame_bytes);
    generator->set_count(network.count);
    return absl::OkStatus();
  }
  absl::Status operator()(const policy::TapNetwork& network) {
    UniqueFd tap(::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
    if (!tap.valid()) return ErrnoStatus("open /dev/net/tun");
    ifreq request = {};
    std::strncpy(request.ifr_name, network.interface.c_str(), IFNAMSIZ - 1);
    request.ifr_flags = IFF_TAP | IFF_NO_PI;
    if (::ioctl(tap.get(), TUNSETIFF, &request) != 0) {
      return ErrnoStatus(absl::StrCat(
          "open tap interface ", network.interface,
          " (it takes CAP_NET_ADMIN, or an interface that belongs to you: "
          "`ip tuntap add dev ",
          network.interface, " mode tap user $USER`)"));
    }
    order.spec.mutable_tap()->set_tap_fd(order.fds.Own(std::move(tap)));
    return absl::OkStatus();
  }
  absl::Status operator()(const policy::PcapNetwork& network) {
    // O_NONBLOCK: a FIFO of that name must not hold us up.
    UniqueFd file(
        ::open(network.file.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    if (!file.valid()) {
      return ErrnoStatus(absl::StrCat(
          "open ", network.file,
          " (the NIC's `pcap`; correct its name in the scenario, or who may "
          "read it)"));
    }
    struct stat info;
    if (::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
      return absl::InvalidArgumentError(
          absl::StrCat("open ", network.file, ": it is no regular file"));
    }
    order.spec.mutable_pcap()->set_file_fd(order.fds.Own(std::move(file)));
    order.spec.mutable_pcap()->set_loop(network.loop);
    return absl::OkStatus();
  }

  absl::Status PlugInto(absl::string_view kind, const std::string& name) {
    if (wire_fd < 0) {
      return absl::InternalError(
          absl::StrCat("plug a NIC into ", kind, " ", name, ": it has no end"));
    }
    order.spec.mutable_wire()->set_socket_fd(order.fds.Add(wire_fd));
    return absl::OkStatus();
  }
};

}  // namespace

absl::StatusOr<ModelOrder> MakeModelOrder(const policy::SimulatedNic& nic,
                                          int wire_fd) {
  ModelOrder order;
  order.spec.set_name(nic.name);
  order.spec.set_model(nic.model);
  order.spec.set_mac(nic.mac.data(), nic.mac.size());
  order.spec.set_serial(nic.serial);
  for (const std::string& fault : nic.faults) order.spec.add_fault(fault);
  RETURN_IF_ERROR(std::visit(AddNetwork{order, wire_fd}, nic.network));
  return order;
}

}  // namespace bulkhead::platform
