#include "clients/bulkhead/console.h"

#include <unistd.h>

#include <cstdlib>
#include <iostream>

#include "absl/strings/str_cat.h"

namespace bulkhead::cli {
namespace {

const char* CodeOf(Colour paint) {
  switch (paint) {
    case Colour::kGood:
      return "\033[32m";
    case Colour::kBad:
      return "\033[31m";
    case Colour::kWarn:
      return "\033[33m";
    case Colour::kDim:
      return "\033[2m";
    case Colour::kBold:
      return "\033[1m";
    case Colour::kPlain:
      break;
  }
  return "";
}

}  // namespace

std::string Console::Paint(Colour paint, absl::string_view text) const {
  if (!colour || paint == Colour::kPlain) return std::string(text);
  return absl::StrCat(CodeOf(paint), text, "\033[0m");
}

void Console::Warn(absl::string_view text) const {
  err << "bulkhead: warning: " << text << "\n";
}

Console MakeConsole(bool json) {
  const char* no_color = std::getenv("NO_COLOR");
  const char* term = std::getenv("TERM");
  const bool terminal = ::isatty(STDOUT_FILENO) == 1;
  const bool dumb = term == nullptr || absl::string_view(term) == "dumb";
  const bool refused = no_color != nullptr && no_color[0] != '\0';
  return {.out = std::cout,
          .err = std::cerr,
          .json = json,
          .out_is_terminal = terminal && !dumb,
          .err_is_terminal = ::isatty(STDERR_FILENO) == 1,
          .colour = terminal && !dumb && !refused};
}

}  // namespace bulkhead::cli
