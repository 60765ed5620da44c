#include "nic_model/intel/doorbells.h"

#include <sys/eventfd.h>

#include <algorithm>
#include <utility>

#include "base/errno_status.h"

namespace bulkhead::nic_model::intel {

absl::StatusOr<std::unique_ptr<Doorbells>> Doorbells::Create(
    UniqueFd page, const Layout& layout) {
  static_assert(kUsedBytes <= kPageBytes);
  Mapping mapping;
  if (page.valid()) {
    ASSIGN_OR_RETURN(mapping, Mapping::MapSealed(page.get(), kPageBytes,
                                                 Access::kReadWrite));
  }
  UniqueFd tx_event(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  UniqueFd rx_event(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!tx_event.valid() || !rx_event.valid()) {
    return ErrnoStatus("create a doorbell's eventfd");
  }
  return std::unique_ptr<Doorbells>(
      new Doorbells(std::move(page), std::move(mapping), std::move(tx_event),
                    std::move(rx_event), layout));
}

Doorbells::Doorbells(UniqueFd page, Mapping mapping, UniqueFd tx_event,
                     UniqueFd rx_event, const Layout& layout)
    : page_(std::move(page)),
      mapping_(std::move(mapping)),
      queues_(layout.queues),
      words_(mapping_.valid() ? mapping_.As<uint32_t>() : private_.data()),
      tx_event_(std::move(tx_event)),
      rx_event_(std::move(rx_event)) {
  for (uint32_t queue = 0; queue < std::min(queues_, kOfferedQueues); ++queue) {
    const uint32_t at = queue * layout.queue_stride;
    offers_.push_back(
        {layout.tdt + at, 4, tx_event_.get(), page_.get(), TxOffset(queue)});
    offers_.push_back(
        {layout.rdt + at, 4, rx_event_.get(), page_.get(), RxOffset(queue)});
  }
  // A model that was restarted begins from reset.
  ClearTails();
}

void Doorbells::ClearTails() {
  for (uint32_t queue = 0; queue < queues_; ++queue) {
    set_tx_tail(0, queue);
    set_rx_tail(0, queue);
  }
}

}  // namespace bulkhead::nic_model::intel
