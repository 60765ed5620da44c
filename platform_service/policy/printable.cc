#include "platform_service/policy/printable.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "platform_service/policy/source_text.h"

namespace bulkhead::policy {

std::string Printable(absl::string_view text, int* caret) {
  std::string out;
  int character = 0;
  int growth = 0;
  for (size_t at = 0; at < text.size(); ++character) {
    const size_t length = Utf8Length(text, at);
    const uint8_t byte = static_cast<uint8_t>(text[at]);
    // C1 controls (U+0080 to U+009f) are two bytes that start with 0xc2.
    const bool c1 = length == 2 && byte == 0xc2 &&
                    static_cast<uint8_t>(text[at + 1]) < 0xa0;
    if (byte == '\t') {
      out.push_back(' ');
    } else if (length == 0 || byte < 0x20 || byte == 0x7f || c1) {
      const size_t bytes = c1 ? 2 : 1;
      for (size_t i = 0; i < bytes; ++i) {
        absl::StrAppendFormat(&out, "\\x%02x",
                              static_cast<uint8_t>(text[at + i]));
      }
      if (caret != nullptr && character < *caret) {
        growth += static_cast<int>(4 * bytes) - 1;
      }
    } else {
      absl::StrAppend(&out, text.substr(at, length));
    }
    at += length == 0 ? 1 : length;
  }
  if (caret != nullptr) *caret += growth;
  return out;
}

std::string JsonString(absl::string_view text) {
  std::string out = "\"";
  for (char c : Printable(text)) {
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  out.push_back('"');
  return out;
}

size_t PrintedWidth(absl::string_view text) {
  // Every byte but those that continue a character.
  return std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<uint8_t>(c) & 0xc0) != 0x80;
  });
}

}  // namespace bulkhead::policy
