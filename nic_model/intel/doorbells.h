// The doorbells TDT and RDT of each queue: a write to any is a store in shared
// memory and an eventfd, without a message. All TDTs share an eventfd, and all
// RDTs.
#ifndef BULKHEAD_NIC_MODEL_INTEL_DOORBELLS_H_
#define BULKHEAD_NIC_MODEL_INTEL_DOORBELLS_H_

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

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
  static constexpr uint32_t kMaxQueues = 16;

  // Where the tail registers are: of queue 0, and from queue to queue.
  struct Layout {
    uint32_t tdt;
    uint32_t rdt;
    uint32_t queue_stride = 0;
    uint32_t queues = 1;  // At most kMaxQueues.
  };

  // `page`: sealed shared memory of one page; without one nothing is offered,
  // and the tails live here alone.
  static absl::StatusOr<std::unique_ptr<Doorbells>> Create(
      UniqueFd page, const Layout& layout);

  uint32_t tx_tail(uint32_t queue = 0) const { return Load(TxOffset(queue)); }
  uint32_t rx_tail(uint32_t queue = 0) const { return Load(RxOffset(queue)); }
  void set_tx_tail(uint32_t value, uint32_t queue = 0) {
    Store(TxOffset(queue), value);
  }
  void set_rx_tail(uint32_t value, uint32_t queue = 0) {
    Store(RxOffset(queue), value);
  }
  // As a reset leaves them.
  void ClearTails();

  int tx_event() const { return tx_event_.get(); }
  int rx_event() const { return rx_event_.get(); }
  std::span<const vfio_user::DoorbellOffer> offers() const {
    if (!page_.valid()) return {};
    return offers_;
  }

 private:
  // A client takes eight doorbells; queues beyond ring with messages.
  static constexpr uint32_t kOfferedQueues = 4;
  static constexpr uint32_t kUsedBytes = kMaxQueues * 128;

  // On cache lines of their own.
  static constexpr uint32_t TxOffset(uint32_t queue) { return queue * 128; }
  static constexpr uint32_t RxOffset(uint32_t queue) {
    return queue * 128 + 64;
  }

  Doorbells(UniqueFd page, Mapping mapping, UniqueFd tx_event,
            UniqueFd rx_event, const Layout& layout);

  // Acquire: pairs with the driver's release store, after its descriptors.
  uint32_t Load(uint32_t offset) const {
    return __atomic_load_n(words_ + offset / 4, __ATOMIC_ACQUIRE);
  }
  void Store(uint32_t offset, uint32_t value) {
    __atomic_store_n(words_ + offset / 4, value, __ATOMIC_RELEASE);
  }

  UniqueFd page_;
  Mapping mapping_;
  const uint32_t queues_;
  std::array<uint32_t, kUsedBytes / 4> private_ = {};
  uint32_t* const words_;  // In the page, or private_.
  UniqueFd tx_event_;
  UniqueFd rx_event_;
  std::vector<vfio_user::DoorbellOffer> offers_;
};

}  // namespace bulkhead::nic_model::intel

#endif  // BULKHEAD_NIC_MODEL_INTEL_DOORBELLS_H_
