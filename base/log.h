// One line per call on standard error, small enough for a static driver.
//
// Not for the data path: each call is a write(2).
#ifndef BULKHEAD_BASE_LOG_H_
#define BULKHEAD_BASE_LOG_H_

#include <cstdint>

#include "absl/strings/string_view.h"

namespace bulkhead {

enum class Severity : uint8_t { kInfo, kWarning, kError };

// Names this process in each of its log lines, e.g. "nic0". Call once in main.
void SetLogName(absl::string_view name);

// Writes "SECONDS SEVERITY NAME: TEXT\n". Control characters in `text` are
// written as \xNN, so that text from outside cannot forge lines.
void Log(Severity severity, absl::string_view text);

inline void LogInfo(absl::string_view text) { Log(Severity::kInfo, text); }
inline void LogWarning(absl::string_view text) {
  Log(Severity::kWarning, text);
}
inline void LogError(absl::string_view text) { Log(Severity::kError, text); }

}  // namespace bulkhead

#endif  // BULKHEAD_BASE_LOG_H_
