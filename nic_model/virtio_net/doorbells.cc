#include "nic_model/virtio_net/doorbells.h"

#include <sys/eventfd.h>

#include <utility>

#include "base/errno_status.h"

namespace bulkhead::nic_model::virtio_net {

absl::StatusOr<std::unique_ptr<Doorbells>> Doorbells::Create(UniqueFd page) {
  auto doorbells = std::make_unique<Doorbells>();
  doorbells->page_ = std::move(page);
  for (uint32_t queue = 0; queue < kOffered; ++queue) {
    UniqueFd& event = doorbells->events_[queue];
    event = UniqueFd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    if (!event.valid()) return ErrnoStatus("create a doorbell's eventfd");
    doorbells->offers_[queue] = {kNotifyOffset + queue * kNotifyMultiplier, 2,
                                 event.get(), doorbells->page_.get(),
                                 queue * 64};
  }
  return doorbells;
}

}  // namespace bulkhead::nic_model::virtio_net
