#include "clients/bulkhead/commands.h"

namespace bulkhead::cli {
namespace {

constexpr char kMark[] = "bulkhead.cli/reported";

}  // namespace

absl::Status AlreadyReported() {
  absl::Status status = absl::UnknownError("failed");
  status.SetPayload(kMark, absl::Cord());
  return status;
}

bool IsAlreadyReported(const absl::Status& status) {
  return status.GetPayload(kMark).has_value();
}

}  // namespace bulkhead::cli
