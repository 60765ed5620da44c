#include "supervisor/child_words.h"

namespace bulkhead::supervisor {
namespace {

bool IsContinuation(char c) { return (c & 0xc0) == 0x80; }

// C0, DEL, and C1 (U+0080 to U+009F, in two bytes).
size_t ControlBytes(absl::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  if (first < 0x20 || first == 0x7f) return 1;
  if (first != 0xc2 || text.size() < 2) return 0;
  const auto second = static_cast<unsigned char>(text[1]);
  return second >= 0x80 && second < 0xa0 ? 2 : 0;
}

}  // namespace

std::string Harmless(absl::string_view text, size_t limit) {
  const bool cut = text.size() > limit;
  if (cut) {
    size_t end = limit - 1;
    while (end > 0 && IsContinuation(text[end])) --end;
    text = text.substr(0, end);
  }
  std::string harmless;
  while (!text.empty()) {
    const size_t control = ControlBytes(text);
    const bool space = text[0] == '\n' || text[0] == '\t';
    harmless.push_back(control == 0 ? text[0] : space ? ' ' : '?');
    text.remove_prefix(control == 0 ? 1 : control);
  }
  if (cut) harmless.push_back('~');
  return harmless;
}

void AddRemarks(const google::protobuf::RepeatedPtrField<std::string>& said,
                std::vector<std::string>* remarks) {
  for (const std::string& remark : said) {
    if (remarks->size() >= kMaxRemarks) return;
    remarks->push_back(Harmless(remark, kMaxRemarkBytes));
  }
}

}  // namespace bulkhead::supervisor
