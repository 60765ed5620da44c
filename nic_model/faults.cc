#include "nic_model/faults.h"

#include <string>

#include "absl/strings/str_cat.h"

namespace bulkhead::nic_model {
namespace {

constexpr struct {
  absl::string_view name;
  bool Faults::*flag;
} kFaults[] = {
    {"never_complete", &Faults::never_complete},
    {"complete_twice", &Faults::complete_twice},
    {"length_beyond_buffer", &Faults::length_beyond_buffer},
    {"interrupt_storm", &Faults::interrupt_storm},
    {"no_interrupt", &Faults::no_interrupt},
    {"all_ones", &Faults::all_ones},
    {"reset_never_ends", &Faults::reset_never_ends},
    {"link_flap", &Faults::link_flap},
    {"head_backwards", &Faults::head_backwards},
    {"corrupt_payload_good_checksum", &Faults::corrupt_payload},
    {"garbage_replies", &Faults::garbage_replies},
    {"die_on_reset", &Faults::die_on_reset},
    {"stray_dma", &Faults::stray_dma},
    {"identity_change", &Faults::identity_change},
    {"looping_capabilities", &Faults::looping_capabilities},
    {"absurd_bar", &Faults::absurd_bar},
    {"split_rings", &Faults::split_rings},
    {"no_event_index", &Faults::no_event_index},
    {"bare", &Faults::bare},
};

}  // namespace

absl::Status SetFault(absl::string_view name, Faults* faults) {
  std::string known;
  for (const auto& fault : kFaults) {
    if (fault.name == name) {
      faults->*fault.flag = true;
      return absl::OkStatus();
    }
    absl::StrAppend(&known, known.empty() ? "" : ", ", fault.name);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("no test fault is called '", name, "'; there are ", known));
}

}  // namespace bulkhead::nic_model
