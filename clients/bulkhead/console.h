// Where a command writes: data on `out`, diagnostics on `err`.
#ifndef BULKHEAD_CLIENTS_BULKHEAD_CONSOLE_H_
#define BULKHEAD_CLIENTS_BULKHEAD_CONSOLE_H_

#include <ostream>
#include <string>

#include "absl/strings/string_view.h"

namespace bulkhead::cli {

enum class Colour : uint8_t { kPlain, kGood, kBad, kWarn, kDim, kBold };

struct Console {
  std::ostream& out;
  std::ostream& err;
  bool json = false;
  bool out_is_terminal = false;
  bool err_is_terminal = false;
  bool colour = false;  // On `out`.

  // `text` in that colour, or as it is where colour is not wanted.
  std::string Paint(Colour paint, absl::string_view text) const;
  // "bulkhead: warning: …" on err.
  void Warn(absl::string_view text) const;
};

// Of this process: colour on a terminal, unless NO_COLOR is set or the terminal
// is a dumb one.
Console MakeConsole(bool json);

}  // namespace bulkhead::cli

#endif  // BULKHEAD_CLIENTS_BULKHEAD_CONSOLE_H_
