#include "platform_service/policy/ip_scalar.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace bulkhead::policy {
namespace {

using nic_router::Ipv4Address;
using nic_router::Ipv4Prefix;
using nic_router::Ipv6Address;
using nic_router::Ipv6Prefix;

constexpr size_t kMaxQuotedCharacters = 48;

template <typename... Parts>
absl::Status Wrong(absl::string_view text, const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(
      "`", text.substr(0, kMaxQuotedCharacters),
      text.size() > kMaxQuotedCharacters ? "…" : "", "` ", parts...));
}

Ipv4Address MaskOf(uint8_t bits) {
  return bits == 0 ? 0 : ~Ipv4Address{0} << (32 - bits);
}

std::optional<Ipv4Address> Parse4(absl::string_view text) {
  in_addr address;
  if (::inet_pton(AF_INET, std::string(text).c_str(), &address) != 1) {
    return std::nullopt;
  }
  return ntohl(address.s_addr);
}

std::optional<Ipv6Address> Parse6(absl::string_view text) {
  Ipv6Address address;
  if (::inet_pton(AF_INET6, std::string(text).c_str(), address.data()) != 1) {
    return std::nullopt;
  }
  return address;
}

// What no machine has, or ""; RFC 6890.
absl::string_view WhyNoMachine(Ipv4Address address) {
  if (address >> 24 == 0) return "is no address of a machine";
  if (address >> 24 == 127) return "never leaves a machine (RFC 1122)";
  if (address >> 28 == 0xe) return "is a group's address (RFC 5771)";
  if (address >> 28 == 0xf) return "is reserved (RFC 1112)";
  return "";
}

absl::string_view WhyNoMachine(const Ipv6Address& address) {
  if (address[0] == 0xff) return "is a group's address (RFC 4291)";
  const bool zeros = std::all_of(address.begin(), address.end() - 1,
                                 [](uint8_t byte) { return byte == 0; });
  if (zeros && address[15] == 0) return "is no address of a machine";
  if (zeros && address[15] == 1) return "never leaves a machine (RFC 4291)";
  return "";
}

// "ADDRESS/BITS" in its two parts; the second is absent when there is no slash.
struct Parts {
  absl::string_view address;
  std::optional<absl::string_view> bits;
};
Parts Split(absl::string_view text) {
  const size_t slash = text.find('/');
  if (slash == absl::string_view::npos) return {text, std::nullopt};
  return {text.substr(0, slash), text.substr(slash + 1)};
}

std::optional<uint8_t> ReadBits(absl::string_view text, uint32_t most) {
  uint32_t bits = 0;
  const bool digits =
      !text.empty() && text.size() <= 3 &&
      std::all_of(text.begin(), text.end(), absl::ascii_isdigit) &&
      (text == "0" || text[0] != '0');
  if (!digits || !absl::SimpleAtoi(text, &bits) || bits > most) {
    return std::nullopt;
  }
  return static_cast<uint8_t>(bits);
}

Ipv6Address FirstOf(const Ipv6Prefix& prefix) {
  Ipv6Address first = prefix.address;
  for (int bit = prefix.bits; bit < 128; ++bit) {
    first[bit / 8] &= static_cast<uint8_t>(~(0x80 >> bit % 8));
  }
  return first;
}

absl::StatusOr<Ipv4Prefix> ReadPrefix4(absl::string_view text,
                                       absl::string_view example) {
  const Parts parts = Split(text);
  const auto address = Parse4(parts.address);
  if (!address) return Wrong(text, "is no IPv4 network; write ", example);
  if (!parts.bits) {
    return Wrong(text, "lacks the length of its network; write ", example);
  }
  const auto bits = ReadBits(*parts.bits, 32);
  if (!bits) return Wrong(text, "needs a length from 0 to 32; write ", example);
  return Ipv4Prefix{*address, *bits};
}

absl::StatusOr<Ipv6Prefix> ReadPrefix6(absl::string_view text,
                                       absl::string_view example) {
  const Parts parts = Split(text);
  const auto address = Parse6(parts.address);
  if (!address) return Wrong(text, "is no IPv6 network; write ", example);
  if (!parts.bits) {
    return Wrong(text, "lacks the length of its network; write ", example);
  }
  const auto bits = ReadBits(*parts.bits, 128);
  if (!bits) {
    return Wrong(text, "needs a length from 0 to 128; write ", example);
  }
  return Ipv6Prefix{*address, *bits};
}

}  // namespace

absl::StatusOr<Ipv4Address> ReadIpv4(absl::string_view text) {
  const auto address = Parse4(text);
  if (!address) {
    return Wrong(text, Split(text).bits ? "is a network; write one address"
                                        : "is no IPv4 address; write one",
                 ", such as `10.0.1.1`");
  }
  const absl::string_view why = WhyNoMachine(*address);
  if (!why.empty()) return Wrong(text, why, "; write a machine's");
  return *address;
}

absl::StatusOr<Ipv4Prefix> ReadIpv4Interface(absl::string_view text) {
  const auto prefix = ReadPrefix4(text, "`10.0.1.1/24`");
  if (!prefix.ok()) return prefix.status();
  absl::string_view why = WhyNoMachine(prefix->address);
  if (IsNetworkOrBroadcast(*prefix, prefix->address)) {
    why = "is the first or the last address of its network";
  }
  if (!why.empty()) return Wrong(text, why, "; write a machine's");
  return prefix;
}

absl::StatusOr<Ipv4Prefix> ReadIpv4Network(absl::string_view text) {
  const auto prefix = ReadPrefix4(text, "`10.0.1.0/24`, or `0.0.0.0/0` for all");
  if (!prefix.ok()) return prefix.status();
  const Ipv4Prefix first{prefix->address & MaskOf(prefix->bits), prefix->bits};
  if (first.address == prefix->address) return prefix;
  return Wrong(text, "has bits behind its length; did you mean `",
               Ipv4Text(first), "`?");
}

absl::StatusOr<Ipv6Address> ReadIpv6(absl::string_view text) {
  const auto address = Parse6(text);
  if (!address) {
    return Wrong(text, Split(text).bits ? "is a network; write one address"
                                        : "is no IPv6 address; write one",
                 ", such as `2001:db8::1`");
  }
  const absl::string_view why = WhyNoMachine(*address);
  if (!why.empty()) return Wrong(text, why, "; write a machine's");
  return *address;
}

absl::StatusOr<Ipv6Prefix> ReadIpv6Interface(absl::string_view text) {
  const auto prefix = ReadPrefix6(text, "`2001:db8::1/64`");
  if (!prefix.ok()) return prefix.status();
  const absl::string_view why = WhyNoMachine(prefix->address);
  if (!why.empty()) return Wrong(text, why, "; write a machine's");
  return prefix;
}

absl::StatusOr<Ipv6Prefix> ReadIpv6Network(absl::string_view text) {
  const auto prefix =
      ReadPrefix6(text, "`2001:db8::/64`, or `::/0` for all");
  if (!prefix.ok()) return prefix.status();
  const Ipv6Prefix first{FirstOf(*prefix), prefix->bits};
  if (first == *prefix) return prefix;
  return Wrong(text, "has bits behind its length; did you mean `",
               Ipv6Text(first), "`?");
}

absl::StatusOr<uint64_t> ReadBitRate(absl::string_view text, uint64_t least,
                                     uint64_t most) {
  constexpr absl::string_view kExamples = "`10Mbit` or `1Gbit`";
  constexpr struct {
    absl::string_view name;
    uint64_t factor;
  } kUnits[] = {{"Kbit", 1000}, {"Mbit", 1000'000}, {"Gbit", 1000'000'000}};
  size_t digits = 0;
  while (digits < text.size() && absl::ascii_isdigit(text[digits])) ++digits;
  uint64_t number = 0;
  if (digits == 0 || (digits > 1 && text[0] == '0') ||
      !absl::SimpleAtoi(text.substr(0, digits), &number)) {
    return Wrong(text, "is no rate; write ", kExamples);
  }
  for (const auto& unit : kUnits) {
    if (text.substr(digits) != unit.name) continue;
    uint64_t rate = 0;
    if (__builtin_mul_overflow(number, unit.factor, &rate)) {
      rate = std::numeric_limits<uint64_t>::max();
    }
    if (rate >= least && rate <= most) return rate;
    return Wrong(text, "is out of range; it must be from ", least / 1000,
                 "Kbit to ", most / 1000'000'000, "Gbit");
  }
  return Wrong(text, "is no rate with a unit; write ", kExamples);
}

bool Contains(const Ipv4Prefix& network, Ipv4Address address) {
  return ((network.address ^ address) & MaskOf(network.bits)) == 0;
}

bool Contains(const Ipv6Prefix& network, const Ipv6Address& address) {
  return FirstOf(network) == FirstOf({address, network.bits});
}

bool IsNetworkOrBroadcast(const Ipv4Prefix& network, Ipv4Address address) {
  if (network.bits >= 31) return false;
  const Ipv4Address host = address & ~MaskOf(network.bits);
  return host == 0 || host == ~MaskOf(network.bits);
}

std::string Ipv4Text(Ipv4Address address) {
  return absl::StrCat(address >> 24, ".", address >> 16 & 0xff, ".",
                      address >> 8 & 0xff, ".", address & 0xff);
}

std::string Ipv4Text(const Ipv4Prefix& prefix) {
  return absl::StrCat(Ipv4Text(prefix.address), "/", prefix.bits);
}

std::string Ipv6Text(const Ipv6Address& address) {
  char text[INET6_ADDRSTRLEN];
  return ::inet_ntop(AF_INET6, address.data(), text, sizeof(text));
}

std::string Ipv6Text(const Ipv6Prefix& prefix) {
  return absl::StrCat(Ipv6Text(prefix.address), "/", prefix.bits);
}

}  // namespace bulkhead::policy
