// Any ICMPv6 message from a client: nothing is learned but that client's own
// MAC, and what is answered is a good message (S7).
#include <vector>

#include "nic_router/ipv6/neighbour_discovery.h"
#include "nic_router/packet/ethernet.h"
#include "nic_router/packet/ipv6.h"
#include "packet_stream/fuzz_input.h"

namespace {

using namespace bulkhead::nic_router;        // NOLINT
using namespace bulkhead::nic_router::ipv6;  // NOLINT
using bulkhead::packet_stream::FuzzCheck;

constexpr MacAddress kRouterMac = {2, 0, 0, 0, 0, 1};
constexpr MacAddress kClient = {2, 0, 0, 0, 0, 7};
constexpr Ipv6Address kRouter = {0xfd, 0, 0, 0, 0, 0, 0, 0,
                                 0,    0, 0, 0, 0, 0, 0, 1};
constexpr Ipv6Address kHost = {0xfd, 0, 0, 0, 0, 0, 0, 0,
                               0,    0, 0, 0, 0, 0, 0, 7};

void CheckGood(const NdFrame& frame) {
  FuzzCheck(frame.size <= kMaxNdFrameBytes);
  const auto packet = frame.frame().subspan(kEthernetBytes);
  NdMessage message;
  FuzzCheck(ParseNdMessage(packet, kIpv6Bytes, packet.size() - kIpv6Bytes,
                           message) == NdError::kNone);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  NeighbourDiscovery discovery(
      {.interface = {kRouter, 64}, .advertise = true, .mac = kRouterMac}, 1, 1);
  NdFrame out;
  FuzzCheck(discovery.Open(kHost, 1));
  uint64_t now_ns = 1;
  // Packets, each after a byte that says how long it is.
  while (size > 1) {
    const size_t bytes = std::min<size_t>(data[0] * 8u, size - 1);
    // Of its exact size, so that a sanitizer sees a read beyond it.
    const std::vector<uint8_t> packet(data + 1, data + 1 + bytes);
    data += 1 + bytes;
    size -= 1 + bytes;
    const size_t offset = std::min(packet.size(), kIpv6Bytes);
    const NdResult result =
        discovery.Handle({.packet = packet,
                          .message_offset = offset,
                          .message_bytes = packet.size() - offset,
                          .sender = kClient,
                          .from_client = true,
                          .router_mac = kRouterMac},
                         now_ns, out);
    FuzzCheck(!result.learned || result.learned->mac == kClient);
    if (result.reply) CheckGood(out);
    now_ns += 500'000'000;
    if (discovery.AdvertisementIsDue(now_ns)) {
      discovery.Advertise(kRouterMac, out);
      CheckGood(out);
    }
  }
  return 0;
}
