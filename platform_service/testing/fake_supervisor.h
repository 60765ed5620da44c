// The other end of the platform service's parent channel, and the loop between
// the two.
#ifndef BULKHEAD_PLATFORM_SERVICE_TESTING_FAKE_SUPERVISOR_H_
#define BULKHEAD_PLATFORM_SERVICE_TESTING_FAKE_SUPERVISOR_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "base/event_loop.h"
#include "base/seqpacket.h"
#include "platform_service/supervisor_link.h"
#include "supervisor/api/supervisor.pb.h"

namespace bulkhead::platform {

// Keeps everything that it is told; says what a test tells it to.
class FakeSupervisor {
 public:
  struct Order {
    supervisor::ToSupervisor message;
    std::vector<UniqueFd> fds;
  };

  explicit FakeSupervisor(EventLoop& loop) : loop_(loop) {
    auto pair = SeqpacketChannel::CreatePair();
    own_ = std::move(pair->first);
    theirs_ = std::move(pair->second);
  }

  SeqpacketChannel TakeChannel() { return std::move(theirs_); }
  SeqpacketChannel& channel() { return own_; }

  // Lets the loop run until it has nothing more to do, and takes in what was
  // sent meanwhile.
  void Turn() {
    for (int i = 0; i < 20; ++i) {
      loop_.RunOnce(0);
      Receive();
    }
    if (!flush_events) return;
    flush_events();
    Receive();
  }

  void Receive() {
    for (;;) {
      Order order;
      const auto got = own_.Receive(&order.message, &order.fds);
      // What the supervisor would give its platform service up for.
      garbled = garbled || absl::IsInvalidArgument(got.status());
      if (!got.ok() || !*got) return;
      if (order.message.has_record()) {
        events.push_back(order.message.record().event());
        continue;
      }
      if (order.message.has_attend()) {
        attended.push_back(order.message.attend().name());
        continue;
      }
      if (order.message.has_park()) {
        parked[order.message.park().key()] = std::move(order);
        continue;
      }
      if (order.message.has_unpark()) {
        parked.erase(order.message.unpark().key());
        continue;
      }
      orders.push_back(std::move(order));
    }
  }

  void Say(const supervisor::FromSupervisor& message,
           std::span<const int> fds = {}) {
    (void)own_.Send(message, fds);
    Turn();
  }

  // The newest order that `is` holds for, taken out; an empty one if none.
  Order Take(const std::function<bool(const supervisor::ToSupervisor&)>& is) {
    for (size_t i = orders.size(); i-- > 0;) {
      if (!is(orders[i].message)) continue;
      Order order = std::move(orders[i]);
      orders.erase(orders.begin() + static_cast<ptrdiff_t>(i));
      return order;
    }
    return {};
  }
  Order TakeBegin() {
    return Take([](const auto& m) { return m.has_begin(); });
  }
  std::string TakeBreach() {
    return Take([](const auto& m) { return m.has_breach(); })
        .message.breach()
        .reason();
  }
  // Position of the first event of this kind; -1: none.
  int FindEvent(const std::string& kind) const {
    for (size_t i = 0; i < events.size(); ++i) {
      if (events[i].kind() == kind) return static_cast<int>(i);
    }
    return -1;
  }

  std::vector<Order> orders;
  std::vector<supervisor::Event> events;
  std::map<std::string, Order> parked;
  std::vector<std::string> attended;
  bool garbled = false;
  // SupervisorLink::FlushEvents: what a few milliseconds would do.
  std::function<void()> flush_events;

 private:
  EventLoop& loop_;
  SeqpacketChannel own_;
  SeqpacketChannel theirs_;
};

}  // namespace bulkhead::platform

#endif  // BULKHEAD_PLATFORM_SERVICE_TESTING_FAKE_SUPERVISOR_H_
