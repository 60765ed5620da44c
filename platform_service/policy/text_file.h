// A file of text that somebody else wrote: read in bounds, checked for bytes
// that no text has.
#ifndef BULKHEAD_PLATFORM_SERVICE_POLICY_TEXT_FILE_H_
#define BULKHEAD_PLATFORM_SERVICE_POLICY_TEXT_FILE_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"
#include "platform_service/policy/source_text.h"

namespace bulkhead::policy {

// What a text is, in messages.
struct TextKind {
  absl::string_view noun;  // "scenario"
  size_t most_bytes;
  absl::string_view too_large;  // "at most 1MiB is allowed: split the scenario"
};

// The whole of a regular file: why it cannot be read, or empty and `text`. Does
// not wait for a FIFO's writer.
std::string ReadTextFile(const std::string& path, const TextKind& kind,
                         std::string* text);

// Whether the text is as YAML may have it: UTF-8 without control characters
// (REFERENCE §8, attack 40). False, after a note, when there is no point in
// reading on.
bool CheckTextBytes(const TextKind& kind, SourceText* source);

}  // namespace bulkhead::policy

#endif  // BULKHEAD_PLATFORM_SERVICE_POLICY_TEXT_FILE_H_
