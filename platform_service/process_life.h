// The life of a process that the supervisor runs for the platform service, and
// that is granted what it works with: a driver, the router.
//
//                Begin               Attached
//   waiting ───────────────▶ granting ───────▶ attached
//      ▲                      ▲    │              │
//      │                Begin │    ▼     Died     │
//      │                   recovering ◀───────────┘
//      │                           │ Died too often, or cannot be defined
//      └── Restart ──── parked ◀───┘
#ifndef BULKHEAD_PLATFORM_SERVICE_PROCESS_LIFE_H_
#define BULKHEAD_PLATFORM_SERVICE_PROCESS_LIFE_H_

#include <cstdint>
#include <span>
#include <string>

#include "absl/strings/string_view.h"
#include "base/event_loop.h"
#include "platform_service/supervisor_link.h"

namespace bulkhead::platform {

// Decides when a generation is begun, when one is over, and when the process is
// to be restarted; what is granted and what is made good is the owner's.
//
// Guarantees:
//   - Each death is dealt with once, in this order: EndGeneration, Recover. One
//     that no platform service saw (S5) is no exception.
//   - One grant at a time, and none to a process that is parked, is leaving, or
//     has not been recovered from.
//   - A generation that was not begun here or by the platform service before is
//     restarted.
//   - The owner is called within the call that brings the news: a recovery
//     waits for nothing.
// Threading: the loop's thread.
class ProcessLife {
 public:
  enum class Phase : uint8_t {
    kWaiting,
    kGranting,
    kAttached,
    kRecovering,
    kParked,
  };

  // How long after Started a process may take to say Attached, which it says
  // before.
  static constexpr int kAttachSeconds = 2;

  class Owner {
   public:
    // Whether there is what the process works with: without it none is begun,
    // blamed for its silence, or said to be down for another reason.
    virtual bool IsReady() const { return true; }
    // Grants it: Begin. It may also fail to.
    virtual void BeginGeneration() = 0;
    // The generation that was begun starts, or runs.
    virtual void MeetGeneration() {}
    // Drops the channel of a grant that will reach nobody.
    virtual void DropChannel() = 0;
    // Ends what belongs to a generation, its channel too.
    virtual void EndGeneration() = 0;
    // Makes good what the dead generation left, and calls TryBegin as soon as
    // the next one can start from it.
    virtual void Recover() = 0;
    // Tells those who wait for the process that it is parked.
    virtual void ShowParked() = 0;

   protected:
    ~Owner() = default;
  };

  // `name`: of the process; the owner's, as it is now.
  ProcessLife(EventLoop& loop, SupervisorLink& link, const std::string& name,
              Owner& owner)
      : loop_(loop), link_(link), name_(name), owner_(owner) {}
  ~ProcessLife() { loop_.Cancel(attach_timer_); }

  // --- What the owner does, or hears from the process.

  // TryBegin follows.
  void Define(const supervisor::ProcessSpec& spec);
  // As it was parked, with newest_generation(). `begun`: and its channel was.
  void Restore(uint32_t generation, bool begun, bool attached);
  // If it is time: BeginGeneration.
  void TryBegin();
  // Grants the next generation this. From BeginGeneration only.
  void Begin(std::string payload, std::span<const int> fds);
  void Attached();
  // What the process works with is gone, for `reason`.
  void SetBack(const std::string& reason);
  // And so is what it was granted of it: that grant is void.
  void Revoke();
  // The owner removes it, and nothing is begun or restarted from now on.
  void Leave() { leaving_ = true; }
  void Breach(const std::string& reason);
  void Record(absl::string_view kind, absl::string_view text);

  // --- What the supervisor says.

  void OnState(const supervisor::ProcessState& state);
  void OnDied(const supervisor::FromSupervisor::Died& died);
  // It could not do what was asked. A process that it will not define is
  // parked.
  void OnRefused(const std::string& reason);
  // From now on as before Define.
  void OnRemoved();

  Phase phase() const { return phase_; }
  // Why it does not run; empty when it does.
  const std::string& reason() const { return reason_; }
  void set_reason(const std::string& reason) { reason_ = reason; }
  // From Define to OnRemoved.
  bool defined() const { return definition_ != Definition::kNone; }
  // The supervisor has refused Define: it has no such process.
  bool refused() const { return definition_ == Definition::kRefused; }
  bool leaving() const { return leaving_; }
  // Begin was sent, and that generation has not died.
  bool begun() const { return begun_; }
  uint32_t begun_generation() const { return begun_generation_; }
  // The running or the last one.
  uint32_t generation() const { return generation_; }
  // The begun one, if it has not started yet.
  uint32_t newest_generation() const {
    return begun_ ? begun_generation_ : generation_;
  }

 private:
  enum class Definition : uint8_t { kNone, kDefined, kRefused };

  void Meet(const supervisor::ProcessState& state);
  void Bury(uint32_t generation, const std::string& cause);
  void EndGeneration();
  void EnterParked(const std::string& reason);
  // Started, but not attached: not for ever.
  void ExpectAttached();

  EventLoop& loop_;
  SupervisorLink& link_;
  const std::string& name_;
  Owner& owner_;

  Phase phase_ = Phase::kWaiting;
  std::string reason_;
  Definition definition_ = Definition::kNone;
  uint32_t generation_ = 0;
  uint32_t dead_generation_ = 0;   // The last whose death was dealt with.
  uint32_t begun_generation_ = 0;  // The last that Begin was sent for.
  bool begun_ = false;
  bool leaving_ = false;
  bool restoring_ = false;  // Until the supervisor's first word on it.
  supervisor::ProcessState::Phase process_phase_ =
      supervisor::ProcessState::PHASE_UNSPECIFIED;
  EventLoop::TimerId attach_timer_ = 0;
};

// "waiting", "granting", …
const char* PhaseName(ProcessLife::Phase phase);

}  // namespace bulkhead::platform

#endif  // BULKHEAD_PLATFORM_SERVICE_PROCESS_LIFE_H_
