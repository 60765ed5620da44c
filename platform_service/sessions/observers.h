// Those who look on at sessions (`bulkhead capture`): who they are, and what
// they are told.
#ifndef BULKHEAD_PLATFORM_SERVICE_SESSIONS_OBSERVERS_H_
#define BULKHEAD_PLATFORM_SERVICE_SESSIONS_OBSERVERS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/event_loop.h"
#include "base/seqpacket.h"
#include "platform_service/sessions/session.h"

namespace bulkhead::platform {

// What somebody looks on at: an instance or a router; "ROUTER/LABEL"; or, with
// a domain, a part of a router.
struct ObservedPlace {
  std::string name;
  std::string domain;
};

// Where a session is, for those who look on.
struct SessionPlace {
  std::string name;  // "nic0", "router/LABEL"
  // Of a router, whose frames pass here: a client's, an uplink's.
  std::vector<std::string> domains;
};

// An observer gets read-only descriptors of a session's areas, and follows the
// rings by itself: neither end of the session knows of it or waits for it. It
// stays an observer of its instance until it hangs up, whichever session the
// instance has. It costs the session's quota nothing: the memory is there.
//
// Not parked: after a restart of the platform service an observer looks on
// with what it has, and asks anew.
//
// Threading: the loop's thread; no call waits.
class Observers {
 public:
  static constexpr size_t kMostPerInstance = 4;
  static constexpr size_t kMost = 64;

  // `left` is called when the one of `pid` at a place of this name has hung up.
  Observers(EventLoop& loop,
            std::function<void(const std::string& name, int pid)> left)
      : loop_(loop), left_(std::move(left)) {}
  ~Observers();

  // Takes one in. nullptr: refused, and told why.
  SeqpacketChannel* Add(const ObservedPlace& place, int pid,
                        SeqpacketChannel channel);
  // A session has opened.
  void Announce(const Session& session, const SessionPlace& place);
  // Whether who looks on at `observed` sees this session.
  static bool Sees(const ObservedPlace& observed, const Session& session,
                   const SessionPlace& place);

  size_t size() const { return observers_.size(); }

 private:
  struct Observer {
    ObservedPlace place;
    int pid = 0;
    SeqpacketChannel channel;
    EventLoop::WatchId watch = 0;
  };

  // Whatever it says, it is over: an observer has nothing to say.
  void End(uint64_t number);

  EventLoop& loop_;
  std::function<void(const std::string&, int)> left_;
  std::map<uint64_t, Observer> observers_;
  uint64_t next_number_ = 1;
};

}  // namespace bulkhead::platform

#endif  // BULKHEAD_PLATFORM_SERVICE_SESSIONS_OBSERVERS_H_
