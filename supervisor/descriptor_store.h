// What the platform service leaves with the supervisor, so that it finds it
// again after its own death: opaque state, and descriptors.
#ifndef BULKHEAD_SUPERVISOR_DESCRIPTOR_STORE_H_
#define BULKHEAD_SUPERVISOR_DESCRIPTOR_STORE_H_

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/unique_fd.h"

namespace bulkhead::supervisor {

// Invariant: the sums of all entries never exceed the quota; an entry that
// would is refused and what was parked before stays.
class DescriptorStore {
 public:
  struct Quota {
    size_t entries = 4096;
    size_t fds = 16'384;
    size_t state_bytes = 64 << 20;
  };
  struct Entry {
    std::string state;
    std::vector<UniqueFd> fds;
  };

  explicit DescriptorStore(const Quota& quota) : quota_(quota) {}

  // Keeps `entry` under `key`; one of the same key is replaced, its descriptors
  // closed. ResourceExhausted: over quota, `entry` is gone, nothing changed.
  absl::Status Park(const std::string& key, Entry entry);
  // Harmless for an unknown key.
  void Unpark(const std::string& key);

  // Shared, so that a message under way keeps its descriptors open.
  const std::map<std::string, std::shared_ptr<const Entry>>& entries() const {
    return entries_;
  }
  size_t fds() const { return fds_; }

 private:
  Quota quota_;
  std::map<std::string, std::shared_ptr<const Entry>> entries_;
  size_t fds_ = 0;
  size_t state_bytes_ = 0;
};

}  // namespace bulkhead::supervisor

#endif  // BULKHEAD_SUPERVISOR_DESCRIPTOR_STORE_H_
