#include "supervisor/descriptor_store.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace bulkhead::supervisor {

absl::Status DescriptorStore::Park(const std::string& key, Entry entry) {
  const auto old = entries_.find(key);
  const bool replaces = old != entries_.end();
  const size_t fds =
      fds_ + entry.fds.size() - (replaces ? old->second->fds.size() : 0);
  const size_t bytes = state_bytes_ + entry.state.size() -
                       (replaces ? old->second->state.size() : 0);
  const size_t count = entries_.size() + (replaces ? 0 : 1);
  if (count > quota_.entries || fds > quota_.fds ||
      bytes > quota_.state_bytes) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "park ", key, ": with it ", count, " entries, ", fds,
        " descriptors and ", bytes, " bytes would be kept; the limits are ",
        quota_.entries, ", ", quota_.fds, " and ", quota_.state_bytes));
  }
  fds_ = fds;
  state_bytes_ = bytes;
  entries_[key] = std::make_shared<const Entry>(std::move(entry));
  return absl::OkStatus();
}

void DescriptorStore::Unpark(const std::string& key) {
  const auto it = entries_.find(key);
  if (it == entries_.end()) return;
  fds_ -= it->second->fds.size();
  state_bytes_ -= it->second->state.size();
  entries_.erase(it);
}

}  // namespace bulkhead::supervisor
