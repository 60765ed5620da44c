// How phases, links and states look.
#ifndef BULKHEAD_CLIENTS_BULKHEAD_PHASE_H_
#define BULKHEAD_CLIENTS_BULKHEAD_PHASE_H_

#include <string>

#include "absl/strings/str_cat.h"
#include "clients/bulkhead/table.h"

namespace bulkhead::cli {

inline Table::Cell PhaseCell(const std::string& phase) {
  if (phase == "running") return {phase, Colour::kGood};
  if (phase == "parked") return {phase, Colour::kBad};
  return {phase, Colour::kWarn};
}

inline Table::Cell LinkCell(bool up, uint32_t speed_mbps) {
  if (!up) return {"down", Colour::kBad};
  if (speed_mbps == 0) return {"up", Colour::kGood};
  return {absl::StrCat("up ", speed_mbps, "M"), Colour::kGood};
}

inline std::string PidText(int pid) {
  return pid > 0 ? absl::StrCat(pid) : "-";
}

}  // namespace bulkhead::cli

#endif  // BULKHEAD_CLIENTS_BULKHEAD_PHASE_H_
