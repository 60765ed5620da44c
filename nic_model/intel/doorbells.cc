#include "nic_model/intel/doorbells.h"

#include <sys/eventfd.h>

#include <utility>

#include "base/errno_status.h"

namespace bulkhead::nic_model::intel {

absl::StatusOr<std::unique_ptr<Doorbells>> Doorbells::Create(UniqueFd page,
                                                             uint32_t tdt,
                                                             uint32_t rdt) {
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
                    std::move(rx_event), tdt, rdt));
}

Doorbells::Doorbells(UniqueFd page, Mapping mapping, UniqueFd tx_event,
                     UniqueFd rx_event, uint32_t tdt, uint32_t rdt)
    : page_(std::move(page)),
      mapping_(std::move(mapping)),
      words_(mapping_.valid() ? mapping_.As<uint32_t>() : private_.data()),
      tx_event_(std::move(tx_event)),
      rx_event_(std::move(rx_event)),
      offers_{{{tdt, 4, tx_event_.get(), page_.get(), kTxOffset},
               {rdt, 4, rx_event_.get(), page_.get(), kRxOffset}}} {
  // A model that was restarted begins from reset.
  set_tx_tail(0);
  set_rx_tail(0);
}

}  // namespace bulkhead::nic_model::intel
