// From a running plan to a wanted plan in the fewest steps. Pure: whoever asks
// carries the actions out, in their order.
#ifndef BULKHEAD_PLATFORM_SERVICE_POLICY_PLAN_DIFF_H_
#define BULKHEAD_PLATFORM_SERVICE_POLICY_PLAN_DIFF_H_

#include <cstdint>
#include <string>
#include <vector>

#include "platform_service/policy/matcher.h"

namespace bulkhead::policy {

struct Action {
  enum class Kind : uint8_t {
    // In the order in which they come in a list.
    kStopRouter,    // Its clients lose their sessions; those of NICs do not.
    kStopInstance,  // `name` is an instance: end it and its sessions.
    kRemoveNic,     // `name` is a simulated NIC: end its model.
    kAddNic,        // Start the model of wanted.simulated's `name`.
    kSetClients,    // Who may open what; touches no process. `name` is empty.
    // Same NIC, other driver or other process limits: define its process
    // afresh. Its sessions live on through a new epoch (S6). A changed config
    // comes along.
    kRedefineInstance,
    kReconfigureInstance,  // Only the NIC's config differs: Configure, live.
    kStartInstance,
    // The same of the router.
    kRedefineRouter,
    kReconfigureRouter,  // Live: links that are still allowed stay.
    kStartRouter,
  };
  Kind kind;
  std::string name;
  std::string reason;  // "mtu 1500 -> 9000"; for people.

  bool operator==(const Action&) const = default;
};

// "start", "redefine", …
const char* KindName(Action::Kind kind);

// "start nic2: 0000:01:00.0 appears in the plan"
std::string ToText(const Action& action);

// Both plans in, the actions out; none when they ask for the same.
std::vector<Action> DiffPlans(const Plan& running, const Plan& wanted);

}  // namespace bulkhead::policy

#endif  // BULKHEAD_PLATFORM_SERVICE_POLICY_PLAN_DIFF_H_
