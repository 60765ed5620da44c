// Waking a sleeping peer, and sleeping without losing a wake-up.
//
//   sleeper                            publisher
//   A1 sleeping.store(what, seq_cst)   B1 tail.store(…, seq_cst)
//   A2 tail.load(seq_cst)              B2 sleeping.load(seq_cst)
//
// All four lie in one total order, so that either A2 sees the new tail (and the
// sleeper stays awake) or B2 sees the announcement (and the publisher rings).
// With a release store and an acquire load, both could miss: the bug that
// doorbell.pml shows, and the reason for "process, arm, re-check".
//
// The bell is an eventfd that only its ringers hold. The sleeper holds an epoll
// set with the bell in it, edge-triggered. It needs no read to silence the
// bell, and it cannot do what a shared eventfd would allow: fill the counter up
// and turn O_NONBLOCK off, so that the ringer's next write blocks (S7).
#ifndef BULKHEAD_PACKET_STREAM_DOORBELL_H_
#define BULKHEAD_PACKET_STREAM_DOORBELL_H_

#include <atomic>
#include <cstdint>
#include <initializer_list>
#include <utility>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "packet_stream/layout.h"

namespace bulkhead::packet_stream {

// What a sleeper wants to be woken for: bits of ControlHeader::sleeping.
constexpr uint32_t kWakeForFrames = 1 << 0;
constexpr uint32_t kWakeForAcks = 1 << 1;

// A1. The sleeper must look at the rings afterwards (A2).
inline void AnnounceSleep(ControlHeader* own, uint32_t wake_for) {
  own->sleeping.store(wake_for, std::memory_order_seq_cst);
}
inline void TakeSleepBack(ControlHeader* own) {
  own->sleeping.store(0, std::memory_order_relaxed);
}
// B2, after B1: whether the peer must be woken for any of `published`.
[[nodiscard]] inline bool MustRing(const ControlHeader* peer,
                                   uint32_t published) {
  return (peer->sleeping.load(std::memory_order_seq_cst) & published) != 0;
}

// The ringing end. Never blocks.
class DoorbellRinger {
 public:
  DoorbellRinger() = default;
  explicit DoorbellRinger(UniqueFd eventfd) : eventfd_(std::move(eventfd)) {}
  void Ring() const;

 private:
  UniqueFd eventfd_;
};

// One lane's doorbells, as one end holds them: what it rings is an eventfd,
// what it waits on an epoll set.
struct LaneBells {
  UniqueFd tx_doorbell;  // The client rings it, the provider waits.
  UniqueFd
      rx_doorbell;  // The provider and the platform ring, the client waits.
};

// The waiting end.
class DoorbellWaiter {
 public:
  DoorbellWaiter() = default;
  // InvalidArgument: `epoll` is not an epoll set.
  static absl::StatusOr<DoorbellWaiter> Create(UniqueFd epoll);

  // Readable once the bell was rung, until Silence or Wait.
  int fd() const { return epoll_.get(); }
  // Waits for a ring, at most `timeout_ms` (-1: for ever), and silences it.
  // Returns the tags of what rang: kBellTag, and those of Add; 0: nothing did.
  uint32_t Wait(int timeout_ms) const;
  void Silence() const { Wait(0); }
  // Also wake for input or hang-up of `fd`, which must outlive this. `tag` is a
  // bit of its own.
  absl::Status Add(int fd, uint32_t tag) const;

  static constexpr uint32_t kBellTag = 1;

 private:
  explicit DoorbellWaiter(UniqueFd epoll) : epoll_(std::move(epoll)) {}
  UniqueFd epoll_;
};

// A bell: an eventfd for ringers (non-blocking, close-on-exec).
absl::StatusOr<UniqueFd> CreateBell();
// An epoll set that becomes readable when any of `bells` rings.
absl::StatusOr<UniqueFd> CreateBellWaiter(std::initializer_list<int> bells);

}  // namespace bulkhead::packet_stream

#endif  // BULKHEAD_PACKET_STREAM_DOORBELL_H_
