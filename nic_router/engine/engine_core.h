// The engine's parts, joined. One class, a file for each thing it does:
//
//   members.cc    clients and uplinks come and go; which uplink is active
//   domain_members.cc  who is in a domain, for the local protocols
//   turn.cc       batches of frames; what is due
//   sending.cc    one frame into a port's buffers
//   switching.cc  MACs: who may send as whom, where a frame goes in its domain
//   arp.cc        ARP, next hops, frames that wait for one
//   routing4.cc   IPv4 between domains: flows, rules, NAT, fragments
//   fragmenting.cc  IPv4 packets that are too long for their way out
//   routing6.cc   IPv6 between domains
//   errors.cc     ICMP errors: those that we send, and those that pass
//   local.cc      what is for the router: echo, DHCP, neighbour discovery
//   adoption.cc   what is kept of flows over a restart or a reconfiguration
//   reconfigure.cc
//   reports.cc, explain.cc
//
// Every handler of a frame returns why it was dropped, or kNone when it was
// sent, kept waiting or answered; one place counts (S8).
#ifndef BULKHEAD_NIC_ROUTER_ENGINE_ENGINE_CORE_H_
#define BULKHEAD_NIC_ROUTER_ENGINE_ENGINE_CORE_H_

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "nic_router/engine/engine.h"
#include "nic_router/engine/flow_table.h"
#include "nic_router/engine/fragment_table.h"
#include "nic_router/engine/frame.h"
#include "nic_router/engine/mac_table.h"
#include "nic_router/engine/neighbour_table.h"
#include "nic_router/engine/ruleset.h"
#include "nic_router/engine/token_bucket.h"
#include "nic_router/engine/waiting_frames.h"

namespace bulkhead::nic_router {

constexpr uint16_t kNoLine = 0xffff;
constexpr uint16_t kNoGroup = 0xffff;

// A port, and what waits to be sent through it.
struct Line {
  Port* port = nullptr;  // nullptr: free.
  MemberId id = 0;
  uint16_t attachment = kNoAttachment;  // A client's.
  uint16_t group = kNoGroup;            // An uplink's,
  uint16_t instance = 0;                // and which of it.
  bool up = false;
  bool used = false;     // Since the last Flush.
  bool starved = false;  // Alloc had too little: not tried again this turn.
  MacAddress mac{};
  uint32_t mtu = 0;
  // Deficit round robin: frames that it may still send this turn.
  int64_t deficit = 0;
  uint32_t quantum = 0;
  TokenBucket bucket;

  static constexpr uint32_t kPool = 64;
  std::array<TxBuffer, kPool> pool;
  uint32_t pool_begin = 0;
  uint32_t pool_end = 0;
  std::array<TxPiece, kPool> queued;
  uint32_t queued_count = 0;

  // An uplink's: since when it has taken no frame for want of buffers; 0: it
  // does.
  uint64_t full_since_ns = 0;
  // A client's: pieces that wait for an uplink or for the client's rate; since
  // when the first of them does, and until when.
  std::array<RxPiece, kPool> held;
  uint32_t held_count = 0;
  uint64_t held_since_ns = 0;
  uint64_t held_until_ns = 0;
};

struct Traffic {
  uint64_t rx_frames = 0;
  uint64_t rx_bytes = 0;
  uint64_t tx_frames = 0;
  uint64_t tx_bytes = 0;
  uint64_t dropped = 0;
};

// A place in a domain's switch: a client, or an uplink group's untagged frames,
// or those of one of its VLANs.
struct Attachment {
  bool live = false;
  uint16_t domain = kNoDomain;
  uint16_t line = kNoLine;    // A client's.
  uint16_t group = kNoGroup;  // An uplink's; its line is the active one.
  uint16_t vlan = 0;          // 0: untagged.
  MacAddress mac{};           // A client's own.
  std::string label;
  uint64_t label_hash = 0;
  std::optional<Ipv4Address> bound;  // By DHCP.
  // Addresses that it used as its own.
  struct Claim {
    Ipv6Address address{};
    uint8_t version = 0;  // 0: none.
    uint32_t used_s = 0;
  };
  static constexpr size_t kClaims = 16;
  std::array<Claim, kClaims> claims{};
  // The source that was found good last, and until when to believe it.
  Ipv4Address good_source = 0;
  uint32_t good_until_s = 0;

  uint32_t flows = 0;
  Traffic traffic;
  std::array<uint64_t, kDropReasons> drops{};

  bool is_client() const { return group == kNoGroup; }
};

struct UplinkGroup {
  UplinkConfig config;
  std::vector<uint16_t> lines;  // By instance; kNoLine.
  uint16_t active = kNoLine;
  // Where frames come from, by tag; kNoAttachment.
  uint16_t untagged = kNoAttachment;
  std::vector<std::pair<uint16_t, uint16_t>> tagged;  // VLAN, attachment.
  uint64_t failovers = 0;
};

// A domain's members and its own MAC.
struct DomainMembers {
  MacAddress mac{};
  std::vector<uint16_t> attachments;
  Traffic traffic;
};

struct EngineCounters {
  std::array<uint64_t, kDropReasons> drops{};
  uint64_t frames = 0;
  uint64_t sent = 0;
  uint64_t flows_made = 0;
  uint64_t flows_expired = 0;
  uint64_t flows_freed = 0;  // In an emergency.
  uint64_t flows_ended = 0;  // Their client, rule or address went away.
  uint64_t flows_adopted = 0;
  uint64_t flows_not_believed = 0;
  uint64_t fragmented = 0;  // By us.
  uint64_t neighbours_adopted = 0;
  uint64_t neighbours_not_believed = 0;
  uint64_t arp_requests = 0;
  uint64_t arp_replies = 0;
  uint64_t icmp_errors = 0;
  uint64_t icmp_echoes = 0;
  uint64_t local_not_sent = 0;  // Frames of our own that found no way.
  uint64_t failovers = 0;
};

// Where a packet goes next.
struct NextHop {
  const MacAddress* mac = nullptr;      // The neighbour table's.
  uint16_t attachment = kNoAttachment;  // kNoAttachment: not known yet.
  DropReason reason = DropReason::kNone;
};

class EngineCore final : public Engine {
 public:
  EngineCore(Ruleset ruleset, std::span<uint8_t> state, uint64_t now_ns);

  absl::StatusOr<Member> AddClient(std::string_view label,
                                   const MacAddress& mac, Port* port,
                                   uint64_t now_ns) override;
  absl::StatusOr<MemberId> AddUplink(size_t uplink, size_t instance, Port* port,
                                     uint64_t now_ns) override;
  void Remove(MemberId member) override;
  std::string DomainOf(MemberId client) const override;
  absl::StatusOr<std::vector<MemberId>> Reconfigure(const RouterConfig& config,
                                                    uint64_t now_ns) override;
  bool Turn(uint64_t now_ns) override;
  std::optional<uint64_t> NextDeadline() const override;

  void SetLocalProtocols(LocalProtocols* protocols) override {
    local_protocols_ = protocols;
  }
  void SetIdentity(std::string_view domain,
                   const std::optional<Ipv4Prefix>& interface,
                   std::optional<Ipv4Address> gateway,
                   uint64_t now_ns) override;
  void BindAddress(MemberId client,
                   std::optional<Ipv4Address> address) override;
  void LearnNeighbour6(std::string_view domain, const Ipv6Address& address,
                       const MacAddress& mac, uint64_t now_ns) override;
  void SendFrame(std::string_view domain, MemberId to,
                 std::span<const uint8_t> frame) override;
  MacAddress RouterMac(std::string_view domain,
                       MemberId towards) const override;
  std::vector<MemberId> MembersOf(std::string_view domain) const override;
  MemberId UplinkOf(std::string_view domain) const override;
  std::span<uint8_t> lease_memory() override;

  Table Links() const override;
  Table Domains() const override;
  Table Rules() const override;
  Table Arp() const override;
  Table Clients() const override;
  Table Uplinks() const override;
  Table Counters() const override;
  absl::StatusOr<std::vector<std::string>> Explain(
      std::string_view question) const override;

 private:
  static constexpr size_t kBatch = 64;
  static constexpr uint32_t kUplinkQuantum = 256;
  // The router's own ICMP and ARP answers; Linux's icmp_msgs_per_sec.
  static constexpr uint64_t kAnswersPerSecond = 1000;
  static constexpr uint64_t kAnswersBurst = 100;
  static constexpr size_t kSlowBytes = 65536 + 64;

  // --- members.cc ---
  void BuildDomainMembers();
  void BuildGroups(std::vector<UplinkGroup> old);
  uint16_t NewAttachment();
  uint16_t NewLine(Port* port);
  void Detach(uint16_t attachment);
  void EndFlowsOf(uint16_t attachment);
  void ForgetNeighboursOf(uint16_t attachment);
  void FreeLine(uint16_t line);
  TokenBucket BucketOf(const PolicyRule& policy) const;
  void LookAtLinks();
  void ChooseActive(UplinkGroup& group);
  void Announce(const UplinkGroup& group);
  uint16_t LineOf(const Attachment& attachment) const {
    return attachment.is_client() ? attachment.line
                                  : groups_[attachment.group].active;
  }
  uint16_t FindLine(MemberId member) const;
  void ForgetWaitingOf(uint16_t attachment);
  const MacAddress& OwnMac(const Attachment& attachment) const;

  // --- domain_members.cc ---
  void NoteLinksChanged();

  // --- turn.cc ---
  void SetNow(uint64_t now_ns);
  bool ServeLine(uint16_t line);
  // Returns how many pieces it is done with; the others are to be held.
  size_t ProcessBatch(Line& line, std::span<const RxPiece> pieces);
  size_t ParseBatch(const Line& line, std::span<const RxPiece> pieces);
  uint16_t SourceOf(const Line& line, const Frame& frame,
                    DropReason& reason) const;
  void CountReceived(uint16_t attachment, uint32_t bytes);
  void Drop(uint16_t attachment, DropReason reason);
  void DoWhatIsDue();
  void FinishTurn();

  // --- holding.cc ---
  // True: the frame, before which `any_done` of its batch were, is to wait.
  bool HoldForRate(Line& line, bool any_done);
  bool HoldForUplink(const Line& line, const Frame& frame, bool any_done);
  void Hold(Line& line, std::span<const RxPiece> pieces, bool any_done);
  uint64_t WaitsSince(const Line& line, bool any_done) const;
  bool MustWait(const Line& line) const;
  uint64_t HeldUntil(const Line& line) const;
  uint16_t FirstOfNextTurn() const;
  void LetGo(Line& line);

  // --- sending.cc ---
  // Sends `bytes` of a frame: its head, then from `rest` on.
  DropReason Send(uint16_t attachment, const uint8_t* head, uint32_t head_bytes,
                  const RxPiece* rest, uint32_t rest_skip, uint32_t bytes);
  DropReason SendFrameOn(uint16_t attachment, const Frame& frame,
                         uint32_t bytes);
  // A frame of our own; counted when it finds no way.
  void SendOwn(uint16_t attachment, std::span<const uint8_t> frame);
  bool FillPool(Line& line, uint32_t bytes);
  void SubmitQueued(Line& line);
  // Copies the whole frame to private memory, so that it can be looked at
  // beyond its head, or sent more than once.
  void MakePrivate(Frame& frame);

  // --- switching.cc ---
  DropReason Handle(Frame& frame);
  DropReason CheckSender(Frame& frame, Attachment& in);
  DropReason CheckSource4(Attachment& in, Ipv4Address source);
  DropReason CheckSource6(Attachment& in, const Frame& frame);
  DropReason CheckAdvertised(Attachment& in, const Frame& frame);
  DropReason CheckDiscoverySender(Attachment& in, const Frame& frame);
  DropReason CheckArpSender(Attachment& in, const Frame& frame);
  DropReason CheckUplinkSender(const Frame& frame, const Attachment& in);
  DropReason ClaimAddress(Attachment& in, uint8_t version,
                          const Ipv6Address& address);
  DropReason Switch(Frame& frame);
  // To every other member, or every other uplink. kNone: one took it.
  DropReason Flood(Frame& frame, bool uplinks_only);
  DropReason HandleForRouter(Frame& frame);
  DropReason HandleGroup(Frame& frame);

  // --- arp.cc ---
  DropReason HandleArp(Frame& frame, bool for_router);
  void AskWho(uint16_t domain, uint32_t neighbour);
  NextHop Resolve4(uint16_t domain, Ipv4Address destination, uint32_t& hint);
  NextHop Resolve6(uint16_t domain, const Ipv6Address& destination,
                   uint32_t& hint);
  NextHop LookUp(uint16_t domain, uint8_t version, const Ipv6Address& address,
                 uint32_t& hint);
  // Keeps a frame until `address` has answered.
  DropReason KeepWaiting(Frame& frame, uint16_t domain, uint8_t version,
                         const Ipv6Address& address);
  void WakeWaiting(uint32_t domain_hash, uint8_t version,
                   const Ipv6Address& address);
  void ServeWaiting();
  void Redo(WaitingFrame& slot);
  void SendArp(uint16_t attachment, uint16_t operation,
               const MacAddress& ethernet_to, Ipv4Address sender_ip,
               const MacAddress& target_mac, Ipv4Address target_ip);

  // --- routing4.cc ---
  DropReason Route4(Frame& frame);
  PacketKey KeyOf(const Frame& frame) const;
  DropReason ForwardLink(Frame& frame, FlowRef reference);
  DropReason ForwardLater(Frame& frame);
  DropReason OpenLink4(Frame& frame);
  DropReason CheckUpperSum4(Frame& frame);
  DropReason ForwardStateless4(Frame& frame, const Decision& decision);
  DropReason MakeLink(const Frame& frame, Flow& flow, FlowRef& reference);
  DropReason PickPort(Flow& flow);
  bool MakeRoom(uint16_t attachment);
  void EndFlow(uint32_t flow);  // The books of one that is to be erased.
  void Touch(FlowRef reference, const Frame& frame);
  void FollowTcp(FlowRef reference, uint8_t flags);
  FragmentKey FragmentKeyOf(const Frame& frame) const;
  DropReason NoteFirstFragment(const Frame& frame, FlowRef flow);
  // What a packet says when it leaves.
  struct Endpoints4 {
    Ipv4Address source;
    Ipv4Address destination;
    uint16_t source_port;
    uint16_t destination_port;
  };
  static Endpoints4 Translated(const Flow& flow, uint32_t direction);
  // May it leave there? Answers the sender if not.
  DropReason MayLeave4(Frame& frame, const NextHop& next);
  // The last steps that every forwarded packet takes.
  DropReason Leave4(Frame& frame, const NextHop& next, const Endpoints4& to);
  // fragmenting.cc
  DropReason SendFragments4(Frame& frame, uint16_t attachment);
  void CountRule(uint16_t rule, const Frame& frame);
  void ReplyRefused4(Frame& frame, DropReason reason);

  // --- routing6.cc ---
  DropReason Route6(Frame& frame);
  DropReason OpenLink6(Frame& frame);
  DropReason ForwardLink6(Frame& frame, FlowRef reference);
  DropReason Leave6(Frame& frame, const NextHop& next);
  DropReason CheckUpperSum6(Frame& frame);

  // --- errors.cc ---
  bool MayAnswer();
  // To whom sent this frame, about it.
  void SendError4(const Frame& frame, uint8_t type, uint8_t code,
                  uint32_t rest = 0);
  void SendError6(const Frame& frame, uint8_t type, uint8_t code,
                  uint32_t rest = 0);
  DropReason ForwardError4(Frame& frame);
  DropReason ForwardError6(Frame& frame);

  // --- local.cc ---
  DropReason AnswerEcho4(Frame& frame);
  DropReason AnswerEcho6(Frame& frame);
  bool IsDhcp(const Frame& frame) const;
  DropReason HandleDhcp(Frame& frame);
  DropReason HandleDiscovery(Frame& frame);
  LocalFrame LocalFrameOf(const Frame& frame, size_t payload) const;

  // --- adoption.cc ---
  void AdoptNeighbours();
  // Those of no client belong to the domain's uplink.
  void AttachNeighbours();
  bool Believe(Flow& flow, bool from_memory);
  bool Believe4(Flow& flow);
  bool Believe6(Flow& flow);
  // Goes over every flow again, under the current rules and identities.
  void Revalidate(bool from_memory);

  // --- reconfigure.cc ---
  void KeepOf(const Ruleset& before);
  std::vector<MemberId> MoveMembers(const Ruleset& before);
  bool MoveClient(uint16_t attachment, const Ruleset& before);
  void LeaveDomain(uint16_t attachment);

  // --- state ---
  Ruleset ruleset_;
  std::span<uint8_t> state_;
  StateLayout layout_;
  uint32_t max_flows_;
  uint32_t max_clients_;
  uint64_t seed_;  // Of the state's hashes: kept with it.

  uint64_t now_ns_ = 0;
  uint64_t now_ms_ = 0;
  uint32_t now_s_ = 0;

  FlowTable flows_;
  NeighbourTable neighbours_;
  FragmentTable fragments_;
  MacTable macs_;
  WaitingFrames waiting_;

  std::vector<std::unique_ptr<Line>> lines_;
  std::vector<Attachment> attachments_;
  std::vector<UplinkGroup> groups_;
  std::vector<DomainMembers> members_;  // As ruleset_.domains().
  // A client's MAC, within its domain.
  absl::flat_hash_map<uint64_t, uint16_t> client_macs_;  // By MacWord.
  MemberId next_id_ = 1;
  uint16_t first_line_ = 0;  // Of the next turn.
  uint64_t random_;          // State of the port picker.

  LocalProtocols* local_protocols_ = nullptr;
  TokenBucket answers_;
  EngineCounters counters_;

  Frame redone_;  // A frame that waited.

  // One batch.
  std::unique_ptr<std::array<Frame, kBatch>> frames_;
  std::array<DropReason, kBatch> reasons_;
  std::array<uint8_t, kBatch> first_piece_;  // Of each frame.
  uint16_t full_line_ = kNoLine;  // The last one that had no buffers.
  uint64_t hold_until_ns_ = 0;    // Of what is to be held.
  std::array<RxPiece, kBatch> pieces_;
  std::unique_ptr<uint8_t[]> slow_;  // kSlowBytes: MakePrivate's.
  RxPiece slow_piece_;
};

}  // namespace bulkhead::nic_router

#endif  // BULKHEAD_NIC_ROUTER_ENGINE_ENGINE_CORE_H_
