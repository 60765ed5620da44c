#include "platform_service/policy/source_text.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace bulkhead::policy {
namespace {

// What an 80-column terminal shows without wrapping.
constexpr size_t kExcerptCharacters = 78;

// Byte offsets of the characters of `line`, and one more for its end. A byte
// that is not UTF-8 counts as one character, as it is shown as one.
std::vector<size_t> CharacterStarts(absl::string_view line) {
  std::vector<size_t> starts;
  size_t at = 0;
  while (at < line.size()) {
    starts.push_back(at);
    at += std::max<size_t>(Utf8Length(line, at), 1);
  }
  starts.push_back(line.size());
  return starts;
}

}  // namespace

size_t Utf8Length(absl::string_view text, size_t at) {
  auto byte = [&](size_t i) {
    return at + i < text.size() ? static_cast<uint8_t>(text[at + i]) : 0u;
  };
  const unsigned first = byte(0);
  if (first < 0x80) return at < text.size() ? 1 : 0;
  const size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4) return 0;
  unsigned value = first & (0x7f >> length);
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
    value = value << 6 | (byte(i) & 0x3f);
  }
  // Overlong forms, surrogates and values beyond Unicode (RFC 3629, 3 and 4).
  if (length == 3 && value < 0x800) return 0;
  if (length == 4 && (value < 0x10000 || value > 0x10ffff)) return 0;
  if (value >= 0xd800 && value <= 0xdfff) return 0;
  return length;
}

SourceText::SourceText(absl::string_view text, std::string path)
    : text_(text), path_(std::move(path)) {
  line_starts_.push_back(0);
  for (size_t i = 0; i < text_.size(); ++i) {
    if (text_[i] == '\n') line_starts_.push_back(i + 1);
  }
}

void SourceText::Error(Position place, std::string message) {
  found_.push_back({place, false, std::move(message)});
}

void SourceText::FileError(std::string message) {
  found_.push_back({{}, true, std::move(message)});
}

absl::string_view SourceText::Line(int line) const {
  if (line < 0 || static_cast<size_t>(line) >= line_starts_.size()) return "";
  const size_t start = line_starts_[line];
  const size_t end = static_cast<size_t>(line) + 1 < line_starts_.size()
                         ? line_starts_[line + 1] - 1
                         : text_.size();
  absl::string_view content = text_.substr(start, end - start);
  if (!content.empty() && content.back() == '\r') content.remove_suffix(1);
  return content;
}

Diagnostic SourceText::Render(const Found& found) const {
  Diagnostic diagnostic;
  diagnostic.file = path_;
  diagnostic.message = found.message;
  if (found.whole_file) return diagnostic;

  const absl::string_view line = Line(found.place.line);
  const std::vector<size_t> starts = CharacterStarts(line);
  const size_t characters = starts.size() - 1;
  // The character in which the byte column lies.
  size_t column = std::upper_bound(starts.begin(), starts.end(),
                                   static_cast<size_t>(found.place.column)) -
                  starts.begin() - 1;
  column = std::min(column, characters);
  diagnostic.line = LineNumber(found.place);
  diagnostic.column = static_cast<int>(column) + 1;

  size_t first = 0;
  if (column > kExcerptCharacters / 2 && characters > kExcerptCharacters) {
    first = std::min(column - kExcerptCharacters / 2,
                     characters - kExcerptCharacters);
  }
  const size_t last = std::min(first + kExcerptCharacters, characters);
  diagnostic.excerpt =
      std::string(line.substr(starts[first], starts[last] - starts[first]));
  diagnostic.caret = static_cast<int>(column - first);

  // A file that somebody else is still writing ends anywhere.
  if (found.place.line + 1 == static_cast<int>(line_starts_.size()) &&
      !text_.empty() && text_.back() != '\n' &&
      !absl::StrContains(found.message, "half-written")) {
    absl::StrAppend(&diagnostic.message,
                    " (the file ends within this line: is it half-written?)");
  }
  return diagnostic;
}

std::vector<Diagnostic> SourceText::TakeErrors(size_t most) {
  std::stable_sort(found_.begin(), found_.end(),
                   [](const Found& a, const Found& b) {
                     return std::pair(a.place.line, a.place.column) <
                            std::pair(b.place.line, b.place.column);
                   });
  std::vector<Diagnostic> diagnostics;
  for (const Found& found : found_) {
    if (diagnostics.size() == most) {
      diagnostics.push_back(
          Render({{},
                  true,
                  absl::StrCat(found_.size() - most,
                               " more errors; mend the ones above first")}));
      break;
    }
    diagnostics.push_back(Render(found));
  }
  found_.clear();
  return diagnostics;
}

}  // namespace bulkhead::policy
