#include "nic_driver/framework/contract.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace bulkhead::nic_driver {
namespace {

using Event = Contract::Event;
using State = Contract::State;
using Side = Contract::Side;

struct Transition {
  State from;
  Event event;
  State to;
};

// The whole order of a driver's life. What is not here is a breach.
constexpr Transition kTransitions[] = {
    {State::kNew, Event::kProbe, State::kProbing},
    {State::kProbing, Event::kProbed, State::kProbed},
    {State::kProbed, Event::kAttach, State::kAttaching},
    {State::kAttaching, Event::kAttached, State::kAttached},
    {State::kAttached, Event::kConfigure, State::kAttached},
    {State::kAttached, Event::kIrq, State::kAttached},
    {State::kAttached, Event::kStart, State::kStarting},
    {State::kStarting, Event::kStarted, State::kStarted},
    {State::kStarting, Event::kIrq, State::kStarting},
    {State::kStarted, Event::kConfigure, State::kStarted},
    {State::kStarted, Event::kDataPath, State::kStarted},
    {State::kStarted, Event::kIrq, State::kStarted},
    {State::kStarted, Event::kStop, State::kStopping},
    {State::kStopping, Event::kIrq, State::kStopping},
    {State::kStopping, Event::kStopped, State::kAttached},
    {State::kAttached, Event::kDetach, State::kDetaching},
    {State::kDetaching, Event::kIrq, State::kDetaching},
    {State::kDetaching, Event::kDetached, State::kGone},
    // Only what waits can fail.
    {State::kProbing, Event::kFailed, State::kGone},
    {State::kAttaching, Event::kFailed, State::kGone},
    {State::kStarting, Event::kFailed, State::kGone},
    {State::kStopping, Event::kFailed, State::kGone},
    {State::kDetaching, Event::kFailed, State::kGone},
};

// Who makes the event happen.
Side SideOf(Event event) {
  switch (event) {
    case Event::kProbed:
    case Event::kAttached:
    case Event::kStarted:
    case Event::kStopped:
    case Event::kDetached:
    case Event::kFailed:
      return Side::kDriver;
    default:
      return Side::kRuntime;
  }
}

}  // namespace

void Contract::Observe(Event event) {
  if (event == Event::kShutdown) {
    state_ = State::kGone;
    return;
  }
  for (const Transition& transition : kTransitions) {
    if (transition.from != state_ || transition.event != event) continue;
    state_ = transition.to;
    // Stop forgot the buffers: they are the session's again.
    if (event == Event::kStopped) rx_held_ = tx_held_ = 0;
    return;
  }
  Blame(SideOf(event),
        absl::StrCat(NameOf(event), " in state ", NameOf(state_)));
}

void Contract::RxGiven(size_t buffers, size_t room) {
  Observe(Event::kDataPath);
  if (buffers > room) {
    Blame(Side::kRuntime, absl::StrCat("RxRefill of ", buffers,
                                       " buffers with room for ", room));
  }
  rx_held_ += buffers;
}

void Contract::RxTaken(size_t buffers, size_t out_size) {
  Observe(Event::kDataPath);
  if (buffers > out_size || buffers > rx_held_) {
    Blame(Side::kDriver,
          absl::StrCat("RxHarvest of ", buffers, " buffers when it held ",
                       rx_held_, " and was asked for ", out_size));
    return;
  }
  rx_held_ -= buffers;
}

void Contract::TxGiven(size_t pieces, size_t room) {
  Observe(Event::kDataPath);
  if (pieces > room) {
    Blame(Side::kRuntime,
          absl::StrCat("TxSubmit of ", pieces, " pieces with room for ", room));
  }
  tx_held_ += pieces;
}

void Contract::TxTaken(size_t pieces, size_t out_size) {
  Observe(Event::kDataPath);
  if (pieces > out_size || pieces > tx_held_) {
    Blame(Side::kDriver,
          absl::StrCat("TxReap of ", pieces, " pieces when it held ", tx_held_,
                       " and was asked for ", out_size));
    return;
  }
  tx_held_ -= pieces;
}

std::string Contract::Text() const {
  if (!breach_.has_value()) return "";
  return absl::StrCat(breach_->side == Side::kDriver ? "driver" : "runtime",
                      " broke the contract: ", breach_->what);
}

void Contract::Blame(Side side, std::string what) {
  if (!breach_.has_value()) breach_ = Breach{side, std::move(what)};
}

const char* NameOf(Contract::Event event) {
  static constexpr const char* kNames[] = {
      "Probe",
      "return of Probe",
      "Attach",
      "return of Attach",
      "Configure",
      "Start",
      "return of Start",
      "Stop",
      "return of Stop",
      "Detach",
      "return of Detach",
      "Shutdown",
      "data path",
      "interrupt",
      "failure",
  };
  return kNames[static_cast<int>(event)];
}

const char* NameOf(Contract::State state) {
  static constexpr const char* kNames[] = {
      "new",      "probing", "probed",   "attaching", "attached",
      "starting", "started", "stopping", "detaching", "gone",
  };
  return kNames[static_cast<int>(state)];
}

}  // namespace bulkhead::nic_driver
