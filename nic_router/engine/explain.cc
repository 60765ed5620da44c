// What would happen to a first packet, and why: the same steps as OpenLink4,
// told instead of done.
#include <arpa/inet.h>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "nic_router/engine/engine_core.h"

namespace bulkhead::nic_router {
namespace {

struct Question {
  uint8_t protocol = 0;
  Ipv4Address destination = 0;
  uint16_t port = 0;
  std::string label;
};

absl::StatusOr<Question> ReadQuestion(std::string_view text) {
  const absl::Status expected = absl::InvalidArgumentError(absl::StrCat(
      "explain \"", std::string(text),
      "\": expected \"tcp ADDRESS:PORT from LABEL\", \"udp ADDRESS:PORT from "
      "LABEL\" or \"icmp ADDRESS from LABEL\""));
  const std::vector<std::string> words =
      absl::StrSplit(std::string(text), ' ', absl::SkipEmpty());
  if (words.size() != 4 || words[2] != "from") return expected;
  Question question;
  question.label = words[3];
  std::string address = words[1];
  if (words[0] == "tcp" || words[0] == "udp") {
    question.protocol = words[0] == "tcp" ? kProtocolTcp : kProtocolUdp;
    const size_t colon = address.find(':');
    uint32_t port = 0;
    if (colon == std::string::npos ||
        !absl::SimpleAtoi(address.substr(colon + 1), &port) || port > 65535) {
      return expected;
    }
    question.port = static_cast<uint16_t>(port);
    address.resize(colon);
  } else if (words[0] == "icmp") {
    question.protocol = kProtocolIcmp;
  } else {
    return expected;
  }
  in_addr parsed;
  if (::inet_pton(AF_INET, address.c_str(), &parsed) != 1) return expected;
  question.destination = ntohl(parsed.s_addr);
  return question;
}

}  // namespace

absl::StatusOr<std::vector<std::string>> EngineCore::Explain(
    std::string_view text) const {
  const auto question = ReadQuestion(text);
  if (!question.ok()) return question.status();
  std::vector<std::string> lines;
  const PolicyRule* policy = ruleset_.PolicyOf(question->label);
  if (policy == nullptr) {
    lines.push_back(absl::StrCat("policy: none matches label \"",
                                 question->label,
                                 "\": the session is refused"));
    return lines;
  }
  lines.push_back(
      absl::StrCat("policy: label \"", question->label, "\" belongs to domain ",
                   policy->domain,
                   policy->kind == PolicyRule::Kind::kDefault
                       ? " by default"
                       : absl::StrCat(" by \"", policy->label, "\"")));
  const uint16_t from = ruleset_.DomainOf(policy->domain);
  const DomainRules& origin = ruleset_[from];
  if (origin.identity.has_value() &&
      Contains(*origin.identity, question->destination) &&
      question->destination != origin.identity->address) {
    lines.push_back(absl::StrCat("switch: ", FormatIpv4(question->destination),
                                 " is in the domain's own network ",
                                 FormatPrefix(*origin.identity),
                                 ": reached without the router"));
    return lines;
  }
  const Decision decision = ruleset_.Decide4(
      from, question->protocol, question->destination, question->port, true);
  if (decision.kind == Decision::Kind::kRefused) {
    const bool own = decision.reason == DropReason::kNoSocket;
    if (own && question->protocol == kProtocolIcmp &&
        origin.config.icmp_echo_server) {
      lines.push_back("rule: the router itself answers echo requests");
      return lines;
    }
    lines.push_back(absl::StrCat(
        "rule: ",
        own ? "the address is the router's own, and no forward rule has the "
              "port"
        : decision.reason == DropReason::kIpLocalNet
            ? "this address is never forwarded"
            : "none of the domain's rules leads to this address and port",
        ": dropped as ", std::string(NameOf(decision.reason))));
    return lines;
  }
  const Rule& rule = ruleset_.rules()[decision.rule];
  lines.push_back(absl::StrCat("rule: ", rule.kind, " ", rule.text));
  const DomainRules& target = ruleset_[decision.domain];
  if (decision.kind == Decision::Kind::kStateless) {
    lines.push_back("link: none, ip rules keep no state and translate nothing");
  } else if (!decision.translate) {
    lines.push_back("nat: none, the client's own address is seen");
  } else {
    const NatQuota& quota = *target.NatFor(from);
    const NatKind kind = NatKindOf(question->protocol);
    lines.push_back(absl::StrCat(
        "nat: as ",
        target.identity.has_value() ? FormatIpv4(target.identity->address)
                                    : "an address still to come from DHCP",
        ", with one of the domain's ports: ", quota.used[kind], " of ",
        quota.limit[kind], " used"));
    if (quota.used[kind] >= quota.limit[kind]) {
      lines.push_back(absl::StrCat("quota: used up: dropped as ",
                                   std::string(NameOf(DropReason::kNatQuota))));
      return lines;
    }
  }
  if (!target.identity.has_value()) {
    lines.push_back(absl::StrCat("route: domain ", target.config.name,
                                 " has no address yet (DHCP): dropped as ",
                                 std::string(NameOf(DropReason::kNoIdentity))));
    return lines;
  }
  const bool on_link = Contains(*target.identity, decision.destination);
  if (!on_link && !target.gateway.has_value()) {
    lines.push_back(
        absl::StrCat("route: ", FormatIpv4(decision.destination), " is not in ",
                     FormatPrefix(*target.identity), " and domain ",
                     target.config.name, " has no gateway: dropped as ",
                     std::string(NameOf(DropReason::kIpOutNoRoutes))));
    return lines;
  }
  const Ipv4Address hop = on_link ? decision.destination : *target.gateway;
  lines.push_back(absl::StrCat("route: domain ", target.config.name, ", ",
                               on_link ? "directly to " : "by gateway ",
                               FormatIpv4(hop)));
  const uint32_t known = neighbours_.Find(target.hash, 4, AddressOf(hop));
  const bool has_mac =
      known != kNoNeighbour &&
      neighbours_[known].state == static_cast<uint8_t>(NeighbourState::kKnown);
  lines.push_back(
      has_mac ? absl::StrCat("neighbour: ", FormatMac(neighbours_[known].mac))
              : "neighbour: not known yet, ARP asks for it");
  lines.push_back("verdict: forwarded");
  return lines;
}

}  // namespace bulkhead::nic_router
