#include "platform_service/policy/diagnostic.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "platform_service/policy/printable.h"

namespace bulkhead::policy {
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
