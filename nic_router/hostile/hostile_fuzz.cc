// Frames of a hostile client and of a hostile wire through the whole router:
// nothing that leaves carries what its sender may not say, and every port is
// given back what it lent (S2, S7).
#include "nic_router/hostile/hostile_network.h"
#include "packet_stream/fuzz_input.h"

namespace bulkhead::nic_router {
namespace {

using packet_stream::FuzzCheck;
using packet_stream::FuzzInput;

Bytes BaseFrame(HostileNetwork& network, uint8_t kind) {
  Packet packet = network.FromBob();
  switch (kind % 8) {
    case 0:
      packet.protocol = kProtocolTcp;
      return Make(packet);
    case 1:
      packet.protocol = kProtocolIcmp;
      return Make(packet);
    case 2:
      return MakeArp(kBobMac, kBroadcastMac,
                     {.operation = kArpRequest,
                      .sender_mac = kBobMac,
                      .sender_ip = kBob,
                      .target_mac = {},
                      .target_ip = kGuestsRouter});
    case 3:
      return MakeDhcp(kBobMac, MakeDiscover(kBobMac));
    case 4:
      return MakeIcmp6(kBobMac, network.engine().RouterMac("guests"), Guest6(3),
                       kGuestsRouter6,
                       NeighbourMessage(135, kGuestsRouter6, kBobMac));
    case 5: {
      Bytes frame = Make(packet);
      Store16(&frame[20], 0x2000);  // More fragments.
      FixIpSum(frame);
      return frame;
    }
    case 6:
      // From the wire: an answer to Bob's link, if it is the first.
      return Make({.from = kGatewayMac,
                   .to = kNic0Mac,
                   .source = kServer,
                   .destination = kUplinkRouter,
                   .source_port = 53,
                   .destination_port = 49152});
    default:
      return Make(packet);
  }
}

void CheckOutputs(HostileNetwork& network) {
  for (FakePort* port : {&network.nic0, &network.nic1}) {
    for (const Bytes& frame : port->Take()) {
      if (frame.size() < 34 || Load16(&frame[12]) != kEtherTypeIpv4) continue;
      // Behind NAT: the uplink's address, or the packet was the clients' own
      // domain's business.
      FuzzCheck(Load32(&frame[26]) == kUplinkRouter);
    }
  }
  for (const Bytes& frame : network.alice.Take()) {
    FuzzCheck(frame.size() >= kEthernetBytes);
    const MacAddress from = LoadMac(&frame[6]);
    FuzzCheck(from == kBobMac || from == network.engine().RouterMac("guests"));
  }
  network.bob.Take();
}

void Run(FuzzInput input) {
  HostileNetwork network;
  while (!input.empty()) {
    const uint8_t kind = input.Byte();
    Bytes frame = BaseFrame(network, kind);
    for (int edits = kind >> 4 & 3; edits > 0; --edits) {
      const size_t at = input.Word() % frame.size();
      frame[at] = input.Byte();
    }
    if ((kind & 0x40) != 0) frame.resize(1 + input.Byte() % frame.size());
    if ((kind & 0x08) != 0 && frame.size() >= kEthernetBytes) {
      auto ip = Ipv4Writer::In(std::span(frame).subspan(kEthernetBytes));
      if (ip.has_value()) ip->FillChecksum();
    }
    FakePort& from = kind % 8 == 6 ? network.nic0 : network.bob;
    // In pieces, of which a frame has so many at most.
    const size_t least = frame.size() / kMaxFramePieces + 1;
    from.Put(std::move(frame),
             (kind & 0x80) != 0 ? least + input.Byte() : 65535);
    if (kind == 0xff) network.Advance(uint64_t{input.Byte()} << 30);
    network.protocols().Advance(network.now());
    network.Run();
    for (const FakePort* port :
         {&network.alice, &network.bob, &network.nic0, &network.nic1}) {
      FuzzCheck(port->lent() == 0 && port->allocated() == 0);
    }
    CheckOutputs(network);
  }
}

}  // namespace
}  // namespace bulkhead::nic_router

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  bulkhead::nic_router::Run({data, std::min<size_t>(size, 400)});
  return 0;
}
