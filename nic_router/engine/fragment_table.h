// IPv4 and IPv6 packets of which the first fragment has passed: later ones have
// no ports, and go where it went. Nothing is put together here.
//
// Which parts of a packet have passed is kept, so that none passes twice or
// over another (RFC 5722): overlapping fragments are how a header is changed
// behind the back of who judged it.
#ifndef BULKHEAD_NIC_ROUTER_ENGINE_FRAGMENT_TABLE_H_
#define BULKHEAD_NIC_ROUTER_ENGINE_FRAGMENT_TABLE_H_

#include <array>
#include <cstdint>
#include <memory>

#include "nic_router/config.h"
#include "nic_router/engine/drop_reason.h"
#include "nic_router/engine/flow_index.h"

namespace bulkhead::nic_router {

struct FragmentKey {
  uint32_t domain_hash;
  uint32_t id;
  Ipv6Address source;
  Ipv6Address destination;
  uint8_t protocol;
  uint8_t version;
  bool operator==(const FragmentKey&) const = default;
};

class FragmentTable {
 public:
  static constexpr uint32_t kEntries = 1024;
  static constexpr uint32_t kKeptS = 30;  // As Linux's ipfrag_time.
  static constexpr uint32_t kRuns = 8;    // Separate parts of one packet.

  explicit FragmentTable(uint64_t seed)
      : seed_(seed), sets_(std::make_unique<Set[]>(kEntries / kWays)) {}

  // What was kept of a packet. Private to who looks it up, but for `flow`: the
  // flow that its first fragment used (it may have ended: compare client and
  // keys again), or none when rules without state lead it.
  struct Entry {
    FragmentKey key{};
    FlowRef flow;
    uint64_t flow_check = 0;  // Flow::check, when it was made.
    uint32_t seen_s = 0;      // 0: free.
    uint32_t runs = 0;
    struct Run {
      uint32_t begin;
      uint32_t end;
    };
    std::array<Run, kRuns> run{};
  };

  Entry* Find(const FragmentKey& key, uint32_t now_s);
  // For a first fragment; the oldest of its set makes room.
  Entry& Start(const FragmentKey& key, uint32_t now_s);
  // Notes begin…end as passed. kNone: it touches nothing that has.
  static DropReason Note(Entry& entry, uint32_t begin, uint32_t end);

 private:
  static constexpr uint32_t kWays = 4;
  using Set = std::array<Entry, kWays>;
  Set& SetOf(const FragmentKey& key) const;

  uint64_t seed_;
  std::unique_ptr<Set[]> sets_;
};

}  // namespace bulkhead::nic_router

#endif  // BULKHEAD_NIC_ROUTER_ENGINE_FRAGMENT_TABLE_H_
