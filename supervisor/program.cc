#include "supervisor/program.h"

#include <elf.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"

namespace bulkhead::supervisor {
namespace {

// More program headers than any linker writes.
constexpr int kMaxProgramHeaders = 64;

absl::Status NotAProgram(const std::string& path, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat(
      "use program ", path, ": ", why,
      "; build it with bazel, or correct --bin_dir or the driver's name"));
}

absl::StatusOr<bool> HasInterpreter(const std::string& path, int fd) {
  Elf64_Ehdr header;
  if (::pread(fd, &header, sizeof(header), 0) != sizeof(header) ||
      std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) {
    return NotAProgram(path, "it is not an ELF program");
  }
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != EM_X86_64 ||
      (header.e_type != ET_EXEC && header.e_type != ET_DYN) ||
      header.e_phentsize != sizeof(Elf64_Phdr) ||
      header.e_phnum > kMaxProgramHeaders) {
    return NotAProgram(path, "it is not an x86-64 ELF program");
  }
  for (int i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr part;
    if (::pread(fd, &part, sizeof(part), header.e_phoff + i * sizeof(part)) !=
        sizeof(part)) {
      return NotAProgram(path, "the file is cut off");
    }
    if (part.p_type == PT_INTERP) return true;
  }
  return false;
}

}  // namespace

absl::StatusOr<Program> Program::Open(const std::string& path) {
  if (path.empty() || path[0] != '/') {
    return NotAProgram(path, "the path is not absolute");
  }
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) return NotAProgram(path, std::strerror(errno));
  Program program(path, std::move(fd));
  if (::fstat(program.fd(), &program.info_) != 0) {
    return ErrnoStatus(absl::StrCat("stat program ", path));
  }
  if (!S_ISREG(program.info_.st_mode)) {
    return NotAProgram(path, "it is not a regular file");
  }
  if ((program.info_.st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)) == 0) {
    return NotAProgram(path, "it is not executable (chmod +x)");
  }
  ASSIGN_OR_RETURN(program.dynamic_, HasInterpreter(path, program.fd()));
  return program;
}

absl::Status Program::CheckUnchanged() const {
  struct stat now;
  if (::fstat(fd_.get(), &now) != 0) {
    return ErrnoStatus(absl::StrCat("stat program ", path_));
  }
  // The change time moves with unlink and chmod as well; the data's does not.
  if (now.st_size != info_.st_size ||
      now.st_mtim.tv_sec != info_.st_mtim.tv_sec ||
      now.st_mtim.tv_nsec != info_.st_mtim.tv_nsec) {
    return absl::FailedPreconditionError(absl::StrCat(
        "run program ", path_,
        ": the file was written into since it was defined; apply the scenario "
        "again to accept the new one"));
  }
  return absl::OkStatus();
}

}  // namespace bulkhead::supervisor
