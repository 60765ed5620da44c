// `router:`: domains (domain_reader.cc), uplinks, policies, and the process.
#include "absl/strings/str_cat.h"
#include "platform_service/policy/ip_scalar.h"
#include "platform_service/policy/router_section.h"
#include "platform_service/policy/scalar.h"
#include "platform_service/policy/sections.h"

namespace bulkhead::policy {
namespace {

using nic_router::PolicyRule;
using nic_router::RouterConfig;
using nic_router::UplinkConfig;
using nic_router::VlanConfig;

constexpr absl::string_view kRouterExample =
    "{domains: [{name: guests, interface: 10.0.1.1/24}], policies: [{default: "
    "true, domain: guests}]}";
constexpr size_t kMaxDomains = 64;
constexpr size_t kMaxUplinks = 64;
constexpr size_t kMaxInstances = 16;  // Of one uplink.
constexpr size_t kMaxVlans = 64;
constexpr size_t kMaxPolicies = 256;
constexpr size_t kMaxLabel = 64;
constexpr uint32_t kMaxClients = 256;
constexpr uint64_t kSecond_us = 1000 * 1000;
constexpr uint64_t kDay_s = 24 * 3600;
constexpr uint64_t kMinRate = 1000;
constexpr uint64_t kMaxRate = 1000ull * 1000'000'000;

VlanConfig ReadVlan(RouterReading* reading, const YamlNode& node) {
  VlanConfig vlan;
  Fields fields(reading->source, node, "a VLAN", "{vlan: 10, domain: guests}");
  if (!fields.usable()) return vlan;
  RequireWord(
      &fields, "vlan", "vlan: 10",
      // IEEE 802.1Q: 0 is no VLAN, 4095 is reserved.
      [](absl::string_view text) { return ReadNumber(text, 1, 4094); },
      &vlan.vlan);
  fields.Require("domain", "domain: guests");
  reading->Domain(&fields, "domain", &vlan.domain);
  fields.Finish();
  return vlan;
}

UplinkConfig ReadUplink(RouterReading* reading, const YamlNode& node) {
  UplinkConfig uplink;
  Fields fields(reading->source, node, "an uplink",
                "{instances: [nic0], domain: uplink}");
  if (!fields.usable()) return uplink;
  fields.Require("instances", "instances: [nic0]");
  const auto instances =
      fields.List("instances", kMaxInstances, "instances: [nic0]");
  for (const YamlNode* item : instances) {
    if (const std::string* name = fields.Scalar("instances", item)) {
      uplink.instances.push_back(*name);
    }
  }
  const YamlNode* list = fields.Find("instances");
  if (list != nullptr && list->kind == YamlNode::Kind::kSequence &&
      list->complete && instances.empty()) {
    reading->source->Error(list->place,
                           "an uplink without instances leads nowhere; name "
                           "one, such as `instances: [nic0]`");
  }
  reading->Domain(&fields, "domain", &uplink.domain);
  for (const YamlNode* item :
       fields.List("vlans", kMaxVlans, "vlans: [{vlan: 10, domain: guests}]")) {
    uplink.vlans.push_back(ReadVlan(reading, *item));
  }
  if (fields.Find("domain") == nullptr && fields.Find("vlans") == nullptr &&
      node.complete) {
    reading->source->Error(node.place,
                           "an uplink lacks `domain`, to which its frames "
                           "belong; add `domain: uplink`, or `vlans` when all "
                           "its frames are tagged");
  }
  fields.Finish();
  return uplink;
}

bool IsLabel(absl::string_view text) {
  if (text.empty() || text.size() > kMaxLabel) return false;
  for (const char c : text) {
    if (c <= ' ' || c > '~') return false;
  }
  return true;
}

// How the policy tells its clients: by exactly one key.
void ReadSelector(RouterReading* reading, const YamlNode& node, Fields* fields,
                  PolicyRule* policy) {
  constexpr struct {
    absl::string_view key;
    PolicyRule::Kind kind;
  } kSelectors[] = {{"label", PolicyRule::Kind::kExact},
                    {"label_prefix", PolicyRule::Kind::kPrefix},
                    {"label_suffix", PolicyRule::Kind::kSuffix}};
  int selectors = 0;
  for (const auto& selector : kSelectors) {
    if (fields->Find(selector.key) == nullptr) continue;
    ++selectors;
    policy->kind = selector.kind;
    if (fields->Text(selector.key, &policy->label) && !IsLabel(policy->label)) {
      fields->Error(selector.key, *fields->Find(selector.key),
                    absl::InvalidArgumentError(absl::StrCat(
                        "`", policy->label.substr(0, 48),
                        "` can be no label; a label has up to ", kMaxLabel,
                        " visible characters")));
    }
  }
  bool is_default = false;
  fields->Bool("default", &is_default);
  if (is_default) {
    ++selectors;
    policy->kind = PolicyRule::Kind::kDefault;
  }
  if (selectors == 1 || !node.complete) return;
  reading->source->Error(
      node.place,
      selectors == 0
          ? "the policy says nothing of whom it is for; add one of `label: "
            "probe`, `label_prefix: vm-`, `label_suffix: -guest` and `default: "
            "true`"
          : "a policy has one of `label`, `label_prefix`, `label_suffix` and "
            "`default: true`; write one policy for each");
}

PolicyRule ReadPolicy(RouterReading* reading, const YamlNode& node) {
  PolicyRule policy;
  Fields fields(reading->source, node, "a policy",
                "{label: probe, domain: guests}");
  if (!fields.usable()) return policy;
  ReadSelector(reading, node, &fields, &policy);
  fields.Require("domain", "domain: guests");
  reading->Domain(&fields, "domain", &policy.domain);
  fields.Word(
      "rate",
      [](absl::string_view text) {
        return ReadBitRate(text, kMinRate, kMaxRate);
      },
      &policy.rate_bits_per_s);
  fields.Bytes("burst", 2048, 1ull << 30, &policy.burst_bytes);
  if (policy.burst_bytes != 0 && fields.Find("rate") == nullptr) {
    reading->source->Error(PlaceOf(node, "burst"),
                           "`burst` goes with `rate`, which it exceeds for a "
                           "moment; add one, such as `rate: 10Mbit`");
  }
  fields.Number("weight", 1, 100, &policy.weight);
  fields.Finish();
  return policy;
}

void ReadTimeouts(SourceText* source, const YamlNode& node,
                  nic_router::Timeouts* timeouts) {
  Fields fields(source, node, "`timeouts`", "{udp_idle: 30s, tcp_idle: 50s}");
  fields.Duration("udp_idle", kSecond_us, 1, kDay_s, &timeouts->udp_idle_s);
  fields.Duration("tcp_idle", kSecond_us, 1, kDay_s, &timeouts->tcp_idle_s);
  fields.Duration("tcp_closing", kSecond_us, 1, kDay_s,
                  &timeouts->tcp_closing_s);
  fields.Duration("icmp_idle", kSecond_us, 1, kDay_s, &timeouts->icmp_idle_s);
  fields.Duration("arp_request", kSecond_us, 1, 3600,
                  &timeouts->arp_request_s);
  fields.Finish();
}

void ReadName(SourceText* source, Fields* fields, std::string* name) {
  Position place;
  if (!fields->Text("name", name, &place)) return;
  if (absl::Status status = CheckName(*name); !status.ok()) {
    fields->Error("name", *fields->Find("name"), status);
  } else if (IsReservedName(*name)) {
    source->Error(place, absl::StrCat("`name`: `", *name,
                                      "` is a part of Bulkhead; take another "
                                      "name"));
  }
}

void ReadProcess(SourceText* source, Fields* fields, RouterSpec* router) {
  fields->Bool("standby", &router->standby);
  if (const YamlNode* restart = fields->Find("restart")) {
    router->restart = ReadRestart(source, *restart);
  }
  if (const YamlNode* heartbeat = fields->Find("heartbeat")) {
    router->heartbeat = ReadHeartbeat(source, *heartbeat);
  }
  if (const YamlNode* limits = fields->Find("limits")) {
    router->limits = ReadLimits(source, *limits, false);
  }
}

}  // namespace

RouterSpec ReadRouter(SourceText* source, const YamlNode& node,
                      const Scenario& scenario) {
  RouterSpec router;
  RouterConfig& config = router.config;
  router.line.number = SourceText::LineNumber(node.place);
  RouterReading reading{source, {}};
  Fields fields(source, node, "`router`", kRouterExample);
  if (!fields.usable()) return router;
  ReadName(source, &fields, &config.name);
  fields.Require("domains", "domains: [{name: guests, interface: 10.0.1.1/24}]");
  for (const YamlNode* item : fields.List(
           "domains", kMaxDomains,
           "domains: [{name: guests, interface: 10.0.1.1/24}]")) {
    config.domains.push_back(ReadDomain(&reading, *item));
  }
  for (const YamlNode* item :
       fields.List("uplinks", kMaxUplinks,
                   "uplinks: [{instances: [nic0], domain: uplink}]")) {
    config.uplinks.push_back(ReadUplink(&reading, *item));
  }
  for (const YamlNode* item :
       fields.List("policies", kMaxPolicies,
                   "policies: [{label: probe, domain: guests}]")) {
    config.policies.push_back(ReadPolicy(&reading, *item));
  }
  if (const YamlNode* timeouts = fields.Find("timeouts")) {
    ReadTimeouts(source, *timeouts, &config.timeouts);
  }
  fields.Number("max_flows", 64, 16'777'216, &config.max_flows);
  fields.Number("max_packets_per_turn", 1, 1024, &config.max_packets_per_turn);
  fields.Number("max_clients", 1, kMaxClients, &config.max_clients);
  ReadProcess(source, &fields, &router);
  config.cpus = router.limits.cpus;
  fields.Finish();
  CheckRouter(reading, node, config, scenario);
  return router;
}

}  // namespace bulkhead::policy
