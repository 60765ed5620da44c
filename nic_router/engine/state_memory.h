// The memory that outlives the router: its layout, and nothing else. Written by
// one router at a time; the next one believes nothing of it unchecked.
//
//   header     what lies here, and how much of it
//   flows      max_flows entries of 128 bytes, of which the first `flows_used`
//              were in use; the others are never read, and cost no memory
//   neighbours 4,096 entries of 64 bytes
//   leases     Engine::kLeaseBytes, the DHCP server's
//
// An entry's check value covers what it says of the world; the fields that only
// the running engine needs are made anew by the next one. It is written last
// and erased first, so that an entry on which its writer died does not hold.
#ifndef BULKHEAD_NIC_ROUTER_ENGINE_STATE_MEMORY_H_
#define BULKHEAD_NIC_ROUTER_ENGINE_STATE_MEMORY_H_

#include <cstddef>
#include <cstdint>

#include "nic_router/config.h"

namespace bulkhead::nic_router {

constexpr uint64_t kStateMagic = 0x31726e7262'000002;  // Version in the end.

struct StateHeader {
  uint64_t magic;
  uint32_t flows;
  uint32_t neighbours;
  uint64_t hash_seed;  // Of this state's check values.
  uint64_t check;      // Of what stands before it.
  // Not covered, since it grows with the flows: too many are read in vain, and
  // none of them is believed unchecked.
  uint32_t flows_used;
  uint32_t unused;
};

// What a packet says of itself, in the domain that it comes from. `version` is
// 4 or 6; for 6 the addresses lie in the flow's own fields and here are 0. For
// an ICMP echo the port is its id, on the requester's side, and 0 on the other.
struct FlowKey {
  uint32_t source;
  uint32_t destination;
  uint16_t source_port;
  uint16_t destination_port;
  uint8_t protocol;
  uint8_t version;
  uint16_t domain;  // Of the running engine; not covered by the check value.
  bool operator==(const FlowKey&) const = default;
};
static_assert(sizeof(FlowKey) == 16);

enum class FlowState : uint8_t {
  kFree = 0,
  kOpening = 1,  // TCP: no answer yet.
  kOpen = 2,
  kClosing = 3,  // TCP: one side has sent its FIN.
  kClosed = 4,   // TCP: both have.
  kReset = 5,    // TCP: a RST was seen; a segment after it opens it again.
};

enum FlowFlags : uint8_t {
  kFlowTranslated = 1 << 0,  // NAT: a port of the second domain is in use.
  kFlowFin0 = 1 << 1,        // The first sender's FIN, and
  kFlowFin1 = 1 << 2,        // the other's.
  kFlowForwarded = 1 << 3,   // By a forward rule.
};

// A link between two hosts. Direction 0 is that of its first packet: key[0] is
// what this says where it comes in, key[1] what its answers say where they do.
// A packet of direction d leaves with the addresses of key[1 - d], exchanged.
struct Flow {
  FlowKey key[2];
  // --- of the running engine, but for those marked ---
  uint64_t packets;       // Kept.
  uint64_t last_seen_ms;  // Kept.
  uint32_t neighbour[2];  // By direction: where the last packet went.
  FlowState state;        // Kept.
  uint8_t flags;          // Covered, but for the FINs.
  uint16_t rule;          // Whose counters it bumps.
  uint16_t client;        // Attachment that it is charged to.
  uint16_t unused;
  // --- the second line: not read per IPv4 packet ---
  uint64_t check;           // Of what is marked, and the keys.
  uint64_t client_id;       // Covered: hash of the label; 0: no client.
  uint32_t domain_hash[2];  // Covered.
  uint32_t wheel_next;
  uint32_t wheel_previous;
  Ipv6Address source6;       // Covered: of direction 0.
  Ipv6Address destination6;  // Covered.
};
static_assert(sizeof(Flow) == 128 && alignof(Flow) == 8);
static_assert(offsetof(Flow, check) == 64);

// Who has an address. IPv4 addresses are the first four bytes, in host order.
struct Neighbour {
  Ipv6Address address;  // Covered, as the next four.
  MacAddress mac;
  uint8_t version;  // 4, 6, 0: free.
  uint8_t state;    // NeighbourState
  uint32_t domain_hash;
  uint32_t unused;
  uint64_t owner_id;  // Hash of a client's label; 0: an uplink.
  uint64_t check;
  uint64_t updated_ms;  // Kept.
  // --- of the running engine ---
  uint32_t asked_s;  // When its MAC was last asked for.
  uint16_t domain;
  uint16_t attachment;
};
static_assert(sizeof(Neighbour) == 64);

constexpr uint32_t kNeighbours = 4096;

constexpr size_t kStatePage = 4096;
constexpr size_t PageAligned(size_t bytes) {
  return (bytes + kStatePage - 1) & ~(kStatePage - 1);
}
struct StateLayout {
  explicit constexpr StateLayout(uint32_t max_flows, size_t lease_bytes)
      : flows(kStatePage),
        neighbours(PageAligned(flows + size_t{max_flows} * sizeof(Flow))),
        leases(neighbours + kNeighbours * sizeof(Neighbour)),
        bytes(leases + PageAligned(lease_bytes)) {}
  size_t flows;
  size_t neighbours;
  size_t leases;
  size_t bytes;
};

}  // namespace bulkhead::nic_router

#endif  // BULKHEAD_NIC_ROUTER_ENGINE_STATE_MEMORY_H_
