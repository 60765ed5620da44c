// DHCP between the engine's frames and the state machines.
#include <algorithm>
#include <array>

#include "nic_router/packet/ethernet.h"
#include "nic_router/packet/udp.h"
#include "nic_router/protocols/domain_protocols.h"
#include "nic_router/protocols/udp_frame.h"

namespace bulkhead::nic_router {
namespace {

using DhcpFrame =
    std::array<uint8_t, kUdpFrameHeaderBytes + dhcp::kMaxMessageBytes>;

ProtocolCounter CounterOf(dhcp::ServerVerdict verdict) {
  switch (verdict) {
    case dhcp::ServerVerdict::kAnswered:
    case dhcp::ServerVerdict::kTaken:
      return ProtocolCounter::kDhcpTaken;
    case dhcp::ServerVerdict::kMalformed:
      return ProtocolCounter::kDhcpMalformed;
    case dhcp::ServerVerdict::kNotForServers:
      return ProtocolCounter::kDhcpNotForUs;
    case dhcp::ServerVerdict::kRelayed:
      return ProtocolCounter::kDhcpRelayed;
    case dhcp::ServerVerdict::kSpoofed:
      return ProtocolCounter::kDhcpSpoofed;
    case dhcp::ServerVerdict::kUnknownLease:
      return ProtocolCounter::kDhcpUnknownLease;
    case dhcp::ServerVerdict::kExhausted:
      return ProtocolCounter::kDhcpRangeExhausted;
  }
  return ProtocolCounter::kDhcpMalformed;
}

ProtocolCounter CounterOf(dhcp::ClientVerdict verdict) {
  switch (verdict) {
    case dhcp::ClientVerdict::kTaken:
      return ProtocolCounter::kDhcpTaken;
    case dhcp::ClientVerdict::kMalformed:
      return ProtocolCounter::kDhcpMalformed;
    case dhcp::ClientVerdict::kNotOurs:
      return ProtocolCounter::kDhcpNotForUs;
    case dhcp::ClientVerdict::kUnexpected:
      return ProtocolCounter::kDhcpUnexpected;
    case dhcp::ClientVerdict::kUnusable:
      return ProtocolCounter::kDhcpUnusable;
  }
  return ProtocolCounter::kDhcpMalformed;
}

std::span<const uint8_t> PayloadOf(const LocalFrame& frame) {
  return frame.bytes.subspan(frame.payload_offset, frame.payload_bytes);
}

MacAddress SenderOf(const LocalFrame& frame) {
  return LoadMac(&frame.bytes[kMacBytes]);
}

}  // namespace

void DomainProtocols::OnDhcp(const LocalFrame& frame) {
  const auto udp = UdpView::In(
      frame.bytes.subspan(frame.payload_offset - kUdpBytes, kUdpBytes));
  const bool for_server = udp->destination_port() == dhcp::kServerPort;
  Domain* domain = Find(frame.domain);
  if (for_server) {
    if (domain == nullptr || domain->server == nullptr) {
      return Count(ProtocolCounter::kDhcpNoServer);
    }
    return ServeDhcp(*domain, frame);
  }
  if (domain == nullptr || domain->client == nullptr || frame.from_client) {
    return Count(ProtocolCounter::kDhcpNoClient);
  }
  TakeDhcpAnswer(*domain, frame);
}

// The answer goes to the asker alone, whatever its MAC says: nobody else of the
// domain has to read it.
void DomainProtocols::ServeDhcp(Domain& domain, const LocalFrame& frame) {
  dhcp::ServerReply reply;
  const dhcp::ServerVerdict verdict =
      domain.server->Handle(PayloadOf(frame), SenderOf(frame), now_ns_, reply);
  Count(CounterOf(verdict));
  // Whatever it was, the client's address may be another one now.
  for (Client& client : clients_) {
    if (client.member == frame.from) Rebind(client);
  }
  if (verdict != dhcp::ServerVerdict::kAnswered) return;
  DhcpFrame out;
  std::copy_n(reply.bytes.begin(), reply.size,
              out.begin() + kUdpFrameHeaderBytes);
  const std::span<uint8_t> bytes(out.data(), kUdpFrameHeaderBytes + reply.size);
  WriteUdpHeaders({.from_mac = engine_.RouterMac(frame.domain, frame.from),
                   .to_mac = reply.to_mac,
                   .from = domain.config.interface->address,
                   .to = reply.to,
                   .from_port = dhcp::kServerPort,
                   .to_port = dhcp::kClientPort},
                  bytes);
  engine_.SendFrame(frame.domain, frame.from, bytes);
}

void DomainProtocols::TakeDhcpAnswer(Domain& domain, const LocalFrame& frame) {
  Count(CounterOf(
      domain.client->Handle(PayloadOf(frame), SenderOf(frame), now_ns_)));
  ApplyChanges(domain);
  AdvanceClient(domain);
}

void DomainProtocols::AdvanceClient(Domain& domain) {
  dhcp::ClientMessage message;
  while (domain.client->Poll(now_ns_, message)) {
    DhcpFrame out;
    std::copy_n(message.bytes.begin(), message.size,
                out.begin() + kUdpFrameHeaderBytes);
    const std::span<uint8_t> bytes(out.data(),
                                   kUdpFrameHeaderBytes + message.size);
    WriteUdpHeaders(
        {.from_mac = engine_.RouterMac(domain.config.name, domain.uplink),
         .to_mac = message.to_mac,
         .from = message.from,
         .to = message.to,
         .from_port = dhcp::kClientPort,
         .to_port = dhcp::kServerPort},
        bytes);
    engine_.SendFrame(domain.config.name, domain.uplink, bytes);
  }
  ApplyChanges(domain);
}

void DomainProtocols::ApplyChanges(Domain& domain) {
  const uint32_t changes = domain.client->TakeChanges();
  const auto& identity = domain.client->identity();
  if ((changes & (dhcp::DhcpClient::kAddressChanged |
                  dhcp::DhcpClient::kGatewayChanged)) != 0) {
    engine_.SetIdentity(
        domain.config.name,
        identity ? std::optional(identity->interface) : std::nullopt,
        identity ? identity->gateway : std::nullopt, now_ns_);
  }
  if ((changes & dhcp::DhcpClient::kDnsChanged) != 0) PropagateDns(domain);
}

void DomainProtocols::PropagateDns(const Domain& from) {
  const auto& identity = from.client->identity();
  if (!identity) return;
  for (Domain& domain : domains_) {
    if (domain.server == nullptr ||
        domain.config.dhcp_server->dns_from != from.config.name) {
      continue;
    }
    if (domain.server->SetDns(identity->dns)) pulse_links_(domain.config.name);
  }
}

// Which uplink each client speaks over now, and whether it has a link.
void DomainProtocols::FollowUplinks() {
  for (Domain& domain : domains_) {
    if (domain.client == nullptr) continue;
    const MemberId uplink = engine_.UplinkOf(domain.config.name);
    if (uplink == domain.uplink) continue;
    domain.uplink = uplink;
    if (uplink == 0) {
      domain.client->LinkDown();
    } else {
      domain.client->LinkUp(engine_.RouterMac(domain.config.name, uplink),
                            now_ns_);
    }
  }
}

}  // namespace bulkhead::nic_router
