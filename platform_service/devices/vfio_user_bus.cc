#include "platform_service/devices/vfio_user_bus.h"

#include "base/errno_status.h"

namespace bulkhead::platform {

absl::Status VfioUserBus::Prepare() {
  constexpr uint32_t kDoorbellBar = 0;
  if (negotiated_) return absl::OkStatus();
  ASSIGN_OR_RETURN(doorbells_,
                   vfio_user::Client::Greet(socket_.get(), kDoorbellBar));
  negotiated_ = true;
  return absl::OkStatus();
}

void VfioUserBus::AddTo(DeviceGrant* grant, FdList* fds) {
  DeviceGrant::VfioUserBus* bus = grant->mutable_vfio_user();
  bus->set_connection_fd(fds->Own(std::move(socket_)));
  bus->set_negotiated(negotiated_);
  for (vfio_user::Doorbell& doorbell : doorbells_) {
    DeviceGrant::Doorbell* message = bus->add_doorbell();
    message->set_offset(doorbell.offset);
    message->set_bytes(doorbell.bytes);
    message->set_event_fd(fds->Own(std::move(doorbell.event)));
    message->set_shadow_fd(fds->Own(std::move(doorbell.shadow)));
    message->set_shadow_offset(doorbell.shadow_offset);
  }
}

}  // namespace bulkhead::platform
