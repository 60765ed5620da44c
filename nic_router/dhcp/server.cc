#include "nic_router/dhcp/server.h"

#include "nic_router/dhcp/check_value.h"

namespace bulkhead::nic_router::dhcp {
namespace {

constexpr Ipv4Address kEverybody = 0xffffffff;
constexpr MacAddress kEveryMac = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
constexpr uint64_t kNsPerSecond = 1'000'000'000;

Ipv4Address NetmaskOf(uint8_t bits) {
  return bits == 0 ? 0 : kEverybody << (32 - bits);
}

// What every answer repeats of its question. RFC 6842: the client identifier
// too.
Message AnswerTo(const Message& in, MessageType type, Ipv4Address server) {
  Message out;
  out.reply = true;
  out.type = type;
  out.transaction = in.transaction;
  out.broadcast = in.broadcast;
  out.hardware = in.hardware;
  out.client_identifier = in.client_identifier;
  out.server_identifier = server;
  return out;
}

// RFC 2131 4.1. Who has no address yet, and did not say that it needs a
// broadcast, takes a frame to its MAC.
void Address(const Message& out, ServerReply& reply) {
  const Ipv4Address to =
      out.client_address != 0 ? out.client_address : out.your_address;
  const bool everybody = out.type == MessageType::kNak || to == 0 ||
                         (out.client_address == 0 && out.broadcast);
  reply.to = everybody ? kEverybody : to;
  reply.to_mac = everybody ? kEveryMac : out.hardware;
  reply.size = BuildMessage(out, reply.bytes);
}

}  // namespace

DhcpServer::DhcpServer(const Settings& settings, LeaseMemory& memory,
                       uint64_t now_ns)
    : settings_(settings),
      netmask_(NetmaskOf(settings.interface.bits)),
      lease_ns_(settings.config.lease_s * kNsPerSecond),
      pool_({.domain = DomainTag(settings.domain),
             .first = settings.config.first,
             .last = settings.config.last,
             .reserved = settings.interface.address,
             .longest_ns = std::max({lease_ns_, kOfferNs, kDeclinedNs})},
            memory, now_ns) {
  for (const Ipv4Address address : settings_.config.dns) dns_.Add(address);
}

bool DhcpServer::SetDns(const AddressList& dns) {
  if (dns == dns_) return false;
  dns_ = dns;
  return true;
}

ServerVerdict DhcpServer::Handle(std::span<const uint8_t> message,
                                 const MacAddress& sender, uint64_t now_ns,
                                 ServerReply& reply) {
  Message in;
  if (ParseMessage(message, in) != ParseError::kNone) {
    return ServerVerdict::kMalformed;
  }
  if (in.reply) return ServerVerdict::kNotForServers;
  if (in.relay_address != 0) return ServerVerdict::kRelayed;
  if (in.hardware != sender) return ServerVerdict::kSpoofed;
  switch (in.type) {
    case MessageType::kDiscover:
      return Discover(in, now_ns, reply);
    case MessageType::kRequest:
      return Request(in, now_ns, reply);
    case MessageType::kRelease:
    case MessageType::kDecline:
      return GiveBack(in, now_ns);
    case MessageType::kInform:
      return Inform(in, reply);
    default:
      return ServerVerdict::kNotForServers;
  }
}

// RFC 2131 4.3.1.
ServerVerdict DhcpServer::Discover(const Message& in, uint64_t now_ns,
                                   ServerReply& reply) {
  const auto address =
      pool_.Offer(in.hardware, in.requested_address, now_ns + kOfferNs, now_ns);
  if (!address) {
    ++counters_.exhausted;
    return ServerVerdict::kExhausted;
  }
  ++counters_.offers;
  return Grant(in, MessageType::kOffer, *address, reply);
}

// RFC 2131 4.3.2. Which of its four cases it is, table 4 tells: the server
// identifier is there in SELECTING only, and the client's address in RENEWING
// and REBINDING only.
ServerVerdict DhcpServer::Request(const Message& in, uint64_t now_ns,
                                  ServerReply& reply) {
  const bool selecting = in.server_identifier.has_value();
  const LeaseEntry* lease = pool_.Find(in.hardware);
  if (selecting && *in.server_identifier != settings_.interface.address) {
    // It took another server's offer.
    if (lease != nullptr && lease->state == LeaseState::kOffered) {
      pool_.Release(in.hardware, lease->address, now_ns);
    }
    return ServerVerdict::kTaken;
  }
  const Ipv4Address wanted = !selecting && in.client_address != 0
                                 ? in.client_address
                                 : in.requested_address.value_or(0);
  if (wanted == 0) return ServerVerdict::kMalformed;
  // In SELECTING only what was offered; else also a free one that it may have
  // had before we lost our memory of it.
  const bool its_own = lease != nullptr && lease->address == wanted;
  if ((lease != nullptr || selecting) && !its_own) return Refuse(in, reply);
  if (!pool_.Bind(in.hardware, wanted, now_ns + lease_ns_)) {
    return Refuse(in, reply);
  }
  ++counters_.acks;
  return Grant(in, MessageType::kAck, wanted, reply);
}

// RFC 2131 4.3.3 and 4.3.4.
ServerVerdict DhcpServer::GiveBack(const Message& in, uint64_t now_ns) {
  if (in.server_identifier != settings_.interface.address) {
    return ServerVerdict::kTaken;  // Another server's.
  }
  if (in.type == MessageType::kRelease) {
    if (!pool_.Release(in.hardware, in.client_address, now_ns)) {
      return ServerVerdict::kUnknownLease;
    }
    ++counters_.releases;
    return ServerVerdict::kTaken;
  }
  if (!pool_.Decline(in.hardware, in.requested_address.value_or(0),
                     now_ns + kDeclinedNs)) {
    return ServerVerdict::kUnknownLease;
  }
  ++counters_.declines;
  return ServerVerdict::kTaken;
}

// RFC 2131 4.3.5: no lease and no address in the answer.
ServerVerdict DhcpServer::Inform(const Message& in, ServerReply& reply) {
  if (!InNetwork(in.client_address)) return ServerVerdict::kMalformed;
  Message out = AnswerTo(in, MessageType::kAck, settings_.interface.address);
  out.client_address = in.client_address;
  Describe(in, out);
  Address(out, reply);
  ++counters_.acks;
  return ServerVerdict::kAnswered;
}

ServerVerdict DhcpServer::Grant(const Message& in, MessageType type,
                                Ipv4Address address, ServerReply& reply) {
  Message out = AnswerTo(in, type, settings_.interface.address);
  out.your_address = address;
  if (type == MessageType::kAck) out.client_address = in.client_address;
  const uint32_t lease_s = settings_.config.lease_s;
  out.lease_s = lease_s;
  out.renewal_s = lease_s / 2;  // RFC 2131 4.4.5
  out.rebinding_s = static_cast<uint32_t>(uint64_t{lease_s} * 7 / 8);
  Describe(in, out);
  Address(out, reply);
  return ServerVerdict::kAnswered;
}

ServerVerdict DhcpServer::Refuse(const Message& in, ServerReply& reply) {
  ++counters_.naks;
  Address(AnswerTo(in, MessageType::kNak, settings_.interface.address), reply);
  return ServerVerdict::kAnswered;
}

// The network's description: what the client asks for, or all when it has no
// preference; the netmask in any case, since nothing works without it.
void DhcpServer::Describe(const Message& in, Message& out) const {
  const auto asked = [&in](uint8_t number) {
    return in.parameters.none() || in.parameters[number];
  };
  out.netmask = netmask_;
  if (asked(option::kBroadcastAddress)) {
    out.broadcast_address = settings_.interface.address | ~netmask_;
  }
  if (asked(option::kRouter)) out.routers.Add(settings_.interface.address);
  if (asked(option::kDns)) out.dns = dns_;
  const std::string& name = settings_.config.domain_name;
  if (asked(option::kDomainName) && !name.empty()) {
    // A name that does not fit is left out; the policy refuses it.
    [[maybe_unused]] const bool fits = out.domain_name.Append(
        {reinterpret_cast<const uint8_t*>(name.data()), name.size()});
  }
}

bool DhcpServer::InNetwork(Ipv4Address address) const {
  return ((address ^ settings_.interface.address) & netmask_) == 0;
}

}  // namespace bulkhead::nic_router::dhcp
