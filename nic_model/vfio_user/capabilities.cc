#include "nic_model/vfio_user/capabilities.h"

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace bulkhead::vfio_user {

std::optional<uint64_t> FindNumber(absl::string_view json,
                                   absl::string_view name) {
  const std::string key = absl::StrCat("\"", name, "\"");
  const size_t at = json.find(key);
  if (at == absl::string_view::npos) return std::nullopt;
  absl::string_view rest =
      absl::StripLeadingAsciiWhitespace(json.substr(at + key.size()));
  if (!absl::ConsumePrefix(&rest, ":")) return std::nullopt;
  rest = absl::StripLeadingAsciiWhitespace(rest);
  size_t digits = 0;
  while (digits < rest.size() && absl::ascii_isdigit(rest[digits])) ++digits;
  uint64_t value;
  if (!absl::SimpleAtoi(rest.substr(0, digits), &value)) return std::nullopt;
  return value;
}

}  // namespace bulkhead::vfio_user
