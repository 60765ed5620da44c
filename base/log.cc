#include "base/log.h"

#include <unistd.h>

#include <string>

#include "absl/strings/str_format.h"
#include "base/clock.h"

namespace bulkhead {
namespace {

std::string& LogName() {
  static std::string* name = new std::string("bulkhead");
  return *name;
}

void AppendPrintable(absl::string_view text, std::string* line) {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      absl::StrAppendFormat(line, "\\x%02x", byte);
    } else {
      line->push_back(c);
    }
  }
}

}  // namespace

void SetLogName(absl::string_view name) { LogName() = std::string(name); }

void Log(Severity severity, absl::string_view text) {
  static constexpr absl::string_view kNames[] = {"info", "warning", "error"};
  const uint64_t now_us = MonotonicNs() / 1000;
  std::string line =
      absl::StrFormat("%d.%06d %s %s: ", now_us / 1'000'000, now_us % 1'000'000,
                      kNames[static_cast<int>(severity)], LogName());
  AppendPrintable(text, &line);
  line.push_back('\n');
  // One write, so that lines of several processes do not mix. When standard
  // error is gone there is nowhere left to say so.
  [[maybe_unused]] const ssize_t written =
      ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace bulkhead
