// The contract between the runtime and a driver, written once as a state
// machine: the order of life-cycle calls, and that buffers are conserved. A
// monitor outside the driver feeds it (checked_driver.h). A breach names the
// side to blame.
//
// It knows events, not objects, so that a recorded trace can be checked too.
// It is about one queue: of several, each has a contract that sees its own
// traffic and the driver's life.
//
// Threading: one thread.
#ifndef BULKHEAD_NIC_DRIVER_FRAMEWORK_CONTRACT_H_
#define BULKHEAD_NIC_DRIVER_FRAMEWORK_CONTRACT_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace bulkhead::nic_driver {

class Contract {
 public:
  // Calls are the runtime's doing, returns the driver's.
  enum class Event : uint8_t {
    kProbe,
    kProbed,
    kAttach,
    kAttached,
    kConfigure,
    kStart,
    kStarted,
    kStop,
    kStopped,
    kDetach,
    kDetached,
    kShutdown,
    kDataPath,  // Any of the four verbs.
    kIrq,       // HandleIrq, ArmIrqs, Link, ReadStatistics.
    kFailed,    // A life-cycle call returned an error.
  };
  enum class State : uint8_t {
    kNew,
    kProbing,
    kProbed,
    kAttaching,
    kAttached,
    kStarting,
    kStarted,
    kStopping,
    kDetaching,
    kGone,  // Detached, failed or shut down.
  };
  enum class Side : uint8_t { kRuntime, kDriver };
  struct Breach {
    Side side;
    std::string what;
  };

  void Observe(Event event);

  // Conservation of buffers (S2): what the device was given comes back at most
  // once, and Stop empties the rings. `room` is what the driver had offered.
  void RxGiven(size_t buffers, size_t room);
  void RxTaken(size_t buffers, size_t out_size);
  void TxGiven(size_t pieces, size_t room);
  void TxTaken(size_t pieces, size_t out_size);

  State state() const { return state_; }
  size_t rx_held() const { return rx_held_; }
  size_t tx_held() const { return tx_held_; }
  // The first breach; later ones are its consequences.
  const std::optional<Breach>& breach() const { return breach_; }
  // "driver broke the contract: …"
  std::string Text() const;

 private:
  void Blame(Side side, std::string what);

  State state_ = State::kNew;
  size_t rx_held_ = 0;
  size_t tx_held_ = 0;
  std::optional<Breach> breach_;
};

const char* NameOf(Contract::Event event);
const char* NameOf(Contract::State state);

}  // namespace bulkhead::nic_driver

#endif  // BULKHEAD_NIC_DRIVER_FRAMEWORK_CONTRACT_H_
