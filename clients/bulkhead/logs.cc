#include <unistd.h>

#include <nlohmann/json.hpp>

#include "absl/strings/str_split.h"
#include "base/errno_status.h"
#include "clients/bulkhead/commands.h"
#include "clients/bulkhead/json_view.h"
#include "clients/bulkhead/log_file.h"

namespace bulkhead::cli {
namespace {

constexpr useconds_t kFollowIntervalUs = 100'000;

// A JSON object a line, so that --follow can go on.
void Print(const std::string& name, const std::string& text,
           const Console& console) {
  if (!console.json) {
    console.out << text << std::flush;
    return;
  }
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (line.empty()) continue;
    console.out << Dump({{"process", name}, {"line", std::string(line)}})
                << "\n";
  }
  console.out.flush();
}

}  // namespace

absl::Status RunCommand(const LogsOptions& options, const Context& context) {
  ASSIGN_OR_RETURN(LogFile log, LogFile::Open(context.run_dir, options.name));
  Print(options.name, LastLines(log.ReadAll(), options.lines), context.console);
  while (options.follow && context.console.out.good()) {
    ::usleep(kFollowIntervalUs);
    Print(options.name, log.ReadMore(), context.console);
    // Its directory is gone: the system was brought down.
    if (::access(context.run_dir.LogDir().c_str(), F_OK) != 0) break;
  }
  return absl::OkStatus();
}

}  // namespace bulkhead::cli
