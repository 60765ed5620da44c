// The DHCP client of a domain without `interface` (RFC 2131 4.4): messages in,
// messages out, an identity.
//
//   no link ──▶ SELECTING ─offer▶ REQUESTING ─ack▶ BOUND ─T1▶ RENEWING
//                   ▲  ▲               │nak           ▲ ack     │T2
//                   │  └───────────────┘              └──── REBINDING
//                   └── REBOOTING (has an identity, link came back)
//
// An identity stays in use while the link is away, while the driver restarts
// and while the router does (`slot`); when the link is back the server is asked
// whether it still agrees, and frames flow meanwhile. It ends when the server
// refuses it or its time is over.
//
// Waits are doubled from 4 s to 64 s, a second more or less at random (4.1);
// refusals in a row wait as long, so that a server that offers and refuses
// cannot drive us round. The address is not probed before use: the router's
// domain has one identity, and a conflict is the server's to know.
//
// Requires: one thread; `now_ns` is CLOCK_MONOTONIC and never goes back.
// Guarantees: no call allocates; a reply counts only with our transaction
// number and MAC, and only with contents that IdentityFrom accepts (S7).
#ifndef BULKHEAD_NIC_ROUTER_DHCP_CLIENT_H_
#define BULKHEAD_NIC_ROUTER_DHCP_CLIENT_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "absl/strings/string_view.h"
#include "nic_router/config.h"
#include "nic_router/dhcp/ip_identity.h"
#include "nic_router/dhcp/message.h"
#include "nic_router/seeded_random.h"

namespace bulkhead::nic_router::dhcp {

enum class ClientVerdict : uint8_t {
  kTaken,
  // Dropped, and why:
  kMalformed,
  kNotOurs,     // Another's transaction or MAC, or no server's message.
  kUnexpected,  // Of a type, or from a server, that this state does not await.
  kUnusable     // No identity that a host could have.
};

// UDP from kClientPort to kServerPort.
struct ClientMessage {
  std::array<uint8_t, kMaxMessageBytes> bytes;
  size_t size = 0;
  Ipv4Address from = 0;  // 0: has no address yet.
  Ipv4Address to = 0;    // 255.255.255.255 with a broadcast MAC, or the server.
  MacAddress to_mac{};
};

class DhcpClient {
 public:
  enum class State : uint8_t {
    kNoLink,
    kSelecting,
    kRequesting,
    kRebooting,
    kBound,
    kRenewing,
    kRebinding
  };
  // Of TakeChanges.
  static constexpr uint32_t kAddressChanged = 1;  // Also: had none, has none.
  static constexpr uint32_t kGatewayChanged = 2;
  static constexpr uint32_t kDnsChanged = 4;

  // `slot`: sizeof(IdentityEntry) bytes that outlive the router (zeros at
  // first), or none. An identity in there that holds is used at once.
  DhcpClient(absl::string_view domain, std::span<std::byte> slot, uint64_t seed,
             uint64_t now_ns);

  // The uplink can carry frames, and has this MAC. Again for another uplink of
  // the group that took over.
  void LinkUp(const MacAddress& mac, uint64_t now_ns);
  void LinkDown() { state_ = State::kNoLink; }

  // Does what is due. True: send `out`, and call again.
  [[nodiscard]] bool Poll(uint64_t now_ns, ClientMessage& out);
  // When Poll has something to do; nullopt: not before a link or a message.
  std::optional<uint64_t> NextDeadline() const;
  // `message` is the UDP payload of a datagram to kClientPort.
  ClientVerdict Handle(std::span<const uint8_t> message,
                       const MacAddress& sender, uint64_t now_ns);

  const std::optional<IpIdentity>& identity() const { return identity_; }
  // What changed since the last call; the restored identity counts.
  uint32_t TakeChanges();

  State state() const { return state_; }
  // What lay in `slot` was damaged.
  bool dropped_stored() const { return dropped_stored_; }

 private:
  void Enter(State state, uint64_t now_ns);
  void RestartAfterRefusal(uint64_t now_ns);
  void AdvanceTimes(uint64_t now_ns);
  void GiveUpTries(uint64_t now_ns);
  void Adopt(const std::optional<IpIdentity>& identity);
  ClientVerdict TakeOffer(const Message& in, const MacAddress& sender,
                          uint64_t now_ns);
  ClientVerdict TakeAck(const Message& in, const MacAddress& sender,
                        uint64_t now_ns);
  ClientVerdict TakeNak(const Message& in, uint64_t now_ns);
  void Compose(uint64_t now_ns, ClientMessage& out) const;
  uint64_t Backoff();
  uint64_t WaitAfterSending(uint64_t now_ns);

  const std::string domain_;
  const std::span<std::byte> slot_;
  SeededRandom random_;
  State state_ = State::kNoLink;
  MacAddress mac_{};
  std::optional<IpIdentity> identity_;
  IpIdentity offer_;  // While REQUESTING.
  uint32_t transaction_ = 0;
  uint32_t tries_ = 0;     // Messages sent in this state.
  uint32_t refusals_ = 0;  // In a row.
  uint64_t began_ns_ = 0;  // The exchange, for the message's seconds.
  uint64_t next_send_ns_ = 0;
  uint32_t changes_ = 0;
  bool dropped_stored_ = false;
};

absl::string_view StateWord(DhcpClient::State state);

}  // namespace bulkhead::nic_router::dhcp

#endif  // BULKHEAD_NIC_ROUTER_DHCP_CLIENT_H_
