// How much session memory each client label uses, against what the scenario
// gives it.
#ifndef BULKHEAD_PLATFORM_SERVICE_SESSIONS_QUOTA_LEDGER_H_
#define BULKHEAD_PLATFORM_SERVICE_SESSIONS_QUOTA_LEDGER_H_

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "absl/status/statusor.h"

namespace bulkhead::platform {

class QuotaLedger;

// Some bytes of a label's quota, given back when it goes out of scope. Movable;
// the ledger outlives it.
class QuotaCharge {
 public:
  QuotaCharge() = default;
  QuotaCharge(QuotaCharge&& other) noexcept
      : ledger_(std::exchange(other.ledger_, nullptr)),
        label_(std::move(other.label_)),
        bytes_(other.bytes_) {}
  QuotaCharge& operator=(QuotaCharge&& other) noexcept {
    std::swap(ledger_, other.ledger_);
    std::swap(label_, other.label_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~QuotaCharge();

 private:
  friend class QuotaLedger;
  QuotaCharge(QuotaLedger* ledger, std::string label, uint64_t bytes)
      : ledger_(ledger), label_(std::move(label)), bytes_(bytes) {}

  QuotaLedger* ledger_ = nullptr;
  std::string label_;
  uint64_t bytes_ = 0;
};

// Threading: one thread.
class QuotaLedger {
 public:
  // Charges `bytes` to `label`, whose limit is `limit_bytes` (0: none).
  // ResourceExhausted says what was asked and what is left.
  absl::StatusOr<QuotaCharge> Charge(const std::string& label, uint64_t bytes,
                                     uint64_t limit_bytes);
  uint64_t used(const std::string& label) const;

 private:
  friend class QuotaCharge;

  std::map<std::string, uint64_t> used_;
};

}  // namespace bulkhead::platform

#endif  // BULKHEAD_PLATFORM_SERVICE_SESSIONS_QUOTA_LEDGER_H_
