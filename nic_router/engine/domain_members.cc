// Who is in a domain, for the local protocols.
#include "nic_router/engine/engine_core.h"

namespace bulkhead::nic_router {

std::vector<MemberId> EngineCore::MembersOf(std::string_view domain) const {
  std::vector<MemberId> members;
  const uint16_t number = ruleset_.DomainOf(domain);
  if (number == kNoDomain) return members;
  for (const uint16_t each : members_[number].attachments) {
    const uint16_t line = LineOf(attachments_[each]);
    if (line != kNoLine) members.push_back(lines_[line]->id);
  }
  return members;
}

MemberId EngineCore::UplinkOf(std::string_view domain) const {
  const uint16_t number = ruleset_.DomainOf(domain);
  if (number == kNoDomain) return 0;
  for (const uint16_t each : members_[number].attachments) {
    const Attachment& attachment = attachments_[each];
    if (attachment.is_client()) continue;
    const uint16_t line = LineOf(attachment);
    if (line != kNoLine && lines_[line]->up) return lines_[line]->id;
  }
  return 0;
}

void EngineCore::NoteLinksChanged() {
  if (local_protocols_ != nullptr) local_protocols_->OnLinksChanged();
}

}  // namespace bulkhead::nic_router
