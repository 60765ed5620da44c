#include <nlohmann/json.hpp>

#include "absl/strings/str_join.h"
#include "base/errno_status.h"
#include "clients/bulkhead/commands.h"
#include "clients/bulkhead/connection.h"
#include "clients/bulkhead/json_view.h"
#include "clients/bulkhead/table.h"

namespace bulkhead::cli {
namespace {

// Columns of numbers are written to the right.
bool IsNumber(const std::string& text) {
  return !text.empty() &&
         text.find_first_not_of("0123456789.,") == std::string::npos &&
         text.find('.') == text.rfind('.');
}

std::string ToText(const api::RouterTable& answer, const Console& console) {
  std::vector<Table::Column> columns;
  for (int i = 0; i < answer.column_size(); ++i) {
    bool numbers = answer.row_size() > 0;
    for (const auto& row : answer.row()) {
      numbers = numbers && i < row.cell_size() && IsNumber(row.cell(i));
    }
    std::string title = answer.column(i);
    for (char& c : title) c = c == '_' ? ' ' : static_cast<char>(toupper(c));
    columns.push_back({std::move(title), numbers ? Table::Align::kRight
                                                 : Table::Align::kLeft});
  }
  Table table(std::move(columns));
  for (const auto& row : answer.row()) {
    table.Add({row.cell().begin(), row.cell().end()});
  }
  return table.ToText(console);
}

}  // namespace

absl::Status RunCommand(const RouterOptions& options, const Context& context) {
  const auto connection = Connection::Create(context.run_dir);
  api::QueryRouterRequest request;
  request.set_what(options.what);
  request.set_question(absl::StrJoin(options.question, " "));
  ASSIGN_OR_RETURN(const api::RouterTable answer,
                   connection->QueryRouter(request));
  const Console& console = context.console;
  if (console.json) {
    console.out << Dump(ToJson(answer)) << "\n";
  } else if (options.what == "explain") {
    for (const auto& row : answer.row()) {
      console.out << absl::StrJoin(row.cell(), "  ") << "\n";
    }
  } else {
    console.out << ToText(answer, console);
  }
  return absl::OkStatus();
}

}  // namespace bulkhead::cli
