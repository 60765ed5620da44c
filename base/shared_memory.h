// Sealed shared memory, and the mappings of it.
#ifndef BULKHEAD_BASE_SHARED_MEMORY_H_
#define BULKHEAD_BASE_SHARED_MEMORY_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace bulkhead {

enum class Access : uint8_t { kReadOnly, kReadWrite };

// A mapping that goes away with its object. Movable.
class Mapping {
 public:
  Mapping() = default;
  Mapping(Mapping&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        bytes_(std::exchange(other.bytes_, 0)) {}
  Mapping& operator=(Mapping&& other) noexcept;
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping();

  // Maps the whole of `fd` after checking that it is a memfd of exactly
  // `bytes` bytes, sealed against shrinking and growing, so that no peer can
  // turn an access into SIGBUS (S7).
  static absl::StatusOr<Mapping> MapSealed(int fd, size_t bytes, Access access);
  // Maps `bytes` from `offset` of any descriptor, unchecked.
  static absl::StatusOr<Mapping> MapAny(int fd, uint64_t offset, size_t bytes,
                                        Access access);

  uint8_t* data() const { return static_cast<uint8_t*>(data_); }
  size_t bytes() const { return bytes_; }
  bool valid() const { return data_ != nullptr; }
  template <typename T>
  T* As(size_t offset = 0) const {
    return reinterpret_cast<T*>(data() + offset);
  }

 private:
  Mapping(void* data, size_t bytes) : data_(data), bytes_(bytes) {}

  void* data_ = nullptr;
  size_t bytes_ = 0;
};

// Creates a zeroed memfd of `bytes` bytes (rounded up to whole pages by the
// caller), mode 0600, sealed with SHRINK, GROW and SEAL. `name` shows up in
// /proc/PID/maps.
absl::StatusOr<UniqueFd> CreateSealedMemory(const std::string& name,
                                            size_t bytes);

// A descriptor of the same memory that can only be mapped for reading.
absl::StatusOr<UniqueFd> ReopenReadOnly(int fd);

constexpr size_t kPageBytes = 4096;
constexpr size_t RoundUpToPage(size_t bytes) {
  return (bytes + kPageBytes - 1) & ~(kPageBytes - 1);
}

}  // namespace bulkhead

#endif  // BULKHEAD_BASE_SHARED_MEMORY_H_
