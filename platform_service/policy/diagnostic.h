// One thing wrong with a scenario file: the place, the cause and the remedy.
#ifndef BULKHEAD_PLATFORM_SERVICE_POLICY_DIAGNOSTIC_H_
#define BULKHEAD_PLATFORM_SERVICE_POLICY_DIAGNOSTIC_H_

#include <string>
#include <vector>

namespace bulkhead::policy {

struct Diagnostic {
  std::string file;     // As the user gave it.
  int line = 0;         // From 1; 0: the file as a whole.
  int column = 0;       // From 1, in characters; 0: the line as a whole.
  std::string message;  // "unknown key `driverz`; did you mean `driver`?"
  std::string excerpt;  // The line itself, shortened around the column.
  int caret = 0;        // Where in `excerpt` the caret goes, from 0.

  bool operator==(const Diagnostic&) const = default;
};

// "file:line:column: error: message", then the excerpt and the caret line when
// there is an excerpt. No newline at the end. Control characters and invalid
// UTF-8 of the file come out as \xNN, so that a file cannot forge output.
std::string ToText(const Diagnostic& diagnostic);

// All of them, a newline after each, then "N errors" when there are several.
std::string ToText(const std::vector<Diagnostic>& diagnostics);

// One JSON object on one line:
// {"file":…,"line":…,"column":…,"severity":"error","message":…,"excerpt":…}
std::string ToJson(const Diagnostic& diagnostic);

// A JSON array of these objects.
std::string ToJson(const std::vector<Diagnostic>& diagnostics);

}  // namespace bulkhead::policy

#endif  // BULKHEAD_PLATFORM_SERVICE_POLICY_DIAGNOSTIC_H_
