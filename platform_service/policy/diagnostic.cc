#include "platform_service/policy/diagnostic.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "platform_service/policy/source_text.h"

namespace bulkhead::policy {
namespace {

// `text` without anything that a terminal would act upon. A tab becomes one
// space. `*caret`, when given, is moved by what the characters before it grew.
std::string Printable(absl::string_view text, int* caret = nullptr) {
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

}  // namespace

std::string ToText(const Diagnostic& diagnostic) {
  std::string out = Printable(diagnostic.file);
  if (diagnostic.line > 0) absl::StrAppend(&out, ":", diagnostic.line);
  if (diagnostic.column > 0) absl::StrAppend(&out, ":", diagnostic.column);
  absl::StrAppend(&out, ": error: ", Printable(diagnostic.message));
  if (!diagnostic.excerpt.empty()) {
    int caret = diagnostic.caret;
    absl::StrAppend(&out, "\n  ", Printable(diagnostic.excerpt, &caret));
    absl::StrAppend(&out, "\n  ", std::string(caret, ' '), "^");
  }
  return out;
}

std::string ToText(const std::vector<Diagnostic>& diagnostics) {
  std::string out;
  for (const Diagnostic& diagnostic : diagnostics) {
    absl::StrAppend(&out, ToText(diagnostic), "\n");
  }
  if (diagnostics.size() > 1) {
    absl::StrAppend(&out, diagnostics.size(), " errors\n");
  }
  return out;
}

std::string ToJson(const Diagnostic& diagnostic) {
  return absl::StrCat(
      "{\"file\":", JsonString(diagnostic.file), ",\"line\":", diagnostic.line,
      ",\"column\":", diagnostic.column,
      ",\"severity\":\"error\",\"message\":", JsonString(diagnostic.message),
      ",\"excerpt\":", JsonString(diagnostic.excerpt), "}");
}

std::string ToJson(const std::vector<Diagnostic>& diagnostics) {
  std::string out = "[";
  for (const Diagnostic& diagnostic : diagnostics) {
    absl::StrAppend(&out, out.size() > 1 ? "," : "", ToJson(diagnostic));
  }
  out.push_back(']');
  return out;
}

}  // namespace bulkhead::policy
