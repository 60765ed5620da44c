#include "nic_router/dhcp/ip_identity.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "nic_router/dhcp/check_value.h"

namespace bulkhead::nic_router::dhcp {
namespace {

constexpr uint64_t kIdentitySeed = 0x6964656e74'0001;  // "ident", layout 1.
constexpr uint64_t kNsPerSecond = 1'000'000'000;
constexpr uint32_t kForever = 0xffffffff;  // RFC 2131 3.3

bool IsHostAddress(Ipv4Address address, uint8_t bits) {
  const uint8_t first = address >> 24;
  if (first == 0 || first == 127 || first >= 224) return false;
  if (bits == 0 || bits > 32) return false;
  if (bits >= 31) return true;  // RFC 3021
  const uint32_t hosts = 0xffffffff >> bits;
  return (address & hosts) != 0 && (address & hosts) != hosts;
}

bool SameNetwork(const Ipv4Prefix& network, Ipv4Address address) {
  return (network.address ^ address) >> (32 - network.bits) == 0;
}

// 0: not contiguous, or no network at all.
uint8_t BitsOf(uint32_t netmask) {
  const int bits = std::countl_one(netmask);
  const bool contiguous = bits + std::countr_zero(netmask) >= 32;
  return contiguous ? static_cast<uint8_t>(bits) : 0;
}

// RFC 2131 4.4.5, with the server's own times when they are in order.
void SetTimes(const Message& message, uint64_t now_ns, IpIdentity& identity) {
  const uint64_t lease_s = *message.lease_s;
  if (lease_s == kForever) {
    identity.renew_ns = identity.rebind_ns = identity.expire_ns = UINT64_MAX;
    return;
  }
  const uint64_t lease_ns = lease_s * kNsPerSecond;
  uint64_t renew_ns = lease_ns / 2;
  uint64_t rebind_ns = lease_ns / 8 * 7;
  const uint64_t renewal_s = message.renewal_s.value_or(0);
  const uint64_t rebinding_s = message.rebinding_s.value_or(0);
  if (0 < renewal_s && renewal_s < rebinding_s && rebinding_s < lease_s) {
    renew_ns = renewal_s * kNsPerSecond;
    rebind_ns = rebinding_s * kNsPerSecond;
  }
  identity.renew_ns = now_ns + renew_ns;
  identity.rebind_ns = now_ns + rebind_ns;
  identity.expire_ns = now_ns + lease_ns;
}

uint64_t CheckOf(const IdentityEntry& entry) {
  return CheckValue(kIdentitySeed, std::as_bytes(std::span(&entry, 1))
                                       .first(offsetof(IdentityEntry, check)));
}

}  // namespace

std::optional<IpIdentity> IdentityFrom(const Message& message,
                                       const MacAddress& sender,
                                       const MacAddress& identifier,
                                       uint64_t now_ns) {
  IpIdentity identity;
  identity.interface = {message.your_address,
                        BitsOf(message.netmask.value_or(0))};
  if (!IsHostAddress(identity.interface.address, identity.interface.bits)) {
    return std::nullopt;
  }
  if (!message.server_identifier || message.lease_s.value_or(0) == 0) {
    return std::nullopt;
  }
  identity.server = *message.server_identifier;
  identity.server_mac = sender;
  identity.identifier = identifier;
  for (const Ipv4Address router : message.routers.addresses()) {
    if (router != identity.interface.address &&
        SameNetwork(identity.interface, router)) {
      identity.gateway = router;
      break;
    }
  }
  identity.dns = message.dns;
  SetTimes(message, now_ns, identity);
  return identity;
}

void StoreIdentity(std::span<std::byte> slot, absl::string_view domain,
                   const std::optional<IpIdentity>& identity) {
  IdentityEntry entry;
  if (slot.size() < sizeof entry) return;
  if (identity) {
    entry.renew_ns = identity->renew_ns;
    entry.rebind_ns = identity->rebind_ns;
    entry.expire_ns = identity->expire_ns;
    entry.domain = DomainTag(domain);
    entry.address = identity->interface.address;
    entry.bits = identity->interface.bits;
    entry.gateway = identity->gateway.value_or(0);
    entry.server = identity->server;
    for (const Ipv4Address server : identity->dns.addresses()) {
      entry.dns[entry.dns_count++] = server;
    }
    std::copy_n(identity->server_mac.begin(), 6, entry.server_mac);
    std::copy_n(identity->identifier.begin(), 6, entry.identifier);
    entry.check = CheckOf(entry);
  }
  std::memcpy(slot.data(), &entry, sizeof entry);
}

StoredIdentity LoadIdentity(std::span<const std::byte> slot,
                            absl::string_view domain, uint64_t now_ns,
                            IpIdentity& out) {
  IdentityEntry entry;
  if (slot.size() < sizeof entry) return StoredIdentity::kEmpty;
  std::memcpy(&entry, slot.data(), sizeof entry);
  const auto bytes = std::as_bytes(std::span(&entry, 1));
  if (std::all_of(bytes.begin(), bytes.end(),
                  [](std::byte byte) { return byte == std::byte{}; })) {
    return StoredIdentity::kEmpty;
  }
  if (entry.check != CheckOf(entry) || entry.domain != DomainTag(domain) ||
      entry.bits > 32 || entry.dns_count > AddressList::kCapacity ||
      !IsHostAddress(entry.address, static_cast<uint8_t>(entry.bits)) ||
      entry.renew_ns > entry.rebind_ns || entry.rebind_ns > entry.expire_ns) {
    return StoredIdentity::kDropped;
  }
  if (entry.expire_ns <= now_ns) return StoredIdentity::kEmpty;
  out = IpIdentity();
  out.interface = {entry.address, static_cast<uint8_t>(entry.bits)};
  if (entry.gateway != 0) {
    if (!SameNetwork(out.interface, entry.gateway)) {
      return StoredIdentity::kDropped;
    }
    out.gateway = entry.gateway;
  }
  for (uint32_t i = 0; i < entry.dns_count; ++i) out.dns.Add(entry.dns[i]);
  out.server = entry.server;
  std::copy_n(entry.server_mac, 6, out.server_mac.begin());
  std::copy_n(entry.identifier, 6, out.identifier.begin());
  out.renew_ns = entry.renew_ns;
  out.rebind_ns = entry.rebind_ns;
  out.expire_ns = entry.expire_ns;
  return StoredIdentity::kGood;
}

}  // namespace bulkhead::nic_router::dhcp
