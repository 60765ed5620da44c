// Why a frame went no further: each discarded frame bumps exactly one of these
// (S8). Where Linux has a reason for the same thing
// (include/net/dropreason-core.h) its name is used.
#ifndef BULKHEAD_NIC_ROUTER_ENGINE_DROP_REASON_H_
#define BULKHEAD_NIC_ROUTER_ENGINE_DROP_REASON_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace bulkhead::nic_router {

// Name, what an operator reads.
#define BULKHEAD_ROUTER_DROP_REASONS(X)                                       \
  /* The frame itself. */                                                     \
  X(kPktTooSmall, pkt_too_small)      /* A header is cut off. */              \
  X(kPktTooBig, pkt_too_big)          /* Longer than the way out takes. */    \
  X(kIpInHdr, ip_inhdr)               /* A length or version that lies. */    \
  X(kIpCsum, ip_csum)                 /* IPv4's header checksum. */           \
  X(kIpOptions, ip_options)           /* Malformed, or source routes. */      \
  X(kIp6Extensions, ip6_extensions)   /* Too many, forbidden, malformed. */   \
  X(kTcpCsum, tcp_csum)               /* Of a segment that opens a link. */   \
  X(kTcpFlags, tcp_flags)             /* No sender means these. */            \
  X(kUdpCsum, udp_csum)               /* Of a first datagram. */              \
  X(kIcmpCsum, icmp_csum)             /* */                                   \
  X(kArpInHdr, arp_inhdr)             /* Not Ethernet and IPv4. */            \
  X(kUnhandledProto, unhandled_proto) /* Not ARP, IPv4 or IPv6. */            \
  /* Who it says it is. */                                                    \
  X(kMacInvalidSource, mac_invalid_source) /* Not the client's own MAC. */    \
  X(kIpInvalidSource, ip_invalid_source)   /* No host's address. */           \
  X(kIpSpoofedSource, ip_spoofed_source)   /* Another's, or foreign. */       \
  X(kArpSpoofed, arp_spoofed)              /* The same, in an ARP message. */ \
  X(kTooManyAddresses, too_many_addresses) /* Of one client. */               \
  X(kDhcpSpoofed, dhcp_spoofed)            /* A client as DHCP server. */     \
  X(kNdSpoofed, nd_spoofed)                /* A client as IPv6 router. */     \
  /* The switch. */                                                           \
  X(kOtherHost, otherhost)          /* Not for the router, nobody else. */    \
  X(kLoopback, loopback)            /* Its own way in is its way out. */      \
  X(kVlanFilter, vlan_filter)       /* A tag that belongs to no domain. */    \
  X(kStandbyUplink, standby_uplink) /* The group uses another port. */        \
  X(kNoDomain, no_domain)           /* Untagged, and no domain for it. */     \
  /* Routing. */                                                              \
  X(kNoIdentity, no_identity)       /* A domain without an address yet. */    \
  X(kIpInNoRoutes, ip_innoroutes)   /* No rule leads anywhere. */             \
  X(kIpOutNoRoutes, ip_outnoroutes) /* Not on the link, no gateway. */        \
  X(kIpLocalNet, ip_localnet)       /* A broadcast, multicast or own. */      \
  X(kTtlExceeded, ttl_exceeded)     /* */                                     \
  X(kNoSocket, no_socket)           /* For the router; nothing listens. */    \
  X(kIcmpUnhandled, icmp_unhandled) /* A type that is not routed. */          \
  X(kIcmpNoFlow, icmp_no_flow)      /* An error about no known link. */       \
  X(kTcpNoFlow, tcp_no_flow)        /* A reset of no known link. */           \
  /* Fragments. */                                                            \
  X(kFragTooFar, frag_too_far)   /* Ends beyond 64 KiB. */                    \
  X(kFragOverlap, frag_overlap)  /* Over others, or over a header. */         \
  X(kFragTiny, frag_tiny)        /* A first one without its header. */        \
  X(kFragNoFirst, frag_no_first) /* Before its first, or too late. */         \
  X(kFragTooMany, frag_too_many) /* Holes, of one packet. */                  \
  /* Bounds. */                                                               \
  X(kFlowTableFull, flow_table_full)  /* And none idle enough to free. */     \
  X(kFlowCollision, flow_collision)   /* The same link exists already. */     \
  X(kNatQuota, nat_quota)             /* The client domain's ports. */        \
  X(kNatPorts, nat_ports)             /* Every port to this peer. */          \
  X(kNeighQueueFull, neigh_queuefull) /* Too many wait for ARP. */            \
  X(kNeighFailed, neigh_failed)       /* Nobody answered. */                  \
  X(kFullRing, full_ring)             /* The receiver has no buffers. */      \
  X(kNoLink, no_link)                 /* The way out is down. */              \
  X(kRateLimit, rate_limit)           /* Waited for long, beyond its rate. */ \
  X(kLocalPolicer, local_policer)     /* The router answers only so often. */ \
  X(kMemberRemoved, member_removed)   /* It waited while its sender left. */

enum class DropReason : uint8_t {
  kNone = 0,  // Not dropped.
#define BULKHEAD_X(name, text) name,
  BULKHEAD_ROUTER_DROP_REASONS(BULKHEAD_X)
#undef BULKHEAD_X
      kCount,
};
constexpr size_t kDropReasons = static_cast<size_t>(DropReason::kCount);

constexpr std::string_view kDropReasonNames[kDropReasons] = {
    "none",
#define BULKHEAD_X(name, text) #text,
    BULKHEAD_ROUTER_DROP_REASONS(BULKHEAD_X)
#undef BULKHEAD_X
};
constexpr std::string_view NameOf(DropReason reason) {
  return kDropReasonNames[static_cast<size_t>(reason)];
}

}  // namespace bulkhead::nic_router

#endif  // BULKHEAD_NIC_ROUTER_ENGINE_DROP_REASON_H_
