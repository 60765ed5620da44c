// Rows of text in aligned columns.
#ifndef BULKHEAD_CLIENTS_BULKHEAD_TABLE_H_
#define BULKHEAD_CLIENTS_BULKHEAD_TABLE_H_

#include <string>
#include <vector>

#include "clients/bulkhead/console.h"

namespace bulkhead::cli {

// Guarantees: columns are two spaces apart and as wide as their widest cell
// (counted in code points); a cell from outside cannot break the table: control
// characters come out as '?'; no line ends in spaces.
class Table {
 public:
  enum class Align : uint8_t { kLeft, kRight };
  struct Column {
    std::string title;
    Align align = Align::kLeft;
  };
  struct Cell {
    // Implicit, so that a row reads as a list of texts.
    Cell(std::string text, Colour paint = Colour::kPlain)  // NOLINT
        : text(std::move(text)), paint(paint) {}
    Cell(const char* text) : text(text) {}  // NOLINT
    std::string text;
    Colour paint = Colour::kPlain;
  };

  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  // Missing cells are empty, surplus ones are left out.
  void Add(std::vector<Cell> row);
  size_t rows() const { return rows_.size(); }

  // The title line and the rows, each line after `indent`.
  std::string ToText(const Console& console,
                     const std::string& indent = "") const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

// "3", "1,234,567".
std::string WithCommas(uint64_t number);
// 1536 → "1.5 KiB".
std::string Bytes(uint64_t bytes);
// 1234567 ns → "1.23 ms".
std::string Duration(uint64_t ns);

}  // namespace bulkhead::cli

#endif  // BULKHEAD_CLIENTS_BULKHEAD_TABLE_H_
