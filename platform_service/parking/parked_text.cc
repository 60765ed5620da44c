#include "platform_service/parking/parked_text.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/errno_status.h"
#include "base/shared_memory.h"

namespace bulkhead::platform {

absl::StatusOr<UniqueFd> StoreText(const std::string& text) {
  ASSIGN_OR_RETURN(UniqueFd fd, CreateSealedMemory("parked_text", text.size()));
  // Memory takes all or, when there is none left, nothing.
  if (::pwrite(fd.get(), text.data(), text.size(), 0) !=
      static_cast<ssize_t>(text.size())) {
    return ErrnoStatus("write a text that is to be parked");
  }
  return fd;
}

absl::StatusOr<std::string> LoadText(int fd) {
  struct stat info;
  if (::fstat(fd, &info) != 0) return ErrnoStatus("look at a parked text");
  std::string text(static_cast<size_t>(info.st_size), '\0');
  if (::pread(fd, text.data(), text.size(), 0) !=
      static_cast<ssize_t>(text.size())) {
    return ErrnoStatus("read a parked text");
  }
  return text;
}

}  // namespace bulkhead::platform
