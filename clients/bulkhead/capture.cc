#include <unistd.h>

#include <iostream>

#include "absl/strings/str_cat.h"
#include "base/stop_signal.h"
#include "clients/bulkhead/commands.h"
#include "clients/capture/capture_run.h"

namespace bulkhead::cli {

absl::Status RunCommand(const CaptureOptions& options, const Context& context) {
  if (options.file == "-" && ::isatty(STDOUT_FILENO) == 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a capture is nothing for a terminal; write it to a file with -w FILE, "
        "or pipe it: bulkhead capture ",
        options.instance, " | tshark -r -"));
  }
  const StopSignal stop;
  capture::CaptureTotals totals;
  const absl::Status status =
      capture::CaptureRun::Run({.socket = context.run_dir.SessionSocket(),
                                .instance = options.instance,
                                .domain = options.domain,
                                .filter = options.filter,
                                .file = options.file,
                                .count = options.count,
                                .duration_ms = options.duration_ms,
                                .snap_bytes = options.snap_bytes},
                               stop.fd(), &totals);
  std::cerr << "bulkhead: " << totals.written << " frames of "
            << options.instance << " captured, " << totals.lost << " missed\n";
  return status;
}

}  // namespace bulkhead::cli
