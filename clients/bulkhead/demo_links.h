// What the demo knows of each link, and how it is shown.
#ifndef BULKHEAD_CLIENTS_BULKHEAD_DEMO_LINKS_H_
#define BULKHEAD_CLIENTS_BULKHEAD_DEMO_LINKS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "clients/bulkhead/console.h"
#include "clients/bulkhead/demo_traffic.h"

namespace bulkhead::cli {

enum class Treatment : uint8_t { kHealthy, kKilled, kStopped };

struct DemoLink {
  std::string instance;
  Treatment treatment = Treatment::kHealthy;
  LiveTraffic live = {};
  TrafficResult result = {};
  uint64_t restarts = 0;
  // Frames that counters of the NIC or its driver name as dropped.
  uint64_t counted_drops = 0;
  uint64_t fault_ns = 0;  // When the signal was sent.
  uint64_t died_ns = 0;   // From the events; 0: it did not die.

  // From death to the first frame of the new driver; 0: none came.
  uint64_t RecoveryNs() const;
  // From the signal to the death: how long a hang went unnoticed.
  uint64_t NoticedNs() const;
  // Empty when the link did what it should, else what it did not.
  std::string Fault() const;
};

// The table while traffic runs: a fixed number of lines.
std::string LiveTable(const std::vector<DemoLink>& links,
                      const Console& console);
// The same in one line, for logs.
std::string LiveLine(const std::vector<DemoLink>& links, double seconds);
// The table at the end.
std::string ResultTable(const std::vector<DemoLink>& links,
                        const Console& console);
// One JSON document.
std::string ResultJson(const std::vector<DemoLink>& links);

}  // namespace bulkhead::cli

#endif  // BULKHEAD_CLIENTS_BULKHEAD_DEMO_LINKS_H_
