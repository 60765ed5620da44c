#include "platform_service/pci/recorded_dump.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <set>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/errno_status.h"
#include "base/unique_fd.h"
#include "platform_service/pci/config_space.h"

namespace bulkhead::pci {
namespace {

constexpr size_t kMaxDumpBytes = 16 << 20;
// libpci's own buffer is this large.
constexpr size_t kMaxLineBytes = 250;
constexpr size_t kMaxDevices = 4096;

// Whether `text` starts with `pattern`, in which `#` is a hexadecimal digit.
bool StartsLike(absl::string_view text, absl::string_view pattern) {
  if (text.size() < pattern.size()) return false;
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == '#' ? !absl::ascii_isxdigit(text[i])
                          : text[i] != pattern[i]) {
      return false;
    }
  }
  return true;
}

// The address at the start of a device line, with its domain; else empty.
std::string DeviceLine(absl::string_view line) {
  if (StartsLike(line, "##:##.# ")) {
    return absl::StrCat("0000:", line.substr(0, 7));
  }
  for (size_t domain_digits = 4; domain_digits <= 8; ++domain_digits) {
    if (StartsLike(
            line, absl::StrCat(std::string(domain_digits, '#'), ":##:##.# "))) {
      return std::string(line.substr(0, domain_digits + 8));
    }
  }
  return "";
}

// Whether libpci takes `line` for config space: its offset may have two to
// eight digits.
bool IsConfigSpace(absl::string_view line) {
  const size_t digits = line.find(": ");
  return digits != absl::string_view::npos && digits >= 2 && digits <= 8 &&
         StartsLike(line, std::string(digits, '#'));
}

// The bytes of a line of config space, after its offset; -1 when they are none.
// libpci bears one space after the last byte, and no other sign.
int CountBytes(absl::string_view bytes) {
  absl::ConsumeSuffix(&bytes, " ");
  int count = 0;
  for (absl::string_view byte : absl::StrSplit(bytes, ' ')) {
    if (byte.size() != 2 || !StartsLike(byte, "##")) return -1;
    ++count;
  }
  return count;
}

}  // namespace

absl::Status CheckDump(absl::string_view text, const std::string& path) {
  std::set<std::string> addresses;
  int number = 0;
  auto wrong = [&](absl::string_view why) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ":", number, ": error: ", why,
                     "; record the machine anew with `lspci -xxxx`"));
  };
  bool in_device = false;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    absl::ConsumeSuffix(&line, "\r");
    if (line.size() > kMaxLineBytes) return wrong("this line is too long");
    if (absl::StrContains(line, '\0')) return wrong("this line is not text");
    if (std::string address = DeviceLine(line); !address.empty()) {
      if (!addresses.insert(address).second) {
        return wrong(absl::StrCat("the device ", address, " comes twice"));
      }
      if (addresses.size() > kMaxDevices) return wrong("too many devices");
      in_device = true;
      continue;
    }
    if (!IsConfigSpace(line) || !in_device) continue;
    const std::vector<absl::string_view> parts =
        absl::StrSplit(line, absl::MaxSplits(": ", 1));
    // Wide, since libpci takes ffffffff for -1 and writes before its buffer.
    uint64_t offset = 0;
    const int count = CountBytes(parts[1]);
    if (!absl::SimpleHexAtoi(parts[0], &offset) || count < 0) {
      return wrong("this is no line of config space");
    }
    if (offset + count > kExtendedBytes) {
      return wrong("config space ends at 4096 bytes");
    }
  }
  if (addresses.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path,
                     ": error: there is no PCI device in this file; "
                     "record a machine with `lspci -xxxx`"));
  }
  if (!text.empty() && text.back() != '\n') {
    return wrong("the file breaks off in its last line");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReadDump(const std::string& path) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd.valid()) {
    return ErrnoStatus(absl::StrCat("cannot open the recorded dump ", path));
  }
  struct stat info;
  if (fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(
        path,
        ": error: not a regular file; give the name of a file that holds "
        "the output of `lspci -xxxx`"));
  }
  std::string text(kMaxDumpBytes + 1, '\0');
  size_t have = 0;
  while (have < text.size()) {
    const ssize_t got = read(fd.get(), text.data() + have, text.size() - have);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      return ErrnoStatus(absl::StrCat("cannot read the recorded dump ", path));
    }
    if (got == 0) break;
    have += static_cast<size_t>(got);
  }
  if (have > kMaxDumpBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(path,
                     ": error: more than 16MiB; that is no dump of one "
                     "machine"));
  }
  text.resize(have);
  if (absl::Status status = CheckDump(text, path); !status.ok()) return status;
  return text;
}

}  // namespace bulkhead::pci
