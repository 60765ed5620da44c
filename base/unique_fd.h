// Ownership of one file descriptor.
#ifndef BULKHEAD_BASE_UNIQUE_FD_H_
#define BULKHEAD_BASE_UNIQUE_FD_H_

#include <fcntl.h>
#include <unistd.h>

#include <utility>

namespace bulkhead {

// Closes its descriptor when it goes out of scope. Movable, not copyable;
// -1 means empty.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.Release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) Reset(other.Release());
    return *this;
  }
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd() { Reset(); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }

  // Gives the descriptor up without closing it.
  [[nodiscard]] int Release() { return std::exchange(fd_, -1); }

  void Reset(int fd = -1) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }

  // A second descriptor of the same open file (close-on-exec), or an empty one
  // with errno set.
  [[nodiscard]] UniqueFd Duplicate() const {
    return UniqueFd(::fcntl(fd_, F_DUPFD_CLOEXEC, 0));
  }

 private:
  int fd_ = -1;
};

}  // namespace bulkhead

#endif  // BULKHEAD_BASE_UNIQUE_FD_H_
