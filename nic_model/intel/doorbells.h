// The doorbells TDT and RDT of queue 0: a write to either is a store in shared
// memory and an eventfd, without a message.
#ifndef BULKHEAD_NIC_MODEL_INTEL_DOORBELLS_H_
#define BULKHEAD_NIC_MODEL_INTEL_DOORBELLS_H_

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "absl/status/statusor.h"
#include "base/shared_memory.h"
#include "base/unique_fd.h"
#include "nic_model/vfio_user/device_ops.h"

namespace bulkhead::nic_model::intel {

// The shared word is the register: a trapped write stores there, too, so that
// it always holds the value written last. The driver may store anything at any
// time (S7).
class Doorbells {
 public:
  // `page`: sealed shared memory of one page; without one nothing is offered,
  // and the tails live here alone. `tdt`, `rdt`: the registers' offsets.
  static absl::StatusOr<std::unique_ptr<Doorbells>> Create(UniqueFd page,
                                                           uint32_t tdt,
                                                           uint32_t rdt);

  uint32_t tx_tail() const { return Load(kTxOffset); }
  uint32_t rx_tail() const { return Load(kRxOffset); }
  void set_tx_tail(uint32_t value) { Store(kTxOffset, value); }
  void set_rx_tail(uint32_t value) { Store(kRxOffset, value); }

  int tx_event() const { return tx_event_.get(); }
  int rx_event() const { return rx_event_.get(); }
  std::span<const vfio_user::DoorbellOffer> offers() const {
    if (!page_.valid()) return {};
    return offers_;
  }

 private:
  // On cache lines of their own.
  static constexpr uint32_t kTxOffset = 0;
  static constexpr uint32_t kRxOffset = 64;

  Doorbells(UniqueFd page, Mapping mapping, UniqueFd tx_event,
            UniqueFd rx_event, uint32_t tdt, uint32_t rdt);

  // Acquire: pairs with the driver's release store, after its descriptors.
  uint32_t Load(uint32_t offset) const {
    return __atomic_load_n(words_ + offset / 4, __ATOMIC_ACQUIRE);
  }
  void Store(uint32_t offset, uint32_t value) {
    __atomic_store_n(words_ + offset / 4, value, __ATOMIC_RELEASE);
  }

  UniqueFd page_;
  Mapping mapping_;
  std::array<uint32_t, 32> private_ = {};
  uint32_t* const words_;  // In the page, or private_.
  UniqueFd tx_event_;
  UniqueFd rx_event_;
  std::array<vfio_user::DoorbellOffer, 2> offers_;
};

}  // namespace bulkhead::nic_model::intel

#endif  // BULKHEAD_NIC_MODEL_INTEL_DOORBELLS_H_
