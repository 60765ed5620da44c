// Text from outside, made fit for a terminal and for JSON.
#ifndef BULKHEAD_PLATFORM_SERVICE_POLICY_PRINTABLE_H_
#define BULKHEAD_PLATFORM_SERVICE_POLICY_PRINTABLE_H_

#include <string>

#include "absl/strings/string_view.h"

namespace bulkhead::policy {

// `text` without anything that a terminal would act upon: control characters
// and invalid UTF-8 come out as \xNN, a tab as one space. `*caret`, when given,
// counts characters of `text`, and is moved by what those before it grew.
std::string Printable(absl::string_view text, int* caret = nullptr);

// A JSON string with its quotes, of Printable(text).
std::string JsonString(absl::string_view text);

// Characters as a terminal counts them, of UTF-8 text.
size_t PrintedWidth(absl::string_view text);

}  // namespace bulkhead::policy

#endif  // BULKHEAD_PLATFORM_SERVICE_POLICY_PRINTABLE_H_
