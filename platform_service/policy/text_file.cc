#include "platform_service/policy/text_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"

namespace bulkhead::policy {

std::string ReadTextFile(const std::string& path, const TextKind& kind,
                         std::string* text) {
  // O_NONBLOCK: the opening of a FIFO must not wait for a writer.
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd.valid()) {
    return absl::StrCat("cannot be opened (", strerror(errno),
                        "); check the name and who may read it");
  }
  struct stat info;
  if (fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
    return absl::StrCat("is not a regular file; give the name of a ", kind.noun,
                        " file");
  }
  // One byte more than allowed, so that a file that is too large shows.
  text->resize(kind.most_bytes + 1);
  size_t have = 0;
  while (have < text->size()) {
    const ssize_t got =
        read(fd.get(), text->data() + have, text->size() - have);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      return absl::StrCat("cannot be read (", strerror(errno), ")");
    }
    if (got == 0) break;
    have += static_cast<size_t>(got);
  }
  text->resize(have);
  if (have > kind.most_bytes) {
    return absl::StrCat("the ", kind.noun, " has ", info.st_size, " bytes; ",
                        kind.too_large);
  }
  return "";
}

bool CheckTextBytes(const TextKind& kind, SourceText* source) {
  const absl::string_view text = source->text();
  if (text.size() > kind.most_bytes) {
    source->FileError(absl::StrCat("the ", kind.noun, " has ", text.size(),
                                   " bytes; ", kind.too_large));
    return false;
  }
  if (absl::StartsWith(text, "\xff\xfe") ||
      absl::StartsWith(text, "\xfe\xff")) {
    source->FileError("the file is UTF-16; save it as UTF-8");
    return false;
  }
  Position place;
  for (size_t at = 0; at < text.size();) {
    const size_t length = Utf8Length(text, at);
    if (length == 0) {
      source->Error(place, "this byte is not UTF-8; save the file as UTF-8");
      return false;
    }
    const uint8_t byte = static_cast<uint8_t>(text[at]);
    if ((byte < 0x20 && !absl::StrContains("\t\n\r", text[at])) ||
        byte == 0x7f) {
      source->Error(
          place,
          absl::StrCat(
              "a control character has no place in a ", kind.noun,
              "; remove it, or write the file anew if it is half-written"));
      return false;
    }
    place.column += static_cast<int>(length);
    if (byte == '\n') place = {place.line + 1, 0};
    at += length;
  }
  return true;
}

}  // namespace bulkhead::policy
