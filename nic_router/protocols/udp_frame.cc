#include "nic_router/protocols/udp_frame.h"

#include "nic_router/packet/bytes.h"
#include "nic_router/packet/checksum.h"

namespace bulkhead::nic_router {

void WriteUdpHeaders(const UdpRoute& route, std::span<uint8_t> frame) {
  auto ethernet = EthernetWriter::In(frame);
  ethernet->set_destination(route.to_mac);
  ethernet->set_source(route.from_mac);
  ethernet->set_type(kEtherTypeIpv4);
  const std::span<uint8_t> udp = frame.subspan(kEthernetBytes + kIpv4Bytes);
  WriteIpv4(
      frame.subspan(kEthernetBytes),
      {.source = route.from, .destination = route.to, .protocol = kProtocolUdp},
      udp.size());
  const auto udp_bytes = static_cast<uint16_t>(udp.size());
  Store16(&udp[0], route.from_port);
  Store16(&udp[2], route.to_port);
  Store16(&udp[4], udp_bytes);
  Store16(&udp[kUdpChecksumOffset], 0);
  ChecksumSum sum =
      PseudoHeader4(route.from, route.to, kProtocolUdp, udp_bytes);
  sum.Add(udp);
  Store16(&udp[kUdpChecksumOffset], sum.NonZeroChecksum());
}

}  // namespace bulkhead::nic_router
