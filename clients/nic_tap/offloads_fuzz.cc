// Any header before any frame: what is sent keeps to the rules that the
// provider checks, and what is cut up is cut up whole.
#include <cstring>
#include <vector>

#include "clients/nic_tap/offloads.h"
#include "clients/nic_tap/tcp_headers.h"
#include "packet_stream/fuzz_input.h"
#include "packet_stream/layout.h"

namespace {

using namespace bulkhead::nic_tap;        // NOLINT
using namespace bulkhead::packet_stream;  // NOLINT

void CutUp(const VirtioHeader& header, const std::vector<uint8_t>& frame) {
  TcpHeaders tcp;
  FuzzCheck(FindTcpHeaders(frame, header.csum_start, tcp));
  TcpCutter cutter(frame, tcp, header.gso_size);
  size_t payload = 0;
  while (!cutter.done()) {
    std::vector<uint8_t> out(cutter.next_bytes());
    cutter.Next(out);
    payload += out.size() - tcp.header_bytes;
  }
  FuzzCheck(payload == frame.size() - tcp.header_bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  VirtioHeader header;
  if (size <= sizeof(header) + 1) return 0;
  const uint32_t offloads = data[0];
  std::memcpy(&header, data + 1, sizeof(header));
  std::vector<uint8_t> frame(data + 1 + sizeof(header), data + size);
  // Often enough what leads on.
  if ((offloads & 0x80) != 0) {
    header.gso_type = (offloads & 0x40) != 0 ? kGsoTcp4 : kGsoTcp6;
    header.flags |= kNeedsChecksum;
    header.csum_offset = 16;
    header.csum_start = (offloads & 0x40) != 0 ? 34 : 54;
  }
  const std::vector<uint8_t> before = frame;
  TxRequest request;
  switch (TranslateTx(header, frame, frame.size(), offloads, request)) {
    case TxPath::kSend:
      if (request.segments != 0) {
        FuzzCheck(SegmentHeaderBytes(request.segments) < frame.size());
        FuzzCheck(SegmentPayloadBytes(request.segments) >= kMinSegmentPayload);
        FuzzCheck((request.flags & kChecksumNeeded) != 0);
      } else if ((request.flags & kChecksumNeeded) != 0) {
        FuzzCheck(size_t{request.checksum_start} + request.checksum_offset +
                      2 <=
                  frame.size());
      }
      break;
    case TxPath::kSumHere:
      FuzzCheck(size_t{header.csum_start} + header.csum_offset + 2 <=
                frame.size());
      break;
    case TxPath::kSegmentHere:
      FuzzCheck(frame == before);
      CutUp(header, frame);
      break;
    case TxPath::kUnintelligible:
      break;
  }
  return 0;
}
