#include "platform_service/sessions/observers.h"

#include <sys/epoll.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "platform_service/sessions/session_server.h"

namespace bulkhead::platform {

Observers::~Observers() {
  for (auto& [number, observer] : observers_) loop_.Unwatch(observer.watch);
}

SeqpacketChannel* Observers::Add(const ObservedPlace& place, int pid,
                                 SeqpacketChannel channel) {
  const auto here = static_cast<size_t>(std::count_if(
      observers_.begin(), observers_.end(), [&](const auto& entry) {
        return entry.second.place.name == place.name;
      }));
  if (here >= kMostPerInstance || observers_.size() >= kMost) {
    SendRefusal(channel,
                {packet_stream::OpenReply::Refusal::QUOTA,
                 absl::StrCat("look on at ", place.name, ": ", here,
                              " captures run there and ", observers_.size(),
                              " in all (at most ", kMostPerInstance, " and ",
                              kMost, "); end one of them")});
    return nullptr;
  }
  const uint64_t number = next_number_++;
  const auto watch = loop_.Watch(channel.fd(), EPOLLIN,
                                 [this, number](uint32_t) { End(number); });
  if (!watch.ok()) return nullptr;
  Observer& observer = observers_[number];
  observer = {place, pid, std::move(channel), *watch};
  return &observer.channel;
}

void Observers::End(uint64_t number) {
  const auto it = observers_.find(number);
  loop_.Unwatch(it->second.watch);
  const Observer observer = std::move(it->second);
  observers_.erase(it);
  left_(observer.place.name, observer.pid);
}

bool Observers::Sees(const ObservedPlace& observed, const Session& session,
                     const SessionPlace& place) {
  if (observed.domain.empty()) {
    return observed.name == session.identity().instance ||
           observed.name == place.name;
  }
  return std::count(place.domains.begin(), place.domains.end(),
                    observed.domain) > 0;
}

void Observers::Announce(const Session& session, const SessionPlace& place) {
  for (auto& [number, observer] : observers_) {
    if (!Sees(observer.place, session, place)) continue;
    const absl::Status sent =
        session.SendObservation(observer.channel, place.name);
    // One that does not read what it asked for misses this session.
    if (!sent.ok()) LogWarning(sent.message());
  }
}

}  // namespace bulkhead::platform
