#include "base/shared_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"

namespace bulkhead {
namespace {

constexpr int kSizeSeals = F_SEAL_SHRINK | F_SEAL_GROW;

int Protection(Access access) {
  return access == Access::kReadOnly ? PROT_READ : PROT_READ | PROT_WRITE;
}

}  // namespace

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

Mapping::~Mapping() {
  if (data_ != nullptr) ::munmap(data_, bytes_);
}

absl::StatusOr<Mapping> Mapping::MapSealed(int fd, size_t bytes,
                                           Access access) {
  const int seals = ::fcntl(fd, F_GET_SEALS);
  if (seals < 0) return ErrnoStatus("read the seals of shared memory");
  if ((seals & kSizeSeals) != kSizeSeals) {
    return absl::InvalidArgumentError(
        "map shared memory: it is not sealed against shrinking and growing");
  }
  struct stat info;
  if (::fstat(fd, &info) != 0) return ErrnoStatus("stat shared memory");
  if (bytes == 0 || static_cast<uint64_t>(info.st_size) != bytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        "map shared memory: it has ", info.st_size, " bytes, not ", bytes));
  }
  return MapAny(fd, 0, bytes, access);
}

absl::StatusOr<Mapping> Mapping::MapAny(int fd, uint64_t offset, size_t bytes,
                                        Access access) {
  void* data = ::mmap(nullptr, bytes, Protection(access), MAP_SHARED, fd,
                      static_cast<off_t>(offset));
  if (data == MAP_FAILED) {
    return ErrnoStatus(absl::StrCat("map ", bytes, " bytes of shared memory"));
  }
  return Mapping(data, bytes);
}

absl::StatusOr<UniqueFd> CreateSealedMemory(const std::string& name,
                                            size_t bytes) {
  UniqueFd fd(::memfd_create(name.c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd.valid()) return ErrnoStatus("create shared memory");
  if (::fchmod(fd.get(), 0600) != 0) {
    return ErrnoStatus("set the mode of shared memory");
  }
  if (::ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0) {
    return ErrnoStatus(absl::StrCat("size shared memory to ", bytes, " bytes"));
  }
  if (::fcntl(fd.get(), F_ADD_SEALS, kSizeSeals | F_SEAL_SEAL) != 0) {
    return ErrnoStatus("seal shared memory");
  }
  return fd;
}

absl::StatusOr<UniqueFd> ReopenReadOnly(int fd) {
  const std::string path = absl::StrCat("/proc/self/fd/", fd);
  UniqueFd read_only(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!read_only.valid()) {
    return ErrnoStatus("reopen shared memory for reading only");
  }
  return read_only;
}

}  // namespace bulkhead
