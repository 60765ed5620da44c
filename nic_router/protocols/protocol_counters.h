// What became of the messages that the engine handed over: each bumps exactly
// one of these (S8).
#ifndef BULKHEAD_NIC_ROUTER_PROTOCOLS_PROTOCOL_COUNTERS_H_
#define BULKHEAD_NIC_ROUTER_PROTOCOLS_PROTOCOL_COUNTERS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace bulkhead::nic_router {

// Name, what an operator reads.
#define BULKHEAD_ROUTER_PROTOCOL_COUNTERS(X)                                 \
  X(kDhcpTaken, dhcp_taken)                    /* Did what it should. */     \
  X(kDhcpMalformed, dhcp_malformed)            /* */                         \
  X(kDhcpNoServer, dhcp_no_server)             /* The domain has none. */    \
  X(kDhcpNoClient, dhcp_no_client)             /* To us, who ask nobody. */  \
  X(kDhcpNotForUs, dhcp_not_for_us)            /* Another's, or of a kind    \
                                                  that we do not take. */    \
  X(kDhcpRelayed, dhcp_relayed)                /* By a relay agent. */       \
  X(kDhcpSpoofed, dhcp_spoofed_hardware)       /* Speaks for another MAC. */ \
  X(kDhcpUnknownLease, dhcp_unknown_lease)     /* Gives back what it has     \
                                                  not. */                    \
  X(kDhcpRangeExhausted, dhcp_range_exhausted) /* No address left. */        \
  X(kDhcpUnexpected, dhcp_unexpected)          /* Not awaited now. */        \
  X(kDhcpUnusable, dhcp_unusable)              /* No host's address. */      \
  X(kNdTaken, nd_taken)                        /* Did what it should. */     \
  X(kNdNoDomain, nd_no_domain)                 /* No IPv6 there. */          \
  X(kNdNotForRouter, nd_not_for_router)        /* Between others. */         \
  X(kNdMalformed, nd_malformed)                /* */                         \
  X(kNdSpoofed, nd_spoofed_mac)                /* Speaks for another. */     \
  X(kNdUnexpected, nd_unexpected)              /* Nobody asked. */           \
  X(kNdTooManyOpen, nd_too_many_open)          /* A question not asked. */

enum class ProtocolCounter : uint8_t {
#define BULKHEAD_X(name, text) name,
  BULKHEAD_ROUTER_PROTOCOL_COUNTERS(BULKHEAD_X)
#undef BULKHEAD_X
      kCount,
};
constexpr size_t kProtocolCounters =
    static_cast<size_t>(ProtocolCounter::kCount);
using ProtocolCounts = std::array<uint64_t, kProtocolCounters>;

constexpr std::string_view kProtocolCounterNames[kProtocolCounters] = {
#define BULKHEAD_X(name, text) #text,
    BULKHEAD_ROUTER_PROTOCOL_COUNTERS(BULKHEAD_X)
#undef BULKHEAD_X
};

}  // namespace bulkhead::nic_router

#endif  // BULKHEAD_NIC_ROUTER_PROTOCOLS_PROTOCOL_COUNTERS_H_
