#include "nic_router/dhcp/client.h"

#include <algorithm>
#include <utility>

namespace bulkhead::nic_router::dhcp {
namespace {

constexpr Ipv4Address kEverybody = 0xffffffff;
constexpr MacAddress kEveryMac = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
constexpr uint64_t kNsPerSecond = 1'000'000'000;
constexpr uint64_t kFirstWaitNs = 4 * kNsPerSecond;  // RFC 2131 4.1
constexpr uint32_t kMaxDoublings = 4;                // To 64 s.
constexpr uint64_t kJitterNs = kNsPerSecond;
constexpr uint64_t kMinRenewalWaitNs = 60 * kNsPerSecond;  // RFC 2131 4.4.5
// Sent in vain before something else is tried: 4 + 8 + 16 s.
constexpr uint32_t kMaxTries = 3;

}  // namespace

DhcpClient::DhcpClient(absl::string_view domain, std::span<std::byte> slot,
                       uint64_t seed, uint64_t now_ns)
    : domain_(domain), slot_(slot), random_(seed) {
  IpIdentity stored;
  const StoredIdentity found = LoadIdentity(slot, domain, now_ns, stored);
  dropped_stored_ = found == StoredIdentity::kDropped;
  if (found == StoredIdentity::kGood) Adopt(stored);
}

void DhcpClient::LinkUp(const MacAddress& mac, uint64_t now_ns) {
  mac_ = mac;
  refusals_ = 0;
  Enter(identity_ ? State::kRebooting : State::kSelecting, now_ns);
}

void DhcpClient::Enter(State state, uint64_t now_ns) {
  // REQUESTING belongs to the exchange of its offer.
  if (state != State::kRequesting) {
    transaction_ = static_cast<uint32_t>(random_.Next());
    began_ns_ = now_ns;
  }
  state_ = state;
  tries_ = 0;
  next_send_ns_ = now_ns;
}

uint64_t DhcpClient::Backoff() {
  const uint64_t wait = kFirstWaitNs << std::min(tries_, kMaxDoublings);
  return wait - kJitterNs + random_.Below(2 * kJitterNs);
}

bool DhcpClient::Poll(uint64_t now_ns, ClientMessage& out) {
  AdvanceTimes(now_ns);
  if (state_ == State::kNoLink || state_ == State::kBound ||
      now_ns < next_send_ns_) {
    return false;
  }
  const bool gives_up =
      state_ == State::kRequesting || state_ == State::kRebooting;
  if (gives_up && tries_ == kMaxTries) {
    GiveUpTries(now_ns);
    if (state_ == State::kBound) return false;
  }
  Compose(now_ns, out);
  next_send_ns_ = now_ns + WaitAfterSending(now_ns);
  ++tries_;
  return true;
}

// T1, T2 and the end of the lease.
void DhcpClient::AdvanceTimes(uint64_t now_ns) {
  if (!identity_) return;
  if (now_ns >= identity_->expire_ns) {
    Adopt(std::nullopt);
    if (state_ != State::kNoLink) Enter(State::kSelecting, now_ns);
    return;
  }
  if (state_ == State::kBound && now_ns >= identity_->renew_ns) {
    Enter(State::kRenewing, now_ns);
  }
  if (state_ == State::kRenewing && now_ns >= identity_->rebind_ns) {
    Enter(State::kRebinding, now_ns);
  }
}

// Nobody answers. RFC 2131 3.2: what we have stays ours until its time is over.
void DhcpClient::GiveUpTries(uint64_t now_ns) {
  if (state_ == State::kRequesting) return Enter(State::kSelecting, now_ns);
  Enter(State::kBound, now_ns);
  AdvanceTimes(now_ns);
}

uint64_t DhcpClient::WaitAfterSending(uint64_t now_ns) {
  switch (state_) {
    case State::kRenewing:
      return std::max((identity_->rebind_ns - now_ns) / 2, kMinRenewalWaitNs);
    case State::kRebinding:
      return std::max((identity_->expire_ns - now_ns) / 2, kMinRenewalWaitNs);
    default:
      return Backoff();
  }
}

std::optional<uint64_t> DhcpClient::NextDeadline() const {
  uint64_t next = identity_ ? identity_->expire_ns : UINT64_MAX;
  switch (state_) {
    case State::kNoLink:
      break;
    case State::kBound:
      next = std::min(next, identity_->renew_ns);
      break;
    case State::kRenewing:
      next = std::min({next, next_send_ns_, identity_->rebind_ns});
      break;
    default:
      next = std::min(next, next_send_ns_);
  }
  if (next == UINT64_MAX) return std::nullopt;
  return next;
}

// What each state sends: RFC 2131 4.3.6, table 4.
void DhcpClient::Compose(uint64_t now_ns, ClientMessage& out) const {
  Message message;
  message.type = state_ == State::kSelecting ? MessageType::kDiscover
                                             : MessageType::kRequest;
  message.transaction = transaction_;
  message.seconds = static_cast<uint16_t>(
      std::min<uint64_t>((now_ns - began_ns_) / kNsPerSecond, 0xffff));
  message.hardware = mac_;
  message.parameters.set(option::kNetmask)
      .set(option::kRouter)
      .set(option::kDns)
      .set(option::kLeaseTime)
      .set(option::kRenewalTime)
      .set(option::kRebindingTime);
  // RFC 2132 9.14: a hardware type and an address. It stays that of the first
  // uplink, so that the lease goes along when another one takes over.
  std::array<uint8_t, 7> identifier = {1};
  const MacAddress& mac = identity_ ? identity_->identifier : mac_;
  std::copy(mac.begin(), mac.end(), identifier.begin() + 1);
  (void)message.client_identifier.Append(identifier);

  out.from = 0;
  out.to = kEverybody;
  out.to_mac = kEveryMac;
  if (state_ == State::kRequesting) {
    message.requested_address = offer_.interface.address;
    message.server_identifier = offer_.server;
  } else if (state_ == State::kRebooting) {
    message.requested_address = identity_->interface.address;
  } else if (state_ == State::kRenewing || state_ == State::kRebinding) {
    message.client_address = identity_->interface.address;
    out.from = identity_->interface.address;
    if (state_ == State::kRenewing) {
      out.to = identity_->server;
      out.to_mac = identity_->server_mac;
    }
  }
  out.size = BuildMessage(message, out.bytes);
}

ClientVerdict DhcpClient::Handle(std::span<const uint8_t> message,
                                 const MacAddress& sender, uint64_t now_ns) {
  Message in;
  if (ParseMessage(message, in) != ParseError::kNone) {
    return ClientVerdict::kMalformed;
  }
  if (!in.reply || in.transaction != transaction_ || in.hardware != mac_) {
    return ClientVerdict::kNotOurs;
  }
  switch (in.type) {
    case MessageType::kOffer:
      return TakeOffer(in, sender, now_ns);
    case MessageType::kAck:
      return TakeAck(in, sender, now_ns);
    case MessageType::kNak:
      return TakeNak(in, now_ns);
    default:
      return ClientVerdict::kNotOurs;
  }
}

// The first offer of which we can live.
ClientVerdict DhcpClient::TakeOffer(const Message& in, const MacAddress& sender,
                                    uint64_t now_ns) {
  if (state_ != State::kSelecting) return ClientVerdict::kUnexpected;
  const auto offer = IdentityFrom(in, sender, mac_, now_ns);
  if (!offer) return ClientVerdict::kUnusable;
  offer_ = *offer;
  Enter(State::kRequesting, now_ns);
  return ClientVerdict::kTaken;
}

ClientVerdict DhcpClient::TakeAck(const Message& in, const MacAddress& sender,
                                  uint64_t now_ns) {
  if (state_ < State::kRequesting || state_ == State::kBound) {
    return ClientVerdict::kUnexpected;
  }
  const auto identity = IdentityFrom(
      in, sender, identity_ ? identity_->identifier : mac_, now_ns);
  if (!identity) return ClientVerdict::kUnusable;
  const bool requesting = state_ == State::kRequesting;
  const IpIdentity& asked = requesting ? offer_ : *identity_;
  // REBOOTING and REBINDING ask every server.
  const bool one_server = requesting || state_ == State::kRenewing;
  if (identity->interface.address != asked.interface.address ||
      (one_server && identity->server != asked.server)) {
    return ClientVerdict::kUnexpected;
  }
  refusals_ = 0;
  Adopt(identity);
  Enter(State::kBound, now_ns);
  return ClientVerdict::kTaken;
}

ClientVerdict DhcpClient::TakeNak(const Message& in, uint64_t now_ns) {
  if (state_ < State::kRequesting || state_ == State::kBound) {
    return ClientVerdict::kUnexpected;
  }
  const bool requesting = state_ == State::kRequesting;
  if (requesting || state_ == State::kRenewing) {
    if (in.server_identifier != (requesting ? offer_ : *identity_).server) {
      return ClientVerdict::kUnexpected;
    }
  }
  Adopt(std::nullopt);
  RestartAfterRefusal(now_ns);
  return ClientVerdict::kTaken;
}

// At once after the first refusal, which is how a server says that the network
// changed; later ones wait.
void DhcpClient::RestartAfterRefusal(uint64_t now_ns) {
  Enter(State::kSelecting, now_ns);
  if (refusals_ > 0) {
    tries_ = refusals_ - 1;
    next_send_ns_ = now_ns + Backoff();
    tries_ = 0;
  }
  ++refusals_;
}

void DhcpClient::Adopt(const std::optional<IpIdentity>& identity) {
  const bool had = identity_.has_value();
  const bool has = identity.has_value();
  if (had != has || (has && identity_->interface != identity->interface)) {
    changes_ |= kAddressChanged;
  }
  const auto gateway_of = [](const std::optional<IpIdentity>& of) {
    return of ? of->gateway.value_or(0) : 0;
  };
  if (gateway_of(identity) != gateway_of(identity_)) {
    changes_ |= kGatewayChanged;
  }
  // Without an identity the servers are still the best that is known: whoever
  // propagates them would otherwise pulse its clients' links twice.
  if (has && (had ? identity_->dns : AddressList()) != identity->dns) {
    changes_ |= kDnsChanged;
  }
  identity_ = identity;
  StoreIdentity(slot_, domain_, identity_);
}

uint32_t DhcpClient::TakeChanges() { return std::exchange(changes_, 0); }

absl::string_view StateWord(DhcpClient::State state) {
  switch (state) {
    case DhcpClient::State::kNoLink:
      return "no link";
    case DhcpClient::State::kSelecting:
      return "selecting";
    case DhcpClient::State::kRequesting:
      return "requesting";
    case DhcpClient::State::kRebooting:
      return "rebooting";
    case DhcpClient::State::kBound:
      return "bound";
    case DhcpClient::State::kRenewing:
      return "renewing";
    case DhcpClient::State::kRebinding:
      return "rebinding";
  }
  return "unknown";
}

}  // namespace bulkhead::nic_router::dhcp
