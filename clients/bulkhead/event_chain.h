// Puts events beside the death that they follow: the recovery chain of
// docs/events.md, as lines for people.
#ifndef BULKHEAD_CLIENTS_BULKHEAD_EVENT_CHAIN_H_
#define BULKHEAD_CLIENTS_BULKHEAD_EVENT_CHAIN_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "platform_service/api/platform.pb.h"

namespace bulkhead::cli {

// Guarantees: of each process, a chain begins with `died` and ends with what
// completes it (`first_frame`, `took_over`, `parked`) or with the first event
// that belongs to no recovery.
class EventChain {
 public:
  // Nanoseconds since the death of the chain that `event` belongs to (0 for the
  // death itself); none outside a chain. Events come in their order.
  std::optional<uint64_t> SinceDeath(const platform::v1::Event& event);

 private:
  std::map<std::string, uint64_t> open_;  // By process: when it died.
};

// "123.456789  +52 µs  nic1 #2  dma_off  …"
std::string EventLine(const platform::v1::Event& event,
                      std::optional<uint64_t> since_death_ns);

}  // namespace bulkhead::cli

#endif  // BULKHEAD_CLIENTS_BULKHEAD_EVENT_CHAIN_H_
