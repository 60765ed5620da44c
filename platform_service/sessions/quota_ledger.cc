#include "platform_service/sessions/quota_ledger.h"

#include "absl/strings/str_cat.h"

namespace bulkhead::platform {

QuotaCharge::~QuotaCharge() {
  if (ledger_ == nullptr) return;
  const auto it = ledger_->used_.find(label_);
  it->second -= bytes_;
  if (it->second == 0) ledger_->used_.erase(it);
}

absl::StatusOr<QuotaCharge> QuotaLedger::Charge(const std::string& label,
                                                uint64_t bytes,
                                                uint64_t limit_bytes) {
  const uint64_t used_bytes = used(label);
  if (limit_bytes != 0) {
    const uint64_t left =
        used_bytes < limit_bytes ? limit_bytes - used_bytes : 0;
    if (bytes > left) {
      return absl::ResourceExhaustedError(absl::StrCat(
          "open a session: it takes ", bytes, " bytes, and client `", label,
          "` has ", left, " of its ", limit_bytes,
          " bytes left; ask for fewer or smaller buffers, close a session, or "
          "raise `memory` of this client in the scenario"));
    }
  }
  used_[label] += bytes;
  return QuotaCharge(this, label, bytes);
}

uint64_t QuotaLedger::used(const std::string& label) const {
  const auto it = used_.find(label);
  return it == used_.end() ? 0 : it->second;
}

}  // namespace bulkhead::platform
