#include "nic_model/82574l/doorbells.h"

#include <sys/eventfd.h>

#include <utility>

#include "base/errno_status.h"
#include "nic_model/82574l/registers.h"

namespace bulkhead::nic_model::i82574 {

absl::StatusOr<std::unique_ptr<Doorbells>> Doorbells::Create() {
  ASSIGN_OR_RETURN(UniqueFd shadow,
                   CreateSealedMemory("82574l doorbells", kPageBytes));
  ASSIGN_OR_RETURN(Mapping mapping, Mapping::MapSealed(shadow.get(), kPageBytes,
                                                       Access::kReadWrite));
  UniqueFd tx_event(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  UniqueFd rx_event(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!tx_event.valid() || !rx_event.valid()) {
    return ErrnoStatus("create a doorbell's eventfd");
  }
  return std::unique_ptr<Doorbells>(
      new Doorbells(std::move(shadow), std::move(mapping), std::move(tx_event),
                    std::move(rx_event)));
}

Doorbells::Doorbells(UniqueFd shadow, Mapping mapping, UniqueFd tx_event,
                     UniqueFd rx_event)
    : shadow_(std::move(shadow)),
      mapping_(std::move(mapping)),
      tx_event_(std::move(tx_event)),
      rx_event_(std::move(rx_event)),
      offers_{{{kTdt, 4, tx_event_.get(), shadow_.get(), kTxOffset},
               {kRdt, 4, rx_event_.get(), shadow_.get(), kRxOffset}}} {}

}  // namespace bulkhead::nic_model::i82574
