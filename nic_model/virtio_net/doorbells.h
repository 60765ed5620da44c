// The notification addresses of the first queues: a write there is an eventfd,
// without a message. Virtio 1.2, section 4.1.4.4.
#ifndef BULKHEAD_NIC_MODEL_VIRTIO_NET_DOORBELLS_H_
#define BULKHEAD_NIC_MODEL_VIRTIO_NET_DOORBELLS_H_

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "nic_model/vfio_user/device_ops.h"
#include "nic_model/virtio_net/layout.h"

namespace bulkhead::nic_model::virtio_net {

class Doorbells {
 public:
  // A client takes eight; the queues from here on, and the control queue, are
  // notified by messages.
  static constexpr uint32_t kOffered = 8;

  // `page`: sealed memory for what is written, which nobody reads here; without
  // it every notification is a message.
  static absl::StatusOr<std::unique_ptr<Doorbells>> Create(UniqueFd page);

  int event(uint32_t queue) const { return events_[queue].get(); }
  std::span<const vfio_user::DoorbellOffer> offers() const {
    if (!page_.valid()) return {};
    return offers_;
  }

 private:
  UniqueFd page_;
  std::array<UniqueFd, kOffered> events_;
  std::array<vfio_user::DoorbellOffer, kOffered> offers_;
};

}  // namespace bulkhead::nic_model::virtio_net

#endif  // BULKHEAD_NIC_MODEL_VIRTIO_NET_DOORBELLS_H_
