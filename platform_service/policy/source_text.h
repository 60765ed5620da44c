// A scenario's text by lines, for excerpts, and its diagnostics.
#ifndef BULKHEAD_PLATFORM_SERVICE_POLICY_SOURCE_TEXT_H_
#define BULKHEAD_PLATFORM_SERVICE_POLICY_SOURCE_TEXT_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "platform_service/policy/diagnostic.h"

namespace bulkhead::policy {

// A place in a text, both from 0 and in bytes, as yaml-cpp counts.
struct Position {
  int line = 0;
  int column = 0;
};

// Requires: `text` outlives it.
class SourceText {
 public:
  SourceText(absl::string_view text, std::string path);

  absl::string_view text() const { return text_; }
  const std::string& path() const { return path_; }

  // Notes an error at a place, or of the file as a whole.
  void Error(Position place, std::string message);
  void FileError(std::string message);

  bool has_errors() const { return !found_.empty(); }

  // A line, from 0, without its end; empty when there is none.
  absl::string_view Line(int line) const;

  // A line number as people count.
  static int LineNumber(Position place) { return place.line + 1; }

  // The errors so far in the order of their places, at most `most` of them and
  // then one that counts the rest.
  std::vector<Diagnostic> TakeErrors(size_t most);

 private:
  struct Found {
    Position place;
    bool whole_file;
    std::string message;
  };

  Diagnostic Render(const Found& found) const;

  absl::string_view text_;
  std::string path_;
  std::vector<size_t> line_starts_;
  std::vector<Found> found_;
};

// Length in bytes of the UTF-8 character at `text[at]`; 0 when it is not one.
size_t Utf8Length(absl::string_view text, size_t at);

}  // namespace bulkhead::policy

#endif  // BULKHEAD_PLATFORM_SERVICE_POLICY_SOURCE_TEXT_H_
