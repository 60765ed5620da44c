// What a child says of itself, made fit to be told on: the child may be
// hostile.
#ifndef BULKHEAD_SUPERVISOR_CHILD_WORDS_H_
#define BULKHEAD_SUPERVISOR_CHILD_WORDS_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "google/protobuf/repeated_field.h"

namespace bulkhead::supervisor {

// A reason is told twice in one message (Died: cause, and why it is parked),
// and a message that is too large would cost the platform service its channel
// (S5).
constexpr size_t kMaxReasonBytes = 1024;
// The same for what a child could not apply.
constexpr size_t kMaxRemarks = 32;
constexpr size_t kMaxRemarkBytes = 256;

// At most `limit` bytes of `text`, which is UTF-8, cut between characters and
// marked with `~`; control characters, which a terminal would obey, are `?`,
// line feeds and tabs a space.
std::string Harmless(absl::string_view text, size_t limit);

// Appends to `remarks`, which has room for kMaxRemarks from children.
void AddRemarks(const google::protobuf::RepeatedPtrField<std::string>& said,
                std::vector<std::string>* remarks);

}  // namespace bulkhead::supervisor

#endif  // BULKHEAD_SUPERVISOR_CHILD_WORDS_H_
