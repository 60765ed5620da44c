// State and descriptors on their way out and back in.
#ifndef BULKHEAD_PLATFORM_SERVICE_PARKING_PARKING_LOT_H_
#define BULKHEAD_PLATFORM_SERVICE_PARKING_PARKING_LOT_H_

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/unique_fd.h"

namespace bulkhead::platform {

// Collects the descriptors of one message and gives each its index.
class FdList {
 public:
  // The descriptor stays the caller's and must live until the message is sent.
  uint32_t Add(int fd) {
    fds_.push_back(fd);
    return static_cast<uint32_t>(fds_.size() - 1);
  }
  uint32_t Add(const UniqueFd& fd) { return Add(fd.get()); }
  // The list's own from now on.
  uint32_t Own(UniqueFd fd) {
    owned_.push_back(std::move(fd));
    return Add(owned_.back().get());
  }
  const std::vector<int>& fds() const { return fds_; }

 private:
  std::vector<int> fds_;
  std::vector<UniqueFd> owned_;
};

// One entry that came back.
class ParkedEntry {
 public:
  ParkedEntry(std::string state, std::vector<UniqueFd> fds)
      : state_(std::move(state)), fds_(std::move(fds)) {}

  const std::string& state() const { return state_; }
  // Takes descriptor `index`; empty when there is none or it was taken.
  UniqueFd Take(uint32_t index) {
    return index < fds_.size() ? std::move(fds_[index]) : UniqueFd();
  }

 private:
  std::string state_;
  std::vector<UniqueFd> fds_;
};

// Everything that came back, by key.
using ParkedEntries = std::map<std::string, ParkedEntry>;

}  // namespace bulkhead::platform

#endif  // BULKHEAD_PLATFORM_SERVICE_PARKING_PARKING_LOT_H_
